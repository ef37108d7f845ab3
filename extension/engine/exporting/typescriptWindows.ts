// Convolution, pooling and upsampling in TypeScript: the windows of an image side by side, then products, maxima or means.
import { numel, range, strides } from "../../tensor/core/shape.ts";
import type { Numbers, TypeScriptWriter } from "./typescriptWriter.ts";

/** Values around, or less where a width is negative. */
export function padded(
  w: TypeScriptWriter,
  x: Numbers,
  before: readonly number[],
  after: readonly number[],
  value: number,
): Numbers {
  if ([...before, ...after].every((n) => n === 0)) return x;
  const cut = (widths: readonly number[], d: number): number => Math.max(-widths[d]!, 0);
  const own = strides(x.shape);
  const start = range(own.length).reduce((sum, d) => sum + cut(before, d) * own[d]!, 0);
  const inner = w.view(
    x,
    x.shape.map((n, d) => n - cut(before, d) - cut(after, d)),
    own,
    start,
  );
  const [first, last] = [before, after].map((widths) => widths.map((n) => Math.max(n, 0)));
  const shape = inner.shape.map((n, d) => n + first![d]! + last![d]!);
  if (numel(shape) === numel(inner.shape)) return inner;
  const to = strides(shape);
  const corner = first!.reduce((sum, n, d) => sum + n * to[d]!, 0);
  return w.call("place", shape, inner, inner.shape, to, corner, numel(shape), value);
}

/** Paddings of ONNX are of the spatial dimensions: all before, then all after. */
function aroundImages(w: TypeScriptWriter, x: Numbers, pads: readonly number[], value: number): Numbers {
  const half = pads.length / 2;
  return padded(w, x, [0, 0, ...pads.slice(0, half)], [0, 0, ...pads.slice(half)], value);
}

interface Windows {
  /** Numbers of windows along each spatial dimension. */
  readonly counts: number[];
  /** Strides from window to window, and from place to place within one. */
  readonly between: number[];
  readonly within: number[];
}

/** @param dilation steps from cell to cell of a window */
function windows(
  x: Numbers,
  kernel: readonly number[],
  stride: readonly number[],
  dilation: readonly number[] = kernel.map(() => 1),
): Windows {
  const steps = strides(x.shape).slice(2);
  const last = (k: number, d: number): number => (k - 1) * dilation[d]!;
  return {
    counts: kernel.map((k, d) => Math.floor((x.shape[d + 2]! - last(k, d) - 1) / stride[d]!) + 1),
    between: steps.map((step, d) => step * stride[d]!),
    within: steps.map((step, d) => step * dilation[d]!),
  };
}

/** How windows lie, and groups of channels that see their own alone. */
interface Layout {
  readonly stride: readonly number[];
  readonly pads: readonly number[];
  readonly dilation: readonly number[] | undefined;
  readonly groups: number;
}

export function convolution(
  w: TypeScriptWriter,
  given: Numbers,
  weight: Numbers,
  { stride, pads, dilation, groups }: Layout,
): Numbers {
  const x = aroundImages(w, given, pads, 0);
  const [n] = x.shape as [number];
  const [out, c, ...kernel] = weight.shape as [number, number, ...number[]];
  const { counts, between, within } = windows(x, kernel, stride, dilation);
  const [image, channel] = strides(x.shape) as [number, number];
  const [own, inner] = [out / groups, c * numel(kernel)];
  // A row for each place of the filter, a column for each window.
  const shape = [n, groups, c, ...kernel, ...counts];
  const columns = w.view(x, shape, [image, c * channel, channel, ...within, ...between]);
  const filters = w.broadcast({ ...weight, shape: [1, groups, own, inner] }, [n, groups, own, inner]);
  return w.call("matmul", [n, out, ...counts], filters, columns, n * groups, own, inner, numel(counts));
}

export function transposedConvolution(
  w: TypeScriptWriter,
  x: Numbers,
  weight: Numbers,
  { stride, pads, dilation, groups, after }: Layout & { after: readonly number[] },
): Numbers {
  const [n, channels, ...places] = x.shape as [number, number, ...number[]];
  const [, own, ...kernel] = weight.shape as [number, number, ...number[]];
  const [out, c, inner] = [own * groups, channels / groups, own * numel(kernel)];
  const between = dilation ?? kernel.map(() => 1);
  const filters = w.permuted({ ...weight, shape: [groups, c, inner] }, [0, 2, 1]);
  const every = w.broadcast({ ...filters, shape: [1, groups, inner, c] }, [n, groups, inner, c]);
  const parts = w.call(
    "matmul",
    [n, out, ...kernel, ...places],
    every,
    x,
    n * groups,
    inner,
    c,
    numel(places),
  );
  const cells = kernel.map((k, d) => (k - 1) * between[d]! + 1);
  const full = places.map((size, d) => (size - 1) * stride[d]! + cells[d]! + Math.max(after[d]!, 0));
  const shape = [n, out, ...full];
  const to = strides(shape);
  const along = (by: readonly number[]): number[] => to.slice(2).map((step, d) => step * by[d]!);
  const steps = [to[0]!, to[1]!, ...along(between), ...along(stride)];
  const sum = w.call("overlay", shape, parts, parts.shape, steps, numel(shape));
  return aroundImages(
    w,
    sum,
    pads.map((p) => -p),
    0,
  );
}

/** @param f the helper that makes one number of a window */
export function pooling(
  w: TypeScriptWriter,
  given: Numbers,
  f: "max" | "mean",
  kernel: readonly number[],
  { stride, pads }: Pick<Layout, "stride" | "pads">,
): Numbers {
  const x = aroundImages(w, given, pads, f === "max" ? -Infinity : 0);
  const { counts, between, within } = windows(x, kernel, stride);
  const [image, channel] = strides(x.shape) as [number, number];
  const [n, c] = x.shape as [number, number];
  const shape = [n, c, ...counts, ...kernel];
  const all = w.view(x, shape, [image, channel, ...between, ...within]);
  return w.call("reduce", [n, c, ...counts], all, numel(kernel), w.helper(f));
}

/** Images with a tile of copies for every element. */
export function repeated(w: TypeScriptWriter, x: Numbers, scales: readonly number[]): Numbers {
  const steps = strides(x.shape);
  const apart = x.shape.flatMap((n, d) => [n, scales[d]!]);
  const copies = w.view(
    x,
    apart,
    steps.flatMap((step) => [step, 0]),
  );
  return { ...copies, shape: x.shape.map((n, d) => n * scales[d]!) };
}
