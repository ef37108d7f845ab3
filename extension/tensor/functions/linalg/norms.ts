// Norms of vectors and matrices.
import { TensorError } from "../../core/errors.ts";
import { formatShape, normalizeDim } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { div, mul } from "../pointwise/arithmetic.ts";
import { abs } from "../pointwise/elementwise.ts";
import { composed } from "../pointwise/operands.ts";
import { optionsOf, type DimArgument, type KeepdimArgument } from "../reduction/options.ts";
import { amax, amin, norm as vectorNorm, sum, type NormOptions } from "../reduction/reduction.ts";
import { movedim, unsqueeze } from "../shape/shape.ts";
import { checkMatrix, checkSquare, inv, svdvals } from "./decompositions.ts";

export { vectorNorm };

export type MatrixOrder = "fro" | "nuc" | number;

/**
 * A norm of matrices in two dimensions (the last): Frobenius', the nuclear one, ±1 and ±Infinity of column and row sums, ±2 of
 * singular values.
 * @throws TensorError "linalg.matrix_norm: Order 3 not supported."
 */
export function matrixNorm(
  a: Tensor,
  ord: MatrixOrder = "fro",
  dim: readonly number[] = [-2, -1],
  keepdim = false,
): Tensor {
  checkMatrix("linalg.matrix_norm", a);
  const [row, column] = dim.map((d) => normalizeDim(d, a.ndim)) as [number, number];
  if (dim.length !== 2)
    throw new TensorError(
      "value",
      `linalg.matrix_norm: dim must be a 2-tuple. Got ${formatShape(dim).replace("[", "").replace("]", "")}`,
    );
  if (row === column)
    throw new TensorError("value", `linalg.matrix_norm: dims must be different. Got (${dim[0]}, ${dim[1]})`);
  if (ord === "fro") return vectorNorm(a, 2, [row, column], keepdim);
  return composed(() => {
    const result = ofMatrices(movedim(a, [row, column], [-2, -1]), ord);
    if (!keepdim) return result;
    return [row, column].sort((x, y) => x - y).reduce((x, d) => unsqueeze(x, d), result);
  });
}

function ofMatrices(a: Tensor, ord: Exclude<MatrixOrder, "fro">): Tensor {
  if (ord === "nuc") return sum(svdvals(a), -1);
  const extreme = ord > 0 ? amax : amin;
  if (Math.abs(ord) === 2) return extreme(svdvals(a), -1);
  if (Math.abs(ord) === 1) return extreme(sum(abs(a), -2), -1);
  if (Math.abs(ord) === Infinity) return extreme(sum(abs(a), -1), -1);
  throw new TensorError("value", `linalg.matrix_norm: Order ${ord} not supported.`);
}

/**
 * Without `ord` the 2-norm of all elements, or along `dim`. With it a vector norm of a vector or along one dimension, a matrix
 * norm of a matrix or of two dimensions.
 */
export function norm(
  a: Tensor,
  ord?: MatrixOrder | null,
  dim?: number | readonly number[] | null,
  keepdim = false,
): Tensor {
  if (ord === undefined || ord === null) return vectorNorm(a, 2, dim, keepdim);
  const over = typeof dim === "number" ? [dim] : (dim ?? undefined);
  if (over === undefined && a.ndim !== 1 && a.ndim !== 2)
    throw new TensorError(
      "shape",
      `linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got ${a.ndim}D.`,
    );
  if (typeof ord === "string" || (over?.length ?? a.ndim) === 2) return matrixNorm(a, ord, over, keepdim);
  return vectorNorm(a, ord, over, keepdim);
}

/** The ratio of the largest and the smallest singular value; with another norm `p`, ‖A‖ ‖A⁻¹‖. */
export function cond(a: Tensor, p: MatrixOrder | null = null): Tensor {
  checkMatrix("linalg.cond", a);
  if (p !== null && Math.abs(p as number) !== 2) {
    checkSquare("linalg.cond", a);
    return composed(() => mul(matrixNorm(a, p), matrixNorm(inv(a), p)));
  }
  return composed(() => {
    const s = svdvals(a);
    const [largest, smallest] = [amax(s, -1), amin(s, -1)];
    return p === -2 ? div(smallest, largest) : div(largest, smallest);
  });
}

/** `torch.norm`: (Σ|x|ᵖ)^(1/p) over dimensions; with `p` "nuc", the sum of the singular values of matrices. */
export function normOfAny(
  input: Tensor,
  p: number | "fro" | "nuc" | (Omit<NormOptions, "p"> & { p?: number | "fro" | "nuc" }) = 2,
  dim?: DimArgument,
  keepdim?: KeepdimArgument,
): Tensor {
  if (typeof p === "object") return normOfAny(input, p.p ?? 2, p);
  if (p !== "nuc") return vectorNorm(input, p, dim, keepdim);
  const over = optionsOf(dim, keepdim);
  const dims = typeof over.dim === "number" ? [over.dim] : (over.dim ?? [...input.shape.keys()]);
  return matrixNorm(input, p, dims, over.keepdim);
}
