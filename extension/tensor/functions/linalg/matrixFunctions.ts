// Functions of matrices, and equations between tensors of more dimensions.
import { TensorError } from "../../core/errors.ts";
import { normalizeDim, numel, range } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { valuesOf } from "../../planning/barrier.ts";
import { detached } from "../creation/conversion.ts";
import { eye } from "../creation/creation.ts";
import { add, div, mul } from "../pointwise/arithmetic.ts";
import { composed } from "../pointwise/operands.ts";
import { expand, movedim, reshape } from "../shape/shape.ts";
import { checkSquare, inv, solve } from "./decompositions.ts";
import { matmul } from "./linalg.ts";
import { matrixNorm } from "./norms.ts";

/** Terms of the series for a matrix of a norm up to 1/2: the next one is below 1e-8. */
const TERMS = 8;

/**
 * e to the power of square matrices: Σ Aᵏ / k!. Reads their norm now, and halves them until the series is short.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.matrix_exp.html
 */
export function matrixExp(a: Tensor): Tensor {
  checkSquare("linalg.matrix_exp", a);
  if (a.numel() === 0) return add(a, 0);
  const largest = Math.max(...valuesOf(matrixNorm(detached(a), 1).value));
  const halvings = largest > 0.5 && largest < Infinity ? Math.ceil(Math.log2(largest / 0.5)) : 0;
  return composed(() => {
    const x = halvings === 0 ? a : mul(a, 2 ** -halvings);
    const one = expand(eye(a.shape[a.ndim - 1]!), a.shape);
    let result = add(one, div(x, TERMS));
    for (let k = TERMS - 1; k > 0; k--) result = add(one, div(matmul(x, result), k));
    for (let i = 0; i < halvings; i++) result = matmul(result, result);
    return result;
  });
}

/**
 * The tensor X for which tensordot(X, A) is the identity, where A's first `ind` dimensions have as many elements as the others.
 * @throws TensorError "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got 4 != 6"
 */
export function tensorinv(a: Tensor, ind = 2): Tensor {
  if (!(ind > 0))
    throw new TensorError("value", `Expected a strictly positive integer for 'ind', but got ${ind}`);
  const [first, last] = [a.shape.slice(0, ind), a.shape.slice(ind)];
  if (numel(first) !== numel(last))
    throw new TensorError(
      "shape",
      `Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got ${numel(last)} != ${numel(first)}`,
    );
  return composed(() => reshape(inv(reshape(a, [numel(first), numel(last)])), [...last, ...first]));
}

/** X for which tensordot(A, X) is B; `dims` of A are moved to its end first. */
export function tensorsolve(a: Tensor, b: Tensor, dims?: readonly number[] | null): Tensor {
  return composed(() => {
    const moved = dims
      ? movedim(
          a,
          dims.map((d) => normalizeDim(d, a.ndim)),
          range(dims.length).map((i) => a.ndim - dims.length + i),
        )
      : a;
    const shape = moved.shape.slice(b.ndim);
    if (numel(shape) !== b.numel())
      throw new TensorError(
        "shape",
        `Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), but got ${numel(shape)} != ${numel(moved.shape.slice(0, b.ndim))}`,
      );
    return reshape(solve(reshape(moved, [b.numel(), numel(shape)]), reshape(b, [b.numel()])), shape);
  });
}

function complex(name: string, symmetric: string): never {
  throw new TensorError(
    "dtype",
    `linalg.${name}: complex numbers are not supported`,
    `symmetric matrices have real eigenvalues: use torch.linalg.${symmetric}`,
  );
}

/** @throws TensorError: eigenvalues of matrices that are not symmetric are complex */
export const eig = (_a: Tensor): never => complex("eig", "eigh");
/** @throws TensorError: eigenvalues of matrices that are not symmetric are complex */
export const eigvals = (_a: Tensor): never => complex("eigvals", "eigvalsh");
