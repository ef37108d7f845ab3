// Code shared by pooling functions: the elements of each window, and maxima and means over any windows.
import { apply } from "../../../tensor/recording/apply.ts";
import { gatherLast } from "../../../tensor/ops/movement/elements.ts";
import { matmul } from "../../../tensor/ops/matrix/matmul.ts";
import { permute, reshape } from "../../../tensor/ops/movement/movement.ts";
import { windowMaxima } from "../../../tensor/ops/spatial/windowMaxima.ts";
import { numel } from "../../../tensor/core/shape.ts";
import { fromHost, type Tensor } from "../../../tensor/core/tensor.ts";
import { checkPooled, type Axis } from "./sliding.ts";

/**
 * Runs `pool` on [N, C, spatial…], whether or not the input has a batch dimension.
 * @param name PyTorch's name of the function, which its messages begin with
 */
export function batched(
  name: string,
  input: Tensor,
  count: number,
  pool: (x: Tensor) => readonly Tensor[],
): readonly Tensor[] {
  checkPooled(name, input.shape, count);
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

/** Maxima over any windows of [N, C, spatial…], and their flat positions. */
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
  // Windows cut by the border become as long as the others by repeating their last place.
  const longest = Math.max(...cells.map((c) => c.length));
  const flat = Int32Array.from(
    cells.flatMap((c) => Array.from({ length: longest }, (_, i) => c[i] ?? c.at(-1)!)),
  );
  const table = fromHost(flat, [cells.length, longest], "int64");
  const planes = apply(reshape, [x], { shape: [...lead, numel(spatial)] });
  const positions = apply(windowMaxima, [planes, table], {});
  const shape = [...lead, ...windows.map((w) => w.length)];
  return [
    apply(reshape, [apply(gatherLast, [planes, positions], {})], { shape }),
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
