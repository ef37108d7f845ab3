import { apply } from "../../../tensor/recording/apply.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { composed, named, notImplemented } from "../../../tensor/functions/pointwise/operands.ts";
import { reshape } from "../../../tensor/ops/movement/movement.ts";
import { maxPool2d as poolImages } from "../../../tensor/ops/spatial/pooling.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Call } from "../../arguments.ts";
import type { Size } from "../conv/convolving.ts";
import { kernelName, slidingAxes, type Axis } from "../conv/sliding.ts";
import { adaptiveWindows, batched, maxOverWindows, slidingWindows, type Windows } from "../conv/windows.ts";

export interface MaxPoolOptions {
  /** The kernel's size by default. */
  stride?: Size | null;
  /** Cells around the input that are never the maximum. */
  padding?: Size;
  dilation?: Size;
  /** Round the output's size up, with windows that reach beyond the input. */
  ceilMode?: boolean;
}

/** Asks also for where each maximum was: its position in the flattened image. */
export interface WithIndices {
  returnIndices: true;
}

export type ValuesAndIndices = [values: Tensor, indices: Tensor];
export type Pooled = Tensor | ValuesAndIndices;

type MaxPoolArguments =
  | [kernelSize: Size, stride?: Size | null, padding?: Size, dilation?: Size, ceilMode?: boolean]
  | Call<MaxPoolOptions & { kernelSize: Size }, "kernelSize stride padding dilation ceilMode">;

function maxPool(name: string, count: number, input: Tensor, rest: readonly unknown[]): Pooled {
  const { returnIndices, ...sliding } = bind<MaxPoolOptions & { kernelSize: Size; returnIndices?: boolean }>(
    name,
    rest,
    {
      kernelSize: REQUIRED,
      stride: null,
      padding: 0,
      dilation: 1,
      ceilMode: false,
      returnIndices: false,
    },
  );
  return pooled(name, count, input, returnIndices, (x) => {
    const axes = slidingAxes(name, x.shape, count, sliding);
    const plain = count < 3 && !returnIndices && axes.every((a) => a.dilation === 1);
    return plain ? [kernel(x, axes)] : maxOverWindows(x, axes.map(slidingWindows));
  });
}

function pooled(
  name: string,
  count: number,
  input: Tensor,
  returnIndices: boolean,
  pool: (x: Tensor) => readonly Tensor[],
): Pooled {
  if (input.dtype !== "float32") notImplemented(kernelName(name), input.dtype);
  let indices: Tensor | undefined;
  const values = composed(() => {
    const results = batched(name, input, count, pool);
    indices = results[1];
    return named(results[0]!, `MaxPool${count}DWithIndicesBackward0`, input, returnIndices ? indices : null);
  });
  if (!returnIndices) return values;
  indices!.value.visible = values.value.visible;
  return [values, indices!];
}

/** The kernel's own pooling of images; sequences are images of one row. */
function kernel(x: Tensor, axes: readonly Axis[]): Tensor {
  const row: Axis = { length: 1, kernel: 1, stride: 1, padding: 0, dilation: 1, out: 1 };
  const [h, w] = axes.length === 1 ? [row, axes[0]!] : [axes[0]!, axes[1]!];
  const after = (a: Axis): number => Math.max((a.out - 1) * a.stride + a.kernel - a.length - a.padding, 0);
  const sequence = axes.length === 1;
  const [n, c, length] = x.shape as [number, number, number];
  const image = sequence ? apply(reshape, [x], { shape: [n, c, 1, length] }) : x;
  const y = apply(poolImages, [image], {
    kernel: [h.kernel, w.kernel],
    stride: [h.stride, w.stride],
    padding: [h.padding, after(h), w.padding, after(w)],
  });
  return sequence ? apply(reshape, [y], { shape: [n, c, w.out] }) : y;
}

/** Largest value of every window of sequences [N, C, L] or [C, L]. */
export function maxPool1d(
  input: Tensor,
  kernelSize: Size,
  options: MaxPoolOptions & WithIndices,
): ValuesAndIndices;
export function maxPool1d(input: Tensor, kernelSize: Size, options?: MaxPoolOptions): Tensor;
export function maxPool1d(input: Tensor, ...rest: MaxPoolArguments): Tensor;
export function maxPool1d(input: Tensor, ...rest: unknown[]): Pooled {
  return maxPool("max_pool1d", 1, input, rest);
}

/**
 * Largest value of every window of images [N, C, H, W] or [C, H, W].
 * @throws TensorError "Given input size: (1x1x1). Calculated output size: (1x0x0). Output size is too small"
 */
export function maxPool2d(
  input: Tensor,
  kernelSize: Size,
  options: MaxPoolOptions & WithIndices,
): ValuesAndIndices;
export function maxPool2d(input: Tensor, kernelSize: Size, options?: MaxPoolOptions): Tensor;
export function maxPool2d(input: Tensor, ...rest: MaxPoolArguments): Tensor;
export function maxPool2d(input: Tensor, ...rest: unknown[]): Pooled {
  return maxPool("max_pool2d", 2, input, rest);
}

/** Largest value of every window of volumes [N, C, D, H, W] or [C, D, H, W]. */
export function maxPool3d(
  input: Tensor,
  kernelSize: Size,
  options: MaxPoolOptions & WithIndices,
): ValuesAndIndices;
export function maxPool3d(input: Tensor, kernelSize: Size, options?: MaxPoolOptions): Tensor;
export function maxPool3d(input: Tensor, ...rest: MaxPoolArguments): Tensor;
export function maxPool3d(input: Tensor, ...rest: unknown[]): Pooled {
  return maxPool("max_pool3d", 3, input, rest);
}

/** Output lengths; null keeps the input's. */
export type OutputSize = number | null | readonly (number | null)[];

/** The windows that make `outputSize` of the last dimensions. */
export function adaptive(name: string, x: Tensor, count: number, outputSize: OutputSize): Windows[] {
  if (typeof outputSize === "object" && outputSize !== null && outputSize.length !== count) {
    throw new TensorError("value", wrongSize(name, outputSize.length, count));
  }
  return x.shape.slice(-count).map((length, d) => {
    const out = sizeOf(outputSize, d);
    if (out !== undefined && out !== null && out < 0)
      throw new TensorError("value", negativeSize(name, x, outputSize));
    return adaptiveWindows(length, out ?? length);
  });
}

function wrongSize(name: string, got: number, count: number): string {
  if (count === 1) return `${name}() argument 'output_size' should contain one int (got ${got})`;
  return name.includes("max")
    ? `${name}(): internal error: output_size.size() must be ${count}`
    : `${name}: output_size must be ${count}`;
}

function negativeSize(name: string, { shape }: Tensor, outputSize: OutputSize): string {
  const count = Number(name.at(-2));
  const each = [
    ...(count === 1 ? [1] : []),
    ...shape.slice(-count).map((length, d) => sizeOf(outputSize, d) ?? length),
  ];
  if (name.includes("max")) {
    const lead = shape.slice(0, shape.length - count);
    return `Trying to create tensor with negative dimension ${each.find((n) => n < 0)}: [${[...lead, ...each].join(", ")}]`;
  }
  const text = count === 3 ? `${each[0]}, ${each[1]},${each[2]}` : each.join(", ");
  return `adaptive_avg_pool${count === 3 ? 3 : 2}d: elements of output_size must be greater than or equal to 0 but received {${text}}`;
}

const sizeOf = (outputSize: OutputSize, d: number): number | null | undefined =>
  typeof outputSize === "object" && outputSize !== null ? outputSize[d] : outputSize;

function adaptiveMax(name: string, count: number, input: Tensor, rest: readonly unknown[]): Pooled {
  const { outputSize, returnIndices } = bind<{ outputSize: OutputSize; returnIndices?: boolean }>(
    name,
    rest,
    { outputSize: REQUIRED, returnIndices: false },
  );
  return pooled(name, count, input, returnIndices, (x) =>
    maxOverWindows(x, adaptive(name, x, count, outputSize)),
  );
}

/** Largest values of as many windows as asked for, of sequences. */
export function adaptiveMaxPool1d(
  input: Tensor,
  outputSize: OutputSize,
  options: WithIndices,
): ValuesAndIndices;
export function adaptiveMaxPool1d(input: Tensor, outputSize: OutputSize): Tensor;
export function adaptiveMaxPool1d(input: Tensor, ...rest: unknown[]): Pooled {
  return adaptiveMax("adaptive_max_pool1d", 1, input, rest);
}

/** Largest values of as many windows as asked for, of images. */
export function adaptiveMaxPool2d(
  input: Tensor,
  outputSize: OutputSize,
  options: WithIndices,
): ValuesAndIndices;
export function adaptiveMaxPool2d(input: Tensor, outputSize: OutputSize): Tensor;
export function adaptiveMaxPool2d(input: Tensor, ...rest: unknown[]): Pooled {
  return adaptiveMax("adaptive_max_pool2d", 2, input, rest);
}

/** Largest values of as many windows as asked for, of volumes. */
export function adaptiveMaxPool3d(
  input: Tensor,
  outputSize: OutputSize,
  options: WithIndices,
): ValuesAndIndices;
export function adaptiveMaxPool3d(input: Tensor, outputSize: OutputSize): Tensor;
export function adaptiveMaxPool3d(input: Tensor, ...rest: unknown[]): Pooled {
  return adaptiveMax("adaptive_max_pool3d", 3, input, rest);
}
