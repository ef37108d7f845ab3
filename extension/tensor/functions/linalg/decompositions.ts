// Inverses, determinants and decompositions of matrices: the last two dimensions, all others being a batch.
import { detached } from "../creation/conversion.ts";
import { narrow } from "../shape/parts.ts";
import { copied } from "../shape/views.ts";
import { SCALAR_TYPE } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import * as factors from "../../ops/matrix/factors.ts";
import * as ops from "../../ops/matrix/matrices.ts";
import { broadcastShapes, formatShape, range } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { clamp, div, mul, pow, sub } from "../pointwise/arithmetic.ts";
import { eye, zeros } from "../creation/creation.ts";
import { abs, exp, gt, where } from "../pointwise/elementwise.ts";
import { matmul, mm } from "./linalg.ts";
import { composed, named } from "../pointwise/operands.ts";
import { valuesOf } from "../../planning/barrier.ts";
import { amax, sum } from "../reduction/reduction.ts";
import { results, type Results } from "../results.ts";
import { cat, expand, reshape, transpose, unsqueeze } from "../shape/shape.ts";
import { call } from "../../ops/expressions.ts";

export function checkMatrix(name: string, a: Tensor): void {
  checkDimensions(name, a);
  if (a.dtype !== "float32") {
    throw new TensorError(
      "dtype",
      `${name}: Expected a floating point or complex tensor as input. Got ${SCALAR_TYPE[a.dtype]}`,
    );
  }
}

function checkDimensions(name: string, { ndim }: Tensor): void {
  if (ndim < 2) {
    throw new TensorError("shape", `${name}: The input tensor A must have at least 2 dimensions.`);
  }
}

export function checkSquare(name: string, a: Tensor): void {
  checkMatrix(name, a);
  checkSides(name, a);
}

function checkSides(name: string, { shape }: Tensor): void {
  const [rows, columns] = shape.slice(-2);
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
 * X of A X = B, or of X A = B with `left` false; a vector B stands for one column, as does a batch of vectors.
 * @throws TensorError "linalg.solve: A must be batches of square matrices, but they are 2 by 3 matrices"
 */
export function solve(a: Tensor, b: Tensor, options: { left?: boolean } = {}): Tensor {
  checkSquare("linalg.solve", a);
  const turned = (x: Tensor): Tensor => transpose(x, -2, -1);
  if (options.left === false) return composed(() => turned(solve(turned(a), turned(b))));
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
  const l = call(factors.cholesky, a);
  return turned ? transpose(l, -2, -1) : l;
}

/** How much of a QR decomposition is wanted: Q of A's smaller side, a square Q, or R alone. */
export type QrMode = "reduced" | "complete" | "r";

/**
 * Orthonormal Q and upper triangular R with A = Q R. Q has as many columns as A's smaller side; with `mode` "complete" it is
 * square, with "r" it is empty.
 * @throws TensorError "qr received unrecognized mode 'full' but expected one of 'reduced' (default), 'r', or 'complete'"
 */
export function qr(a: Tensor, mode: QrMode | boolean = "reduced"): Results<{ Q: Tensor; R: Tensor }> {
  checkMatrix("linalg.qr", a);
  const wanted = mode === true ? "reduced" : mode === false ? "complete" : mode;
  if (!["reduced", "complete", "r"].includes(wanted))
    throw new TensorError(
      "value",
      `qr received unrecognized mode '${wanted}' but expected one of 'reduced' (default), 'r', or 'complete'`,
    );
  const [m, n] = a.shape.slice(-2) as [number, number];
  if (m < n && wanted !== "r") return results("linalg_qr", ofWide(a));
  const whole = wanted === "complete" && m > n;
  const [q, r] = ops.outputsOf(factors.qr, whole ? besideUnits(a) : a) as [Tensor, Tensor];
  const R = whole ? narrow(r, -1, 0, n) : r;
  return results("linalg_qr", { Q: wanted === "r" ? zeros(0) : q, R });
}

/** Q and R of matrices wider than high: Q is that of their left square, by which R has gradients. */
function ofWide(a: Tensor): { Q: Tensor; R: Tensor } {
  const [m, n] = a.shape.slice(-2) as [number, number];
  const [q, r] = ops.outputsOf(factors.qr, narrow(a, -1, 0, m)) as [Tensor, Tensor];
  const R = composed(() => cat([r, matmul(transpose(q, -2, -1), narrow(a, -1, m, n - m))], -1));
  return { Q: q, R };
}

/** [A I]. Its QR decomposition has A's in its first columns, and a square Q. */
function besideUnits(a: Tensor): Tensor {
  const m = a.shape[a.ndim - 2]!;
  return cat([a, expand(eye(m), [...a.shape.slice(0, -2), m, m])], -1);
}

/** The half of a symmetric matrix that is read: the lower ("L") or the upper one ("U"). */
export type Triangle = "L" | "U";

/** Eigenvalues (ascending) and eigenvectors, as columns and up to their signs, of symmetric matrices. */
export function eigh(
  a: Tensor,
  UPLO: Triangle = "L",
): Results<{ eigenvalues: Tensor; eigenvectors: Tensor }> {
  checkSquare("linalg.eigh", a);
  if (!["L", "U"].includes(UPLO.toUpperCase()))
    throw new TensorError("value", `Expected UPLO argument to be 'L' or 'U', but got ${UPLO}`);
  const lower = UPLO.toUpperCase() === "U" ? transpose(a, -2, -1) : a;
  const [eigenvalues, eigenvectors] = ops.outputsOf(ops.eigh, lower) as [Tensor, Tensor];
  return results("linalg_eigh", { eigenvalues, eigenvectors });
}

/** Eigenvalues of symmetric matrices, ascending. */
export const eigvalsh = (a: Tensor, UPLO: Triangle = "L"): Tensor => eigh(a, UPLO).eigenvalues;

/** U, S and V of A's smaller side. */
function thin(a: Tensor): [u: Tensor, s: Tensor, v: Tensor] {
  const [s, u, v] = ops.outputsOf(ops.svd, a) as [Tensor, Tensor, Tensor];
  return [u, s, v];
}

/** Completes orthonormal columns to a square matrix. The new ones are not unique, and have no gradient. */
function square(columns: Tensor): Tensor {
  const [m, k] = columns.shape.slice(-2) as [number, number];
  if (m <= k) return columns;
  const all = ops.outputsOf(factors.qr, besideUnits(detached(columns)))[0]!;
  return cat([columns, narrow(all, -1, k, m - k)], -1);
}

/**
 * U, S (descending) and Vᴴ with A = U diag(S) Vᴴ. U and Vᴴ are square; with `fullMatrices` false they have only the columns,
 * or rows, that belong to a singular value. These are known up to their signs, the others not at all: no gradient passes
 * through them.
 */
export function svd(
  a: Tensor,
  fullMatrices: boolean | { fullMatrices?: boolean } = true,
): Results<{ U: Tensor; S: Tensor; Vh: Tensor }> {
  checkMatrix("linalg.svd", a);
  const full = typeof fullMatrices === "boolean" ? fullMatrices : (fullMatrices.fullMatrices ?? true);
  const [u, S, v] = thin(a);
  const [U, V] = full ? [square(u), square(v)] : [u, v];
  return results("linalg_svd", { U, S, Vh: transpose(V, -2, -1) });
}

/** As `torch.linalg.svd`, with V in the place of Vᴴ; square U and V with `some` false. */
export function legacySvd(a: Tensor, some = true): Results<{ U: Tensor; S: Tensor; V: Tensor }> {
  const { U, S, Vh } = svd(a, !some);
  return results("svd", { U, S, V: transpose(Vh, -2, -1) });
}

/** Singular values, descending. */
export function svdvals(a: Tensor): Tensor {
  checkMatrix("linalg.svdvals", a);
  return thin(a)[1];
}

/** Threshold up to which singular values, or eigenvalues of symmetric (`hermitian`) matrices, count as 0. */
export interface RankOptions {
  /** Absolute threshold. Default 0. */
  atol?: number | null;
  /** Threshold relative to the largest. Default: the longer side times float32's step (1.2e-7), or 0 with `atol`. */
  rtol?: number | null;
  /** Whether A is symmetric: then the eigenvalues of its lower triangle are used. */
  hermitian?: boolean;
}

/** Mask of the singular values that don't count as 0. */
function kept(s: Tensor, a: Tensor, { atol, rtol }: RankOptions): Tensor {
  // The largest of none is not defined.
  if (s.shape[s.ndim - 1] === 0) return gt(s, 0);
  const whole = (atol ?? 0) > 0 ? 0 : Math.max(...a.shape.slice(-2)) * 2 ** -23;
  const bound = mul(amax(s, -1, true), rtol ?? whole);
  return gt(s, (atol ?? 0) > 0 ? clamp(bound, atol) : bound);
}

/** The pseudoinverse. */
export function pinv(a: Tensor, options: RankOptions = {}): Tensor {
  checkMatrix("linalg.pinv", a);
  return composed(() => {
    const [u, s, v] = options.hermitian === true ? symmetric(a) : thin(a);
    const used = kept(abs(s), a, options);
    const inverse = where(used, div(1, where(used, s, 1)), 0);
    return matmul(mul(v, unsqueeze(inverse, -2)), transpose(u, -2, -1));
  });
}

function symmetric(a: Tensor): [u: Tensor, s: Tensor, v: Tensor] {
  const { eigenvalues, eigenvectors } = eigh(a);
  return [eigenvectors, eigenvalues, eigenvectors];
}

/** `torch.linalg.pinv` that takes singular values below `rcond` times the largest for 0. */
export const pinverse = (input: Tensor, rcond = 1e-15): Tensor => pinv(input, { rtol: rcond });

/** The number of singular values that don't count as 0. */
export function matrixRank(a: Tensor, options: RankOptions = {}): Tensor {
  checkMatrix("linalg.matrix_rank", a);
  return composed(() =>
    sum(kept(options.hermitian === true ? abs(eigvalsh(a)) : svdvals(a), a, options), -1),
  );
}

/** LAPACK's drivers: they differ in what they answer beside the solution. */
const DRIVERS = ["gels", "gelsy", "gelsd", "gelss"] as const;

/**
 * X that minimises ‖A X − B‖, of all such X the shortest. Singular values up to `rcond` times the largest count as 0.
 *
 * As in PyTorch, the driver says what else there is: `rank` unless it is "gels"; `singularValues` from "gelsd" and "gelss";
 * `residuals`, the sums of squared errors, unless it is "gelsy" (the default), if A has more rows than columns and full rank.
 * What there isn't is empty.
 * @throws TensorError "torch.linalg.lstsq: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.linalg.lstsq.html
 */
export function lstsq(
  a: Tensor,
  b: Tensor,
  rcond?: number | null | { driver?: (typeof DRIVERS)[number] | null },
  options: { driver?: (typeof DRIVERS)[number] | null } = {},
): Results<{ solution: Tensor; residuals: Tensor; rank: Tensor; singularValues: Tensor }> {
  if (typeof rcond === "object" && rcond !== null) return lstsq(a, b, undefined, rcond);
  checkMatrix("torch.linalg.lstsq", a);
  const driver = options.driver ?? "gelsy";
  if (!DRIVERS.includes(driver))
    throw new TensorError(
      "value",
      "torch.linalg.lstsq: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)",
    );
  const [m, n] = a.shape.slice(-2) as [number, number];
  const rtol = rcond ?? Math.max(m, n) * 2 ** -23;
  const solution = composed(() => matmul(pinv(a, { rtol }), b));
  const rank = driver === "gels" ? zeros(0, { dtype: "int64" }) : matrixRank(detached(a), { rtol });
  const hasResiduals =
    m > n && driver !== "gelsy" && (driver === "gels" || valuesOf(rank.value).every((r) => r === n));
  const residuals = hasResiduals
    ? composed(() => sum(pow(sub(matmul(a, solution), b), 2), b.ndim === 1 ? 0 : -2))
    : zeros(0);
  const singularValues = driver === "gelsd" || driver === "gelss" ? svdvals(detached(a)) : zeros(0);
  return results("linalg_lstsq", { solution, residuals, rank, singularValues });
}

/** A to the power of n; the inverse to the power of −n for negative n. */
export function matrixPower(a: Tensor, n: number): Tensor {
  checkDimensions("linalg.matrix_power", a);
  checkSides("linalg.matrix_power", a);
  return composed(() => {
    if (n === 0) return expand(eye(a.shape[a.ndim - 1]!, null, { dtype: a.dtype }), a.shape);
    let [square, result] = [n < 0 ? inv(a) : a, undefined as Tensor | undefined];
    for (let rest = Math.abs(n); rest > 0; rest = Math.floor(rest / 2)) {
      if (rest % 2 === 1) result = result === undefined ? square : matmul(result, square);
      if (rest > 1) square = matmul(square, square);
    }
    return result === a ? copied(a) : result!;
  });
}

/** Product of several matrices, multiplied in the cheapest order. */
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
