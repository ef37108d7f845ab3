// Differences of neighbours, and what is computed from differences.
import { ofFunction } from "../../recording/version.ts";
import { TensorError } from "../../core/errors.ts";
import { sliceAlong } from "../../ops/movement/slicing.ts";
import { normalizeDim } from "../../core/shape.ts";
import { fromHost, Tensor } from "../../core/tensor.ts";
import { add, div, mul, sub } from "../pointwise/arithmetic.ts";
import { logicalXor, sqrt } from "../pointwise/elementwise.ts";
import { composed, constant } from "../pointwise/operands.ts";
import { narrow } from "../shape/parts.ts";
import { mean, sum } from "./reduction.ts";
import { cat, reshape, unsqueeze } from "../shape/shape.ts";

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

/** The integral of values by the trapezoidal rule: at the points `x`, or `dx` (1) apart. */
export function trapezoid(y: Tensor, x?: Tensor | { dx?: number; dim?: number }, dim = -1): Tensor {
  const options = x instanceof Tensor || x === undefined ? { dx: 1, dim } : x;
  const at = normalizeDim(options.dim ?? -1, y.ndim);
  return composed(() => {
    const length = y.shape[at]!;
    const pairs = add(narrow(y, at, 0, length - 1), narrow(y, at, 1, length - 1));
    const width =
      x instanceof Tensor ? diff(x, 1, x.ndim === 1 ? 0 : at) : ofFunction(constant(options.dx ?? 1));
    const lined =
      x instanceof Tensor && x.ndim === 1
        ? reshape(
            width,
            y.shape.map((_, d) => (d === at ? length - 1 : 1)),
          )
        : width;
    return div(sum(mul(pairs, lined), at), ofFunction(constant(2)));
  });
}

/** Covariances of the rows of a matrix, each column being an observation. */
export function cov(input: Tensor, options: { correction?: number } = {}): Tensor {
  if (input.ndim > 2) {
    throw new TensorError(
      "shape",
      `cov(): expected input to have two or fewer dimensions but got an input with ${input.ndim} dimensions`,
    );
  }
  const rows = input.ndim < 2 ? reshape(input, [1, input.numel()]) : input;
  const count = rows.shape[1]!;
  return composed(() => {
    const centred = sub(rows, mean(rows, 1, true));
    const products = sum(mul(unsqueeze(centred, 1), unsqueeze(centred, 0)), 2);
    const result = div(products, Math.max(0, count - (options.correction ?? 1)));
    return input.ndim < 2 ? reshape(result, []) : result;
  });
}

/** Correlations of the rows of a matrix. */
export function corrcoef(input: Tensor): Tensor {
  return composed(() => {
    const covariances = cov(input);
    if (covariances.ndim === 0) return div(covariances, covariances);
    const n = covariances.shape[0]!;
    const variances = sum(mul(covariances, fromHost(identity(n), [n, n], "float32")), 1);
    const spread = sqrt(variances);
    return div(div(covariances, reshape(spread, [n, 1])), spread);
  });
}

function identity(n: number): Float32Array {
  return Float32Array.from({ length: n * n }, (_, i) => Number(i % (n + 1) === 0));
}
