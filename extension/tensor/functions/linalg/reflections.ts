// Orthogonal matrices as products of Householder's reflections, I − τ v vᵀ, with LAPACK's signs.
import { TensorError } from "../../core/errors.ts";
import { range } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { detached } from "../creation/conversion.ts";
import { arange, eye, zeros } from "../creation/creation.ts";
import { add, div, mul, sub } from "../pointwise/arithmetic.ts";
import { eq, ge, gt, logicalAnd, neg, sqrt, square, where } from "../pointwise/elementwise.ts";
import { composed, composedAll } from "../pointwise/operands.ts";
import { sum } from "../reduction/reduction.ts";
import { results, type Results } from "../results.ts";
import { narrow } from "../shape/parts.ts";
import { cat, expand, reshape, transpose, unsqueeze } from "../shape/shape.ts";

const turned = (x: Tensor): Tensor => transpose(x, -2, -1);

/** x with a reflection applied to its columns. */
const reflected = (x: Tensor, v: Tensor, tau: Tensor): Tensor =>
  sub(x, mul(mul(tau, v), sum(mul(v, x), -2, true)));

/**
 * R in the upper triangle, and below it the vectors of the reflections whose product is Q, of A = Q R [*, m, n]; and their
 * factors `tau` [*, min(m, n)]. No gradient passes.
 * @throws TensorError "torch.geqrf: input must have at least 2 dimensions."
 * @see https://docs.pytorch.org/docs/stable/generated/torch.geqrf.html
 */
export function geqrf(input: Tensor): Results<{ a: Tensor; tau: Tensor }> {
  if (input.ndim < 2) throw new TensorError("shape", "torch.geqrf: input must have at least 2 dimensions.");
  const [m, n] = input.shape.slice(-2) as [number, number];
  const count = Math.min(m, n);
  const [a, tau] = composedAll(() => {
    const [row, column] = [unsqueeze(arange(m), -1), arange(n)];
    const taus: Tensor[] = [];
    let x = detached(input);
    for (let k = 0; k < count; k++) {
      const [own, below] = [narrow(x, -1, k, 1), gt(row, k)];
      const head = narrow(own, -2, k, 1);
      const tail = sum(where(below, square(own), 0), -2, true);
      const length = sqrt(add(square(head), tail));
      const beta = where(ge(head, 0), neg(length), length);
      const done = eq(tail, 0);
      const factor = where(done, 0, div(sub(beta, head), where(done, 1, beta)));
      const v = where(below, div(own, where(done, 1, sub(head, beta))), where(eq(row, k), 1, 0));
      const next = where(ge(column, k), reflected(x, v, factor), x);
      x = where(logicalAnd(below, eq(column, k)), v, next);
      taus.push(reshape(factor, [...x.shape.slice(0, -2), 1]));
    }
    return [x, count === 0 ? zeros([...x.shape.slice(0, -2), 0]) : cat(taus, -1)] as const;
  });
  return results("geqrf", { a, tau });
}

/** x with the reflections of `geqrf` applied in the order of their product, or in the opposite one. */
function applied(input: Tensor, tau: Tensor, x: Tensor, opposite: boolean): Tensor {
  const row = unsqueeze(arange(input.shape[input.ndim - 2]!), -1);
  const order = range(tau.shape[tau.ndim - 1]!);
  if (!opposite) order.reverse();
  return order.reduce((y, k) => {
    const v = where(gt(row, k), narrow(input, -1, k, 1), where(eq(row, k), 1, 0));
    return reflected(y, v, unsqueeze(narrow(tau, -1, k, 1), -1));
  }, x);
}

/**
 * The first n columns of the product of reflections, whose vectors are below the diagonal of A [*, m, n].
 * @throws TensorError "torch.linalg.householder_product: input.shape[-2] must be greater than or equal to input.shape[-1]"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.householder_product.html
 */
export function householderProduct(a: Tensor, tau: Tensor): Tensor {
  const name = "torch.linalg.householder_product";
  if (a.ndim < 2) throw new TensorError("shape", `${name}: input must have at least 2 dimensions.`);
  const [m, n] = a.shape.slice(-2) as [number, number];
  if (m < n) {
    throw new TensorError(
      "shape",
      `${name}: input.shape[-2] must be greater than or equal to input.shape[-1]`,
    );
  }
  if (n < tau.shape[tau.ndim - 1]!) {
    throw new TensorError("shape", `${name}: input.shape[-1] must be greater than or equal to tau.shape[-1]`);
  }
  const batch = a.shape.slice(0, -2);
  return composed(() => applied(a, tau, expand(eye(m, n), [...batch, m, n]), false));
}

/**
 * Q times `other` [*, m, k], or `other` [*, k, m] times Q with `left` false, for the product Q of the reflections that
 * {@link geqrf} returns; Qᵀ with `transpose`.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.ormqr.html
 */
export function ormqr(input: Tensor, tau: Tensor, other: Tensor, left = true, transposed = false): Tensor {
  return composed(() => {
    if (!left) return turned(applied(input, tau, turned(other), !transposed));
    return applied(input, tau, other, transposed);
  });
}
