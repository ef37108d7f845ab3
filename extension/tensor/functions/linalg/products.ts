// Products of tensors that few programs use.
import { promoteTypes } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import { formatShape, normalizeDim, numel, range } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { add, mul, sub } from "../pointwise/arithmetic.ts";
import { multiDot } from "./decompositions.ts";
import { bmm, dot, mm, mv, outer } from "./linalg.ts";
import { scalesOf, type Scales } from "../pointwise/promotion.ts";
import { composed, named, listOf, type TensorList } from "../pointwise/operands.ts";
import { narrow } from "../shape/parts.ts";
import { norm, sum } from "../reduction/reduction.ts";
import { cat, permute, reshape } from "../shape/shape.ts";

/** All products of an element of one tensor and the whole other: blocks of size of `other`. */
export function kron(input: Tensor, other: Tensor): Tensor {
  const rank = Math.max(input.ndim, other.ndim);
  const padded = (x: Tensor): number[] => [...range(rank - x.ndim).map(() => 1), ...x.shape];
  const [a, b] = [padded(input), padded(other)];
  return composed(() => {
    const left = reshape(
      input,
      a.flatMap((n) => [n, 1]),
    );
    const right = reshape(
      other,
      b.flatMap((n) => [1, n]),
    );
    return reshape(
      mul(left, right),
      a.map((n, d) => n * b[d]!),
    );
  });
}

/**
 * Sums of products over the last `dims` dimensions of one tensor and the first of another, or over pairs of dimensions.
 * @throws TensorError "contracted dimensions need to match, but first has size 3 in dim 1 and second has size 4 in dim 0"
 */
export function tensordot(
  a: Tensor,
  b: Tensor,
  dims: number | readonly [readonly number[], readonly number[]] = 2,
): Tensor {
  const [left, right] =
    typeof dims === "number"
      ? [range(dims).map((i) => a.ndim - dims + i), range(dims)]
      : [dims[0].map((d) => normalizeDim(d, a.ndim)), dims[1].map((d) => normalizeDim(d, b.ndim))];
  const asGiven = (i: number): [number, number] =>
    typeof dims === "number" ? [i - dims, i] : [dims[0][i]!, dims[1][i]!];
  left.forEach((d, i) => {
    const [n, m] = [a.shape[d], b.shape[right[i]!]];
    if (n === m || n === 1 || m === 1) return;
    throw new TensorError(
      "shape",
      `contracted dimensions need to match, but first has size ${n} in dim ${asGiven(i)[0]} and second has size ${m} in dim ${asGiven(i)[1]}`,
    );
  });
  // A dimension of length 1 goes with each of the other's: that is its sum.
  const [ones, others] = [left, right].map((own, side) => {
    const [x, y, theirs] = side === 0 ? [a, b, right] : [b, a, left];
    return theirs.filter((d, i) => x.shape[own[i]!] === 1 && y.shape[d] !== 1);
  });
  if (ones!.length > 0 || others!.length > 0) {
    const summed = (x: Tensor, at: readonly number[]): Tensor =>
      at.length === 0 ? x : sum(x, [...at], true);
    return composed(() => tensordot(summed(a, others!), summed(b, ones!), [left, right]));
  }
  const rows = range(a.ndim).filter((d) => !left.includes(d));
  const columns = range(b.ndim).filter((d) => !right.includes(d));
  const size = (x: Tensor, at: readonly number[]): number[] => at.map((d) => x.shape[d]!);
  return composed(() => {
    const inner = numel(size(a, left));
    const first = reshape(permute(a, [...rows, ...left]), [numel(size(a, rows)), inner]);
    const second = reshape(permute(b, [...right, ...columns]), [inner, numel(size(b, columns))]);
    return reshape(mm(first, second), [...size(a, rows), ...size(b, columns)]);
  });
}

/** Sums of products along the last dimensions. */
export function inner(input: Tensor, other: Tensor): Tensor {
  if (input.ndim === 0 || other.ndim === 0) return mul(input, other);
  return composed(() => tensordot(input, other, [[-1], [-1]]));
}

/** Sum of the products of two vectors' elements. */
export const vdot = (input: Tensor, other: Tensor): Tensor => dot(input, other);

function scaled(input: Tensor, product: Tensor, options: Scales, gradient: string): Tensor {
  const { beta, alpha } = scalesOf(promoteTypes(input.dtype, product.dtype), options);
  const right = alpha === 1 ? product : mul(product, alpha);
  if (beta === 0) return named(right, gradient);
  return named(add(beta === 1 ? input : mul(input, beta), right), gradient);
}

/** beta · input + alpha · mat @ vec. */
export const addmv = (input: Tensor, mat: Tensor, vec: Tensor, options: Scales = {}): Tensor =>
  composed(() => scaled(input, mv(mat, vec), options, "AddmvBackward0"));
/** beta · input + alpha · the outer product of two vectors. */
export function addr(input: Tensor, vec1: Tensor, vec2: Tensor, options: Scales = {}): Tensor {
  for (const name of ["beta", "alpha"] as const)
    if (![input, vec1, vec2].some((x) => x.dtype === "float32") && !Number.isInteger(options[name] ?? 1))
      throw new TensorError(
        "dtype",
        `For integral input tensors, argument ${name} must not be a floating point number.`,
      );
  return composed(() => scaled(input, outer(vec1, vec2), options, "AddrBackward0"));
}
/** beta · input + alpha · the sum of the products of two batches of matrices. */
export const addbmm = (input: Tensor, batch1: Tensor, batch2: Tensor, options: Scales = {}): Tensor =>
  composed(() => scaled(input, sum(bmm(batch1, batch2), 0), options, "AddbmmBackward0"));

/** The product of several matrices, in the cheapest order of two. */
export const chainMatmul = (...matrices: TensorList): Tensor => multiDot(listOf(matrices));

/**
 * The cross product of vectors of three elements along a dimension (the first of size 3).
 * @throws TensorError "no dimension of size 3 in input"
 */
export function cross(input: Tensor, other: Tensor, dim?: number | { dim?: number }): Tensor {
  const given = typeof dim === "object" ? dim.dim : dim;
  const found = given === undefined ? input.shape.indexOf(3) : normalizeDim(given, input.ndim);
  if (found < 0) throw new TensorError("shape", "no dimension of size 3 in input");
  if (input.shape[found] !== 3) {
    throw new TensorError(
      "shape",
      `linalg.cross: inputs dimension ${given} must have length 3. Got ${input.shape[found]} and ${other.shape[found]}`,
    );
  }
  if (input.ndim !== other.ndim) {
    throw new TensorError(
      "shape",
      `linalg.cross: inputs must have the same number of dimensions, got ${formatShape(input.shape)} and ${formatShape(other.shape)}`,
    );
  }
  return composed(() => {
    const part = (x: Tensor, i: number): Tensor => narrow(x, found, i % 3, 1);
    const component = (i: number): Tensor =>
      sub(mul(part(input, i + 1), part(other, i + 2)), mul(part(input, i + 2), part(other, i + 1)));
    return named(
      cat([component(0), component(1), component(2)], found),
      "LinalgCrossBackward0",
      input,
      other,
    );
  });
}

/** ‖input − other‖ₚ of all elements. */
export const dist = (input: Tensor, other: Tensor, p = 2): Tensor =>
  composed(() => norm(sub(input, other), p));

/** A batch of vectors times a batch of vectors, along the last dimension. */
export const vecdot = (x: Tensor, y: Tensor, dim = -1): Tensor => composed(() => sum(mul(x, y), dim));
