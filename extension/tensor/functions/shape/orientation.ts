// Diagonals, triangles, turns and windows.
import { ofFunction } from "../../recording/version.ts";
import { TensorError } from "../../core/errors.ts";
import { rowsUpdate } from "../../ops/movement/indexing.ts";
import { normalizeDim, numel, range, strides, type Shape } from "../../core/shape.ts";
import { fromHost, type Tensor } from "../../core/tensor.ts";
import { pow } from "../pointwise/arithmetic.ts";
import { zeros } from "../creation/creation.ts";
import { composed, named } from "../pointwise/operands.ts";
import { checkOptions, type TensorOptions } from "../creation/options.ts";
import { sum } from "../reduction/reduction.ts";
import { flip, permute, reshape, stack, transpose } from "./shape.ts";
import { select } from "./parts.ts";
import { GatheredView, UnfoldView, reshaped, copied } from "./views.ts";
import { call } from "../../ops/expressions.ts";

/** All elements as a vector. */
export const ravel = (input: Tensor): Tensor => reshape(input, [-1]);

/** Columns in reverse order. */
export function fliplr(input: Tensor): Tensor {
  if (input.ndim < 2) throw new TensorError("shape", "Input must be >= 2-d.");
  return flip(input, 1);
}

/** Rows in reverse order. */
export function flipud(input: Tensor): Tensor {
  if (input.ndim < 1) throw new TensorError("shape", "Input must be >= 1-d.");
  return flip(input, 0);
}

/** Turned by 90 degrees `k` times, from the first of two dimensions towards the second. */
export function rot90(input: Tensor, k = 1, dims: readonly [number, number] = [0, 1]): Tensor {
  if (input.ndim < 2) {
    throw new TensorError("shape", `expected total dims >= 2, but got total dims = ${input.ndim}`);
  }
  const [a, b] = dims.map((d) => normalizeDim(d, input.ndim)) as [number, number];
  if (a === b) {
    throw new TensorError(
      "value",
      `expected rotation dims to be different, but got dim0 = ${dims[0]} and dim1 = ${dims[1]}`,
    );
  }
  const turns = ((k % 4) + 4) % 4;
  if (turns === 1) return composed(() => transpose(flip(input, b), a, b));
  if (turns === 2) return flip(input, a, b);
  return turns === 3 ? composed(() => transpose(flip(input, a), a, b)) : copied(input);
}

export interface DiagonalOptions {
  offset?: number;
  dim1?: number;
  dim2?: number;
}

/**
 * The diagonal of two dimensions (0 and 1), `offset` places above the main one, as the last dimension; a view.
 * @throws TensorError "diagonal dimensions cannot be identical 0, 0"
 */
export function diagonal(input: Tensor, offset: number | DiagonalOptions = 0, dim1 = 0, dim2 = 1): Tensor {
  if (typeof offset === "object") {
    return diagonal(input, offset.offset ?? 0, offset.dim1 ?? 0, offset.dim2 ?? 1);
  }
  const [a, b] = [normalizeDim(dim1, input.ndim), normalizeDim(dim2, input.ndim)];
  if (a === b) {
    throw new TensorError("value", `diagonal dimensions cannot be identical ${dim1}, ${dim2}`);
  }
  const { shape } = input;
  const [row, column] = [Math.max(0, -offset), Math.max(0, offset)];
  const length = Math.max(0, Math.min(shape[a]! - row, shape[b]! - column));
  const steps = strides(shape);
  const rest = range(shape.length).filter((d) => d !== a && d !== b);
  const lead = rest.map((d) => shape[d]!);
  const target = [...lead, length];
  const places = positions(
    target,
    [...rest.map((d) => steps[d]!), steps[a]! + steps[b]!],
    row * steps[a]! + column * steps[b]!,
  );
  const memory = input.viewStrides() ?? steps;
  const apart = [...rest.map((d) => memory[d]!), memory[a]! + memory[b]!];
  return named(new GatheredView(input, places, target, { steps: apart }).make(), "DiagonalBackward0");
}

/** Positions in memory of the elements of a shape, given the step of each dimension. */
function positions(shape: Shape, steps: readonly number[], start: number): Int32Array {
  const out = new Int32Array(numel(shape));
  const own = strides(shape);
  for (let i = 0; i < out.length; i++) {
    let [rest, at] = [i, start];
    for (let d = 0; d < shape.length; d++) {
      const k = Math.floor(rest / own[d]!);
      rest -= k * own[d]!;
      at += k * steps[d]!;
    }
    out[i] = at;
  }
  return out;
}

/** Matrices whose diagonals, `offset` places above the main one, are the last dimension; new dimensions dim1 and dim2. */
export function diagEmbed(input: Tensor, offset: number | DiagonalOptions = 0, dim1 = -2, dim2 = -1): Tensor {
  if (typeof offset === "object") {
    return diagEmbed(input, offset.offset ?? 0, offset.dim1 ?? -2, offset.dim2 ?? -1);
  }
  const rank = input.ndim + 1;
  const [a, b] = [normalizeDim(dim1, rank), normalizeDim(dim2, rank)];
  if (a === b) {
    throw new TensorError("value", `diagonal dimensions cannot be identical ${dim1}, ${dim2}`);
  }
  const n = input.shape[input.ndim - 1]!;
  const size = n + Math.abs(offset);
  const rows = numel(input.shape.slice(0, -1));
  const places = new Int32Array(rows * n);
  for (let r = 0; r < rows; r++)
    for (let i = 0; i < n; i++)
      places[r * n + i] = (r * size + i + Math.max(0, -offset)) * size + i + Math.max(0, offset);
  return composed(() => {
    const flat = call(
      rowsUpdate,
      zeros([rows * size * size], { dtype: input.dtype }),
      vector(places),
      ravel(input),
    );
    const square = reshaped(flat, [...input.shape.slice(0, -1), size, size]);
    const order = range(rank - 2);
    const at: [number, number][] =
      a < b
        ? [
            [a, rank - 2],
            [b, rank - 1],
          ]
        : [
            [b, rank - 1],
            [a, rank - 2],
          ];
    for (const [to, from] of at) order.splice(to, 0, from);
    const plain = order.every((d, i) => d === i);
    return named(plain ? square : permute(square, order), "DiagEmbedBackward0");
  });
}

const vector = (places: Int32Array): Tensor => ofFunction(fromHost(places, [places.length], "int64"));
/** All elements as the diagonal of a matrix, `offset` places above the main one. */
export function diagflat(input: Tensor, offset = 0): Tensor {
  return composed(() => diagEmbed(ravel(input), offset));
}

/** @param columnsOf the first column of a row that is in the triangle, and the one after the last */
function triangle(
  row: number,
  options: Pick<TensorOptions, "dtype" | "device">,
  columnsOf: (r: number) => readonly [number, number],
): Tensor {
  checkOptions(options);
  let count = 0;
  for (let r = 0; r < row; r++) {
    const [from, to] = columnsOf(r);
    count += Math.max(0, to - from);
  }
  const data = new Int32Array(2 * count);
  for (let r = 0, at = 0; r < row; r++) {
    const [from, to] = columnsOf(r);
    for (let c = from; c < to; c++, at++) {
      data[at] = r;
      data[count + at] = c;
    }
  }
  return fromHost(data, [2, count], options.dtype ?? "int64");
}

/** Places of the lower triangle of a matrix: row numbers and, below them, column numbers. */
export function trilIndices(
  row: number,
  column: number,
  offset: number | (Pick<TensorOptions, "dtype" | "device"> & { offset?: number }) = 0,
): Tensor {
  const options = typeof offset === "object" ? offset : { offset };
  return triangle(row, options, (r) => [0, Math.min(column, r + (options.offset ?? 0) + 1)]);
}

/** Places of the upper triangle of a matrix: row numbers and, below them, column numbers. */
export function triuIndices(
  row: number,
  column: number,
  offset: number | (Pick<TensorOptions, "dtype" | "device"> & { offset?: number }) = 0,
): Tensor {
  const options = typeof offset === "object" ? offset : { offset };
  return triangle(row, options, (r) => [Math.max(0, r + (options.offset ?? 0)), column]);
}

/**
 * All windows of `size` elements along a dimension, `step` apart, as a new last dimension: a view, to which can be written where
 * windows don't overlap.
 * @throws TensorError "maximum size for tensor at dimension 0 is 3 but size is 5"
 */
export function unfold(input: Tensor, dimension: number, size: number, step: number): Tensor {
  const at = normalizeDim(dimension, input.ndim);
  const length = input.shape[at] ?? 1;
  if (size < 0) throw new TensorError("value", `size is ${size} but must be >= 0`);
  if (size > length) {
    throw new TensorError(
      "value",
      `maximum size for tensor at dimension ${at} is ${length} but size is ${size}`,
    );
  }
  if (step <= 0) throw new TensorError("value", `step is ${step} but must be > 0`);
  const base = input.ndim === 0 ? reshape(input, [1]) : input;
  const windows = new UnfoldView(base, at, size, step).make();
  return named(input.ndim === 0 ? select(windows, 0, 0) : windows, "UnfoldBackward0");
}

/**
 * Sum of the diagonal of a matrix.
 * @throws TensorError "trace: expected a matrix, but got tensor with dim 3"
 */
export function trace(input: Tensor): Tensor {
  if (input.ndim !== 2) {
    throw new TensorError("shape", `trace: expected a matrix, but got tensor with dim ${input.ndim}`);
  }
  const x = diagonal(input);
  return composed(() => named(sum(x), "TraceBackward0"));
}

/** Powers of the elements of a vector as columns: the largest first, unless `increasing`. */
export function vander(
  x: Tensor,
  n: number | null | { N?: number; increasing?: boolean } = x.shape[x.ndim - 1]!,
  increasing = false,
): Tensor {
  if (n === null) return vander(x, undefined, increasing);
  if (typeof n === "object") return vander(x, n.N ?? x.shape[x.ndim - 1]!, n.increasing ?? false);
  if (x.ndim !== 1) throw new TensorError("shape", "x must be a one-dimensional tensor.");
  return composed(() => {
    const powers = range(n).map((k) => pow(x, increasing ? k : n - 1 - k));
    return stack(powers, -1);
  });
}
