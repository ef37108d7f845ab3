// PyTorch's torch.nn.utils.parametrizations: weight and spectral normalisation, and orthogonal weights.
import { TensorError } from "../../tensor/core/errors.ts";
import { add, div, mul, sub } from "../../tensor/functions/pointwise/arithmetic.ts";
import { eye, zeros } from "../../tensor/functions/creation/creation.ts";
import { tril } from "../../tensor/functions/shape/triangular.ts";
import { clone, detach } from "../../tensor/functions/creation/conversion.ts";
import { qr, solve } from "../../tensor/functions/linalg/decompositions.ts";
import { sign } from "../../tensor/functions/pointwise/elementwise.ts";
import { dot, matmul, mv } from "../../tensor/functions/linalg/linalg.ts";
import { diagonal } from "../../tensor/functions/shape/orientation.ts";
import { narrow } from "../../tensor/functions/shape/parts.ts";
import { randn } from "../../tensor/functions/creation/random.ts";
import { sum } from "../../tensor/functions/reduction/reduction.ts";
import { cat, movedim, reshape, t, transpose, unsqueeze } from "../../tensor/functions/shape/shape.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import { formatSize, numel, sameShape, type Shape } from "../../tensor/core/shape.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { bind } from "../arguments.ts";
import { normalize } from "../functional/norm/normalization.ts";
import { Module } from "../module/module.ts";
import { ConvTranspose1d, ConvTranspose2d, ConvTranspose3d } from "../modules/conv/transposedConvolution.ts";
import { registerParametrization } from "./parametrize.ts";
import { normExcept } from "../module/weightHooks.ts";

const tensorOf = (module: Module, name: string): Tensor =>
  (module as unknown as Readonly<Record<string, Tensor>>)[name]!;

class _WeightNorm extends Module {
  readonly dim: number | null;

  constructor(dim: number | null) {
    super();
    this.dim = dim;
  }

  forward(length: Tensor, direction: Tensor): Tensor {
    return mul(direction, div(length, normExcept(direction, this.dim)));
  }

  rightInverse(weight: Tensor): Tensor[] {
    return [normExcept(weight, this.dim), weight];
  }
}

/**
 * Makes a parameter g · v / ‖v‖: `parametrizations.weight.original0` are the lengths g, `original1` the directions v.
 *
 * ```ts
 * const layer = nn.utils.parametrizations.weightNorm(new nn.Linear(4, 2));
 * ```
 * @returns the module
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.weight_norm.html
 */
export function weightNorm<M extends Module>(module: M, name?: string, dim?: number | null): M;
export function weightNorm<M extends Module>(module: M, options?: { name?: string; dim?: number | null }): M;
export function weightNorm<M extends Module>(module: M, ...rest: unknown[]): M {
  const { name, dim } = bind<{ name: string; dim: number | null }>("weight_norm", rest, {
    name: "weight",
    dim: 0,
  });
  return registerParametrization(module, name, new _WeightNorm(dim), { unsafe: true });
}

interface SpectralNormOptions {
  /** Default "weight". */
  name: string;
  /** Steps of the power iteration before each reading in training. Default 1. */
  nPowerIterations: number;
  /** Default 1e-12. */
  eps: number;
  /** The dimension of the outputs: 1 for transposed convolutions, else 0. */
  dim: number | null;
}

class _SpectralNorm extends Module {
  declare _u: Tensor;
  declare _v: Tensor;
  readonly dim: number;
  readonly nPowerIterations: number;
  readonly eps: number;

  constructor(weight: Tensor, { nPowerIterations, eps }: SpectralNormOptions, dim: number) {
    super();
    if (nPowerIterations <= 0) {
      throw new TensorError(
        "value",
        `Expected n_power_iterations to be positive, but got n_power_iterations=${nPowerIterations}`,
      );
    }
    this.dim = dim < 0 ? dim + weight.ndim : dim;
    this.nPowerIterations = nPowerIterations;
    this.eps = eps;
    if (weight.ndim < 2) return;
    noGrad(() => {
      const height = weight.shape[this.dim]!;
      const [u, v] = [randn(height), randn(numel(weight.shape) / height)];
      this.registerBuffer("_u", normalize(u, { dim: 0, eps }));
      this.registerBuffer("_v", normalize(v, { dim: 0, eps }));
      this.iterate(this.matrix(detach(weight)), 15);
    });
  }

  forward(weight: Tensor): Tensor {
    if (weight.ndim < 2) return normalize(weight, { dim: 0, eps: this.eps });
    const matrix = this.matrix(weight);
    if (this.training) noGrad(() => this.iterate(detach(matrix), this.nPowerIterations));
    const [u, v] = [clone(this._u), clone(this._v)];
    return div(weight, dot(u, mv(matrix, v)));
  }

  rightInverse(value: Tensor): Tensor {
    return value;
  }

  private matrix(weight: Tensor): Tensor {
    return reshape(this.dim === 0 ? weight : movedim(weight, this.dim, 0), [weight.shape[this.dim]!, -1]);
  }

  private iterate(matrix: Tensor, times: number): void {
    const { eps } = this;
    for (let i = 0; i < times; i++) {
      // Calls before this one can still be differentiated: PyTorch uses copies of the vectors.
      this._u.write(normalize(mv(matrix, this._v), { dim: 0, eps }), undefined, null);
      this._v.write(normalize(mv(t(matrix), this._u), { dim: 0, eps }), undefined, null);
    }
  }
}

/**
 * Divides a parameter by its largest singular value, which a power iteration estimates: `parametrizations.weight.original`
 * is what is updated, the buffers `parametrizations.weight.0._u` and `_v` hold the singular vectors.
 *
 * ```ts
 * const layer = nn.utils.parametrizations.spectralNorm(new nn.Linear(4, 2));
 * ```
 * @returns the module
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.spectral_norm.html
 */
export function spectralNorm<M extends Module>(
  module: M,
  name?: string,
  nPowerIterations?: number,
  eps?: number,
  dim?: number | null,
): M;
export function spectralNorm<M extends Module>(module: M, options?: Partial<SpectralNormOptions>): M;
export function spectralNorm<M extends Module>(module: M, ...rest: unknown[]): M {
  const options: SpectralNormOptions = bind<SpectralNormOptions>("spectral_norm", rest, {
    name: "weight",
    nPowerIterations: 1,
    eps: 1e-12,
    dim: null,
  });
  const transposed = [ConvTranspose1d, ConvTranspose2d, ConvTranspose3d].some((one) => module instanceof one);
  const dim = options.dim ?? (transposed ? 1 : 0);
  const made = new _SpectralNorm(tensorOf(module, options.name), options, dim);
  return registerParametrization(module, options.name, made);
}

type OrthogonalMap = "matrix_exp" | "cayley" | "householder";

/** e^A of a skew-symmetric matrix: Padé's approximation of degree 6 for A / 16, squared four times. */
function exponential(a: Tensor): Tensor {
  const small = div(a, 16);
  let [power, factor]: [Tensor, number] = [eye(a.shape[a.ndim - 1]!), 1];
  let [above, below] = [power, power];
  for (let k = 1; k <= 6; k++) {
    power = matmul(small, power);
    factor *= (6 - k + 1) / (k * (12 - k + 1));
    above = add(above, mul(power, factor));
    below = add(below, mul(power, k % 2 === 0 ? factor : -factor));
  }
  let result = solve(below, above);
  for (let i = 0; i < 4; i++) result = matmul(result, result);
  return result;
}

/** The product of Householder's reflections, whose vectors are columns with a 1 on the diagonal: its first columns. */
function reflections(vectors: Tensor, factors: Tensor): Tensor {
  const [n, k] = vectors.shape.slice(-2) as [number, number];
  let product = narrow(eye(n), 1, 0, k);
  for (let i = k - 1; i >= 0; i--) {
    const column = add(narrow(vectors, -1, i, 1), narrow(eye(n), 1, i, 1));
    const scaled = mul(column, unsqueeze(narrow(factors, -1, i, 1), -1));
    product = sub(product, matmul(scaled, matmul(transpose(column, -2, -1), product)));
  }
  return product;
}

/** The orthogonal factor whose R has a positive diagonal. */
function orthogonalized(a: Tensor): Tensor {
  const { Q, R } = qr(a);
  return mul(Q, unsqueeze(sign(diagonal(R, 0, -2, -1)), -2));
}

class _Orthogonal extends Module {
  declare base: Tensor | null;
  readonly map: OrthogonalMap;
  readonly shape: Shape;

  constructor(weight: Tensor, map: OrthogonalMap, trivial: boolean) {
    super();
    this.shape = weight.shape;
    this.map = map;
    if (trivial) this.registerBuffer("base", null);
  }

  forward(x: Tensor): Tensor {
    const wide = x.shape[x.ndim - 2]! < x.shape[x.ndim - 1]!;
    const high = wide ? transpose(x, -2, -1) : x;
    const [n, k] = high.shape.slice(-2) as [number, number];
    const own = this.map === "householder" ? this.reflected(high) : this.mapped(high, n, k);
    const all = this.base == null ? own : matmul(this.base, own);
    return wide ? transpose(all, -2, -1) : all;
  }

  private reflected(x: Tensor): Tensor {
    const vectors = tril(x, -1);
    const factors = div(2, add(sum(mul(vectors, vectors), -2), 1));
    return mul(reflections(vectors, factors), unsqueeze(sign(detach(diagonal(x, 0, -2, -1))), -2));
  }

  private mapped(x: Tensor, n: number, k: number): Tensor {
    const lower = tril(x);
    const square = n === k ? lower : cat([lower, zeros([...x.shape.slice(0, -1), n - k])], -1);
    const skew = sub(square, transpose(square, -2, -1));
    const unit = eye(n);
    const q =
      this.map === "matrix_exp"
        ? exponential(skew)
        : solve(sub(unit, mul(skew, 0.5)), add(unit, mul(skew, 0.5)));
    return n === k ? q : narrow(q, -1, 0, k);
  }

  rightInverse(value: Tensor): Tensor {
    if (!sameShape(value.shape, this.shape)) {
      throw new TensorError(
        "shape",
        `Expected a matrix or batch of matrices of shape ${formatSize(this.shape)}. Got a tensor of shape ${formatSize(value.shape)}.`,
      );
    }
    const [rows, columns] = value.shape.slice(-2) as [number, number];
    const wide = rows < columns;
    const high = wide ? transpose(value, -2, -1) : value;
    const [n, k] = [Math.max(rows, columns), Math.min(rows, columns)];
    if (this.base === undefined) {
      throw new TensorError(
        "unsupported",
        "It is not possible to assign to the matrix exponential or the Cayley parametrizations when use_trivialization=False.",
      );
    }
    const batch = high.shape.slice(0, -2);
    const full = n === k ? high : cat([high, randn([...batch, n, n - k])], -1);
    this.base = orthogonalized(full).detach();
    const negative = mul(narrow(narrow(eye(n), 0, 0, rows), 1, 0, columns), -1);
    return batch.length === 0 ? negative : negative.expand(...batch, rows, columns).clone();
  }
}

interface OrthogonalOptions {
  /** Default "weight". */
  name: string;
  /** "matrix_exp" for square matrices and "householder" for others by default. */
  orthogonalMap: OrthogonalMap | null;
  /** Starts from a matrix of its own, so that the parameter can be assigned. Default true. */
  useTrivialization: boolean;
}

/**
 * Keeps a matrix orthogonal: with orthonormal columns, or rows where it is wider than high. It starts as the orthogonal
 * factor of what it was.
 *
 * ```ts
 * const layer = nn.utils.parametrizations.orthogonal(new nn.Linear(4, 4));
 * ```
 * @returns the module
 * @throws TensorError for a tensor of one dimension
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.orthogonal.html
 */
export function orthogonal<M extends Module>(
  module: M,
  name?: string,
  orthogonalMap?: OrthogonalMap | null,
  options?: { useTrivialization?: boolean },
): M;
export function orthogonal<M extends Module>(module: M, options?: Partial<OrthogonalOptions>): M;
export function orthogonal<M extends Module>(module: M, ...rest: unknown[]): M {
  const { name, orthogonalMap, useTrivialization } = bind<OrthogonalOptions>("orthogonal", rest, {
    name: "weight",
    orthogonalMap: null,
    useTrivialization: true,
  });
  const weight = tensorOf(module, name);
  if (weight.ndim < 2) {
    throw new TensorError(
      "value",
      `Expected a matrix or batch of matrices. Got a tensor of ${weight.ndim} dimensions.`,
    );
  }
  const [n, k] = weight.shape.slice(-2);
  const map = orthogonalMap ?? (n === k ? "matrix_exp" : "householder");
  if (!["matrix_exp", "cayley", "householder"].includes(map)) {
    throw new TensorError(
      "value",
      `orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: ${map}`,
    );
  }
  return registerParametrization(module, name, new _Orthogonal(weight, map, useTrivialization), {
    unsafe: true,
  });
}
