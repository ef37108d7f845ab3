// Reductions of rows that follow each other in segments.
import { apply } from "../../recording/apply.ts";
import { SCALAR_TYPE } from "../../core/dtype.ts";
import { kindOf, TensorError } from "../../core/errors.ts";
import { formatShape, normalizeDim, numel, sameShape } from "../../core/shape.ts";
import { Tensor } from "../../core/tensor.ts";
import { filled } from "../../ops/expressions.ts";
import { indexAdd, indexSelect } from "../../ops/movement/indexing.ts";
import { arange } from "../creation/creation.ts";
import { add, clamp, div, maximum, mul, sub } from "../pointwise/arithmetic.ts";
import { eq, gt, isnan, lt, where } from "../pointwise/elementwise.ts";
import { castTo, composed, constant, named, notImplemented } from "../pointwise/operands.ts";
import { narrow } from "../shape/parts.ts";
import { scatterReduce } from "../shape/placing.ts";
import { cat, expand, movedim, reshape } from "../shape/shape.ts";
import { cumsum } from "./reduction.ts";
import { scan } from "./running.ts";

/** How the rows of a segment are combined. */
export type SegmentReduction = "sum" | "mean" | "max" | "min" | "prod" | "amax" | "amin";

export interface SegmentOptions {
  /** Number of rows of each segment [..., S]; the dimensions before S are those of the data before `axis`. */
  lengths?: Tensor | null;
  /** In place of lengths, the first row of each segment, and the row after the last [..., S + 1]. */
  offsets?: Tensor | null;
  /** Dimension of the rows; the last one of `lengths` or `offsets`. Default 0. */
  axis?: number;
  /** Whether lengths that don't sum to the number of rows are accepted. Default false. */
  unsafe?: boolean;
  /** Value that each segment's reduction begins with, and that of a segment without rows. Default: the neutral one. */
  initial?: number | null;
}

/** Results of a segment without rows. */
const EMPTY: Readonly<Record<SegmentReduction, number>> = {
  sum: 0,
  mean: NaN,
  max: -Infinity,
  min: Infinity,
  amax: -Infinity,
  amin: Infinity,
  prod: 1,
};

/** PyTorch's text of a check without a message. */
const isFalse = (condition: string): string =>
  `Expected ${condition} to be true, but got false.  (Could this error message be improved?  If so, please report an enhancement request to PyTorch.)`;

const refused = (kind: "value" | "shape" | "dtype", text: string): TensorError => new TensorError(kind, text);

/** Lengths or offsets, one row for each list of segments, checked as far as their values are known. */
function checked(
  data: Tensor,
  options: SegmentOptions,
): { bounds: Tensor; axis: number; isOffsets: boolean } {
  const given = options.offsets ?? options.lengths;
  if (!given) throw refused("value", "segment_reduce(): Either lengths or offsets must be defined.");
  const isOffsets = Boolean(options.offsets);
  const name = isOffsets ? "offsets" : "lengths";
  if (!(given instanceof Tensor))
    throw refused("value", `segment_reduce(): argument '${name}' must be Tensor, not ${kindOf(given)}`);
  const axis = normalizeDim(options.axis ?? 0, data.ndim);
  if (data.ndim < given.ndim) throw refused("shape", isFalse(`data.dim() >= ${name}_value.dim()`));
  if (axis !== given.ndim - 1) {
    throw refused(
      "shape",
      `segment_reduce(): Expected axis to be the last dimension of ${name} but got ${axis}.`,
    );
  }
  const lead = data.shape.slice(0, axis);
  if (!sameShape(given.shape.slice(0, -1), lead)) {
    throw refused(
      "shape",
      `segment_reduce(): Expected ${name} of shape ${formatShape([...lead, -1])}, but got ${formatShape(given.shape)}`,
    );
  }
  if (given.dtype !== "int64") notImplemented(`_segment_reduce_${name}_cpu_kernel1`, given.dtype);
  if (isOffsets && given.shape.at(-1) === 0)
    throw refused("shape", "Trying to create tensor with negative dimension -1: [-1]");
  const rows = numel(lead);
  const width = given.shape.at(-1)!;
  const values = given.storage === undefined ? given.value.data : undefined;
  for (let row = 0; row < (values === undefined ? 0 : rows); row++) {
    const part = Array.from(values!.slice(row * width, (row + 1) * width));
    if (isOffsets) {
      if (part.some((x, i) => i > 0 && x < part[i - 1]!))
        throw refused("value", isFalse("segment_length >= 0"));
    } else if (part.some((x) => x < 0)) throw refused("value", "lengths contains negative value!");
    else if (options.unsafe !== true && part.reduce((sum, x) => sum + x, 0) !== data.shape[axis]) {
      throw refused(
        "value",
        "segment_reduce(): Expected all rows of lengths along axis to sum to data.size(lengths.dim()-1) when !unsafe.",
      );
    }
  }
  return { bounds: reshape(given, [rows, width]), axis, isOffsets };
}

/** Product of the rows of each segment; `last` is its last row, or `x`'s number of rows where there is none. */
function products(x: Tensor, segments: Tensor, last: Tensor): Tensor {
  const along = movedim(x, 0, -1);
  const [all] = scan([along, segments] as const, ([before, from], [own, here]) => [
    mul(own, where(eq(from, here), before, 1)),
    here,
  ]);
  const neutral = filled(1, [1, ...x.shape.slice(1)]);
  return apply(indexSelect, [cat([movedim(all, -1, 0), neutral], 0), last], { dim: 0 });
}

/**
 * The sum, mean, maximum, minimum or product of the rows of each segment of a dimension. Equal extremes share the gradient;
 * PyTorch's share it only where it is positive. Lengths and offsets are checked where their values are known. Rows outside
 * of all segments are left out.
 * @param data float32 [..., N, ...]
 * @returns [..., S, ...]
 * @throws TensorError "segment_reduce(): Either lengths or offsets must be defined."
 * @see https://docs.pytorch.org/docs/stable/generated/torch.segment_reduce.html
 */
export function segmentReduce(data: Tensor, reduce: SegmentReduction, options: SegmentOptions = {}): Tensor {
  if (!(data instanceof Tensor))
    throw refused(
      "value",
      `segment_reduce(): argument 'data' (position 1) must be Tensor, not ${kindOf(data)}`,
    );
  if (!Object.hasOwn(EMPTY, reduce)) {
    throw refused(
      "value",
      `reduce argument must be either sum, prod, mean, amax or amin, got ${reduce as string}`,
    );
  }
  const { bounds, axis, isOffsets } = checked(data, options);
  if (data.dtype !== "float32")
    throw refused("dtype", `"_segment_reduce_cpu" not implemented for '${SCALAR_TYPE[data.dtype]}'`);
  const initial = options.initial ?? undefined;
  return composed(() => {
    const [lead, inner] = [data.shape.slice(0, axis), data.shape.slice(axis + 1)];
    const [lists, n] = [bounds.shape[0]!, data.shape[axis]!];
    const count = bounds.shape[1]! - (isOffsets ? 1 : 0);
    const column = (step: number): Tensor => mul(reshape(arange(lists), [lists, 1]), step);
    const ends = clamp(isOffsets ? narrow(bounds, 1, 1, count) : cumsum(bounds, 1), 0, n);
    const starts = isOffsets ? clamp(narrow(bounds, 1, 0, count), 0, n) : sub(ends, bounds);
    const sizes = sub(ends, starts);

    // A row's segment is the number of segments that end before it. Those outside of all belong to one more at the end.
    const marks = apply(
      indexAdd,
      [filled(1, [lists * count]), reshape(add(ends, column(n + 1)), [lists * count])],
      { dim: 0, length: lists * (n + 1) },
    );
    const ended = castTo(cumsum(narrow(reshape(marks, [lists, n + 1]), 1, 0, n), 1), "int64");
    const first = count === 0 ? constant(0, "int64") : narrow(starts, 1, 0, 1);
    const own = where(lt(arange(n), first), count, ended);
    const outside = reshape(eq(own, count), [lists * n, 1]);
    const segments = reshape(add(own, column(count + 1)), [lists * n]);

    // All that is beside a row is one column.
    const width = numel(inner);
    const rows = reshape(data, [lists * n, width]);
    const length = lists * (count + 1);
    const sums = (x: Tensor): Tensor => apply(indexAdd, [x, segments], { dim: 0, length });
    const parted = (x: Tensor): Tensor => narrow(reshape(x, [...lead, count + 1, ...inner]), axis, 0, count);
    const size = reshape(sizes, [...lead, count, ...inner.map(() => 1)]);
    const isEmpty = eq(size, 0);
    const finished = (x: Tensor): Tensor =>
      named(where(isEmpty, initial ?? EMPTY[reduce], x), "SegmentReduceBackward0");

    if (reduce === "prod") {
      const last = where(eq(sizes, 0), lists * n, add(sub(ends, 1), column(n)));
      const flat = products(where(outside, 1, rows), segments, reshape(last, [lists * count]));
      const result = reshape(flat, [...lead, count, ...inner]);
      return finished(initial === undefined ? result : mul(result, initial));
    }
    const isMax = reduce === "max" || reduce === "amax";
    if (isMax || reduce === "min" || reduce === "amin") {
      // NaNs are equal here: they share the gradient as numbers do.
      const nan = isnan(rows);
      const nans = sums(castTo(nan, "float32"));
      const numbers = where(nan, EMPTY[reduce], rows);
      const wide = expand(reshape(segments, [lists * n, 1]), rows.shape);
      // No number equals it: scatterReduce counts the elements that it replaces.
      const none = filled(NaN, [length, width]);
      const extreme = scatterReduce(none, 0, wide, numbers, isMax ? "amax" : "amin", { includeSelf: false });
      const result = parted(where(gt(nans, 0), div(sums(where(nan, rows, 0)), maximum(nans, 1)), extreme));
      if (initial === undefined) return finished(result);
      const exceeded = (isMax ? lt : gt)(result, initial);
      return finished(where(exceeded, initial, result));
    }
    const total = parted(sums(rows));
    const sum = initial === undefined ? total : add(total, initial);
    return finished(reduce === "sum" ? sum : div(sum, where(isEmpty, 1, castTo(size, "float32"))));
  });
}
