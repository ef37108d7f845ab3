// LU decompositions with row exchanges: composed of ops, so that gradients pass through the factors.
import { normalizeDim } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { TensorError } from "../../core/errors.ts";
import { detached } from "../creation/conversion.ts";
import { arange, eye, zeros } from "../creation/creation.ts";
import { gather } from "../indexing/gathering.ts";
import { add, div, mul, sub } from "../pointwise/arithmetic.ts";
import { abs, eq, ge, gt, logicalAnd, where } from "../pointwise/elementwise.ts";
import { castTo, composed, composedAll } from "../pointwise/operands.ts";
import { argmax } from "../reduction/extremes.ts";
import { results, type Results } from "../results.ts";
import { narrow } from "../shape/parts.ts";
import { cat, expand, transpose, unsqueeze } from "../shape/shape.ts";
import { solveTriangular, tril, triu } from "../shape/triangular.ts";
import { checkMatrix } from "./decompositions.ts";
import { matmul } from "./linalg.ts";

/** The order of rows after row k and row p [..., 1] changed places. */
function exchanged(n: number, k: number, p: Tensor): Tensor {
  const row = arange(n);
  return where(eq(row, k), p, where(eq(row, p), k, row));
}

const inOrder = (a: Tensor, order: Tensor): Tensor =>
  gather(a, -2, expand(unsqueeze(order, -1), [...order.shape, a.shape[a.ndim - 1]!]));

/**
 * L without its diagonal of ones and U, in one matrix, and for each row the row (counted from 1) it was swapped with.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.lu_factor.html
 */
export function luFactor(
  a: Tensor,
  options: { pivot?: boolean } = {},
): Results<{ LU: Tensor; pivots: Tensor }> {
  checkMatrix("torch.linalg.lu_factor", a);
  const [m, n] = a.shape.slice(-2) as [number, number];
  const pivots: Tensor[] = [];
  const parts = composedAll(() => {
    const [row, column] = [unsqueeze(arange(m), -1), arange(n)];
    let x = a;
    for (let k = 0; k < Math.min(m, n); k++) {
      if (options.pivot !== false) {
        const size = abs(narrow(detached(x), -1, k, 1));
        const p = argmax(where(ge(row, k), size, -1), -2);
        pivots.push(add(p, 1));
        x = inOrder(x, exchanged(m, k, p));
      }
      const below = gt(row, k);
      const [pivotRow, pivotColumn] = [narrow(x, -2, k, 1), narrow(x, -1, k, 1)];
      const pivot = narrow(pivotRow, -1, k, 1);
      // A column of zeros has nothing to eliminate.
      const factor = div(pivotColumn, where(eq(pivot, 0), 1, pivot));
      const rest = sub(x, mul(factor, pivotRow));
      x = where(logicalAnd(below, gt(column, k)), rest, where(logicalAnd(below, eq(column, k)), factor, x));
    }
    return [
      x,
      pivots.length === 0
        ? expand(add(arange(Math.min(m, n)), 1), [...a.shape.slice(0, -2), Math.min(m, n)])
        : cat(pivots, -1),
    ] as const;
  });
  return results("linalg_lu_factor", { LU: parts[0], pivots: parts[1] });
}

/** The order in which the exchanges of `pivots` leave m rows: [..., m]. */
function orderOf(pivots: Tensor, m: number): Tensor {
  let order = expand(arange(m), [...pivots.shape.slice(0, -1), m]);
  for (let k = 0; k < pivots.shape[pivots.ndim - 1]!; k++)
    order = gather(order, -1, exchanged(m, k, sub(narrow(pivots, -1, k, 1), 1)));
  return order;
}

/**
 * P, L and U with A = P L U, from the result of `linalg.luFactor`: L and U are empty without `unpackData`, P without
 * `unpackPivots`.
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
  const exchanges = (): Tensor => {
    const rows = inOrder(expand(eye(m), [...pivots.shape.slice(0, -1), m, m]), orderOf(pivots, m));
    return transpose(rows, -2, -1);
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
