// Order and counts along dimensions.
import { apply } from "../../recording/apply.ts";
import { SCALAR_TYPE } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import { gatherLast } from "../../ops/movement/elements.ts";
import { indexAdd } from "../../ops/movement/indexing.ts";
import { valuesOf } from "../../planning/barrier.ts";
import { formatShape, normalizeDim, range, reducedShape, sameShape } from "../../core/shape.ts";
import { demandMemory } from "../../core/memory.ts";
import { fromHost, Tensor } from "../../core/tensor.ts";
import { arange, zeros } from "../creation/creation.ts";
import { turned } from "../shape/along.ts";
import { add, div, lerp, mul, sub } from "../pointwise/arithmetic.ts";
import { eq, floor, ge, gt, isnan, le, logicalAnd, logicalOr, ne, where } from "../pointwise/elementwise.ts";
import { sort } from "../indexing/gathering.ts";
import { placesIn } from "../indexing/searching.ts";
import {
  castTo,
  composed,
  constant,
  inRange,
  named,
  notImplemented,
  type Operand,
  toFloat,
} from "../pointwise/operands.ts";
import { narrow } from "../shape/parts.ts";
import { amax, amin, norm, sum, type DimArgument, type KeepdimArgument } from "./reduction.ts";
import { argmax } from "./extremes.ts";
import { cummax } from "./running.ts";
import { results, valuesAndIndices, type ValuesAndIndices } from "../results.ts";
import { cat, expand, reshape, unsqueeze } from "../shape/shape.ts";
import { copied } from "../shape/views.ts";
import { call } from "../../ops/expressions.ts";

export interface DimOptions {
  dim?: number;
  keepdim?: boolean;
}

type MinAndMax = [min: Tensor, max: Tensor] & { min: Tensor; max: Tensor };

/** Smallest and largest element, of all or along a dimension. */
export function aminmax(input: Tensor, options: DimOptions = {}): MinAndMax {
  const min = amin(input, options.dim, options.keepdim);
  const max = amax(input, options.dim, options.keepdim);
  return results("aminmax", { min, max }) as unknown as MinAndMax;
}

/** Sum over dimensions, NaN counting as 0. */
export function nansum(input: Tensor, dim?: DimArgument, keepdim?: KeepdimArgument): Tensor {
  return composed(() =>
    named(
      sum(input.dtype === "float32" ? where(isnan(input), 0, input) : input, dim, keepdim),
      "NansumBackward0",
    ),
  );
}

/** Mean over dimensions of the elements that are not NaN. */
export function nanmean(input: Tensor, dim?: DimArgument, keepdim?: KeepdimArgument): Tensor {
  return composed(() => {
    const count = sum(castTo(eq(input, input), "float32"), dim, keepdim);
    return named(div(nansum(input, dim, keepdim), count), "NanmeanBackward0");
  });
}

/** PyTorch's name for the gradient of a function: "ModeBackward0" for `mode`. */
const gradientOf = (name: string): string => `${name[0]!.toUpperCase()}${name.slice(1)}Backward0`;

/** Values and their indices along a dimension that may be kept. */
function picked(
  input: Tensor,
  at: number,
  keepdim: boolean,
  name: string,
  find: (rows: Tensor) => Tensor,
): ValuesAndIndices {
  if (input.ndim === 0) return valuesAndIndices(name, copied(input), constant(0, "int64"));
  const shape = reducedShape(input.shape, [at], keepdim);
  let places!: Tensor;
  const values = composed(() => {
    const rows = turned(input, at);
    places = find(new Tensor(rows.value));
    const index = reshape(places, [...rows.shape.slice(0, -1), 1]);
    return named(reshape(call(gatherLast, rows, index), shape), gradientOf(name));
  });
  const indices = composed(() => reshape(places, shape));
  return valuesAndIndices(name, values, indices);
}

/** The most frequent element along a dimension (the smallest if several are), and its last index. */
export function mode(input: Tensor, dim = -1, keepdim = false): ValuesAndIndices {
  const at = normalizeDim(dim, input.ndim);
  return picked(input, at, keepdim, "mode", (rows) => {
    const n = rows.shape[rows.ndim - 1]!;
    const sorted = sort(rows).values;
    const positions = expand(arange(n), rows.shape);
    // Equal elements are neighbours: the count so far is the distance from the first of them.
    const changes = ne(narrow(sorted, -1, 1, n - 1), narrow(sorted, -1, 0, n - 1));
    const begin = where(changes, narrow(positions, -1, 1, n - 1), 0);
    const begins = cummax(cat([narrow(positions, -1, 0, 1), begin], -1), -1).values;
    const most = argmax(sub(positions, begins), -1, true);
    const value = call(gatherLast, sorted, most);
    // NaN equals nothing: where the result is NaN, count every NaN as equal.
    const same = eq(rows, value);
    const found = rows.dtype === "float32" ? logicalOr(same, logicalAnd(isnan(value), isnan(rows))) : same;
    return amax(where(found, positions, -1), -1);
  });
}

/**
 * The k-th smallest element along a dimension, counted from 1, and its index.
 * @throws TensorError "kthvalue(): selected number k out of range for dimension 0"
 */
export function kthvalue(input: Tensor, k: number, dim = -1, keepdim = false): ValuesAndIndices {
  const at = normalizeDim(dim, input.ndim);
  if (!(k >= 1 && k <= (input.shape[at] ?? 1))) {
    throw new TensorError("value", `kthvalue(): selected number k out of range for dimension ${at}`);
  }
  return picked(input, at, keepdim, "kthvalue", (rows) => narrow(sort(rows).indices, -1, k - 1, 1));
}

/**
 * Scales down the slices of a tensor along a dimension whose p-norm is larger than `maxnorm`, to that norm.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.renorm.html
 */
export function renorm(input: Tensor, p: number, dim: number, maxnorm: number): Tensor {
  if (input.ndim < 2)
    throw new TensorError("shape", `renorm: input needs at least 2 dimensions, got ${input.ndim} dimensions`);
  if (!(p > 0)) throw new TensorError("value", "renorm: non-positive-norm not supported");
  if (!(maxnorm >= 0))
    throw new TensorError("value", `renorm: expected maxnorm to be >= 0 but got ${maxnorm}`);
  const at = normalizeDim(dim, input.ndim);
  const others = range(input.ndim).filter((d) => d !== at);
  return composed(() => {
    const size = norm(input, p, others, true);
    const scale = where(gt(size, maxnorm), div(maxnorm, add(size, 1e-7)), 1);
    return named(mul(input, scale), "RenormBackward0");
  });
}

/** Rows in ascending order along dimension 0. */
export const msort = (input: Tensor): Tensor => sort(input, 0).values;

export type Interpolation = "linear" | "lower" | "higher" | "midpoint" | "nearest";

/**
 * Values below which a fraction `q` of the elements lies, of all or along a dimension. Fractions in a tensor are read now;
 * they make a new first dimension.
 * @throws TensorError "quantile() q must be in the range [0, 1] but got 1.5"
 */
export function quantile(
  input: Tensor,
  q: number | Tensor,
  dim?: number | null,
  keepdim = false,
  options: { interpolation?: Interpolation } = {},
): Tensor {
  if (input.dtype !== "float32") {
    throw new TensorError("dtype", "quantile() input tensor must be either float or double dtype");
  }
  if (input.numel() === 0) throw new TensorError("shape", "quantile() input tensor must be non-empty");
  const { interpolation = "linear" } = options;
  if (!["linear", "lower", "higher", "midpoint", "nearest"].includes(interpolation)) {
    throw new TensorError(
      "value",
      `quantile() interpolation must be one of linear, lower, higher, midpoint or nearest, but got ${interpolation}`,
    );
  }
  const parts = q instanceof Tensor ? [...valuesOf(q.value)] : [q];
  for (const part of parts) {
    if (part >= 0 && part <= 1) continue;
    throw new TensorError(
      "value",
      q instanceof Tensor
        ? "quantile() q values must be in the range [0, 1]"
        : `quantile() q must be in the range [0, 1] but got ${part}`,
    );
  }
  const whole = dim === undefined || dim === null;
  return composed(() => {
    const flat = whole ? reshape(input, [input.numel()]) : input.ndim === 0 ? reshape(input, [1]) : input;
    const at = normalizeDim(whole ? 0 : dim, flat.ndim);
    const sorted = sort(flat, at).values;
    const n = flat.shape[at]!;
    const shape = whole
      ? keepdim
        ? input.shape.map(() => 1)
        : []
      : reducedShape(input.shape, input.ndim === 0 ? [] : [at], keepdim);
    const results = parts.map((part) => {
      const rank = Math.fround(Math.fround(part) * (n - 1));
      const value = between(sorted, at, rank, interpolation);
      return reshape(value, shape);
    });
    const single = q instanceof Tensor ? q.ndim === 0 : true;
    const joined = single
      ? results[0]!
      : cat(
          results.map((x) => unsqueeze(x, 0)),
          0,
        );
    // Values with a NaN have no order.
    const broken = amax(castTo(isnan(flat), "int64"), at);
    return named(where(eq(reshape(broken, shape), 1), NaN, joined), "WhereBackward0");
  });
}

function between(sorted: Tensor, at: number, rank: number, interpolation: Interpolation): Tensor {
  const even = Math.round(rank) % 2 === 1 && rank % 1 === 0.5 ? Math.round(rank) - 1 : Math.round(rank);
  const place =
    interpolation === "nearest" ? even : interpolation === "higher" ? Math.ceil(rank) : Math.floor(rank);
  const low = narrow(sorted, at, place, 1);
  if (interpolation !== "linear" && interpolation !== "midpoint") return low;
  const high = narrow(sorted, at, Math.ceil(rank), 1);
  return lerp(low, high, interpolation === "midpoint" ? 0.5 : Math.fround(rank - place));
}

export interface SearchOptions {
  /** Whether a value's place is after the elements that equal it. Default false: before them. */
  right?: boolean;
  /** The same in words, and stronger than `right: false`. Default "left". */
  side?: "left" | "right" | null;
  /** Indices that sort the sequence, as `argsort` returns them; of the sequence's shape. Default: it is sorted. */
  sorter?: Tensor | null;
}

/** The sequence in the order of indices, which are checked where their values are known. */
function ordered(sequence: Tensor, sorter: Tensor): Tensor {
  if (!sameShape(sequence.shape, sorter.shape)) {
    throw new TensorError(
      "shape",
      `torch.searchsorted(): boundary and sorter must have the same size, but got boundary tensor ${formatShape(sequence.shape)}and got sorter tensor ${formatShape(sorter.shape)}`,
    );
  }
  if (sorter.dtype !== "int64") {
    throw new TensorError(
      "dtype",
      `torch.searchsorted(): sorter must be a tensor of long dtype but got dtype ${SCALAR_TYPE[sorter.dtype]}`,
    );
  }
  inRange(sorter, sequence.shape.at(-1)!, () => "torch.searchsorted(): sorter index out of range");
  return call(gatherLast, sequence, sorter);
}

/**
 * Where values [...] would have to be inserted into a sorted sequence to keep its order: before equal elements, or after
 * them with `right` or `side: "right"`. A sequence of several dimensions has one row for each row of values.
 * @returns int64 of the shape of the values
 * @throws TensorError "torch.searchsorted(): side and right can't be set to opposites, got side of left while right was True"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.searchsorted.html
 */
export function searchsorted(sortedSequence: Tensor, values: Operand, options: SearchOptions = {}): Tensor {
  const side = options.side ?? undefined;
  const refused = (kind: "value" | "shape", what: string): TensorError =>
    new TensorError(kind, `torch.searchsorted(): ${what}`);
  if (side !== undefined && side !== "left" && side !== "right")
    throw refused("value", `side can only be 'left' or 'right' but got ${String(side)}`);
  if (side === "left" && options.right === true)
    throw refused("value", "side and right can't be set to opposites, got side of left while right was True");
  const right = side === undefined ? (options.right ?? false) : side === "right";
  const { shape: boundaries } = sortedSequence;
  const [shape, lead] = [values instanceof Tensor ? values.shape : [], boundaries.slice(0, -1)];
  if (boundaries.length !== 1 && shape.length === 0) {
    throw refused(
      "shape",
      `input value can be a scalar only when boundaries tensor dimension is 1, but we got boundaries tensor dim(${boundaries.length}) and input value's dim(0) numel(1)`,
    );
  }
  if (boundaries.length > 1 && !(shape.length === boundaries.length && sameShape(shape.slice(0, -1), lead))) {
    throw refused(
      "shape",
      `boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and input value tensor must match, but we got boundaries tensor ${formatShape(boundaries)} and input value tensor ${formatShape(shape)}`,
    );
  }
  const given = values instanceof Tensor ? values : castTo(constant(Number(values)), sortedSequence.dtype);
  return composed(() => {
    const sorted = options.sorter ? ordered(sortedSequence, options.sorter) : sortedSequence;
    const row = sorted.ndim === 1 ? reshape(given, [given.numel()]) : given;
    const place = reshape(placesIn(sorted, row, right), given.shape);
    // As in PyTorch, NaN is above all.
    return given.dtype === "float32" ? where(isnan(given), sorted.shape.at(-1)!, place) : place;
  });
}

/** The number of boundaries below each element; with `right`, of boundaries not above it. */
export function bucketize(
  input: Operand,
  boundaries: Tensor,
  options: Pick<SearchOptions, "right"> = {},
): Tensor {
  if (boundaries.ndim !== 1) {
    throw new TensorError("shape", `boundaries tensor must be 1 dimension, but got dim(${boundaries.ndim})`);
  }
  return searchsorted(boundaries, input, options);
}

/** How often each number occurs among non-negative integers, or the sum of their weights: reads them now. */
export function bincount(input: Tensor, weights?: Tensor | null, minlength = 0): Tensor {
  if (input.dtype === "float32") notImplemented("bincount_cpu", input.dtype);
  if (input.ndim !== 1) {
    throw new TensorError("shape", "bincount only supports 1-d non-negative integral inputs.");
  }
  if (weights && weights.numel() !== input.numel()) {
    throw new TensorError("shape", "weights should be 1-d and have the same length as input");
  }
  let length = minlength;
  const values = valuesOf(input.value);
  for (let i = 0; i < values.length; i++) {
    const x = values[i]!;
    if (x < 0) throw new TensorError("value", "bincount only supports 1-d non-negative integral inputs.");
    length = x < length ? length : x + 1;
  }
  demandMemory([length]);
  if (weights) {
    const each = toFloat(weights);
    return composed(() => apply(indexAdd, [each, castTo(input, "int64")], { dim: 0, length }));
  }
  const counts = new Int32Array(length);
  for (let i = 0; i < values.length; i++) counts[values[i]!]!++;
  return fromHost(counts, [length], "int64");
}

/**
 * The number of elements in each of `bins` (100) equal parts of [min, max], or of the range of the values if min equals
 * max. Elements outside are left out.
 */
export function histc(input: Tensor, bins = 100, min = 0, max = 0): Tensor {
  if (!(bins > 0))
    throw new TensorError("value", `torch.histogram(): bins must be > 0, but got ${bins} for dimension 0`);
  if (max < min) throw new TensorError("value", "torch.histc: max must be larger than min");
  if (input.numel() === 0) return zeros(bins);
  return composed(() => {
    const x = reshape(input, [input.numel()]);
    const [low, high] = min === max ? [amin(x), amax(x)] : [constant(min), constant(max)];
    const same = eq(low, high);
    const [from, to] = [where(same, sub(low, 1), low), where(same, add(high, 1), high)];
    const inside = logicalAnd(ge(x, from), le(x, to));
    const place = floor(mul(div(sub(x, from), sub(to, from)), bins));
    const last = where(ge(place, bins), bins - 1, place);
    const index = castTo(where(inside, last, 0), "int64");
    return apply(indexAdd, [castTo(inside, "float32"), index], { dim: 0, length: bins });
  });
}
