import { apply } from "../../tensor/apply.ts";
import { TensorError } from "../../tensor/errors.ts";
import { C_TYPE, composed, named } from "../../tensor/functions/operands.ts";
import { addChannelBias, conv2d as convolve, conv2dInputGrad } from "../../tensor/ops/convolution.ts";
import { cat, reshape, slice, unslice } from "../../tensor/ops/movement.ts";
import { formatShape } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { bind } from "../arguments.ts";

/** One length for every dimension, or one for each. */
export type Size = number | readonly number[];

type Pair = readonly [number, number];

export interface ConvolutionOptions {
  bias?: Tensor | null;
  /** 1 by default. */
  stride?: Size;
  /** Zeros around the input; "same" keeps its size, "valid" adds none. 0 by default. */
  padding?: Size | "same" | "valid";
  /** Distance of the filter's cells; 1 by default. */
  dilation?: Size;
  /** Input and output channels are divided into this many groups, each convolved alone. */
  groups?: number;
}

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

/** Cells before and after each dimension. */
export function paddings(
  padding: Size | "same" | "valid",
  kernel: readonly number[],
  dilation: readonly number[],
  stride: readonly number[],
): [number, number][] {
  if (padding === "valid") return kernel.map(() => [0, 0]);
  if (padding !== "same") {
    if (typeof padding === "string") {
      throw new TensorError(
        "value",
        `Invalid padding string '${String(padding)}', should be one of {'same', 'valid'}`,
      );
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

/** A tensor with a dimension of length 1 put in: one-dimensional images are two-dimensional ones of one row. */
function inserted(x: Tensor, dim: number): Tensor {
  return apply(reshape, [x], { shape: [...x.shape.slice(0, dim), 1, ...x.shape.slice(dim)] });
}

function part(x: Tensor, dim: number, from: number, to: number): Tensor {
  return apply(slice, [x], {
    begin: x.shape.map((_, d) => (d === dim ? from : 0)),
    end: x.shape.map((n, d) => (d === dim ? to : n)),
    step: x.shape.map(() => 1),
  });
}

interface Prepared {
  /** [N, C, H, W]. */
  input: Tensor;
  weight: Tensor;
  readonly restore: (result: Tensor) => Tensor;
}

/** Adds the batch dimension and the row that an input may lack. */
function prepared(name: string, input: Tensor, weight: Tensor, bias: Tensor | null, count: number): Prepared {
  if (input.ndim !== count + 1 && input.ndim !== count + 2) {
    throw new TensorError(
      "shape",
      `Expected ${count + 1}D (unbatched) or ${count + 2}D (batched) input to ${name}, but got input of size: ${formatShape(input.shape)}`,
    );
  }
  if (input.dtype !== weight.dtype) {
    throw new TensorError(
      "dtype",
      `Input type (${C_TYPE[input.dtype]}) and ${bias === null ? "weight" : "bias"} type (${C_TYPE[weight.dtype]}) should be the same`,
    );
  }
  const unbatched = input.ndim === count + 1;
  const x = unbatched ? inserted(input, 0) : input;
  return {
    input: count === 1 ? inserted(x, 2) : x,
    weight: count === 1 ? inserted(weight, 2) : weight,
    restore: (result) => {
      if (count === 2 && !unbatched) return result;
      const [n, c, h, w] = result.shape as [number, number, number, number];
      const shape = count === 1 ? [n, c, w] : [n, c, h, w];
      return apply(reshape, [result], { shape: unbatched ? shape.slice(1) : shape });
    },
  };
}

function checkSteps(
  stride: readonly number[],
  padding: readonly (readonly number[])[],
  dilation: readonly number[],
): void {
  if (padding.some((p) => p.some((n) => n < 0))) {
    throw new TensorError("value", "negative padding is not supported");
  }
  if (stride.some((s) => s <= 0)) throw new TensorError("value", "non-positive stride is not supported");
  if (dilation.some((d) => d <= 0)) throw new TensorError("value", "dilation should be greater than zero");
}

/** The filter with zeros between its cells. */
function dilated(w: Tensor, [rows, columns]: Pair): Tensor {
  if (rows === 1 && columns === 1) return w;
  const [o, i, kh, kw] = w.shape as [number, number, number, number];
  const shape = [o, i, rows * (kh - 1) + 1, columns * (kw - 1) + 1];
  return apply(unslice, [w], { begin: [0, 0, 0, 0], end: shape, step: [1, 1, rows, columns], shape });
}

/** A row's values in front of a column's, for one-dimensional images. */
const twice = (values: readonly number[], row: number): Pair =>
  values.length === 1 ? [row, values[0]!] : (values as unknown as Pair);

function convolution(
  name: string,
  count: number,
  input: Tensor,
  weight: Tensor,
  rest: readonly unknown[],
): Tensor {
  const { bias, groups, ...options } = bind<ConvolutionOptions>(name, rest, {
    bias: null,
    stride: 1,
    padding: 0,
    dilation: 1,
    groups: 1,
  });
  const stride = sizes("stride", options.stride, count);
  const dilation = sizes("dilation", options.dilation, count);
  const around = paddings(options.padding, weight.shape.slice(2), dilation, stride);
  checkSteps(stride, around, dilation);
  return composed(() => {
    const { input: x, weight: w, restore } = prepared(name, input, weight, bias, count);
    const [top, left] = around.length === 1 ? [[0, 0] as const, around[0]!] : [around[0]!, around[1]!];
    const attributes = {
      stride: twice(stride, 1),
      padding: [...top, ...left] as [number, number, number, number],
    };
    const channels = weight.shape[1]! * groups;
    if (groups !== 1 && x.shape[1] !== channels) {
      throw new TensorError(
        "shape",
        `Given groups=${groups}, weight of size ${formatShape(weight.shape)}, expected input${formatShape(x.shape)} to have ${channels} channels, but got ${x.shape[1]} channels instead`,
      );
    }
    const y = grouped(x, dilated(w, twice(dilation, 1)), groups, (xs, ws) =>
      apply(convolve, [xs, ws], attributes),
    );
    return named(restore(withBias(y, bias)), "ConvolutionBackward0");
  });
}

/** Runs every group on its channels of x and its rows of w. */
function grouped(x: Tensor, w: Tensor, groups: number, run: (x: Tensor, w: Tensor) => Tensor): Tensor {
  if (groups === 1) return run(x, w);
  const [channels, rows] = [x.shape[1]! / groups, w.shape[0]! / groups];
  const parts = Array.from({ length: groups }, (_, g) =>
    run(part(x, 1, g * channels, (g + 1) * channels), part(w, 0, g * rows, (g + 1) * rows)),
  );
  return apply(cat, parts, { dim: 1 });
}

const withBias = (y: Tensor, bias: Tensor | null): Tensor =>
  bias === null ? y : apply(addChannelBias, [y, bias], {});

/**
 * Cross-correlation of sequences [N, C, L] (or [C, L]) with filters [O, C / groups, k].
 * @throws TensorError "Given groups=1, weight of size …, expected input… to have … channels, but got … channels instead"
 */
export function conv1d(input: Tensor, weight: Tensor, options?: ConvolutionOptions): Tensor;
export function conv1d(
  input: Tensor,
  weight: Tensor,
  bias?: Tensor | null,
  options?: Omit<ConvolutionOptions, "bias">,
): Tensor;
export function conv1d(
  input: Tensor,
  weight: Tensor,
  bias?: Tensor | null,
  stride?: Size,
  padding?: Size | "same" | "valid",
  dilation?: Size,
  groups?: number,
): Tensor;
export function conv1d(input: Tensor, weight: Tensor, ...rest: unknown[]): Tensor {
  return convolution("conv1d", 1, input, weight, rest);
}

/**
 * Cross-correlation of images [N, C, H, W] (or [C, H, W]) with filters [O, C / groups, kH, kW].
 * @throws TensorError "Given groups=1, weight of size [8, 3, 3, 3], expected input[1, 1, 8, 8] to have 3 channels, but got 1 channels instead"
 */
export function conv2d(input: Tensor, weight: Tensor, options?: ConvolutionOptions): Tensor;
export function conv2d(
  input: Tensor,
  weight: Tensor,
  bias?: Tensor | null,
  options?: Omit<ConvolutionOptions, "bias">,
): Tensor;
export function conv2d(
  input: Tensor,
  weight: Tensor,
  bias?: Tensor | null,
  stride?: Size,
  padding?: Size | "same" | "valid",
  dilation?: Size,
  groups?: number,
): Tensor;
export function conv2d(input: Tensor, weight: Tensor, ...rest: unknown[]): Tensor {
  return convolution("conv2d", 2, input, weight, rest);
}

export interface TransposedOptions {
  bias?: Tensor | null;
  stride?: Size;
  padding?: Size;
  /** Cells added at the end: which of the sizes that convolve to the input's is meant. */
  outputPadding?: Size;
  groups?: number;
  dilation?: Size;
}

function transposed(
  name: string,
  count: number,
  input: Tensor,
  weight: Tensor,
  rest: readonly unknown[],
): Tensor {
  const { bias, groups, ...options } = bind<TransposedOptions>(name, rest, {
    bias: null,
    stride: 1,
    padding: 0,
    outputPadding: 0,
    groups: 1,
    dilation: 1,
  });
  const stride = sizes("stride", options.stride, count);
  const dilation = sizes("dilation", options.dilation, count);
  const padding = sizes("padding", options.padding, count);
  const extra = sizes("output_padding", options.outputPadding, count);
  checkSteps(stride, [padding, extra], dilation);
  if (extra.some((n, d) => n >= stride[d]! && n >= dilation[d]!)) {
    const list = (values: readonly number[]): string => formatShape(values);
    throw new TensorError(
      "value",
      `output padding must be smaller than either stride or dilation, but got output_padding=${list(extra)}, stride=${list(stride)} and dilation=${list(dilation)}`,
    );
  }
  return composed(() => {
    const { input: x, weight: w, restore } = prepared(name, input, weight, bias, count);
    if (x.shape[1] !== weight.shape[0]) {
      throw new TensorError(
        "shape",
        `Given transposed=1, weight of size ${formatShape(weight.shape)}, expected input${formatShape(x.shape)} to have ${weight.shape[0]} channels, but got ${x.shape[1]} channels instead`,
      );
    }
    const length = (d: number, size: number, kernel: number): number =>
      (size - 1) * stride[d]! - 2 * padding[d]! + dilation[d]! * (kernel - 1) + extra[d]! + 1;
    const [n, , h, width] = x.shape as [number, number, number, number];
    const [, out, kh, kw] = w.shape as [number, number, number, number];
    const oh = count === 1 ? 1 : length(0, h, kh);
    const ow = length(count - 1, width, kw);
    if (oh < 1 || ow < 1) {
      throw new TensorError(
        "shape",
        `Given input size per channel: (${h} x ${width}). Calculated output size per channel: (${oh} x ${ow}). Output size is too small`,
      );
    }
    const [ph, pw] = twice(padding, 0);
    const attributes = {
      stride: twice(stride, 1),
      padding: [ph, ph, pw, pw] as [number, number, number, number],
      shape: [n, out, oh, ow],
    };
    const y = grouped(x, dilated(w, twice(dilation, 1)), groups, (xs, ws) =>
      apply(conv2dInputGrad, [xs, ws], attributes),
    );
    return named(restore(withBias(y, bias)), "ConvolutionBackward0");
  });
}

/** The adjoint of {@link conv1d}: sequences [N, C, L] with filters [C, O / groups, k]. */
export function convTranspose1d(input: Tensor, weight: Tensor, options?: TransposedOptions): Tensor;
export function convTranspose1d(
  input: Tensor,
  weight: Tensor,
  bias?: Tensor | null,
  options?: Omit<TransposedOptions, "bias">,
): Tensor;
export function convTranspose1d(input: Tensor, weight: Tensor, ...rest: unknown[]): Tensor {
  return transposed("conv_transpose1d", 1, input, weight, rest);
}

/** The adjoint of {@link conv2d}: images [N, C, H, W] with filters [C, O / groups, kH, kW]. */
export function convTranspose2d(input: Tensor, weight: Tensor, options?: TransposedOptions): Tensor;
export function convTranspose2d(
  input: Tensor,
  weight: Tensor,
  bias?: Tensor | null,
  options?: Omit<TransposedOptions, "bias">,
): Tensor;
export function convTranspose2d(input: Tensor, weight: Tensor, ...rest: unknown[]): Tensor {
  return transposed("conv_transpose2d", 2, input, weight, rest);
}
