// Convolution and pooling in TypeScript: the windows of an image side by side, then products or maxima.
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

function windows(x: Numbers, kernel: readonly number[], stride: readonly number[]): Windows {
  const within = strides(x.shape).slice(2);
  return {
    counts: kernel.map((k, d) => Math.floor((x.shape[d + 2]! - k) / stride[d]!) + 1),
    between: within.map((step, d) => step * stride[d]!),
    within,
  };
}

export function convolution(
  w: TypeScriptWriter,
  given: Numbers,
  weight: Numbers,
  stride: readonly number[],
  pads: readonly number[],
): Numbers {
  const x = aroundImages(w, given, pads, 0);
  const [n, c] = x.shape as [number, number];
  const [out, , ...kernel] = weight.shape as [number, number, ...number[]];
  const { counts, between, within } = windows(x, kernel, stride);
  const [image, channel] = strides(x.shape) as [number, number];
  const places = numel(counts);
  const inner = c * numel(kernel);
  // A row for each place of the filter, a column for each window.
  const shape = [n, c, ...kernel, ...counts];
  const columns = w.view(x, shape, [image, channel, ...within, ...between]);
  const filters = w.broadcast({ ...weight, shape: [1, out, inner] }, [n, out, inner]);
  return w.call("matmul", [n, out, ...counts], filters, columns, n, out, inner, places);
}

export function transposedConvolution(
  w: TypeScriptWriter,
  x: Numbers,
  weight: Numbers,
  { stride, pads, after }: { stride: readonly number[]; pads: readonly number[]; after: readonly number[] },
): Numbers {
  const [n, c, ...places] = x.shape as [number, number, ...number[]];
  const [, out, ...kernel] = weight.shape as [number, number, ...number[]];
  const inner = out * numel(kernel);
  const filters = w.permuted({ ...weight, shape: [c, inner] }, [1, 0]);
  const every = w.broadcast({ ...filters, shape: [1, inner, c] }, [n, inner, c]);
  const parts = w.call("matmul", [n, out, ...kernel, ...places], every, x, n, inner, c, numel(places));
  const full = places.map((size, d) => (size - 1) * stride[d]! + kernel[d]! + Math.max(after[d]!, 0));
  const shape = [n, out, ...full];
  const to = strides(shape);
  const steps = [to[0]!, to[1]!, ...to.slice(2), ...to.slice(2).map((step, d) => step * stride[d]!)];
  const sum = w.call("overlay", shape, parts, parts.shape, steps, numel(shape));
  return aroundImages(
    w,
    sum,
    pads.map((p) => -p),
    0,
  );
}

export function maxPool(
  w: TypeScriptWriter,
  given: Numbers,
  kernel: readonly number[],
  stride: readonly number[],
  pads: readonly number[],
): Numbers {
  const x = aroundImages(w, given, pads, -Infinity);
  const { counts, between, within } = windows(x, kernel, stride);
  const [image, channel] = strides(x.shape) as [number, number];
  const [n, c] = x.shape as [number, number];
  const shape = [n, c, ...counts, ...kernel];
  const all = w.view(x, shape, [image, channel, ...between, ...within]);
  return w.call("reduce", [n, c, ...counts], all, numel(kernel), w.helper("max"));
}
