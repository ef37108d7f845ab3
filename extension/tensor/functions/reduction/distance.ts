// Distances and angles between vectors.
import { apply } from "../../recording/apply.ts";
import { SCALAR_TYPE } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import * as elementwise from "../../ops/elementwise/elementwise.ts";
import { indexSelect } from "../../ops/movement/indexing.ts";
import { matmul } from "../../ops/matrix/matmul.ts";
import { permute } from "../../ops/movement/movement.ts";
import { broadcastShapes, range } from "../../core/shape.ts";
import { fromHost, type Tensor } from "../../core/tensor.ts";
import { add, maximum, mul, sub } from "../pointwise/arithmetic.ts";
import { detached } from "../creation/conversion.ts";
import { div } from "../pointwise/arithmetic.ts";
import { composed, constant, named, toFloat } from "../pointwise/operands.ts";
import { resultType } from "../pointwise/promotion.ts";
import { stepOf } from "../pointwise/slopes.ts";
import { norm, sum } from "./reduction.ts";
import { expand } from "../shape/shape.ts";
import { reshaped } from "../shape/views.ts";
import { call } from "../../ops/expressions.ts";

/**
 * The cosine of the angle between vectors along `dim`: x₁ · x₂ / (max(‖x₁‖, eps) · max(‖x₂‖, eps)). Shapes broadcast.
 * @throws TensorError "expected common dtype to be floating point, yet common dtype is Long"
 */
export function cosineSimilarity(
  x1: Tensor,
  x2: Tensor,
  dim: number | { dim?: number; eps?: number } = 1,
  eps = 1e-8,
): Tensor {
  if (typeof dim === "object") return cosineSimilarity(x1, x2, dim.dim ?? 1, dim.eps ?? 1e-8);
  const dtype = resultType(x1, x2);
  if (dtype !== "float32") {
    throw new TensorError(
      "dtype",
      `expected common dtype to be floating point, yet common dtype is ${SCALAR_TYPE[dtype]}`,
    );
  }
  const shape = broadcastShapes(x1.shape, x2.shape);
  return composed(() => {
    const unit = (x: Tensor): Tensor => {
      const wide = expand(toFloat(x), shape);
      return div(wide, atLeast(norm(wide, 2, dim, true), eps));
    };
    return named(sum(mul(unit(x1), unit(x2)), dim), "SumBackward1");
  });
}

/** max(x, bound), through which the gradient passes as if there were no bound: as PyTorch clamps in place. */
function atLeast(x: Tensor, bound: number): Tensor {
  return add(x, detached(maximum(sub(bound, x), 0)));
}

/** ‖x₁ − x₂ + eps‖ₚ over the last dimension. Shapes broadcast. */
export function pairwiseDistance(
  x1: Tensor,
  x2: Tensor,
  p: number | { p?: number; eps?: number; keepdim?: boolean } = 2,
  eps = 1e-6,
  keepdim = false,
): Tensor {
  if (typeof p === "object") {
    return pairwiseDistance(x1, x2, p.p ?? 2, p.eps ?? 1e-6, p.keepdim ?? false);
  }
  return composed(() => norm(add(sub(x1, x2), eps), p, -1, keepdim));
}

function checkPower(name: string, p: number): void {
  if (!(p >= 0)) throw new TensorError("value", `${name} only supports non-negative p values`);
}

/**
 * The p-norm of differences over the last dimension. With p 0, one that is NaN is not counted, but makes the length NaN;
 * with p infinity, `cdist` passes it over.
 */
function lengthOf(differences: Tensor, p: number, passNaN = false): Tensor {
  const { where, isnan, eq } = elementwise;
  if (p === 0) {
    const one = call(where, call(eq, differences, constant(0)), constant(0), constant(1));
    const each = call(where, call(isnan, differences), constant(NaN), one);
    return stepOf(sum(each, -1), sum(differences, -1));
  }
  if (p !== Infinity || !passNaN) return norm(differences, p, -1);
  return norm(call(where, call(isnan, differences), constant(0), differences), p, -1);
}

/**
 * p-norm distances between all pairs of rows of a matrix [N, M], as a vector of N (N − 1) / 2: (0, 1), (0, 2), ….
 * @throws TensorError "pdist only supports 2D tensors, got: 1D"
 */
export function pdist(input: Tensor, p: number | { p?: number } = 2): Tensor {
  const power = typeof p === "object" ? (p.p ?? 2) : p;
  if (input.ndim !== 2) {
    throw new TensorError("shape", `pdist only supports 2D tensors, got: ${input.ndim}D`);
  }
  if (input.dtype !== "float32") {
    throw new TensorError("dtype", "pdist only supports floating-point dtypes");
  }
  checkPower("pdist", power);
  const n = input.shape[0]!;
  const count = (n * (n - 1)) / 2;
  const [firsts, seconds] = [new Int32Array(count), new Int32Array(count)];
  for (let i = 0, at = 0; i < n; i++)
    for (let k = i + 1; k < n; k++, at++) {
      firsts[at] = i;
      seconds[at] = k;
    }
  return composed(() => {
    const side = (rows: Int32Array): Tensor =>
      apply(indexSelect, [input, fromHost(rows, [count], "int64")], { dim: 0 });
    const result = lengthOf(sub(side(firsts), side(seconds)), power);
    return named(result, "PdistBackward0", input, result);
  });
}

/** How `cdist` computes Euclidean distances: by differences, or by |x|² + |y|² − 2xy, which is faster but less exact. */
export type CdistMode =
  | "use_mm_for_euclid_dist_if_necessary"
  | "use_mm_for_euclid_dist"
  | "donot_use_mm_for_euclid_dist";

export interface CdistOptions {
  p?: number;
  /** By default the product is used where either side has more than 25 rows. */
  computeMode?: CdistMode;
}

const MODES: readonly string[] = [
  "use_mm_for_euclid_dist_if_necessary",
  "use_mm_for_euclid_dist",
  "donot_use_mm_for_euclid_dist",
];

/**
 * p-norm distances between each row of one matrix and each of another: [B…, P, M] and [B…, R, M] make [B…, P, R].
 * @throws TensorError "X1 and X2 must have the same number of columns. X1: 2 X2: 3"
 */
export function cdist(x1: Tensor, x2: Tensor, p: number | CdistOptions = 2, options?: CdistOptions): Tensor {
  if (typeof p === "object") return cdist(x1, x2, p.p ?? 2, p);
  const mode = options?.computeMode ?? "use_mm_for_euclid_dist_if_necessary";
  if (!MODES.includes(mode)) {
    throw new TensorError("value", `${mode} is not a valid value for compute_mode`);
  }
  for (const [name, x] of [["X1", x1] as const, ["X2", x2] as const]) {
    if (x.ndim < 2) {
      throw new TensorError("shape", `cdist only supports at least 2D tensors, ${name} got: ${x.ndim}D`);
    }
    if (x.dtype !== "float32") {
      throw new TensorError(
        "dtype",
        `cdist only supports floating-point dtypes, ${name} got: ${SCALAR_TYPE[x.dtype]}`,
      );
    }
  }
  const [rows, columns] = x1.shape.slice(-2) as [number, number];
  const [others, width] = x2.shape.slice(-2) as [number, number];
  if (columns !== width) {
    throw new TensorError(
      "shape",
      `X1 and X2 must have the same number of columns. X1: ${columns} X2: ${width}`,
    );
  }
  checkPower("cdist", p);
  const batch = broadcastShapes(x1.shape.slice(0, -2), x2.shape.slice(0, -2));
  const many = rows > 25 || others > 25;
  return composed(() => {
    if (p === 2 && (mode === MODES[1] || (many && mode === MODES[0]))) {
      const wide = (x: Tensor): Tensor => expand(x, [...batch, ...x.shape.slice(-2)]);
      return named(byProduct(wide(x1), wide(x2)), "CdistBackward0");
    }
    const left = reshaped(x1, [...x1.shape.slice(0, -1), 1, columns]);
    const right = reshaped(x2, [...x2.shape.slice(0, -2), 1, others, columns]);
    return named(lengthOf(sub(left, right), p, true), "CdistBackward0");
  });
}

/** √(|x|² + |y|² − 2xy), with gradient 0 where that is 0. */
function byProduct(x: Tensor, y: Tensor): Tensor {
  const turn = range(x.ndim);
  turn.push(turn.splice(x.ndim - 2, 1)[0]!);
  const lengths = (t: Tensor): Tensor => sum(mul(t, t), -1, true);
  const product = apply(matmul, [x, y], { transposeA: false, transposeB: true });
  const across = apply(permute, [lengths(y)], { order: turn });
  const squares = maximum(sub(add(lengths(x), across), mul(product, 2)), 0);
  const zero = call(elementwise.eq, squares, constant(0));
  const safe = call(elementwise.where, zero, constant(1), squares);
  return call(elementwise.where, zero, constant(0), call(elementwise.sqrt, safe));
}
