// Differences of neighbours, and functions computed from them.
import { SCALAR_TYPE } from "../../core/dtype.ts";
import { ofFunction } from "../../recording/version.ts";
import { TensorError } from "../../core/errors.ts";
import { sliceAlong } from "../../ops/movement/slicing.ts";
import { normalizeDim } from "../../core/shape.ts";
import { Tensor } from "../../core/tensor.ts";
import { add, clamp, div, mul, sub } from "../pointwise/arithmetic.ts";
import { logicalXor, sqrt } from "../pointwise/elementwise.ts";
import { full } from "../creation/creation.ts";
import { composed, constant, toFloat } from "../pointwise/operands.ts";
import { diagonal } from "../shape/orientation.ts";
import { narrow } from "../shape/parts.ts";
import { copied } from "../shape/views.ts";
import { valuesOf } from "../../planning/barrier.ts";
import { matmul } from "../linalg/linalg.ts";
import { cumsum, sum } from "./reduction.ts";
import { cat, reshape, transpose } from "../shape/shape.ts";

interface DiffOptions {
  prepend?: Tensor;
  append?: Tensor;
}

/** Differences of neighbours along a dimension, `n` times over. */
export function diff(input: Tensor, n = 1, dim = -1, options: DiffOptions = {}): Tensor {
  if (input.ndim === 0) {
    throw new TensorError("shape", "diff expects input to be at least one-dimensional");
  }
  const at = normalizeDim(dim, input.ndim);
  if (!(n >= 0)) throw new TensorError("value", `order must be non-negative but got ${n}`);
  if (n === 0) return copied(input);
  return composed(() => {
    const { prepend, append } = options;
    let x = cat([...(prepend ? [prepend] : []), input, ...(append ? [append] : [])], at);
    for (let i = 0; i < n; i++) {
      const length = Math.max(0, x.shape[at]! - 1);
      const difference = x.dtype === "bool" ? logicalXor : sub;
      x = difference(sliceAlong(x, at, 1, 1 + length), sliceAlong(x, at, 0, length));
    }
    return x;
  });
}

/**
 * The integral of values by the trapezoidal rule: at the points `x`, or `dx` (1) apart.
 * @param x points of each row, or of all; without leading dimensions of `y`, the same for each of them
 * @throws TensorError "trapezoid: There must be one `x` value for each sample point"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.trapezoid.html
 */
export function trapezoid(y: Tensor, x?: Tensor | { dx?: number; dim?: number }, dim = -1): Tensor {
  const options = x instanceof Tensor || x === undefined ? { dx: 1, dim } : x;
  const at = normalizeDim(options.dim ?? -1, y.ndim);
  const points = x instanceof Tensor ? x : (options.dx ?? 1);
  return composed(() => div(sum(areas("trapezoid", y, points, at), at), ofFunction(constant(2))));
}

/**
 * The integral of values up to each point but the first, by the trapezoidal rule: at the points `x`, or `dx` (1) apart.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.cumulative_trapezoid.html
 */
export function cumulativeTrapezoid(y: Tensor, x?: Tensor | { dx?: number; dim?: number }, dim = -1): Tensor {
  const options = x instanceof Tensor || x === undefined ? { dx: 1, dim } : x;
  const at = normalizeDim(options.dim ?? -1, y.ndim);
  const points = x instanceof Tensor ? x : (options.dx ?? 1);
  return composed(() => div(cumsum(areas("cumulative_trapezoid", y, points, at), at), 2));
}

export interface GradientOptions {
  /** How far apart the points are: one number, one for each dimension, or the points' coordinates. Default 1. */
  spacing?: number | readonly number[] | readonly Tensor[] | null;
  /** Default: all dimensions. */
  dim?: number | readonly number[] | null;
  /** Accuracy at the first and last point, 1 or 2. Default 1. */
  edgeOrder?: 1 | 2;
}

/**
 * Derivatives of a function along each dimension, given its values: from both neighbours; at the ends, from one or two
 * neighbours on one side.
 * @throws TensorError "torch.gradient expected each dimension size to be at least edge_order+1"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.gradient.html
 */
export function gradient(input: Tensor, options: GradientOptions = {}): Tensor[] {
  const { spacing, edgeOrder = 1 } = options;
  if (edgeOrder !== 1 && edgeOrder !== 2)
    throw new TensorError("value", "torch.gradient only supports edge_order=1 and edge_order=2.");
  const given = typeof options.dim === "number" ? [options.dim] : options.dim;
  const dims = (given ?? [...input.shape.keys()]).map((d) => normalizeDim(d, input.ndim));
  const again = dims.find((d, i) => dims.indexOf(d) < i);
  if (again !== undefined)
    throw new TensorError("value", `dim ${again} appears multiple times in the list of dims`);
  if (dims.some((d) => input.shape[d]! < edgeOrder + 1))
    throw new TensorError("shape", "torch.gradient expected each dimension size to be at least edge_order+1");
  const steps = typeof spacing === "number" ? dims.map(() => spacing) : (spacing ?? dims.map(() => 1));
  if (steps.length !== dims.length)
    throw new TensorError(
      "value",
      `torch.gradient expected spacing to be unspecified, a scalar or it's length to be equal to 'self.dim() = ${input.ndim}', since dim argument is not given, but got a list of length ${steps.length}`,
    );
  return dims.map((at, i) => composed(() => slopes(input, at, steps[i]!, edgeOrder)));
}

function slopes(f: Tensor, at: number, step: number | Tensor, edgeOrder: 1 | 2): Tensor {
  const n = f.shape[at]!;
  const line = f.shape.map((_, d) => (d === at ? n - 1 : 1));
  const h = typeof step === "number" ? full(line, step) : reshape(diff(step), line);
  const change = div(sub(narrow(f, at, 1, n - 1), narrow(f, at, 0, n - 1)), h);
  const [first, last] = [narrow(change, at, 0, 1), narrow(change, at, n - 2, 1)];
  if (n === 2) return cat([first, last], at);
  // Slope of the parabola through three points: a mean of the slopes on both sides, weighted towards the nearer point.
  const [before, after] = [narrow(h, at, 0, n - 2), narrow(h, at, 1, n - 2)];
  const [left, right] = [narrow(change, at, 0, n - 2), narrow(change, at, 1, n - 2)];
  const inner = div(add(mul(left, after), mul(right, before)), add(before, after));
  if (edgeOrder === 1) return cat([first, inner, last], at);
  // The parabola's slope is linear: extrapolate it to the ends.
  const [begin, end] = [narrow(inner, at, 0, 1), narrow(inner, at, n - 3, 1)];
  return cat([sub(mul(first, 2), begin), inner, sub(mul(last, 2), end)], at);
}

/** Sums of neighbours along a dimension; empty where the dimension is. */
function sumsOfNeighbours(y: Tensor, at: number): Tensor {
  const length = y.shape[at]!;
  return length === 0 ? y : add(narrow(y, at, 0, length - 1), narrow(y, at, 1, length - 1));
}

/** Twice the area under each piece between two points. */
function areas(name: string, y: Tensor, x: Tensor | number, at: number): Tensor {
  const pairs = sumsOfNeighbours(y, at);
  if (typeof x === "number") return mul(pairs, ofFunction(constant(x)));
  if (x.ndim === 1) {
    if (x.shape[0] !== y.shape[at])
      throw new TensorError("shape", `${name}: There must be one \`x\` value for each sample point`);
    const line = y.shape.map((_, d) => (d === at ? pairs.shape[at]! : 1));
    return mul(pairs, reshape(diff(x, 1, 0), line));
  }
  const missing = Math.max(0, y.ndim - x.ndim);
  const points = missing === 0 ? x : reshape(x, [...Array<number>(missing).fill(1), ...x.shape]);
  return mul(pairs, diff(points, 1, at));
}

export interface CovarianceOptions {
  /** Subtracted from the number of observations that the products are divided by. Default 1. */
  correction?: number;
  /** How often each observation counts: whole numbers. */
  fweights?: Tensor | null;
  /** How important each observation is: floats. */
  aweights?: Tensor | null;
}

/** Refuses weights of observations that are of another type or number, or negative; reads them now. */
function checkWeights(name: "fweights" | "aweights", weights: Tensor, count: number): Tensor {
  const refuse = (kind: "shape" | "dtype" | "value", text: string): never => {
    throw new TensorError(kind, `cov(): ${text}`);
  };
  if (weights.ndim > 1)
    refuse(
      "shape",
      `expected ${name} to have one or fewer dimensions but got ${name} with ${weights.ndim} dimensions`,
    );
  const [wanted, words] =
    name === "fweights" ? (["int64", "integral"] as const) : (["float32", "floating point"] as const);
  if (weights.dtype !== wanted)
    refuse(
      "dtype",
      `expected ${name} to have ${words} dtype but got ${name} with ${SCALAR_TYPE[weights.dtype]} dtype`,
    );
  if (weights.numel() !== count)
    refuse(
      "shape",
      `expected ${name} to have the same numel as there are observations in the input but got ${weights.numel()} != ${count}`,
    );
  if (valuesOf(weights.value).some((w) => w < 0)) refuse("value", `${name} cannot be negative`);
  return reshape(toFloat(weights), [count]);
}

/**
 * Covariances of the rows of a matrix, each column being an observation; that of a single row is a number.
 * @throws TensorError "cov(): weights sum to zero, can't be normalized"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.cov.html
 */
export function cov(input: Tensor, options: CovarianceOptions = {}): Tensor {
  if (input.ndim > 2) {
    throw new TensorError(
      "shape",
      `cov(): expected input to have two or fewer dimensions but got an input with ${input.ndim} dimensions`,
    );
  }
  if (input.dtype === "bool") throw new TensorError("dtype", "cov(): bool dtype is not supported for input");
  const rows = input.ndim < 2 ? reshape(input, [1, input.numel()]) : input;
  const count = rows.shape[1]!;
  const { correction = 1, fweights, aweights } = options;
  return composed(() => {
    const values = toFloat(rows);
    const often = fweights ? checkWeights("fweights", fweights, count) : undefined;
    const important = aweights ? checkWeights("aweights", aweights, count) : undefined;
    const weights = often && important ? mul(often, important) : (often ?? important);
    const weighted = (x: Tensor): Tensor => (weights ? mul(x, weights) : x);
    const total = weights ? sum(weights) : constant(count);
    if (weights && count > 0 && valuesOf(total.value)[0] === 0)
      throw new TensorError("value", "cov(): weights sum to zero, can't be normalized");
    const centred = sub(values, div(sum(weighted(values), 1, true), total));
    const products = matmul(centred, transpose(weighted(centred), 0, 1));
    const lost =
      important && correction !== 0
        ? div(mul(sum(weighted(important)), correction), total)
        : constant(correction);
    const result = div(products, clamp(sub(total, lost), 0));
    return result.numel() === 1 ? reshape(result, []) : result;
  });
}

/** Correlations of the rows of a matrix; of a single row, 1. */
export function corrcoef(input: Tensor): Tensor {
  return composed(() => {
    const covariances = cov(input);
    if (covariances.ndim === 0) return div(covariances, covariances);
    const n = covariances.shape[0]!;
    const spread = sqrt(diagonal(covariances));
    return clamp(div(div(covariances, reshape(spread, [n, 1])), spread), -1, 1);
  });
}
