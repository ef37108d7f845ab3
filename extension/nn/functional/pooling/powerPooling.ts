import { TensorError } from "../../../tensor/core/errors.ts";
import { mul, pow } from "../../../tensor/functions/pointwise/arithmetic.ts";
import { abs, neg, relu, sign } from "../../../tensor/functions/pointwise/elementwise.ts";
import { composed } from "../../../tensor/functions/pointwise/operands.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Call } from "../../arguments.ts";
import { avgPool1d, avgPool2d, avgPool3d } from "./averagePooling.ts";
import { sizes, type Size } from "../conv/convolving.ts";
import { maxPool1d, maxPool2d, maxPool3d } from "./pooling.ts";

export interface LPPoolOptions {
  /** The kernel's size by default. */
  stride?: Size | null;
  ceilMode?: boolean;
}

type LPPoolArguments =
  | [normType: number, kernelSize: Size, stride?: Size | null, ceilMode?: boolean]
  | Call<LPPoolOptions & { normType: number; kernelSize: Size }, "normType kernelSize stride ceilMode">;

const AVERAGES = [avgPool1d, avgPool2d, avgPool3d];
const MAXIMA = [maxPool1d, maxPool2d, maxPool3d];

/** @throws TensorError "norm_type must be a non-zero value, but got 0" */
export function checkNorm(normType: number): void {
  if (normType === 0) throw new TensorError("value", "norm_type must be a non-zero value, but got 0");
}

function powerPool(name: string, count: number, input: Tensor, rest: readonly unknown[]): Tensor {
  const { normType, kernelSize, ...options } = bind<LPPoolOptions & { normType: number; kernelSize: Size }>(
    name,
    rest,
    { normType: REQUIRED, kernelSize: REQUIRED, stride: null, ceilMode: false },
  );
  checkNorm(normType);
  return composed(() => {
    if (normType === Infinity) return MAXIMA[count - 1]!(abs(input), kernelSize, options);
    if (normType === -Infinity) return neg(MAXIMA[count - 1]!(neg(abs(input)), kernelSize, options));
    const means = AVERAGES[count - 1]!(pow(input, normType), kernelSize, options);
    const cells = sizes("kernel_size", kernelSize, count).reduce((a, b) => a * b, 1);
    return pow(mul(mul(sign(means), relu(abs(means))), cells), 1 / normType);
  });
}

/** (Σ xᵖ)^(1/p) over every window of sequences, with p = normType; ±∞ are the extremes of |x|. */
export function lpPool1d(input: Tensor, normType: number, kernelSize: Size, options?: LPPoolOptions): Tensor;
export function lpPool1d(input: Tensor, ...rest: LPPoolArguments): Tensor;
export function lpPool1d(input: Tensor, ...rest: unknown[]): Tensor {
  return powerPool("lp_pool1d", 1, input, rest);
}

/** (Σ xᵖ)^(1/p) over every window of images, with p = normType; ±∞ are the extremes of |x|. */
export function lpPool2d(input: Tensor, normType: number, kernelSize: Size, options?: LPPoolOptions): Tensor;
export function lpPool2d(input: Tensor, ...rest: LPPoolArguments): Tensor;
export function lpPool2d(input: Tensor, ...rest: unknown[]): Tensor {
  return powerPool("lp_pool2d", 2, input, rest);
}

/** (Σ xᵖ)^(1/p) over every window of volumes, with p = normType; ±∞ are the extremes of |x|. */
export function lpPool3d(input: Tensor, normType: number, kernelSize: Size, options?: LPPoolOptions): Tensor;
export function lpPool3d(input: Tensor, ...rest: LPPoolArguments): Tensor;
export function lpPool3d(input: Tensor, ...rest: unknown[]): Tensor {
  return powerPool("lp_pool3d", 3, input, rest);
}
