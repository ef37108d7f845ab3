// Decompositions of matrices of low rank, by random projections: Halko, Martinsson and Tropp's algorithms 4.4 and 5.1.
import { TensorError } from "../../core/errors.ts";
import type { Tensor } from "../../core/tensor.ts";
import { randn } from "../creation/random.ts";
import { sub } from "../pointwise/arithmetic.ts";
import { composed, composedAll } from "../pointwise/operands.ts";
import { mean } from "../reduction/reduction.ts";
import { expand, transpose } from "../shape/shape.ts";
import { qr, svd } from "./decompositions.ts";
import { matmul } from "./linalg.ts";

const turned = (x: Tensor): Tensor => transpose(x, -2, -1);

/** Orthonormal columns that span nearly what the columns of A do. */
function basis(a: Tensor, q: number, niter: number): Tensor {
  let found = qr(matmul(a, randn(a.shape[a.ndim - 1]!, q))).Q;
  for (let i = 0; i < niter; i++) {
    found = qr(matmul(turned(a), found)).Q;
    found = qr(matmul(a, found)).Q;
  }
  return found;
}

/**
 * U, S and V with A ≈ U diag(S) Vᵀ (A − M with `M`), of about the rank `q`, which is best a little more than A's; `niter` rounds
 * improve it. Draws random numbers.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.svd_lowrank.html
 */
export function svdLowrank(
  A: Tensor,
  q?: number | null,
  niter?: number | null,
  M?: Tensor | null,
): [U: Tensor, S: Tensor, V: Tensor] {
  return composedAll(() => {
    const wide = A.shape[A.ndim - 2]! < A.shape[A.ndim - 1]!;
    const whole = M ? sub(A, expand(M, A.shape)) : A;
    const a = wide ? turned(whole) : whole;
    const Q = basis(a, q ?? 6, niter ?? 2);
    const { U: left, S, Vh } = svd(matmul(turned(Q), a), false);
    const [U, V] = [matmul(Q, left), turned(Vh)];
    return wide ? [V, S, U] : [U, S, V];
  });
}

/**
 * Principal components of the rows of A: U, S and V as {@link svdLowrank} of A without its mean. `q` is min(6, m, n) by default.
 * @throws TensorError "q(=5) must be non-negative integer and not greater than min(m, n)=2"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.pca_lowrank.html
 */
export function pcaLowrank(
  A: Tensor,
  q?: number | null,
  center = true,
  niter = 2,
): [U: Tensor, S: Tensor, V: Tensor] {
  const least = Math.min(...A.shape.slice(-2));
  const rank = q ?? Math.min(6, least);
  if (!(rank >= 0 && rank <= least)) {
    throw new TensorError(
      "value",
      `q(=${rank}) must be non-negative integer and not greater than min(m, n)=${least}`,
    );
  }
  if (!(niter >= 0)) throw new TensorError("value", `niter(=${niter}) must be non-negative integer`);
  return svdLowrank(center ? composed(() => sub(A, mean(A, -2, true))) : A, rank, niter);
}
