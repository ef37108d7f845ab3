// Triangles of matrices, and equations whose matrix is triangular.
import { apply } from "../../recording/apply.ts";
import { ofFunction } from "../../recording/version.ts";
import { TensorError } from "../../core/errors.ts";
import { where } from "../../ops/elementwise/elementwise.ts";
import * as ops from "../../ops/matrix/triangular.ts";
import { broadcastShapes } from "../../core/shape.ts";
import { fromHost, type Tensor } from "../../core/tensor.ts";
import { add } from "../pointwise/arithmetic.ts";
import { eye } from "../creation/creation.ts";
import { composed, constant, named, notImplemented } from "../pointwise/operands.ts";
import { results, type Results } from "../results.ts";
import { expand, transpose } from "./shape.ts";
import { copied } from "./views.ts";
import { call } from "../../ops/expressions.ts";

/** The lower triangle (up to `diagonal` places above the main one), zeros elsewhere. */
export function tril(input: Tensor, diagonal = 0): Tensor {
  return triangle("tril", input, (row, columns) => [0, Math.min(columns, row + diagonal + 1)]);
}

/** The upper triangle (from `diagonal` places above the main one), zeros elsewhere. */
export function triu(input: Tensor, diagonal = 0): Tensor {
  return triangle("triu", input, (row, columns) => [Math.max(0, row + diagonal), columns]);
}

/** @param keptOf the first column of a row that is kept, and the one after the last */
function triangle(
  name: string,
  input: Tensor,
  keptOf: (row: number, columns: number) => readonly [number, number],
): Tensor {
  const { shape } = input;
  if (shape.length < 2) {
    throw new TensorError("shape", `${name}: input tensor must have at least 2 dimensions`);
  }
  const [rows, columns] = shape.slice(-2) as [number, number];
  const mask = new Uint8Array(rows * columns);
  for (let r = 0; r < rows; r++) {
    const [from, to] = keptOf(r, columns);
    if (from < to) mask.fill(1, r * columns + from, r * columns + to);
  }
  const kept = ofFunction(fromHost(mask, [rows, columns], "bool"));
  const gradient = name === "tril" ? "TrilBackward0" : "TriuBackward0";
  return named(call(where, kept, input, constant(0, input.dtype)), gradient);
}

export interface TriangularOptions {
  /** Whether A is an upper triangle; its other half counts as zeros. */
  upper: boolean;
  /** Solves A X = B by default; false: X A = B. */
  left?: boolean;
  /** Takes A's diagonal for ones. */
  unitriangular?: boolean;
}

const flipped = (x: Tensor): Tensor => transpose(x, -2, -1);

/**
 * X of A X = B for triangular A, of shape (…, n, n), and B of shape (…, n, k).
 * @throws TensorError "linalg.solve_triangular: Incompatible shapes of A and B for the equation AX = B (3x3 and 2x1)"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.solve_triangular.html
 */
export function solveTriangular(a: Tensor, b: Tensor, options: TriangularOptions): Tensor {
  const { upper, left = true, unitriangular = false } = options;
  for (const [name, x] of [
    ["A", a],
    ["B", b],
  ] as const)
    if (x.ndim < 2)
      throw new TensorError(
        "shape",
        `linalg.solve_triangular: The input tensor ${name} must have at least 2 dimensions.`,
      );
  const [rows, columns] = a.shape.slice(-2) as [number, number];
  if (rows !== columns)
    throw new TensorError(
      "shape",
      `linalg.solve_triangular: A must be batches of square matrices, but they are ${rows} by ${columns} matrices`,
    );
  if (b.shape.at(left ? -2 : -1) !== rows)
    throw new TensorError(
      "shape",
      `linalg.solve_triangular: Incompatible shapes of A and B for the equation ${left ? "AX = B" : "XA = B"} (${rows}x${rows} and ${b.shape.slice(-2).join("x")})`,
    );
  for (const { dtype } of [a, b]) if (dtype !== "float32") notImplemented("triangular_solve_cpu", dtype);
  return composed(() => {
    if (!left) return flipped(solveTriangular(flipped(a), flipped(b), { upper: !upper, unitriangular }));
    const triangle = unitriangular ? add((upper ? triu : tril)(a, upper ? 1 : -1), eye(rows)) : a;
    const batch = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2));
    const wide = (x: Tensor): Tensor => expand(x, [...batch, ...x.shape.slice(-2)]);
    return apply(ops.triangularSolve, [wide(triangle), wide(b)], { lower: !upper });
  });
}

/**
 * X of A X = b for triangular A, of Aᵀ X = b with `transpose`, and a copy of A.
 * @deprecated in PyTorch: use `linalg.solveTriangular`.
 * @throws TensorError "torch.triangular_solve: Expected b to have at least 2 dimensions, but it has 1 dimensions instead"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.triangular_solve.html
 */
export function triangularSolve(
  b: Tensor,
  A: Tensor,
  upper = true,
  transposed = false,
  unitriangular = false,
): Results<{ solution: Tensor; clonedCoefficient: Tensor }> {
  for (const [name, x] of [
    ["b", b],
    ["A", A],
  ] as const)
    if (x.ndim < 2)
      throw new TensorError(
        "shape",
        `torch.triangular_solve: Expected ${name} to have at least 2 dimensions, but it has ${x.ndim} dimensions instead`,
      );
  const [n, rows] = [A.shape[A.ndim - 2]!, b.shape[b.ndim - 2]!];
  if (n !== rows)
    throw new TensorError(
      "shape",
      `Incompatible matrix sizes for triangular_solve: each A matrix is ${n} by ${A.shape[A.ndim - 1]!} but each b matrix is ${b.shape.slice(-2).join(" by ")}`,
    );
  const solution = composed(() =>
    solveTriangular(transposed ? flipped(A) : A, b, { upper: upper !== transposed, unitriangular }),
  );
  return results("triangular_solve", { solution, clonedCoefficient: copied(A) });
}

/**
 * X of A X = B, where `L` is Cholesky's triangle of A: A = L Lᵀ, or with `upper` A = Lᵀ L.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.cholesky_solve.html
 */
export function choleskySolve(b: Tensor, L: Tensor, upper: boolean | { upper?: boolean } = false): Tensor {
  const isUpper = typeof upper === "boolean" ? upper : (upper.upper ?? false);
  return composed(() => {
    const lower = isUpper ? flipped(L) : L;
    const half = solveTriangular(lower, b, { upper: false });
    return solveTriangular(flipped(lower), half, { upper: true });
  });
}

/**
 * The inverse of A, where `L` is Cholesky's triangle of A.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.cholesky_inverse.html
 */
export function choleskyInverse(L: Tensor, upper: boolean | { upper?: boolean } = false): Tensor {
  return composed(() => choleskySolve(eye(L.shape[L.ndim - 1]!), L, upper));
}
