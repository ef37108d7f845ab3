// Inverses, determinants and decompositions of matrices: the last two dimensions, all others being a batch.
import { copied } from "../shape/views.ts";
import { SCALAR_TYPE } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import * as ops from "../../ops/matrix/matrices.ts";
import { broadcastShapes, formatShape, range } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { div, mul } from "../pointwise/arithmetic.ts";
import { eye } from "../creation/creation.ts";
import { abs, exp, gt, where } from "../pointwise/elementwise.ts";
import { matmul, mm } from "./linalg.ts";
import { composed, named } from "../pointwise/operands.ts";
import { amax, amin, norm as vectorNorm, sum } from "../reduction/reduction.ts";
import { results, type Results } from "../results.ts";
import { expand, reshape, transpose, unsqueeze } from "../shape/shape.ts";
import { call } from "../../ops/expressions.ts";

function checkMatrix(name: string, a: Tensor): void {
  if (a.ndim < 2) {
    throw new TensorError("shape", `${name}: The input tensor A must have at least 2 dimensions.`);
  }
  if (a.dtype !== "float32") {
    throw new TensorError(
      "dtype",
      `${name}: Expected a floating point or complex tensor as input. Got ${SCALAR_TYPE[a.dtype]}`,
    );
  }
}

function checkSquare(name: string, a: Tensor): void {
  checkMatrix(name, a);
  const [rows, columns] = a.shape.slice(-2);
  if (rows !== columns) {
    throw new TensorError(
      "shape",
      `${name}: A must be batches of square matrices, but they are ${rows} by ${columns} matrices`,
    );
  }
}

/**
 * The inverse of square matrices.
 * @throws TensorError "linalg.inv: A must be batches of square matrices, but they are 2 by 3 matrices"
 */
export function inv(a: Tensor): Tensor {
  checkSquare("linalg.inv", a);
  return call(ops.inverse, a);
}

/** Sign and logarithm of the size of the determinant. */
export function slogdet(a: Tensor): Results<{ sign: Tensor; logabsdet: Tensor }> {
  checkSquare("linalg.slogdet", a);
  const [logabsdet, sign] = ops.outputsOf(ops.logDeterminant, a) as [Tensor, Tensor];
  return results("linalg_slogdet", { sign, logabsdet });
}

/** The determinant. */
export function det(a: Tensor): Tensor {
  checkSquare("linalg.det", a);
  return composed(() => {
    const { sign, logabsdet } = slogdet(a);
    return named(mul(sign, exp(logabsdet)), "LinalgDetBackward0");
  });
}

/** The logarithm of the determinant; NaN where that is negative. */
export function logdet(a: Tensor): Tensor {
  checkSquare("logdet", a);
  return composed(() => {
    const { sign, logabsdet } = slogdet(a);
    return where(gt(sign, -1), logabsdet, NaN);
  });
}

/**
 * X of A X = B; a vector B stands for one column, as does a batch of vectors.
 * @throws TensorError "linalg.solve: A must be batches of square matrices, but they are 2 by 3 matrices"
 */
export function solve(a: Tensor, b: Tensor): Tensor {
  checkSquare("linalg.solve", a);
  const batch = a.shape.slice(0, -2);
  const isVector =
    b.ndim === 1 || (a.ndim - 1 === b.ndim && formatShape(a.shape.slice(0, -1)) === formatShape(b.shape));
  const n = a.shape[a.ndim - 1]!;
  return composed(() => {
    const columns = isVector ? unsqueeze(b, -1) : b;
    if (columns.shape[columns.ndim - 2] !== n) {
      throw new TensorError(
        "shape",
        `linalg.solve: Incompatible shapes of A and B for the equation AX = B (${n}x${n} and ${columns.shape.slice(-2).join("x")})`,
      );
    }
    const common = broadcastShapes(batch, columns.shape.slice(0, -2));
    const wide = (x: Tensor): Tensor => expand(x, [...common, ...x.shape.slice(-2)]);
    const x = call(ops.solve, wide(a), wide(columns));
    return isVector ? reshape(x, x.shape.slice(0, -1)) : x;
  });
}

/** L of A = L Lᵀ for positive definite A; its transpose with `upper`. */
export function cholesky(a: Tensor, upper: boolean | { upper?: boolean } = false): Tensor {
  checkSquare("linalg.cholesky", a);
  const turned = typeof upper === "boolean" ? upper : (upper.upper ?? false);
  const l = call(ops.cholesky, a);
  return turned ? transpose(l, -2, -1) : l;
}

/** Orthonormal Q and upper triangular R with A = Q R, with as many columns of Q as A's smaller side. */
export function qr(a: Tensor): Results<{ Q: Tensor; R: Tensor }> {
  checkMatrix("linalg.qr", a);
  const [Q, R] = ops.outputsOf(ops.qr, a) as [Tensor, Tensor];
  return results("linalg_qr", { Q, R });
}

/** Eigenvalues (ascending) and eigenvectors, as columns and up to their signs, of symmetric matrices. */
export function eigh(a: Tensor): Results<{ eigenvalues: Tensor; eigenvectors: Tensor }> {
  checkSquare("linalg.eigh", a);
  const [eigenvalues, eigenvectors] = ops.outputsOf(ops.eigh, a) as [Tensor, Tensor];
  return results("linalg_eigh", { eigenvalues, eigenvectors });
}

/** Eigenvalues of symmetric matrices, ascending. */
export const eigvalsh = (a: Tensor): Tensor => eigh(a).eigenvalues;

/**
 * U, S (descending) and Vᴴ with A = U diag(S) Vᴴ, of A's smaller side; vectors are known up to their signs. Gradients pass
 * through S only. PyTorch's `full_matrices` is false here.
 * @throws TensorError for `fullMatrices`
 */
export function svd(
  a: Tensor,
  fullMatrices: boolean | { fullMatrices?: boolean } = false,
): Results<{ U: Tensor; S: Tensor; Vh: Tensor }> {
  checkMatrix("linalg.svd", a);
  if (typeof fullMatrices === "boolean" ? fullMatrices : fullMatrices.fullMatrices === true)
    throw new TensorError(
      "value",
      "linalg.svd: full_matrices=True is not supported: pass { fullMatrices: false }",
    );
  const [S, U, v] = ops.outputsOf(ops.svd, a) as [Tensor, Tensor, Tensor];
  return results("linalg_svd", { U, S, Vh: transpose(v, -2, -1) });
}

/** Singular values, descending. */
export const svdvals = (a: Tensor): Tensor => svd(a).S;

/** Singular values that count: those above rtol (the longer side times float32's step) of the largest. */
function kept(s: Tensor, a: Tensor, rtol: number | undefined): Tensor {
  const tolerance = rtol ?? Math.max(...a.shape.slice(-2)) * 2 ** -23;
  return gt(s, mul(amax(s, -1, true), tolerance));
}

/** The pseudoinverse. */
export function pinv(a: Tensor, options: { rtol?: number } = {}): Tensor {
  checkMatrix("linalg.pinv", a);
  return composed(() => {
    const { U, S, Vh } = svd(a);
    const used = kept(S, a, options.rtol);
    const inverse = where(used, div(1, where(used, S, 1)), 0);
    return matmul(mul(transpose(Vh, -2, -1), unsqueeze(inverse, -2)), transpose(U, -2, -1));
  });
}

/** `torch.linalg.pinv` that takes singular values below `rcond` times the largest for 0. */
export const pinverse = (input: Tensor, rcond = 1e-15): Tensor => pinv(input, { rtol: rcond });

/** The number of singular values that count. */
export function matrixRank(a: Tensor, options: { rtol?: number } = {}): Tensor {
  return composed(() => sum(kept(svdvals(a), a, options.rtol), -1));
}

/** X that makes ‖A X − B‖ smallest, of all such X the shortest. */
export function lstsq(a: Tensor, b: Tensor): { solution: Tensor } {
  return { solution: composed(() => matmul(pinv(a), b)) };
}

/** A multiplied by itself n times; of the inverse for negative n. */
export function matrixPower(a: Tensor, n: number): Tensor {
  checkSquare("linalg.matrix_power", a);
  return composed(() => {
    if (n === 0) return expand(eye(a.shape[a.ndim - 1]!), a.shape);
    let [square, result] = [n < 0 ? inv(a) : a, undefined as Tensor | undefined];
    for (let rest = Math.abs(n); rest > 0; rest = Math.floor(rest / 2)) {
      if (rest % 2 === 1) result = result === undefined ? square : matmul(result, square);
      if (rest > 1) square = matmul(square, square);
    }
    return result === a ? copied(a) : result!;
  });
}

/** Products of several matrices, in the cheapest order of two. */
export function multiDot(tensors: readonly Tensor[]): Tensor {
  const sizes = [tensors[0]!.shape[0]!, ...tensors.map((x) => x.shape[1]!)];
  const best = new Map<string, { cost: number; product: () => Tensor }>();
  const plan = (from: number, to: number): { cost: number; product: () => Tensor } => {
    if (from === to) return { cost: 0, product: () => tensors[from]! };
    const key = `${from}:${to}`;
    const known = best.get(key);
    if (known !== undefined) return known;
    const choices = range(to - from).map((i) => {
      const [left, right] = [plan(from, from + i), plan(from + i + 1, to)];
      const cost = left.cost + right.cost + sizes[from]! * sizes[from + i + 1]! * sizes[to + 1]!;
      return { cost, product: () => mm(left.product(), right.product()) };
    });
    const choice = choices.reduce((a, b) => (b.cost < a.cost ? b : a));
    best.set(key, choice);
    return choice;
  };
  return composed(() => plan(0, tensors.length - 1).product());
}

export type MatrixOrder = "fro" | "nuc" | number;

/** A norm of matrices: Frobenius', the nuclear one, ±1 and ±Infinity of column and row sums, ±2 of singular values. */
export function matrixNorm(a: Tensor, ord: MatrixOrder = "fro"): Tensor {
  checkMatrix("linalg.matrix_norm", a);
  return composed(() => {
    if (ord === "fro") return vectorNorm(a, 2, [-2, -1]);
    if (ord === "nuc") return sum(svdvals(a), -1);
    const extreme = ord > 0 ? amax : amin;
    if (Math.abs(ord) === 2) return extreme(svdvals(a), -1);
    if (Math.abs(ord) === 1) return extreme(sum(abs(a), -2), -1);
    if (Math.abs(ord) === Infinity) return extreme(sum(abs(a), -1), -1);
    throw new TensorError("value", `linalg.matrix_norm: Order ${ord} not supported.`);
  });
}

/** Of a vector its 2-norm, or another; of a matrix with `ord` a matrix norm. */
export function norm(a: Tensor, ord?: MatrixOrder | null, dim?: number | readonly number[] | null): Tensor {
  if (ord === undefined || ord === null) return vectorNorm(a, 2, dim);
  if (typeof ord === "string" || (a.ndim === 2 && (dim === undefined || dim === null)))
    return matrixNorm(a, ord);
  return vectorNorm(a, ord, dim);
}

/** The ratio of the largest and the smallest singular value. */
export function cond(a: Tensor): Tensor {
  return composed(() => {
    const s = svdvals(a);
    return div(amax(s, -1), amin(s, -1));
  });
}
