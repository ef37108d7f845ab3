// Functions that pick, place and order elements by index tensors.
import { filled } from "../../core/dtype.ts";
import { apply, applyAll } from "../../recording/apply.ts";
import { TensorError } from "../../core/errors.ts";
import { gatherLast } from "../../ops/movement/elements.ts";
import * as ops from "../../ops/movement/indexing.ts";
import { sliceAlong } from "../../ops/movement/slicing.ts";
import { topk as ordered } from "../../ops/reduction/scan.ts";
import { hidden, scope } from "../../recording/scope.ts";
import { broadcastShapes, normalizeDim, numel, reducedShape, type Shape } from "../../core/shape.ts";
import { fromHost, Tensor } from "../../core/tensor.ts";
import { turned } from "../shape/along.ts";
import { remainder } from "../pointwise/arithmetic.ts";
import { index } from "./indexing.ts";
import { checkIndex, corner, reach, scattered, vector } from "./scattering.ts";
import { nonzeroIndices, nonzeroPlaces } from "./places.ts";
import { asNumbers, castTo, composed, inRange, named, requireType, scalarOf } from "../pointwise/operands.ts";
import { isnan, where } from "../pointwise/elementwise.ts";
import { argmax } from "../reduction/extremes.ts";
import { sharedByEqual } from "../reduction/ties.ts";
import { valuesAndIndices, type ValuesAndIndices } from "../results.ts";
import { expand } from "../shape/shape.ts";
import { copied, reshaped } from "../shape/views.ts";
import { call } from "../../ops/expressions.ts";

/**
 * Rows of a dimension in the order of an index vector.
 * @throws TensorError "index out of range in self"
 */
export function indexSelect(input: Tensor, dim: number, indices: Tensor): Tensor {
  const at = normalizeDim(dim, input.ndim);
  requireType(indices, "int64", "index_select(): Expected dtype int32 or int64 for index");
  if (indices.ndim > 1) {
    throw new TensorError("index", "index_select(): Index is supposed to be a vector");
  }
  inRange(indices, input.shape[at] ?? 1, () => "index out of range in self");
  if (input.ndim === 0 && indices.numel() !== 1) {
    throw new TensorError(
      "index",
      `index_select(): Index to scalar can have only 1 value, got ${indices.numel()} value(s)`,
    );
  }
  if (input.ndim === 0)
    return composed(() => reshaped(indexSelect(reshaped(input, [1]), 0, indices), input.shape));
  return composed(() => {
    return named(apply(ops.indexSelect, [input, vector(indices)], { dim: at }), "IndexSelectBackward0");
  });
}

/**
 * Per place of the index, the element of the input there, with coordinate `dim` replaced by the index's value.
 * @throws TensorError "index 3 is out of bounds for dimension 1 with size 3"
 */
export function gather(input: Tensor, dim: number, indices: Tensor): Tensor {
  const at = normalizeDim(dim, input.ndim);
  checkIndex("gather", input.shape, at, indices, "self");
  if (indices.numel() === 0)
    return composed(() => reshaped(corner(reshaped(input, [input.numel()]), [0]), indices.shape));
  if (input.ndim === 0) return copied(expand(input, indices.shape));
  return composed(() => {
    const rows = turned(corner(input, reach(input, at, vector(indices))), at);
    const picked = call(gatherLast, rows, turned(vector(indices), at));
    return named(reshaped(turned(picked, at, true), indices.shape), "GatherBackward0", input);
  });
}

/**
 * As {@link gather}, with input and index broadcast against each other, and places counted around the dimension: −1 is the
 * last. Of the flattened input without a dimension.
 */
export function takeAlongDim(input: Tensor, indices: Tensor, dim?: number): Tensor {
  if (dim === undefined) {
    return composed(() => gather(reshaped(input, [input.numel()]), 0, reshaped(indices, [indices.numel()])));
  }
  if (input.ndim !== indices.ndim) {
    throw new TensorError(
      "shape",
      `torch.take_along_dim(): input and indices should have the same number of dimensions, but got ${input.ndim} dimensions for input, and ${indices.ndim} dimensions for indices`,
    );
  }
  const at = normalizeDim(dim, input.ndim);
  if (input.ndim === 0)
    throw new TensorError("shape", "Dimension specified as 0 but tensor has no dimensions");
  const without = (shape: Shape): number[] => shape.map((n, d) => (d === at ? 1 : n));
  const lead = broadcastShapes(without(input.shape), without(indices.shape));
  const sized = (n: number): number[] => lead.map((m, d) => (d === at ? n : m));
  return composed(() => {
    const around = remainder(expand(indices, sized(indices.shape[at]!)), Math.max(input.shape[at]!, 1));
    return gather(expand(input, sized(input.shape[at]!)), at, around);
  });
}

/** A copy in which `source` is added at the places that {@link gather} would read. */
export function scatterAdd(input: Tensor, dim: number, indices: Tensor, source: Tensor): Tensor {
  return scattered(input, dim, indices, source, "add");
}

/**
 * The elements where a mask holds, in order: reads the mask now.
 * @throws TensorError "masked_select: expected BoolTensor for mask"
 */
export function maskedSelect(input: Tensor, mask: Tensor): Tensor {
  requireType(mask, "bool", "masked_select: expected BoolTensor for mask");
  const shape = broadcastShapes(input.shape, mask.shape);
  return composed(() => named(index(expand(input, shape), expand(mask, shape)), "MaskedSelectBackward0"));
}

/**
 * Positions of the elements that are not 0, one per row of an [n, rank] tensor, or with `asTuple` a tensor for each
 * dimension: reads the input now.
 */
export function nonzero(input: Tensor, options?: { asTuple?: false }): Tensor;
export function nonzero(input: Tensor, options: { asTuple: true }): Tensor[];
export function nonzero(input: Tensor, options: { asTuple?: boolean } = {}): Tensor | Tensor[] {
  if (options.asTuple === true)
    return nonzeroIndices(input.ndim === 0 ? reshaped(input, [1]) : input, "nonzero()");
  const places = nonzeroPlaces(input, "nonzero()");
  const sizes = [...input.shape];
  const data = new Int32Array(places.length * sizes.length);
  for (let i = 0, row = 0; i < places.length; i++, row += sizes.length) {
    let rest = places[i]!;
    for (let d = sizes.length - 1; d > 0; d--) {
      const above = (rest / sizes[d]!) | 0;
      data[row + d] = rest - above * sizes[d]!;
      rest = above;
    }
    // A tensor without dimensions has no positions.
    if (sizes.length > 0) data[row] = rest;
  }
  return fromHost(data, [places.length, sizes.length], "int64");
}

/**
 * The first `size` positions of elements that are not 0, one per row, and `fillValue` in the rows that are left over.
 * @throws TensorError "nonzero_static: 'size' must be an non-negative integer"
 */
export function nonzeroStatic(input: Tensor, options: { size: number; fillValue?: number }): Tensor {
  const { size, fillValue = -1 } = options;
  if (!(size >= 0)) throw new TensorError("value", "nonzero_static: 'size' must be an non-negative integer");
  const found = nonzero(input);
  const count = Math.min(found.shape[0]!, size);
  const data = new Int32Array(size * input.ndim).fill(fillValue);
  data.set(found.value.data!.subarray(0, count * input.ndim));
  return fromHost(data, [size, input.ndim], "int64");
}

/**
 * The k largest elements of a dimension, or the smallest, in order, and their indices.
 * @throws TensorError "selected index k out of range"
 */
export function topk(
  input: Tensor,
  k: number,
  dim = -1,
  options: { largest?: boolean; sorted?: boolean } = {},
): ValuesAndIndices {
  return ranked(input, k, dim, options.largest ?? true, "topk");
}

/** Elements of a dimension in ascending order, or descending, and their indices; equal ones keep their order. */
export function sort(
  input: Tensor,
  dim = -1,
  options: { descending?: boolean; stable?: boolean } = {},
): ValuesAndIndices {
  const at = normalizeDim(dim, input.ndim);
  return ranked(input, input.shape[at] ?? 1, at, options.descending ?? false, "sort");
}

function ranked(
  input: Tensor,
  k: number,
  dim: number,
  descending: boolean,
  name: "topk" | "sort",
): ValuesAndIndices {
  const at = normalizeDim(dim, input.ndim);
  if (input.ndim === 0) {
    // PyTorch's answer to k = 0 has no dimension either, so it is one number.
    const [values, indices] = ranked(reshaped(input, [1]), k === 0 ? 1 : k, 0, descending, name);
    return valuesAndIndices(name, reshaped(values, []), reshaped(indices, []));
  }
  return hidden(() => {
    const numbers = turned(castTo(input, input.dtype === "bool" ? "int64" : input.dtype), at);
    const [top, order] = applyAll(ordered, [numbers], { k, largest: descending }) as [Tensor, Tensor];
    const values = castTo(top, input.dtype);
    const gradient = name === "topk" ? "TopkBackward0" : "SortBackward0";
    const result = valuesAndIndices(name, named(turned(values, at, true), gradient), turned(order, at, true));
    for (const t of result) t.value.visible ||= scope.depth === 1;
    return result;
  });
}

/** Indices that sort a dimension in ascending order, or descending. */
export function argsort(
  input: Tensor,
  dim = -1,
  options: { descending?: boolean; stable?: boolean } = {},
): Tensor {
  return sort(input, dim, options).indices;
}

/** The median (the lower of two) of all elements, or along a dimension with its index. */
export function median(input: Tensor): Tensor;
export function median(input: Tensor, dim: number, keepdim?: boolean): ValuesAndIndices;
export function median(input: Tensor, dim?: number, keepdim = false): Tensor | ValuesAndIndices {
  if (dim === undefined) {
    if (input.dtype === "float32" && input.numel() === 0) return scalarOf(NaN, "float32");
    return composed(() => {
      const [found] = median(reshaped(input, [input.numel()]), 0);
      return named(input.dtype === "float32" ? sharedByEqual(input, found) : found, "MedianBackward0");
    });
  }
  const at = normalizeDim(dim, input.ndim);
  if (input.shape[at] === 0)
    throw new TensorError("index", `median(): Expected reduction dim ${at} to have non-zero size.`);
  const [values, indices] = sort(input, at);
  const last = (input.shape[at] ?? 1) - 1;
  const pick = (x: Tensor, place: number): Tensor => {
    if (x.ndim === 0) return x;
    const part = sliceAlong(x, at, place, place + 1);
    return reshaped(part, reducedShape(x.shape, [at], keepdim));
  };
  // NaN sorts last, and with one of them the median is NaN.
  const middle = (x: Tensor, ofNan: () => Tensor): Tensor => {
    const found = pick(x, Math.floor(last / 2));
    return input.dtype === "float32" ? where(isnan(pick(values, last)), ofNan(), found) : found;
  };
  return valuesAndIndices(
    "median",
    composed(() =>
      named(
        middle(values, () => pick(values, last)),
        "MedianBackward1",
      ),
    ),
    composed(() => middle(indices, () => argmax(input, at, keepdim))),
  );
}

/** The diagonal of a matrix as a vector, or a vector as the diagonal of a matrix. */
export function diag(input: Tensor, diagonal = 0): Tensor {
  if (input.ndim === 2) return diagonalOf(input, diagonal);
  if (input.ndim !== 1) {
    throw new TensorError("shape", `diag(): Supports 1D or 2D tensors. Got ${input.ndim}D`);
  }
  const n = input.shape[0]!;
  const size = n + Math.abs(diagonal);
  const places = filled(new Int32Array(n), (i) => {
    const row = i + Math.max(0, -diagonal);
    return row * size + i + Math.max(0, diagonal);
  });
  return composed(() => {
    const vector = fromHost(places, [n], "int64");
    const spread = asNumbers(input, input, (x) =>
      apply(ops.indexAdd, [x, vector], { dim: 0, length: size * size }),
    );
    return named(reshaped(spread, [size, size]), "DiagEmbedBackward0");
  });
}

/** The diagonal of a matrix; a copy. */
function diagonalOf(input: Tensor, diagonal: number): Tensor {
  const [rows, columns] = input.shape as [number, number];
  const [row, column] = [Math.max(0, -diagonal), Math.max(0, diagonal)];
  const n = Math.max(0, Math.min(rows - row, columns - column));
  const places = filled(new Int32Array(n), (i) => (row + i) * columns + column + i);
  return composed(() => {
    const flat = reshaped(input, [numel(input.shape)]);
    const picked = apply(ops.indexSelect, [flat, fromHost(places, [n], "int64")], { dim: 0 });
    return named(picked, "DiagonalBackward0_copy");
  });
}
