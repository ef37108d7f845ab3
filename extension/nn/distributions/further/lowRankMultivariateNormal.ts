import { TensorError } from "../../../tensor/core/errors.ts";
import { broadcastShapes, formatSize, type Shape } from "../../../tensor/core/shape.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { eye } from "../../../tensor/functions/creation/creation.ts";
import { randn } from "../../../tensor/functions/creation/random.ts";
import { cholesky } from "../../../tensor/functions/linalg/decompositions.ts";
import { composed } from "../../../tensor/functions/pointwise/operands.ts";
import { solveTriangular } from "../../../tensor/functions/shape/triangular.ts";
import { bind, REQUIRED } from "../../arguments.ts";
import * as constraints from "../constraints.ts";
import { Distribution } from "../distribution.ts";
import { spread, type SampleShape, type Validate } from "../helpers.ts";
import { halfLogDeterminant, mahalanobis } from "../multivariateNormal.ts";

interface LowRankMultivariateNormalArguments {
  loc: Tensor;
  covFactor: Tensor;
  covDiag: Tensor;
  validateArgs?: boolean | null;
}

/**
 * The normal distribution of vectors of mean `loc` [*, D] and the covariance W Wᵀ + diag(d) of `covFactor` W [*, D, R] and
 * `covDiag` d [*, D]. Only matrices of R by R are decomposed.
 *
 * ```ts
 * const x = new torch.distributions.LowRankMultivariateNormal(torch.zeros(2), torch.ones(2, 1), torch.ones(2));
 * x.variance; // tensor([2., 2.])
 * ```
 * @throws TensorError "cov_factor must be a batch of matrices with shape 2 x m"
 * @see https://docs.pytorch.org/docs/stable/distributions.html#lowrankmultivariatenormal
 */
export class LowRankMultivariateNormal extends Distribution {
  override readonly hasRsample = true;
  readonly loc: Tensor;
  readonly covFactor: Tensor;
  readonly covDiag: Tensor;
  /** The parameters as they were given: their batch dimensions may be fewer. */
  private readonly factor: Tensor;
  private readonly diagonal: Tensor;
  /** Cholesky's factor of I + Wᵀ diag(d)⁻¹ W. */
  private readonly capacitance: Tensor;

  constructor(loc: Tensor, covFactor: Tensor, covDiag: Tensor, validate?: Validate);
  constructor(options: LowRankMultivariateNormalArguments);
  constructor(...args: unknown[]) {
    const { loc, covFactor, covDiag, validateArgs } = bind<LowRankMultivariateNormalArguments>(
      "LowRankMultivariateNormal",
      args,
      { loc: REQUIRED, covFactor: REQUIRED, covDiag: REQUIRED, validateArgs: null },
    );
    const batchShape = batchOf(loc, covFactor, covDiag);
    const eventShape = loc.shape.slice(-1);
    super(batchShape, eventShape, { validateArgs });
    this.loc = spread(loc, [...batchShape, ...eventShape]);
    this.covFactor = spread(covFactor, [...batchShape, ...covFactor.shape.slice(-2)]);
    this.covDiag = spread(covDiag, [...batchShape, ...eventShape]);
    this.factor = covFactor;
    this.diagonal = covDiag;
    this.validateParameters({ loc, covFactor, covDiag });
    this.capacitance = composed(() =>
      cholesky(
        this.weighted()
          .matmul(covFactor)
          .add(eye(covFactor.shape.at(-1)!)),
      ),
    );
  }

  override get argConstraints(): Record<string, constraints.Constraint> {
    return {
      loc: constraints.realVector,
      covFactor: constraints.independent(constraints.real, 2),
      covDiag: constraints.independent(constraints.positive, 1),
    };
  }

  override get support(): constraints.Constraint {
    return constraints.realVector;
  }

  override get mean(): Tensor {
    return this.loc;
  }

  override get mode(): Tensor {
    return this.loc;
  }

  override get variance(): Tensor {
    return this.cached("variance", () =>
      spread(this.factor.square().sum(-1).add(this.diagonal), [...this.batchShape, ...this.eventShape]),
    );
  }

  get scaleTril(): Tensor {
    return this.cached("scaleTril", () => {
      const scale = this.diagonal.sqrt().unsqueeze(-1);
      const w = this.factor.div(scale);
      return this.spreadMatrix(scale.mul(cholesky(w.matmul(w.mT).add(eye(this.eventShape[0]!)))));
    });
  }

  get covarianceMatrix(): Tensor {
    return this.cached("covarianceMatrix", () =>
      this.spreadMatrix(this.factor.matmul(this.factor.mT).add(this.diagonal.diagEmbed())),
    );
  }

  get precisionMatrix(): Tensor {
    return this.cached("precisionMatrix", () => {
      const half = solveTriangular(this.capacitance, this.weighted(), { upper: false });
      return this.spreadMatrix(this.diagonal.reciprocal().diagEmbed().sub(half.mT.matmul(half)));
    });
  }

  override rsample(sampleShape: SampleShape = []): Tensor {
    const shape = this.extended(sampleShape);
    const common = randn([...shape.slice(0, -1), this.covFactor.shape.at(-1)!]);
    const own = randn(shape);
    return this.guarded(() => {
      const shared = this.factor.matmul(common.unsqueeze(-1)).squeeze(-1);
      return this.loc.add(shared).add(this.diagonal.sqrt().mul(own));
    });
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => {
      const difference = x.sub(this.loc);
      const projected = this.weighted().matmul(difference.unsqueeze(-1)).squeeze(-1);
      const whole = difference.square().div(this.diagonal).sum(-1);
      const distance = whole.sub(mahalanobis(this.capacitance, projected));
      return distance
        .add(this.logDeterminant())
        .add(this.eventShape[0]! * Math.log(2 * Math.PI))
        .mul(-0.5);
    });
  }

  override entropy(): Tensor {
    return composed(() => {
      const constant = this.eventShape[0]! * (1 + Math.log(2 * Math.PI));
      return spread(this.logDeterminant().add(constant).mul(0.5), this.batchShape);
    });
  }

  /** Wᵀ diag(d)⁻¹. */
  private weighted(): Tensor {
    return this.factor.mT.div(this.diagonal.unsqueeze(-2));
  }

  private logDeterminant(): Tensor {
    return halfLogDeterminant(this.capacitance).mul(2).add(this.diagonal.log().sum(-1));
  }

  private spreadMatrix(matrix: Tensor): Tensor {
    return spread(matrix, [...this.batchShape, ...this.eventShape, ...this.eventShape]);
  }
}

function batchOf(loc: Tensor, covFactor: Tensor, covDiag: Tensor): Shape {
  if (loc.ndim < 1) throw new TensorError("shape", "loc must be at least one-dimensional.");
  const size = loc.shape.at(-1)!;
  if (covFactor.ndim < 2) {
    throw new TensorError(
      "shape",
      "cov_factor must be at least two-dimensional, with optional leading batch dimensions",
    );
  }
  if (covFactor.shape.at(-2) !== size)
    throw new TensorError("shape", `cov_factor must be a batch of matrices with shape ${size} x m`);
  if (covDiag.shape.at(-1) !== size) {
    throw new TensorError(
      "shape",
      `cov_diag must be a batch of vectors with shape ${formatSize(loc.shape.slice(-1))}`,
    );
  }
  try {
    const batch = broadcastShapes(loc.shape.slice(0, -1), covFactor.shape.slice(0, -2));
    return broadcastShapes(batch, covDiag.shape.slice(0, -1));
  } catch {
    throw new TensorError(
      "shape",
      `Incompatible batch shapes: loc ${formatSize(loc.shape)}, cov_factor ${formatSize(covFactor.shape)}, cov_diag ${formatSize(covDiag.shape)}`,
    );
  }
}
