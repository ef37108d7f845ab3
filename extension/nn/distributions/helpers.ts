// Code shared by distributions: broadcasting, logits and probabilities, shapes.
import "../../tensor/methods.ts";
import type { HostArray } from "../../tensor/core/dtype.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { scalarOf, type Operand } from "../../tensor/functions/pointwise/operands.ts";
import { expand } from "../../tensor/functions/shape/shape.ts";
import { broadcastShapes, sameShape, type Shape } from "../../tensor/core/shape.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { hasExecutor, valuesOf } from "../../tensor/planning/barrier.ts";
import { py, pyFloat } from "../module/repr.ts";

/** The distance of 1 to the next float32. */
export const EPS = 2 ** -23;
/** The smallest normal float32. */
export const TINY = 2 ** -126;
export const EULER = 0.5772156649015329;

/** Sizes of a sample, by position or by name. */
export type SampleShape = Shape | { sampleShape?: Shape };

/** Whether a parameter was given: PyTorch's `is not None`. */
export type Optional<T> = T | null | undefined;

/** Option of every distribution to check its arguments, by name or as the last argument. */
export type Validate = boolean | null | { validateArgs?: boolean | null | undefined };

/** `x` in a shape that it broadcasts to; itself if it has that shape. */
export function spread(x: Tensor, shape: Shape): Tensor {
  return sameShape(x.shape, shape) ? x : expand(x, shape);
}

/**
 * Numbers and tensors as tensors of one shape. Numbers take the first tensor's type.
 * @throws TensorError "Input arguments must all be instances of Number, torch.Tensor or …"
 */
export function broadcastAll<T extends readonly Operand[]>(...values: T): { [K in keyof T]: Tensor } {
  const first = values.find((x) => x instanceof Tensor);
  const tensors = values.map((x) => {
    if (x instanceof Tensor) return x;
    if (typeof x === "number" || typeof x === "boolean") return scalarOf(x, first?.dtype ?? "float32");
    throw new TensorError(
      "value",
      "Input arguments must all be instances of Number, torch.Tensor or objects implementing __torch_function__.",
    );
  });
  const shape = tensors.reduce((size: Shape, x) => broadcastShapes(size, x.shape), []);
  return tensors.map((x) => spread(x, shape)) as { [K in keyof T]: Tensor };
}

/** Sums the last `dims` dimensions. */
export function sumRightmost(x: Tensor, dims: number): Tensor {
  return dims === 0 ? x : x.reshape([...x.shape.slice(0, x.ndim - dims), -1]).sum(-1);
}

/** Probabilities moved away from 0 and 1 by float32's step. */
export const clampProbs = (probs: Tensor): Tensor => probs.clamp(EPS, 1 - EPS);

/** Log odds of probabilities. */
export function binaryLogits(probs: Tensor): Tensor {
  const p = clampProbs(probs);
  return p.log().sub(p.neg().log1p());
}

/**
 * The values of a tensor or number that are known without computing anything: data, and values read before.
 */
export function knownValues(x: Operand): HostArray | undefined {
  if (!(x instanceof Tensor)) return Float32Array.of(Number(x));
  const { data, producer } = x.value;
  if (data !== undefined) return data;
  // One number everywhere: checking it once is enough.
  return producer.kind === "fill" || producer.kind === "scalar" ? Float32Array.of(producer.value) : undefined;
}

/** Reads a tensor that a draw depends on, to refuse invalid values before the draw takes its place among others. */
export function readNow(x: Tensor): void {
  if (hasExecutor()) valuesOf(x.value);
}

/** The argument of `enumerateSupport`, by position or by name. */
export const expands = (expand: boolean | { expand?: boolean }): boolean =>
  typeof expand === "boolean" ? expand : (expand.expand ?? true);

/** Python's format of a tensor: one number of a 0-d tensor, else the text that print shows. */
export function formatted(x: Tensor): string {
  if (x.ndim > 0) return x.toString();
  const value = x.item<number | boolean>();
  return typeof value === "number" && x.dtype === "float32" ? pyFloat(value) : py(value);
}
