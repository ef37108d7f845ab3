import { TensorError } from "../../tensor/core/errors.ts";
import { eye } from "../../tensor/functions/creation/creation.ts";
import { cholesky, solve } from "../../tensor/functions/linalg/decompositions.ts";
import { composed } from "../../tensor/functions/pointwise/operands.ts";
import { randn } from "../../tensor/functions/creation/random.ts";
import { broadcastShapes } from "../../tensor/core/shape.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { bind, REQUIRED } from "../arguments.ts";
import * as constraints from "./constraints.ts";
import { Distribution } from "./distribution.ts";
import { spread, type Optional, type SampleShape, type Validate } from "./helpers.ts";
import { snakeCase } from "../module/repr.ts";

interface MultivariateNormalArguments {
  loc: Tensor;
  covarianceMatrix?: Optional<Tensor>;
  precisionMatrix?: Optional<Tensor>;
  scaleTril?: Optional<Tensor>;
  validateArgs?: boolean | null;
}

type MatrixName = "covarianceMatrix" | "precisionMatrix" | "scaleTril";

/**
 * The normal distribution of vectors of mean `loc` [*, D] and one of `covarianceMatrix`, its inverse `precisionMatrix` or
 * its lower Cholesky factor `scaleTril`, [*, D, D]. All is computed from the factor.
 *
 * ```ts
 * const x = new torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2));
 * x.logProb(torch.zeros(2)).item().toFixed(4); // "-1.8379"
 * ```
 * @throws TensorError "Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified."
 * @see https://docs.pytorch.org/docs/stable/distributions.html#multivariatenormal
 */
export class MultivariateNormal extends Distribution {
  override readonly hasRsample = true;
  loc: Tensor;
  /** @internal The factor as it was given, or computed: its batch dimensions may be fewer. */
  readonly factor: Tensor;

  constructor(
    loc: Tensor,
    covarianceMatrix?: Optional<Tensor>,
    precisionMatrix?: Optional<Tensor>,
    scaleTril?: Optional<Tensor>,
    validate?: Validate,
  );
  constructor(loc: Tensor, options: Omit<MultivariateNormalArguments, "loc">);
  constructor(options: MultivariateNormalArguments);
  constructor(...args: unknown[]) {
    const bound = bind<MultivariateNormalArguments>("MultivariateNormal", args, {
      loc: REQUIRED,
      covarianceMatrix: null,
      precisionMatrix: null,
      scaleTril: null,
      validateArgs: null,
    });
    const { loc } = bound;
    if (loc.ndim < 1) throw new TensorError("shape", "loc must be at least one-dimensional.");
    const { name, matrix } = oneMatrix(bound);
    const batchShape = broadcastShapes(matrix.shape.slice(0, -2), loc.shape.slice(0, -1));
    const eventShape = loc.shape.slice(-1);
    super(batchShape, eventShape, bound);
    this.loc = spread(loc, [...batchShape, ...eventShape]);
    const value = spread(matrix, [...batchShape, ...matrix.shape.slice(-2)]);
    Object.defineProperty(this, name, { value, enumerable: true, configurable: true });
    this.validateParameters({ loc, [name]: matrix });
    this.factor = composed(() => factorOf(name, matrix));
  }

  override get argConstraints(): Record<string, constraints.Constraint> {
    return {
      loc: constraints.realVector,
      covarianceMatrix: constraints.positiveDefinite,
      precisionMatrix: constraints.positiveDefinite,
      scaleTril: constraints.lowerCholesky,
    };
  }

  override get support(): constraints.Constraint {
    return constraints.realVector;
  }

  get scaleTril(): Tensor {
    return this.cached("scaleTril", () => this.spreadMatrix(this.factor));
  }

  get covarianceMatrix(): Tensor {
    return this.cached("covarianceMatrix", () => this.spreadMatrix(this.factor.matmul(this.factor.mT)));
  }

  get precisionMatrix(): Tensor {
    return this.cached("precisionMatrix", () => {
      const inverse = solve(this.factor.tril(), eye(this.eventShape[0]!));
      return this.spreadMatrix(inverse.mT.matmul(inverse));
    });
  }

  override get mean(): Tensor {
    return this.loc;
  }

  override get mode(): Tensor {
    return this.loc;
  }

  override get variance(): Tensor {
    return composed(() => spread(this.factor.square().sum(-1), [...this.batchShape, ...this.eventShape]));
  }

  override rsample(sampleShape: SampleShape = []): Tensor {
    const noise = randn(this.extended(sampleShape));
    return this.guarded(() => this.loc.add(this.factor.matmul(noise.unsqueeze(-1)).squeeze(-1)));
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => {
      const distance = mahalanobis(this.factor, x.sub(this.loc));
      const constant = this.eventShape[0]! * Math.log(2 * Math.PI);
      return distance.add(constant).mul(-0.5).sub(halfLogDeterminant(this.factor));
    });
  }

  override entropy(): Tensor {
    return composed(() => {
      const constant = 0.5 * this.eventShape[0]! * (1 + Math.log(2 * Math.PI));
      return spread(halfLogDeterminant(this.factor).add(constant), this.batchShape);
    });
  }

  private spreadMatrix(matrix: Tensor): Tensor {
    return spread(matrix, [...this.batchShape, ...this.eventShape, ...this.eventShape]);
  }
}

function oneMatrix(bound: { [K in MatrixName]: Tensor | null }): { name: MatrixName; matrix: Tensor } {
  const names = (["covarianceMatrix", "precisionMatrix", "scaleTril"] as const).filter(
    (name) => bound[name] !== null,
  );
  const [name] = names;
  if (name === undefined || names.length > 1) {
    throw new TensorError(
      "value",
      "Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.",
    );
  }
  const matrix = bound[name]!;
  if (matrix.ndim < 2) {
    const text = name === "scaleTril" ? "scale_tril matrix" : snakeCase(name);
    throw new TensorError(
      "shape",
      `${text} must be at least two-dimensional, with optional leading batch dimensions`,
    );
  }
  return { name, matrix };
}

/** L of the covariance L Lᵀ. */
function factorOf(name: MatrixName, matrix: Tensor): Tensor {
  if (name === "scaleTril") return matrix;
  if (name === "covarianceMatrix") return cholesky(matrix);
  // With P turned by half = L L, the factor of the inverse is that of L turned back, transposed and inverted.
  const turned = cholesky(matrix.flip([-2, -1])).flip([-2, -1]).mT;
  return solve(turned, eye(matrix.shape.at(-1)!));
}

/** @internal xᵀ M⁻¹ x of M = L Lᵀ, of which L's lower triangle counts; leading dimensions broadcast. */
export function mahalanobis(factor: Tensor, x: Tensor): Tensor {
  if (factor.ndim === 2) {
    // All vectors are columns of one system.
    const columns = x.reshape([-1, x.shape.at(-1)!]).t();
    return solve(factor.tril(), columns).square().sum(0).reshape(x.shape.slice(0, -1));
  }
  const batch = broadcastShapes(factor.shape.slice(0, -2), x.shape.slice(0, -1));
  const matrices = spread(factor.tril(), [...batch, ...factor.shape.slice(-2)]);
  return solve(matrices, spread(x, [...batch, x.shape.at(-1)!]).unsqueeze(-1))
    .squeeze(-1)
    .square()
    .sum(-1);
}

/** @internal The log of det L. */
export function halfLogDeterminant(factor: Tensor): Tensor {
  return factor.diagonal({ dim1: -2, dim2: -1 }).log().sum(-1);
}
