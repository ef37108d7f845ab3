// Values put at places of a tensor: copies, whose in-place forms are in inplace.ts.
import { apply } from "../../recording/apply.ts";
import { SCALAR_TYPE } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import * as elementwise from "../../ops/elementwise/elementwise.ts";
import * as ops from "../../ops/movement/indexing.ts";
import { permute } from "../../ops/movement/movement.ts";
import { broadcastShapes, normalizeDim, range } from "../../core/shape.ts";
import { Tensor } from "../../core/tensor.ts";
import { add, mul, sub } from "../pointwise/arithmetic.ts";
import { where } from "../pointwise/elementwise.ts";
import { gather } from "../indexing/gathering.ts";
import { index, indexPut } from "../indexing/indexing.ts";
import { checkScattered, scattered, vector } from "../indexing/scattering.ts";
import {
  asNumbers,
  castTo,
  composed,
  constant,
  inRange,
  named,
  requireType,
  scalarOf,
} from "../pointwise/operands.ts";
import { checkCopied, checkRows, vectorOf } from "./rowChecks.ts";
import { slice } from "./slice.ts";
import { select } from "./parts.ts";
import { diagonal } from "./orientation.ts";
import { cumsum } from "../reduction/reduction.ts";
import { expand, reshape } from "./shape.ts";
import { copied, overwrite } from "./views.ts";
import { call, filled } from "../../ops/expressions.ts";

/** Moves dimension `dim` to the front; {@link restored} moves it back. */
function front(x: Tensor, dim: number): Tensor {
  if (dim === 0) return x;
  const order = range(x.ndim);
  order.unshift(...order.splice(dim, 1));
  return apply(permute, [x], { order });
}

function restored(x: Tensor, dim: number): Tensor {
  if (dim === 0) return x;
  const order = range(x.ndim - 1).map((d) => d + 1);
  order.splice(dim, 0, 0);
  return apply(permute, [x], { order });
}

/**
 * A copy with alpha · the rows of `source` added at the places of an index.
 * @throws TensorError "index_add_(): Number of indices (2) should be equal to source.size(dim): (3), for dim: 0"
 */
export function indexAdd(
  input: Tensor,
  dim: number,
  index: Tensor,
  source: Tensor,
  options: { alpha?: number } = {},
): Tensor {
  const at = normalizeDim(dim, input.ndim);
  requireType(
    index,
    "int64",
    `index_add_(): Expected dtype int32/int64 for index but got: ${SCALAR_TYPE[index.dtype]}`,
  );
  const places = vectorOf("index_add_", index);
  const size = input.shape[at] ?? 1;
  const message =
    input.ndim === 2
      ? (i: number) => `index ${i} is out of bounds for dimension ${at} with size ${size}`
      : () => "index out of range in self";
  checkRows("index_add_", input, at, places, source);
  inRange(index, size, message);
  return composed(() => {
    const added = asNumbers(input, source, (x, y) => {
      const scaled = options.alpha === undefined ? y : mul(y, options.alpha);
      const rows = apply(ops.indexAdd, [vector(scaled), places], { dim: at, length: size });
      return call(elementwise.add, x, x.ndim === 0 ? reshape(rows, []) : rows);
    });
    return named(added, "IndexAddBackward0", source);
  });
}

/**
 * A copy with the rows of `source` at the places of an index.
 * @throws TensorError "index_copy_(): Number of indices (2) should be equal to source.size(dim) (3)"
 */
export function indexCopy(input: Tensor, dim: number, index: Tensor, source: Tensor): Tensor {
  const at = normalizeDim(dim, input.ndim);
  checkCopied(input, at, index, source);
  const places = reshape(index, [index.numel()]);
  const size = input.shape[at] ?? 1;
  inRange(
    index,
    size,
    (i) => `index_copy_(): index ${i} is out of bounds for dimension ${at} with size ${size}`,
  );
  return composed(() => {
    const [rows, added] = [input, source].map((x) => front(vector(x), at));
    const next = restored(call(ops.rowsUpdate, rows!, places, added!), at);
    return named(input.ndim === 0 ? reshape(next, []) : next, "IndexCopyBackward0", source);
  });
}

/** A copy with one value in the rows at the places of an index. */
export function indexFill(
  input: Tensor,
  dim: number,
  index: Tensor,
  value: number | boolean | Tensor,
): Tensor {
  const at = normalizeDim(dim, input.ndim);
  const places = vectorOf("index_fill_", index);
  if (value instanceof Tensor && value.ndim > 0) {
    throw new TensorError(
      "shape",
      `index_fill_ only supports a 0-dimensional value tensor, but got tensor with ${value.ndim} dimension(s).`,
    );
  }
  const size = input.shape[at] ?? 1;
  inRange(index, size, (i) => `index ${i} is out of bounds for dimension ${at} with size ${size}`, -size);
  return composed(() => {
    if (value instanceof Tensor && value.requiresGrad) {
      // Its gradient counts a place once, however often the index names it.
      const mask = castTo(indexFill(filled(0, input.shape), at, index, 1), "bool");
      return named(where(mask, castTo(value, input.dtype), input), "IndexFillBackward0");
    }
    const rows = front(vector(input), at);
    const fromFront = where(call(elementwise.lt, places, constant(0, "int64")), add(places, size), places);
    const values = expand(
      value instanceof Tensor ? castTo(value, input.dtype) : scalarOf(value, input.dtype),
      [places.numel(), ...rows.shape.slice(1)],
    );
    const next = restored(call(ops.rowsUpdate, rows, fromFront, values), at);
    return named(reshape(next, input.shape), "IndexFillBackward0");
  });
}

/** The elements of the flattened input at the places of an index, in its shape. */
export function take(input: Tensor, index: Tensor): Tensor {
  requireType(index, "int64", "take(): Expected a long tensor for index, but got Float");
  const n = input.numel();
  inRange(index, n, (i) => `out of range: tried to access index ${i} on a tensor of ${n} elements.`, -n);
  return composed(() => {
    const at = reshape(index, [index.numel()]);
    const positive = where(call(elementwise.lt, at, constant(0, "int64")), add(at, n), at);
    return named(
      reshape(gather(reshape(input, [n]), 0, positive), index.shape),
      "TakeBackward0",
      input,
      index,
    );
  });
}

/** A copy with the elements of `source`, one after the other, where the mask holds. */
export function maskedScatter(input: Tensor, mask: Tensor, source: Tensor): Tensor {
  requireType(mask, "bool", "masked_scatter_ only supports boolean masks, but got mask with dtype Float");
  if (input.dtype !== source.dtype) {
    // PyTorch's own words, without the space.
    throw new TensorError(
      "dtype",
      `masked_scatter: expected self and source to have same dtypes but got${SCALAR_TYPE[input.dtype]} and ${SCALAR_TYPE[source.dtype]}`,
    );
  }
  const shape = broadcastShapes(input.shape, mask.shape);
  return composed(() => {
    const held = reshape(expand(mask, shape), [-1]);
    const order = sub(cumsum(castTo(held, "int64"), 0), 1);
    const safe = where(held, order, 0);
    const taken = reshape(gather(reshape(source, [-1]), 0, safe), shape);
    return named(where(expand(mask, shape), taken, expand(input, shape)), "MaskedScatterBackward0");
  });
}

/**
 * A copy in which the places that `gather` would read have the values of `source`, or their sum or product with them.
 * @throws TensorError "scatter(): Expected self.dtype to be equal to src.dtype"
 */
export function scatter(
  input: Tensor,
  dim: number,
  indices: Tensor,
  source: Tensor | number | boolean,
  options: { reduce?: "add" | "multiply" | undefined } = {},
): Tensor {
  const { reduce } = options;
  if (reduce !== "multiply") {
    if (reduce !== undefined && reduce !== "add")
      throw new TensorError("value", "reduce argument must be either add or multiply.");
    return scattered(input, dim, indices, source, reduce ?? "update");
  }
  const at = normalizeDim(dim, input.ndim);
  checkScattered(input, at, indices, source);
  if (indices.numel() === 0) return copied(input);
  return composed(() => {
    const values =
      source instanceof Tensor ? source : expand(scalarOf(Number(source), input.dtype), indices.shape);
    return scatterReduce(input, at, indices, values, "prod");
  });
}

/** How values at the same place are combined. */
export type ScatterReduction = "sum" | "prod" | "mean" | "amax" | "amin";

/**
 * A copy in which the values of `source` are combined with the elements that `gather` would read (`includeSelf`), or
 * replace them.
 */
export function scatterReduce(
  input: Tensor,
  dim: number,
  index: Tensor,
  source: Tensor,
  reduce: ScatterReduction,
  options: { includeSelf?: boolean } = {},
): Tensor {
  const at = normalizeDim(dim, input.ndim);
  requireType(index, "int64", "scatter(): Expected dtype int32/int64 for index");
  if (!["sum", "prod", "mean", "amax", "amin"].includes(reduce)) {
    throw new TensorError(
      "value",
      `reduce argument must be either sum, prod, mean, amax or amin, got ${reduce}`,
    );
  }
  if (input.dtype === "bool" && source.dtype === "bool") {
    if (reduce === "mean") {
      throw new TensorError("dtype", "\"scatter_gather_tensor_cpu_reduce_mean\" not implemented for 'Bool'");
    }
    return composed(() =>
      asNumbers(input, source, (x, y) => scatterReduce(x, dim, index, y, reduce, options)),
    );
  }
  checkScattered(input, at, index, source);
  if (index.numel() === 0) return copied(input);
  const { includeSelf = true } = options;
  return composed(() => {
    const neutral = NEUTRAL[input.dtype === "float32" ? "float" : "whole"][reduce];
    const own = includeSelf ? input : scattered(input, at, index, neutral, "update");
    if (reduce === "amax" || reduce === "amin") {
      const mode = reduce === "amax" ? "max" : "min";
      const extremes = scattered(own, at, index, source, mode, includeSelf ? undefined : input);
      return named(extremes, BACKWARD);
    }
    const total = scattered(own, at, index, source, reduce === "prod" ? "mul" : "add");
    if (reduce === "sum" || reduce === "prod") return named(total, BACKWARD);
    const before = expand(scalarOf(1, input.dtype), input.shape);
    const others = includeSelf ? before : scattered(before, at, index, 0, "update");
    const ones = expand(scalarOf(1, input.dtype), index.shape);
    const count = scattered(others, at, index, ones, "add");
    return named(
      call(input.dtype === "float32" ? elementwise.div : elementwise.floorDiv, total, count),
      BACKWARD,
    );
  });
}

/**
 * A copy in which the rows of `source` are combined with those at the places of an index (`includeSelf`), or replace them.
 * @throws TensorError "index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got sum."
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.index_reduce_.html
 */
export function indexReduce(
  input: Tensor,
  dim: number,
  index: Tensor,
  source: Tensor,
  reduce: Exclude<ScatterReduction, "sum">,
  options: { includeSelf?: boolean } = {},
): Tensor {
  const name = "index_reduce_";
  if (!["prod", "mean", "amax", "amin"].includes(reduce)) {
    throw new TensorError(
      "value",
      `index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got ${reduce}.`,
    );
  }
  const at = normalizeDim(dim, input.ndim);
  requireType(
    index,
    "int64",
    `${name}(): Expected dtype int32/int64 for index but got: ${SCALAR_TYPE[index.dtype]}`,
  );
  const places = vectorOf(name, index);
  checkRows(name, input, at, places, source);
  inRange(index, input.shape[at] ?? 1, () => "index out of range in self");
  return composed(() => {
    const along = source.shape.map((n, d) => (d === at ? n : 1));
    const wide = expand(reshape(places, along), source.shape);
    return named(scatterReduce(input, at, wide, source, reduce, options), "IndexReduceBackward0");
  });
}

const BACKWARD = "ScatterReduceBackward0";

/** Neutral elements. */
const NEUTRAL = {
  float: { sum: 0, prod: 1, mean: 0, amax: -Infinity, amin: Infinity },
  whole: { sum: 0, prod: 1, mean: 0, amax: -(2 ** 31), amin: 2 ** 31 - 1 },
};

function written(input: Tensor, part: (x: Tensor) => Tensor, source: Tensor): Tensor {
  return composed(() => {
    const whole = new Tensor(copied(input).value, input.edge);
    const place = part(whole);
    if (place.shape.length !== source.shape.length || place.shape.some((n, d) => n !== source.shape[d])) {
      throw new TensorError(
        "shape",
        `expected src to have a size equal to the slice of self. src size = [${source.shape.join(", ")}], slice size = [${place.shape.join(", ")}]`,
      );
    }
    const given = copied(castTo(source, input.dtype));
    // If the whole input is replaced, its gradient is zeros, not null.
    if (place.numel() === input.numel()) overwrite(place, given);
    else place.write(given);
    return whole;
  });
}

/** A copy with `source` in the place of `input.select(dim, index)`. */
export function selectScatter(input: Tensor, source: Tensor, dim: number, index: number): Tensor {
  return written(input, (x) => select(x, dim, index), source);
}

/** A copy with `source` in the place of the slice `start:end:step` of a dimension. */
export function sliceScatter(
  input: Tensor,
  source: Tensor,
  dim = 0,
  start?: number | null,
  end?: number | null,
  step = 1,
): Tensor {
  const at = normalizeDim(dim, input.ndim);
  const part = [...input.shape.keys()].map((d) =>
    d === at ? slice(start ?? null, end ?? null, step) : slice(null),
  );
  return written(input, (x) => index(x, ...part), source);
}

/** A copy with the elements of `source` at the places of an index of the flattened input; added if `accumulate`. */
export function put(input: Tensor, places: Tensor, source: Tensor, accumulate = false): Tensor {
  requireType(places, "int64", "put_(): Expected a long tensor for index, but got Float");
  if (places.numel() !== source.numel())
    throw new TensorError(
      "shape",
      "put_(): Expected source and index to have the same number of elements, but got source.numel() = " +
        `${source.numel()}, index.numel() = ${places.numel()}`,
    );
  return composed(() => {
    const flat = reshape(input, [input.numel()]);
    return reshape(indexPut(flat, [reshape(places, [-1])], reshape(source, [-1]), accumulate), input.shape);
  });
}

/** A copy with `source` on a diagonal. */
export function diagonalScatter(input: Tensor, source: Tensor, offset = 0, dim1 = 0, dim2 = 1): Tensor {
  return written(input, (x) => diagonal(x, offset, dim1, dim2), source);
}
