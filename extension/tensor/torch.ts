// PyTorch's `torch` namespace: `export * as torch from "./torch.ts"`.
import { grad } from "./autograd.ts";
import type { DType } from "./dtype.ts";

export { noGrad } from "./scope.ts";
export * from "./functions/grad.ts";
export { getPrintOptions, setPrintOptions } from "./print.ts";
export { defaultStream as defaultGenerator, RandomStream as Generator } from "./random/stream.ts";
export { Tensor } from "./tensor.ts";
export * from "./functions/arithmetic.ts";
export * from "./functions/creation.ts";
export * from "./functions/distance.ts";
export * from "./functions/einsum.ts";
export * from "./functions/elementwise.ts";
export * from "./functions/gathering.ts";
export * from "./functions/linalg.ts";
export * from "./functions/parts.ts";
export * from "./functions/random.ts";
export type { ValuesAndIndices } from "./functions/along.ts";
export type { TensorOptions } from "./functions/options.ts";
export { resultType } from "./functions/promotion.ts";
export * from "./functions/reduction.ts";
export { variance as var } from "./functions/reduction.ts";
export * from "./functions/shape.ts";
export { allclose, clone, detach, equal } from "./functions/conversion.ts";

/** Gradients without `.grad`. */
export const autograd = { grad } as const;

export const float32 = "float32" satisfies DType;
export const float = float32;
export const int64 = "int64" satisfies DType;
export const long = int64;
export const bool = "bool" satisfies DType;
