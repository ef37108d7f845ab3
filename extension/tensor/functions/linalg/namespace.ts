// Functions of torch.linalg, where some differ from those of torch of the same name.
import type { Tensor } from "../../core/tensor.ts";
import { composed } from "../pointwise/operands.ts";
import { reshape } from "../shape/shape.ts";
import { cross as crossOf, vecdot as vecdotOf } from "./products.ts";
import { diagonal as diagonalOf, vander as vanderOf, type DiagonalOptions } from "../shape/orientation.ts";

export {
  cholesky,
  det,
  eigh,
  eigvalsh,
  inv,
  lstsq,
  matrixPower,
  matrixRank,
  multiDot,
  pinv,
  qr,
  slogdet,
  solve,
  svd,
  svdvals,
} from "./decompositions.ts";
export { lu, luFactor, luSolve } from "./lu.ts";
export { eig, eigvals, matrixExp, tensorinv, tensorsolve } from "./matrixFunctions.ts";
export { cond, matrixNorm, norm, vectorNorm } from "./norms.ts";
export { choleskyEx, invEx, luFactorEx, solveEx } from "./unchecked.ts";
export { householderProduct } from "./reflections.ts";
export { solveTriangular } from "../shape/triangular.ts";
export { matmul } from "./linalg.ts";

/** Diagonals of matrices, which are the last two dimensions unless `dim1` and `dim2` say otherwise; a view. */
export const diagonal = (a: Tensor, options: DiagonalOptions = {}): Tensor =>
  diagonalOf(a, { dim1: -2, dim2: -1, ...options });

/** The cross product of vectors of three elements along a dimension, the last by default. */
export const cross = (input: Tensor, other: Tensor, dim: number | { dim?: number } = -1): Tensor =>
  crossOf(input, other, dimOf(dim));

/** A batch of vectors times a batch of vectors, along the last dimension by default. */
export const vecdot = (x: Tensor, y: Tensor, dim: number | { dim?: number } = -1): Tensor =>
  vecdotOf(x, y, dimOf(dim));

const dimOf = (dim: number | { dim?: number }): number => (typeof dim === "number" ? dim : (dim.dim ?? -1));

/** The matrices of powers xʲ for j from 0 to N − 1; N is the length of x's last dimension by default. */
export const vander = (x: Tensor, options: { N?: number | null } = {}): Tensor =>
  composed(() => {
    const n = options.N ?? x.shape.at(-1) ?? 1;
    return reshape(vanderOf(reshape(x, [-1]), n, true), [...(x.ndim === 0 ? [1] : x.shape), n]);
  });
