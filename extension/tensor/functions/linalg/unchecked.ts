// Decompositions that return a status for each matrix instead of throwing.
import { TensorError } from "../../core/errors.ts";
import { numel } from "../../core/shape.ts";
import { fromHost, type Tensor } from "../../core/tensor.ts";
import * as values from "../../ops/matrix/matrixValues.ts";
import { hasExecutor, valuesOf } from "../../planning/barrier.ts";
import { detached } from "../creation/conversion.ts";
import { eye } from "../creation/creation.ts";
import { add } from "../pointwise/arithmetic.ts";
import { eq, gt, where } from "../pointwise/elementwise.ts";
import { castTo, composed, composedAll } from "../pointwise/operands.ts";
import { amax } from "../reduction/reduction.ts";
import { argmax } from "../reduction/extremes.ts";
import { results, type Results } from "../results.ts";
import { diagonal } from "../shape/orientation.ts";
import { unsqueeze } from "../shape/shape.ts";
import { checkSquare, cholesky, inv, solve } from "./decompositions.ts";
import { luFactor } from "./lu.ts";

export interface CheckOptions {
  /** Whether a matrix without a result is an error. Default false. */
  checkErrors?: boolean;
}

/** Per matrix, the place where `find` finds a fault, or 0: reads the matrices now. */
function places(a: Tensor, find: (matrix: Float64Array, n: number) => number | undefined): Int32Array {
  const n = a.shape[a.ndim - 1]!;
  const found = new Int32Array(numel(a.shape.slice(0, -2)));
  if (!hasExecutor()) return found;
  const data = valuesOf(a.value);
  return found.map((_, i) => find(Float64Array.from(data.subarray(i * n * n, (i + 1) * n * n)), n) ?? 0);
}

/** @throws TensorError for the first matrix without a result */
function refuse(name: string, a: Tensor, found: Int32Array, text: (place: number) => string): void {
  const i = found.findIndex((place) => place > 0);
  if (i < 0) return;
  const which = a.ndim > 2 ? `(Batch element ${i}): ` : "";
  throw new TensorError("value", `${name}: ${which}${text(found[i]!)}`);
}

/** Results of the matrices that have one, NaN for the others. */
function ofOthers(
  a: Tensor,
  info: Tensor,
  found: Int32Array,
  result: (a: Tensor) => Tensor,
  columns = 2,
): Tensor {
  if (found.every((place) => place === 0)) return result(a);
  return composed(() => {
    const failed = unsqueeze(unsqueeze(gt(info, 0), -1), -1);
    const mask = columns === 2 ? failed : unsqueeze(gt(info, 0), -1);
    return where(mask, NaN, result(where(failed, eye(a.shape[a.ndim - 1]!), a)));
  });
}

const infoOf = (a: Tensor, found: Int32Array): Tensor => fromHost(found, a.shape.slice(0, -2), "int64");

/**
 * L of A = L Lᵀ [*, n, n], and `info` [*]: 0, or the order of A's first minor that is not positive definite; L is NaN then. Reads A now.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.cholesky_ex.html
 */
export function choleskyEx(
  a: Tensor,
  options: CheckOptions & { upper?: boolean } = {},
): Results<{ L: Tensor; info: Tensor }> {
  checkSquare("linalg.cholesky", a);
  const found = places(a, (matrix, n) => values.cholesky(matrix, n).failed);
  if (options.checkErrors === true) {
    refuse(
      "linalg.cholesky_ex",
      a,
      found,
      (order) =>
        `The factorization could not be completed because the input is not positive-definite (the leading minor of order ${order} is not positive-definite).`,
    );
  }
  const info = infoOf(a, found);
  const L = ofOthers(a, info, found, (x) => cholesky(x, options.upper ?? false));
  return results("linalg_cholesky_ex", { L, info });
}

/**
 * The inverse of square matrices [*, n, n], and `info` [*]: 0, or which of the pivots is 0; the inverse is NaN then. Reads A now.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.inv_ex.html
 */
export function invEx(a: Tensor, options: CheckOptions = {}): Results<{ inverse: Tensor; info: Tensor }> {
  checkSquare("linalg.inv", a);
  const found = places(a, values.zeroPivot);
  if (options.checkErrors === true) {
    refuse(
      "linalg.inv_ex",
      a,
      found,
      (place) =>
        `The diagonal element ${place} is zero, the inversion could not be completed because the input matrix is singular.`,
    );
  }
  const info = infoOf(a, found);
  return results("linalg_inv_ex", { inverse: ofOthers(a, info, found, inv), info });
}

/**
 * X of A X = B (of X A = B with `left` false) for A [*, n, n], and `info` [*]: 0, or which of A's pivots is 0; X is NaN then. Reads A now.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.solve_ex.html
 */
export function solveEx(
  a: Tensor,
  b: Tensor,
  options: CheckOptions & { left?: boolean } = {},
): Results<{ result: Tensor; info: Tensor }> {
  checkSquare("linalg.solve", a);
  const found = places(a, values.zeroPivot);
  if (options.checkErrors === true) {
    refuse(
      "torch.linalg.solve_ex",
      a,
      found,
      () => "The solver failed because the input matrix is singular.",
    );
  }
  const info = infoOf(a, found);
  const isVector = b.ndim === 1 || b.ndim === a.ndim - 1;
  const solved = (x: Tensor): Tensor => solve(x, b, { left: options.left ?? true });
  return results("linalg_solve_ex", { result: ofOthers(a, info, found, solved, isVector ? 1 : 2), info });
}

/**
 * The result of `linalg.luFactor`, and `info` [*]: 0, or which of the pivots is 0.
 * @throws TensorError "torch.linalg.lu_factor_ex: U[2,2] is zero and using it on lu_solve would result in a division by zero. …"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.lu_factor_ex.html
 */
export function luFactorEx(
  a: Tensor,
  options: CheckOptions & { pivot?: boolean } = {},
): Results<{ LU: Tensor; pivots: Tensor; info: Tensor }> {
  const { LU, pivots } = luFactor(a, { pivot: options.pivot ?? true });
  const [info] = composedAll(() => {
    const zero = castTo(eq(diagonal(detached(LU), { dim1: -2, dim2: -1 }), 0), "int64");
    return [where(gt(amax(zero, -1), 0), add(argmax(zero, -1), 1), 0)] as const;
  });
  if (options.checkErrors === true && hasExecutor()) {
    refuse(
      "torch.linalg.lu_factor_ex",
      a,
      Int32Array.from(valuesOf(info.value)),
      (place) =>
        `U[${place},${place}] is zero and using it on lu_solve would result in a division by zero. If you still want to perform the factorization, consider calling linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)`,
    );
  }
  return results("linalg_lu_factor_ex", { LU, pivots, info });
}
