// Parts of tensors along one dimension: views that share memory with the input.
import { TensorError, WHOLE_HINT } from "../../core/errors.ts";
import { formatShape, normalizeDim, range, strides, type Shape } from "../../core/shape.ts";
import { SCALAR_TYPE } from "../../core/dtype.ts";
import { Tensor } from "../../core/tensor.ts";
import { valuesOf } from "../../planning/barrier.ts";
import { named } from "../pointwise/operands.ts";
import { copied, SliceView } from "./views.ts";

/** `length` elements of dimension `dim`, every `step`-th from `start`; without the dimension itself if `drop`. */
function part(input: Tensor, dim: number, start: number, end: number, drop: boolean, step = 1): Tensor {
  const { shape } = input;
  const length = Math.max(0, Math.ceil((end - start) / step));
  const origin: number[] = [];
  const result: number[] = [];
  shape.forEach((n, d) => {
    if (d === dim && drop) return;
    origin.push(d);
    result.push(d === dim ? length : n);
  });
  const bounds = {
    begin: shape.map((_, d) => (d === dim ? start : 0)),
    end: shape.map((n, d) => (d === dim ? end : n)),
    step: shape.map((_, d) => (d === dim ? step : 1)),
  };
  return new SliceView(input, bounds, origin, result).make();
}

/**
 * `length` elements of a dimension from `start` on; a view.
 * @throws TensorError "start (2) + length (2) exceeds dimension size (3)."
 */
export function narrow(input: Tensor, dim: number, start: number, length: number): Tensor {
  const at = normalizeDim(dim, input.ndim);
  const size = dimension(input, at, "narrow() cannot be applied to a 0-dim tensor.");
  if (length < 0) throw new TensorError("value", "narrow(): length must be non-negative.");
  if (!Number.isInteger(start))
    throw new TensorError("value", "narrow(): argument 'start' must be int, not float", WHOLE_HINT);
  if (!(start >= -size && start <= size)) {
    throw new TensorError(
      "index",
      `start out of range (expected to be in range of [${-size}, ${size}], but got ${start})`,
    );
  }
  const from = start < 0 ? start + size : start;
  if (from + length > size) {
    throw new TensorError("value", `start (${from}) + length (${length}) exceeds dimension size (${size}).`);
  }
  return named(part(input, at, from, from + length, false), "SliceBackward0");
}

/**
 * One element of a dimension, which the result doesn't have any more; a view.
 * @throws TensorError "select(): index 3 out of range for tensor of size [2, 3] at dimension 1"
 */
export function select(input: Tensor, dim: number, index: number): Tensor {
  const at = normalizeDim(dim, input.ndim);
  const size = dimension(input, at, "select() cannot be applied to a 0-dim tensor.");
  if (!Number.isInteger(index) || index < -size || index >= size) {
    throw new TensorError(
      "index",
      `select(): index ${index} out of range for tensor of size ${formatShape(input.shape)} at dimension ${at}`,
    );
  }
  const from = index < 0 ? index + size : index;
  return named(part(input, at, from, from + 1, true), "SelectBackward0");
}

/** All elements along a dimension, one by one; views. */
export function unbind(input: Tensor, dim = 0): Tensor[] {
  const at = normalizeDim(dim, input.ndim);
  const size = dimension(input, at, "Dimension specified as 0 but tensor has no dimensions");
  return Array.from({ length: size }, (_, i) => named(part(input, at, i, i + 1, true), "UnbindBackward0"));
}

/**
 * Consecutive parts of a size (the last may be smaller), or of the sizes in a list; views.
 * @throws TensorError "split_with_sizes expects split_sizes to sum exactly to 6 …"
 */
export function split(input: Tensor, sizes: number | readonly number[], dim = 0): Tensor[] {
  const at = normalizeDim(dim, input.ndim);
  const size = dimension(input, at, "split expects at least a 1-dimensional tensor");
  if (typeof sizes === "number") {
    if (sizes < 0) {
      throw new TensorError("value", `split expects split_size be non-negative, but got split_size=${sizes}`);
    }
    if (sizes === 0 && size !== 0) {
      throw new TensorError(
        "value",
        `split_size can only be 0 if dimension size is 0, but got dimension size of ${size}`,
      );
    }
    const count = Math.max(1, Math.ceil(size / Math.max(sizes, 1)));
    const from = (i: number): number => Math.min(size, i * sizes);
    return Array.from({ length: count }, (_, i) =>
      named(part(input, at, from(i), from(i + 1), false), "SplitBackward0"),
    );
  }
  if (sizes.reduce((a, b) => a + b, 0) !== size) {
    throw new TensorError(
      "value",
      `split_with_sizes expects split_sizes to sum exactly to ${size} (input tensor's size at dimension ${at}), but got split_sizes=${formatShape(sizes)}`,
    );
  }
  let start = 0;
  return sizes.map((n) => {
    const from = start;
    start += n;
    return named(part(input, at, from, start, false), "SplitWithSizesBackward0");
  });
}

/**
 * At most `chunks` parts of equal size (the last may be smaller); views.
 * @throws TensorError "chunk expects `chunks` to be greater than 0, got: 0"
 */
export function chunk(input: Tensor, chunks: number, dim = 0): Tensor[] {
  if (!(chunks > 0)) {
    throw new TensorError("value", `chunk expects \`chunks\` to be greater than 0, got: ${chunks}`);
  }
  const at = normalizeDim(dim, input.ndim);
  const size = dimension(input, at, "chunk expects at least a 1-dimensional tensor");
  if (size === 0) return Array.from({ length: chunks }, () => narrow(input, at, 0, 0));
  return split(input, Math.ceil(size / chunks), at);
}

/**
 * Consecutive parts of the sizes in a list; views.
 * @throws TensorError "split_with_sizes expects split_sizes to sum exactly to 6 …"
 */
export const splitWithSizes = (input: Tensor, sizes: readonly number[], dim = 0): Tensor[] =>
  split(input, sizes, dim);

/**
 * As many parts of nearly equal size, the first ones larger; or parts that end at the places of a list. A tensor of places, or
 * of how many parts, is read now.
 * @throws TensorError "number of sections must be larger than 0, got 0"
 */
export function tensorSplit(
  input: Tensor,
  sections: number | readonly number[] | Tensor,
  dim: number | { dim?: number } = 0,
): Tensor[] {
  if (sections instanceof Tensor) return tensorSplit(input, numbersIn(sections), dim);
  const at = normalizeDim(typeof dim === "number" ? dim : (dim.dim ?? 0), input.ndim);
  if (input.ndim === 0) {
    throw new TensorError(
      "shape",
      "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims",
    );
  }
  const size = input.shape[at]!;
  if (typeof sections === "number" && !(sections > 0)) {
    throw new TensorError("value", `number of sections must be larger than 0, got ${sections}`);
  }
  const clip = (i: number): number => Math.min(size, Math.max(0, i < 0 ? i + size : i));
  const ends =
    typeof sections === "number"
      ? range(sections).map((i) => Math.floor(size / sections) * (i + 1) + Math.min(i + 1, size % sections))
      : [...sections.map(clip), size];
  let start = 0;
  return ends.map((end) => {
    const part = narrow(input, at, start, Math.max(0, end - start));
    start = end;
    return part;
  });
}

/** The number in a tensor without dimensions, or those in a vector. */
function numbersIn(sections: Tensor): number | number[] {
  if (sections.ndim > 1)
    throw new TensorError(
      "shape",
      `tensor_split expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional tensor, but got a tensor with ${sections.ndim} dims`,
    );
  if (sections.dtype !== "int64")
    throw new TensorError(
      "dtype",
      `tensor_split expected tensor_indices_or_sections to have dtype of long, but got ${SCALAR_TYPE[sections.dtype]}`,
    );
  const values = [...valuesOf(sections.value)];
  return sections.ndim === 0 ? values[0]! : values;
}

function splitAlong(
  name: string,
  input: Tensor,
  sections: number | readonly number[],
  dim: number,
  rank: number,
): Tensor[] {
  if (input.ndim < rank) {
    throw new TensorError(
      "shape",
      `torch.${name} requires a tensor with at least ${rank} dimension, but got a tensor with ${input.ndim} dimensions!`,
    );
  }
  const size = input.shape[dim]!;
  if (typeof sections === "number" && (sections === 0 || size % sections !== 0)) {
    throw new TensorError(
      "value",
      `torch.${name} attempted to split along dimension ${dim}, but the size of the dimension ${size} is not divisible by the split_size ${sections}!`,
    );
  }
  return tensorSplit(input, sections, dim);
}

/** Equal parts along columns (of a vector along its length). */
export const hsplit = (input: Tensor, sections: number | readonly number[]): Tensor[] =>
  splitAlong("hsplit", input, sections, input.ndim === 1 ? 0 : 1, 1);
/** Equal parts along the third dimension. */
export const dsplit = (input: Tensor, sections: number | readonly number[]): Tensor[] =>
  splitAlong("dsplit", input, sections, 2, 3);
/** Equal parts along rows. */
export const vsplit = (input: Tensor, sections: number | readonly number[]): Tensor[] =>
  splitAlong("vsplit", input, sections, 0, 2);

function dimension(input: Tensor, dim: number, message: string): number {
  const size = input.shape[dim];
  if (size === undefined) throw new TensorError("shape", message);
  return size;
}

/** Whether the elements lie in memory in the order of their indices, as PyTorch would have them. */
export function isContiguous(input: Tensor): boolean {
  const steps = input.viewStrides();
  if (steps === undefined) return true;
  const expected: Shape = strides(input.shape);
  return input.shape.includes(0) || input.shape.every((n, d) => n === 1 || steps[d] === expected[d]);
}

/** The tensor itself if it is contiguous, else a copy. */
export function contiguous(input: Tensor): Tensor {
  return isContiguous(input) ? input : copied(input).laidOut(undefined);
}
