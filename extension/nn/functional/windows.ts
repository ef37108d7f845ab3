// What pooling functions share: which elements each window sees, and largest values and means over any windows.
import { apply } from "../../tensor/apply.ts";
import { TensorError } from "../../tensor/errors.ts";
import { gatherLast, indexSelect } from "../../tensor/ops/indexing.ts";
import { matmul } from "../../tensor/ops/matmul.ts";
import { expand, permute, reshape } from "../../tensor/ops/movement.ts";
import { argmax } from "../../tensor/ops/reduction.ts";
import { numel, type Shape } from "../../tensor/shape.ts";
import { fromHost, type Tensor } from "../../tensor/tensor.ts";
import { sizes, type Size } from "./convolving.ts";

/** The sliding windows of one dimension. */
export interface Axis {
  readonly length: number;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
  readonly dilation: number;
  /** Number of windows. */
  readonly out: number;
}

export interface Sliding {
  kernelSize: Size;
  stride: Size | null;
  padding: Size;
  dilation: Size;
  ceilMode: boolean;
}

/**
 * The windows of the last `count` dimensions.
 * @throws TensorError for impossible steps and for outputs without elements
 */
export function slidingAxes(shape: Shape, count: number, options: Sliding): Axis[] {
  const { ceilMode } = options;
  const kernel = sizes("kernel_size", options.kernelSize, count);
  const stride = options.stride === null ? kernel : sizes("stride", options.stride, count);
  const padding = sizes("padding", options.padding, count);
  const dilation = sizes("dilation", options.dilation, count);
  if (stride.includes(0)) throw new TensorError("value", "stride should not be zero");
  const spatial = shape.slice(-count);
  const axes = spatial.map((length, d): Axis => {
    const [k, s, p, dilate] = [kernel[d]!, stride[d]!, padding[d]!, dilation[d]!];
    if (p < 0) throw new TensorError("value", `pad must be non-negative, but got pad: ${p}`);
    if (p > Math.floor((dilate * (k - 1) + 1) / 2)) {
      throw new TensorError(
        "value",
        `pad should be at most half of effective kernel size, but got pad=${p}, kernel_size=${k} and dilation=${dilate}`,
      );
    }
    const free = length + 2 * p - dilate * (k - 1) - 1;
    let out = Math.floor((free + (ceilMode ? s - 1 : 0)) / s) + 1;
    // The last window has to begin inside the input or in the padding before it.
    if (ceilMode && (out - 1) * s >= length + p) out--;
    return { length, kernel: k, stride: s, padding: p, dilation: dilate, out };
  });
  if (axes.some(({ out }) => out < 1)) {
    const channels = shape[shape.length - count - 1]!;
    const text = (lengths: Shape): string => [channels, ...lengths].join("x");
    throw new TensorError(
      "shape",
      `Given input size: (${text(spatial)}). Calculated output size: (${text(axes.map(({ out }) => out))}). Output size is too small`,
    );
  }
  return axes;
}

/** Runs `pool` on [N, C, spatial…], whether or not the input has a batch dimension. */
export function batched(
  input: Tensor,
  count: number,
  pool: (x: Tensor) => readonly Tensor[],
): readonly Tensor[] {
  if ((input.ndim !== count + 1 && input.ndim !== count + 2) || input.shape.slice(1).includes(0)) {
    throw new TensorError(
      "shape",
      `non-empty ${count + 1}D or ${count + 2}D (batch mode) tensor expected for input`,
    );
  }
  if (input.ndim === count + 2) return pool(input);
  const results = pool(apply(reshape, [input], { shape: [1, ...input.shape] }));
  return results.map((y) => apply(reshape, [y], { shape: y.shape.slice(1) }));
}

/** For every window of a dimension, the places it sees. */
export type Windows = readonly (readonly number[])[];

export function slidingWindows(a: Axis): Windows {
  return Array.from({ length: a.out }, (_, i) =>
    Array.from({ length: a.kernel }, (_, j) => i * a.stride - a.padding + j * a.dilation).filter(
      (at) => at >= 0 && at < a.length,
    ),
  );
}

/** As many windows as asked for, together covering the dimension. */
export function adaptiveWindows(length: number, out: number): Windows {
  return Array.from({ length: out }, (_, i) => {
    const begin = Math.floor((i * length) / out);
    const end = Math.ceil(((i + 1) * length) / out);
    return Array.from({ length: end - begin }, (_, j) => begin + j);
  });
}

/** Maxima over any windows of [N, C, spatial…], and the flat positions of the first ones. */
export function maxOverWindows(x: Tensor, windows: readonly Windows[]): [values: Tensor, positions: Tensor] {
  const lead = x.shape.slice(0, 2);
  const spatial = x.shape.slice(2);
  let cells: number[][] = [[0]];
  // Row by row for the outputs, and within each for the places of its window.
  for (const [d, axis] of windows.entries()) {
    cells = cells.flatMap((before) =>
      axis.map((places) => before.flatMap((base) => places.map((at) => base * spatial[d]! + at))),
    );
  }
  // Windows cut by the border become as long as the others by repeating their first place.
  const longest = Math.max(...cells.map((c) => c.length));
  const flat = Int32Array.from(
    cells.flatMap((c) => Array.from({ length: longest }, (_, i) => c[i] ?? c[0]!)),
  );
  const table = fromHost(flat, [1, 1, cells.length, longest], "int64");
  const planes = apply(reshape, [x], { shape: [...lead, numel(spatial)] });
  const picked = apply(indexSelect, [planes, fromHost(flat, [flat.length], "int64")], { dim: 2 });
  const candidates = apply(reshape, [picked], { shape: [...lead, cells.length, longest] });
  const first = apply(argmax, [candidates], { dim: 3 });
  const at = apply(reshape, [first], { shape: [...first.shape, 1] });
  const positions = apply(gatherLast, [apply(expand, [table], { shape: candidates.shape }), at], {});
  const shape = [...lead, ...windows.map((w) => w.length)];
  return [
    apply(reshape, [apply(gatherLast, [candidates, at], {})], { shape }),
    apply(reshape, [positions], { shape }),
  ];
}

/** A linear map of one dimension: `rows[i]` lists what output i sums, with weights. */
export type Mixing = readonly (readonly (readonly [place: number, weight: number])[])[];

/** Applies a linear map to each of the last dimensions: means over windows, interpolation. */
export function mixed(x: Tensor, maps: readonly Mixing[]): Tensor {
  const first = x.ndim - maps.length;
  return maps.reduce((y, map, i) => along(y, first + i, map), x);
}

function along(x: Tensor, dim: number, map: Mixing): Tensor {
  const length = x.shape[dim]!;
  const matrix = new Float32Array(map.length * length);
  for (const [row, terms] of map.entries())
    for (const [place, weight] of terms) matrix[row * length + place]! += weight;
  const order = x.shape.map((_, d) => (d === dim ? x.ndim - 1 : d === x.ndim - 1 ? dim : d));
  const front = dim === x.ndim - 1 ? x : apply(permute, [x], { order });
  const rows = apply(reshape, [front], { shape: [numel(front.shape) / length, length] });
  const product = apply(matmul, [rows, fromHost(matrix, [map.length, length], "float32")], {
    transposeA: false,
    transposeB: true,
  });
  const shape = [...front.shape.slice(0, -1), map.length];
  const back = apply(reshape, [product], { shape });
  return dim === x.ndim - 1 ? back : apply(permute, [back], { order });
}
