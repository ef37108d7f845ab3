import { apply } from "../../../tensor/recording/apply.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { composed, named, notImplemented } from "../../../tensor/functions/pointwise/operands.ts";
import { reshape } from "../../../tensor/ops/movement/movement.ts";
import { mean } from "../../../tensor/ops/reduction/reduction.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Call } from "../../arguments.ts";
import type { Size } from "../conv/convolving.ts";
import { adaptive, type OutputSize } from "./pooling.ts";
import { kernelName, slidingAxes, type Axis } from "../conv/sliding.ts";
import { batched, mixed, slidingWindows, type Mixing } from "../conv/windows.ts";

export interface AvgPoolOptions {
  /** The kernel's size by default. */
  stride?: Size | null;
  /** Zeros around the input. */
  padding?: Size;
  ceilMode?: boolean;
  /** Whether the zeros around the input count as elements: true by default. */
  countIncludePad?: boolean;
  /** Divide by this instead of the number of elements. */
  divisorOverride?: number | null;
}

type AllOptions = AvgPoolOptions & { kernelSize: Size };

type AvgPoolArguments =
  | [
      kernelSize: Size,
      stride?: Size | null,
      padding?: Size,
      ceilMode?: boolean,
      countIncludePad?: boolean,
      divisorOverride?: number | null,
    ]
  | Call<AllOptions, "kernelSize stride padding ceilMode countIncludePad divisorOverride">;

const SIGNATURE = {
  kernelSize: REQUIRED,
  stride: null,
  padding: 0,
  ceilMode: false,
  countIncludePad: true,
} as const;

function average(name: string, count: number, input: Tensor, rest: readonly unknown[]): Tensor {
  // PyTorch's avg_pool1d has no divisor.
  const options =
    count === 1
      ? { ...bind<Omit<AllOptions, "divisorOverride">>(name, rest, SIGNATURE), divisorOverride: null }
      : bind<AllOptions>(name, rest, { ...SIGNATURE, divisorOverride: null });
  const { divisorOverride } = options;
  if (divisorOverride === 0) throw new TensorError("value", "divisor must be not zero");
  if (input.dtype !== "float32") notImplemented(kernelName(name), input.dtype);
  return composed(() => {
    const [y] = batched(name, input, count, (x) => {
      const axes = slidingAxes(name, x.shape, count, { ...options, dilation: 1 });
      if (divisorOverride === null && axes.every(tiles)) return [tileMeans(x, axes)];
      return [
        mixed(
          x,
          axes.map((a, d) => weights(a, options.countIncludePad, d, divisorOverride)),
        ),
      ];
    });
    return named(y!, `AvgPool${count}DBackward0`);
  });
}

/** Whether the windows lie side by side and cover the dimension. */
const tiles = (a: Axis): boolean => a.padding === 0 && a.stride === a.kernel && a.out * a.kernel === a.length;

function tileMeans(x: Tensor, axes: readonly Axis[]): Tensor {
  const lead = x.shape.slice(0, 2);
  const split = apply(reshape, [x], { shape: [...lead, ...axes.flatMap((a) => [a.out, a.kernel])] });
  return apply(mean, [split], { dims: axes.map((_, d) => 3 + 2 * d), keepdim: false });
}

/** One dimension of the mean over sliding windows. An overriding divisor is divided by once. */
function weights(a: Axis, countPadding: boolean, d: number, divisor: number | null): Mixing {
  return slidingWindows(a).map((places, i) => {
    const begin = i * a.stride - a.padding;
    const padded = Math.min(begin + a.kernel, a.length + a.padding) - begin;
    const elements = countPadding ? padded : places.length;
    const by = divisor === null ? elements : d === 0 ? divisor : 1;
    return places.map((place) => [place, 1 / by] as const);
  });
}

/** Mean of every window of sequences [N, C, L] or [C, L]. */
export function avgPool1d(
  input: Tensor,
  kernelSize: Size,
  options?: Omit<AvgPoolOptions, "divisorOverride">,
): Tensor;
export function avgPool1d(
  input: Tensor,
  kernelSize: Size,
  stride?: Size | null,
  padding?: Size,
  ceilMode?: boolean,
  countIncludePad?: boolean,
): Tensor;
export function avgPool1d(input: Tensor, ...rest: unknown[]): Tensor {
  return average("avg_pool1d", 1, input, rest);
}

/** Mean of every window of images [N, C, H, W] or [C, H, W]. */
export function avgPool2d(input: Tensor, kernelSize: Size, options?: AvgPoolOptions): Tensor;
export function avgPool2d(input: Tensor, ...rest: AvgPoolArguments): Tensor;
export function avgPool2d(input: Tensor, ...rest: unknown[]): Tensor {
  return average("avg_pool2d", 2, input, rest);
}

/** Mean of every window of volumes [N, C, D, H, W] or [C, D, H, W]. */
export function avgPool3d(input: Tensor, kernelSize: Size, options?: AvgPoolOptions): Tensor;
export function avgPool3d(input: Tensor, ...rest: AvgPoolArguments): Tensor;
export function avgPool3d(input: Tensor, ...rest: unknown[]): Tensor {
  return average("avg_pool3d", 3, input, rest);
}

function adaptiveAverage(name: string, count: number, input: Tensor, outputSize: OutputSize): Tensor {
  if (input.dtype !== "float32") notImplemented(kernelName(name), input.dtype);
  return composed(() => {
    const [y] = batched(name, input, count, (x) => [
      mixed(
        x,
        adaptive(name, x, count, outputSize).map((windows) =>
          windows.map((places) => places.map((place) => [place, 1 / places.length] as const)),
        ),
      ),
    ]);
    return named(y!, count === 1 ? "SqueezeBackward1" : `AdaptiveAvgPool${count}DBackward0`);
  });
}

/** Means of as many windows as asked for, of sequences. */
export function adaptiveAvgPool1d(input: Tensor, outputSize: OutputSize): Tensor {
  return adaptiveAverage("adaptive_avg_pool1d", 1, input, outputSize);
}

/** Means of as many windows as asked for, of images. */
export function adaptiveAvgPool2d(input: Tensor, outputSize: OutputSize): Tensor {
  return adaptiveAverage("adaptive_avg_pool2d", 2, input, outputSize);
}

/** Means of as many windows as asked for, of volumes. */
export function adaptiveAvgPool3d(input: Tensor, outputSize: OutputSize): Tensor {
  return adaptiveAverage("adaptive_avg_pool3d", 3, input, outputSize);
}
