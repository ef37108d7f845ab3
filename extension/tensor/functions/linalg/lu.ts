// LU decompositions with row exchanges.
import * as ops from "../../ops/matrix/lu.ts";
import { apply, applyAll } from "../../recording/apply.ts";
import { formatShape, normalizeDim, sameShape } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { TensorError } from "../../core/errors.ts";
import { arange, zeros } from "../creation/creation.ts";
import { add } from "../pointwise/arithmetic.ts";
import { eq, where } from "../pointwise/elementwise.ts";
import { castTo, composed } from "../pointwise/operands.ts";
import { results, type Results } from "../results.ts";
import { narrow } from "../shape/parts.ts";
import { transpose, unsqueeze } from "../shape/shape.ts";
import { solveTriangular, tril, triu } from "../shape/triangular.ts";
import { checkMatrix } from "./decompositions.ts";
import { matmul } from "./linalg.ts";

/**
 * L without its diagonal of ones and U, in one matrix, and for each row the row (counted from 1) it was swapped with.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.lu_factor.html
 */
export function luFactor(
  a: Tensor,
  options: { pivot?: boolean } = {},
): Results<{ LU: Tensor; pivots: Tensor }> {
  checkMatrix("torch.linalg.lu_factor", a);
  const [LU, pivots] = applyAll(ops.lu, [a], { pivot: options.pivot !== false }) as [Tensor, Tensor];
  return results("linalg_lu_factor", { LU, pivots });
}

/**
 * P, L and U with A = P L U, from the result of `linalg.luFactor`: L and U are empty without `unpackData`, P without
 * `unpackPivots`.
 * @throws TensorError "Expected LU_pivots to have shape [3] but got [2] instead."
 * @see https://docs.pytorch.org/docs/stable/generated/torch.lu_unpack.html
 */
export function luUnpack(
  LU: Tensor,
  pivots: Tensor,
  unpackData = true,
  unpackPivots = true,
): Results<{ P: Tensor; L: Tensor; U: Tensor }> {
  const [m, n] = LU.shape.slice(-2) as [number, number];
  const k = Math.min(m, n);
  const expected = [...LU.shape.slice(0, -2), k];
  if (unpackPivots && !sameShape(pivots.shape, expected))
    throw new TensorError(
      "shape",
      `Expected LU_pivots to have shape ${formatShape(expected)} but got ${formatShape(pivots.shape)} instead.`,
    );
  const exchanges = (): Tensor => {
    const order = apply(ops.pivotOrder, [pivots], { rows: m });
    return castTo(eq(unsqueeze(order, -2), unsqueeze(arange(m), -1)), "float32");
  };
  const lower = (): Tensor => {
    const unit = where(eq(unsqueeze(arange(m), -1), arange(k)), 1, 0);
    return add(tril(narrow(LU, -1, 0, k), -1), castTo(unit, "float32"));
  };
  const part = (wanted: boolean, make: () => Tensor): Tensor => (wanted ? composed(make) : zeros(0));
  const P = part(unpackPivots, exchanges);
  const L = part(unpackData, lower);
  const U = part(unpackData, () => triu(narrow(LU, -2, 0, k)));
  return results("lu_unpack", { P, L, U });
}

/**
 * P, L and U with A = P L U: a matrix of exchanges, a lower triangle with ones on the diagonal, an upper triangle.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.lu.html
 */
export function lu(
  a: Tensor,
  options: { pivot?: boolean } = {},
): Results<{ P: Tensor; L: Tensor; U: Tensor }> {
  const { LU, pivots } = luFactor(a, options);
  const { P, L, U } = luUnpack(LU, pivots);
  return results("linalg_lu", { P, L, U });
}

/**
 * X of A X = B (with `left` false of X A = B, with `adjoint` of Aᵀ X = B), from the result of `linalg.luFactor` for A.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.lu_solve.html
 */
export function luSolve(
  LU: Tensor,
  pivots: Tensor,
  b: Tensor,
  options: { left?: boolean; adjoint?: boolean } = {},
): Tensor {
  const { left = true, adjoint = false } = options;
  const n = LU.shape[normalizeDim(-1, LU.ndim)]!;
  if (LU.shape.at(-2) !== n)
    throw new TensorError(
      "shape",
      `torch.linalg.lu_solve: A must be batches of square matrices, but they are ${LU.shape.at(-2)} by ${n} matrices`,
    );
  if (pivots.shape.at(-1) !== n)
    throw new TensorError(
      "shape",
      "linalg.lu_solve: Number of pivots per batch should be same as the dimension of the matrix",
    );
  if (!sameShape(pivots.shape, LU.shape.slice(0, -1)))
    throw new TensorError(
      "shape",
      `linalg.lu_solve: Expected LU.shape[:-1] and pivots.shape to be the same, but got pivots with shape ${formatShape(pivots.shape)} instead`,
    );
  const turned = (x: Tensor): Tensor => transpose(x, -2, -1);
  return composed(() => {
    if (!left) return turned(luSolve(LU, pivots, turned(b), { adjoint: !adjoint }));
    const { P } = luUnpack(LU, pivots);
    if (adjoint) {
      const half = solveTriangular(turned(LU), b, { upper: false });
      return matmul(P, solveTriangular(turned(LU), half, { upper: true, unitriangular: true }));
    }
    const half = solveTriangular(LU, matmul(turned(P), b), { upper: false, unitriangular: true });
    return solveTriangular(LU, half, { upper: true });
  });
}

/**
 * X of A X = b, from the result of `linalg.luFactor` for A.
 * @deprecated in PyTorch: use `linalg.luSolve`.
 */
export const legacyLuSolve = (b: Tensor, LU: Tensor, pivots: Tensor): Tensor => luSolve(LU, pivots, b);
