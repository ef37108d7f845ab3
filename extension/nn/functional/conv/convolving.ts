// Code shared by convolutions and their transposes: sizes, checks of shapes, groups and dilation.
import { reshaped } from "../../../tensor/functions/shape/views.ts";
import { apply } from "../../../tensor/recording/apply.ts";
import { SCALAR_TYPE } from "../../../tensor/core/dtype.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { C_TYPE } from "../../../tensor/functions/pointwise/operands.ts";
import { addChannelBias } from "../../../tensor/ops/spatial/convolution.ts";
import { reshape } from "../../../tensor/ops/movement/movement.ts";
import { formatShape, type Shape } from "../../../tensor/core/shape.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";

/** One length for every dimension, or one for each. */
export type Size = number | readonly number[];
export type Padding = Size | "same" | "valid";

/** @throws TensorError when a list has the wrong length */
export function sizes(name: string, value: Size, count: number): number[] {
  if (typeof value === "number") return Array.from<number>({ length: count }).fill(value);
  if (value.length === 1) return Array.from<number>({ length: count }).fill(value[0]!);
  if (value.length !== count) {
    throw new TensorError(
      "value",
      `expected ${name} to be a single integer value or a list of ${count} values to match the convolution dimensions, but got ${name}=${formatShape(value)}`,
    );
  }
  return [...value];
}

/** The longest stride that kernels take. No input is longer, so that longer strides have the same results. */
const LONGEST_STRIDE = 2 ** 31 - 1;

export const strideOf = (stride: number): number => Math.min(stride, LONGEST_STRIDE);

/** Cells before and after each dimension. */
export function paddings(
  padding: Padding,
  kernel: readonly number[],
  dilation: readonly number[],
  stride: readonly number[],
): [number, number][] {
  if (padding === "valid") return kernel.map(() => [0, 0]);
  if (padding !== "same") {
    if (typeof padding === "string") {
      throw new TensorError("value", `Invalid padding string: '${String(padding)}'`);
    }
    return sizes("padding", padding, kernel.length).map((p) => [p, p]);
  }
  if (stride.some((s) => s !== 1)) {
    throw new TensorError("value", "padding='same' is not supported for strided convolutions");
  }
  return kernel.map((k, d) => {
    const total = dilation[d]! * (k - 1);
    return [Math.floor(total / 2), total - Math.floor(total / 2)];
  });
}

/** @throws TensorError for a stride, padding, dilation or number of groups that no convolution has */
export function checkSteps(
  stride: readonly number[],
  padding: readonly (readonly number[])[],
  dilation: readonly number[],
  groups: number,
): void {
  if (groups <= 0) throw new TensorError("value", "non-positive groups is not supported");
  if (padding.some((p) => p.some((n) => n < 0))) {
    throw new TensorError("value", "negative padding is not supported");
  }
  if (stride.some((s) => s <= 0)) throw new TensorError("value", "non-positive stride is not supported");
  if (dilation.some((d) => d <= 0)) {
    throw new TensorError("value", "non-positive dilation is not supported");
  }
}

/**
 * The input with a batch dimension.
 * @throws TensorError for other ranks and types than the weight's
 */
export function withBatch(
  name: string,
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  count: number,
): Tensor {
  if (input.ndim !== count + 1 && input.ndim !== count + 2) {
    throw new TensorError(
      "shape",
      `Expected ${count + 1}D (unbatched) or ${count + 2}D (batched) input to ${name}, but got input of size: ${formatShape(input.shape)}`,
    );
  }
  if (weight.dtype !== "float32" && input.dtype === "float32") {
    throw new TensorError(
      "dtype",
      `Input type (torch.FloatTensor) and weight type (torch.${SCALAR_TYPE[weight.dtype]}Tensor) should be the same or input should be a MKLDNN tensor and weight is a dense tensor`,
    );
  }
  if (bias !== null && bias.dtype !== input.dtype && !name.startsWith("conv_transpose")) {
    throw new TensorError(
      "dtype",
      `Input type (${C_TYPE[input.dtype]}) and bias type (${C_TYPE[bias.dtype]}) should be the same`,
    );
  }
  if (weight.dtype !== input.dtype) {
    throw new TensorError(
      "dtype",
      `expected scalar type ${SCALAR_TYPE[input.dtype]} but found ${SCALAR_TYPE[weight.dtype]}`,
    );
  }
  if (input.dtype !== "float32") {
    throw new TensorError(
      "unsupported",
      `${name}(): there is no kernel for ${input.dtype}`,
      "convert to float32",
    );
  }
  return input.ndim === count + 1 ? inserted(input, 0) : input;
}

/** @throws TensorError for a weight of another rank than the batched input, or that doesn't divide into groups */
export function checkWeight(x: Tensor, weight: Tensor, stride: readonly number[], groups: number): void {
  const size = formatShape(weight.shape);
  sizes("stride", stride, weight.ndim - 2);
  if (weight.ndim !== x.ndim) {
    throw new TensorError(
      "shape",
      `Expected ${weight.ndim}-dimensional input for ${weight.ndim}-dimensional weight ${size}, but got ${x.ndim}-dimensional input of size ${formatShape(x.shape)} instead`,
    );
  }
  const rows = weight.shape[0]!;
  if (rows < groups) {
    throw new TensorError(
      "shape",
      `Given groups=${groups}, expected weight to be at least ${groups} at dimension 0, but got weight of size ${size} instead`,
    );
  }
  if (rows % groups !== 0) {
    throw new TensorError(
      "shape",
      `Given groups=${groups}, expected weight to be divisible by ${groups} at dimension 0, but got weight of size [${size}] instead`,
    );
  }
}

/** @param given how PyTorch's text begins @throws TensorError unless the bias has a value for each output channel */
export function checkBias(bias: Tensor | null, channels: number, given: string): void {
  if (bias === null || (bias.ndim === 1 && bias.shape[0] === channels)) return;
  throw new TensorError(
    "shape",
    `Given ${given}, expected bias to be 1-dimensional with ${channels} elements, but got bias of size ${formatShape(bias.shape)} instead`,
  );
}

/** A tensor with a dimension of length 1 put in. */
function inserted(x: Tensor, dim: number): Tensor {
  return reshaped(x, [...x.shape.slice(0, dim), 1, ...x.shape.slice(dim)]);
}

/** Sequences as images of one row: no kernel is made for them. */
export const asImages = (x: Tensor): Tensor => (x.ndim === 3 ? inserted(x, 2) : x);

/** The values of sequences with one for the row in front. */
export const withRow = <T>(values: readonly T[], row: T): readonly T[] =>
  values.length === 1 ? [row, values[0]!] : values;

/** Takes back what {@link withBatch} and {@link asImages} put in, where the result isn't the kernel's own. */
export function restored(result: Tensor, count: number, batched: boolean): Tensor {
  if (count > 1 && batched) return result;
  const { shape } = result;
  const own: Shape = count === 1 ? [...shape.slice(0, 2), shape[3]!] : shape;
  return apply(reshape, [result], { shape: batched ? own : own.slice(1) });
}

/** The attribute of filters whose cells lie apart: none for others. */
export const dilations = (dilation: readonly number[]): { dilation?: readonly number[] } =>
  dilation.every((d) => d === 1) ? {} : { dilation };

export const withBias = (y: Tensor, bias: Tensor | null): Tensor =>
  bias === null ? y : apply(addChannelBias, [y, bias], {});
