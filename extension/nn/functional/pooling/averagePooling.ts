import { apply } from "../../../tensor/recording/apply.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { composed, constant, named, notImplemented } from "../../../tensor/functions/pointwise/operands.ts";
import { reshape } from "../../../tensor/ops/movement/movement.ts";
import { mean } from "../../../tensor/ops/reduction/reduction.ts";
import { mul } from "../../../tensor/ops/elementwise/elementwise.ts";
import { conv2d } from "../../../tensor/ops/spatial/convolution.ts";
import { tileSum } from "../../../tensor/ops/spatial/tiles.ts";
import { fillValue } from "../../../tensor/recording/graph.ts";
import { numel } from "../../../tensor/core/shape.ts";
import { fromHost, Tensor } from "../../../tensor/core/tensor.ts";
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
      if (divisorOverride === null && axes.every(tiles))
        return [
          tileMeans(
            x,
            axes.map((a) => a.kernel),
          ),
        ];
      if (count < 3 && axes.every((a) => a.stride === axes[0]!.stride))
        return [slidingMeans(x, axes, options.countIncludePad, divisorOverride)];
      return [
        mixed(
          x,
          axes.map((a, d) => weights(a, options.countIncludePad, d, divisorOverride)),
        ),
      ];
    });
    return named(y!, `AvgPool${count}DBackward0`, input);
  });
}

/** Whether the windows lie side by side and cover the dimension. */
const tiles = (a: Axis): boolean => a.padding === 0 && a.stride === a.kernel && a.out * a.kernel === a.length;

function tileMeans(x: Tensor, tile: readonly number[]): Tensor {
  const spatial = x.shape.slice(2);
  if (tile.every((n, d) => n === spatial[d]))
    return apply(mean, [x], { dims: tile.map((_, d) => d + 2), keepdim: true });
  // Sequences are images of one row.
  const images =
    tile.length > 1 ? x : apply(reshape, [x], { shape: [...x.shape.slice(0, 2), 1, spatial[0]!] });
  const sums = apply(tileSum, [images], { tile: tile.length > 1 ? tile : [1, ...tile] });
  const means = apply(mul, [sums, constant(1 / numel(tile))], {});
  const shape = [...x.shape.slice(0, 2), ...spatial.map((n, d) => n / tile[d]!)];
  return tile.length > 1 ? means : apply(reshape, [means], { shape });
}

/** Means over windows that overlap, or leave something out: each channel convolved with equal weights. */
function slidingMeans(
  x: Tensor,
  axes: readonly Axis[],
  countPadding: boolean,
  divisor: number | null,
): Tensor {
  const [n, c, ...spatial] = x.shape as [number, number, ...number[]];
  const sequence = axes.length === 1;
  const row: Axis = { length: 1, kernel: 1, stride: axes[0]!.stride, padding: 0, dilation: 1, out: 1 };
  const all = sequence ? [row, axes[0]!] : axes;
  const images = sequence ? apply(reshape, [x], { shape: [n, c, 1, spatial[0]!] }) : x;
  // Elements of each window, dimension by dimension: fewer than the kernel's at the borders.
  const counts = all.map((a) =>
    slidingWindows(a).map((places, i) => elements(a, places.length, i, countPadding)),
  );
  const even = divisor !== null || counts.every((list, d) => list.every((count) => count === all[d]!.kernel));
  const by = divisor ?? (even ? numel(all.map((a) => a.kernel)) : 1);
  const weights = new Tensor(fillValue(1 / by, [c, 1, all[0]!.kernel, all[1]!.kernel], "float32"));
  const after = (a: Axis): number => (a.out - 1) * a.stride + a.kernel - a.length - a.padding;
  const sums = apply(conv2d, [images, weights], {
    stride: [all[0]!.stride, all[1]!.stride],
    padding: [all[0]!.padding, Math.max(after(all[0]!), 0), all[1]!.padding, Math.max(after(all[1]!), 0)],
  });
  const [rows, columns] = counts as [number[], number[]];
  const shares = (): Tensor =>
    fromHost(
      Float32Array.from(rows.flatMap((high) => columns.map((wide) => 1 / (high * wide)))),
      [1, 1, rows.length, columns.length],
      "float32",
    );
  const means = even ? sums : apply(mul, [sums, shares()], {});
  return sequence ? apply(reshape, [means], { shape: [n, c, axes[0]!.out] }) : means;
}

/** How many elements window i is divided by: those inside, or all before the padding's end. */
function elements(a: Axis, inside: number, i: number, countPadding: boolean): number {
  const begin = i * a.stride - a.padding;
  return countPadding ? Math.min(begin + a.kernel, a.length + a.padding) - begin : inside;
}

/** One dimension of the mean over sliding windows. An overriding divisor is divided by once. */
function weights(a: Axis, countPadding: boolean, d: number, divisor: number | null): Mixing {
  return slidingWindows(a).map((places, i) => {
    const by = divisor === null ? elements(a, places.length, i, countPadding) : d === 0 ? divisor : 1;
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
    const [y] = batched(name, input, count, (x) => {
      const all = adaptive(name, x, count, outputSize);
      const tile = all.map((windows, d) => x.shape[d + 2]! / windows.length);
      if (tile.every((n) => n >= 1 && Number.isInteger(n)) && x.numel() > 0) return [tileMeans(x, tile)];
      return [
        mixed(
          x,
          all.map((windows) =>
            windows.map((places) => places.map((place) => [place, 1 / places.length] as const)),
          ),
        ),
      ];
    });
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
