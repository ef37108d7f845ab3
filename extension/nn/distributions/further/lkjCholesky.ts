import { TensorError } from "../../../tensor/core/errors.ts";
import type { Shape } from "../../../tensor/core/shape.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { arange, zeros } from "../../../tensor/functions/creation/creation.ts";
import { randn } from "../../../tensor/functions/creation/random.ts";
import { where } from "../../../tensor/functions/pointwise/elementwise.ts";
import { cat } from "../../../tensor/functions/shape/shape.ts";
import { noGrad } from "../../../tensor/recording/scope.ts";
import { bind, REQUIRED } from "../../arguments.ts";
import * as constraints from "../constraints.ts";
import { Beta } from "../dirichlet.ts";
import { Distribution, sampleSizes } from "../distribution.ts";
import { broadcastAll, spread, TINY, type SampleShape, type Validate } from "../helpers.ts";

interface LKJCholeskyArguments {
  dim: number;
  concentration?: number | Tensor;
  validateArgs?: boolean | null;
}

/**
 * Lower Cholesky factors L of correlation matrices of `dim` rows, of a density of L Lᵀ proportional to det(L Lᵀ)^(concentration − 1).
 *
 * ```ts
 * new torch.distributions.LKJCholesky(3, 0.5).sample().shape; // [3, 3]
 * ```
 * @throws TensorError "Expected dim to be an integer greater than or equal to 2. Found dim=1."
 * @see https://docs.pytorch.org/docs/stable/distributions.html#lkjcholesky
 */
export class LKJCholesky extends Distribution {
  readonly dim: number;
  readonly concentration: Tensor;

  constructor(dim: number, concentration?: number | Tensor, validate?: Validate);
  constructor(options: LKJCholeskyArguments);
  constructor(...args: unknown[]) {
    const bound = bind<LKJCholeskyArguments>("LKJCholesky", args, {
      dim: REQUIRED,
      concentration: 1,
      validateArgs: null,
    });
    const { dim } = bound;
    if (dim < 2) {
      throw new TensorError(
        "value",
        `Expected dim to be an integer greater than or equal to 2. Found dim=${dim}.`,
      );
    }
    const [concentration] = broadcastAll(bound.concentration);
    super(concentration.shape, [dim, dim], bound);
    this.dim = dim;
    this.concentration = concentration;
    this.validateParameters({ concentration: bound.concentration });
  }

  override get argConstraints(): Record<string, constraints.Constraint> {
    return { concentration: constraints.positive };
  }

  override get support(): constraints.Constraint {
    return constraints.corrCholesky;
  }

  override sample(sampleShape: SampleShape = []): Tensor {
    return noGrad(() =>
      this.guarded(() => {
        const radius = this.radii().sample(sampleSizes(sampleShape)).unsqueeze(-1).sqrt();
        const normal = randn(this.extended(sampleShape)).tril(-1);
        // A point of the sphere for each row but the first, which has none.
        const length = normal.norm(2, -1, { keepdim: true });
        const first = arange(this.dim).eq(0).unsqueeze(-1);
        const rows = where(first, 0, radius.mul(normal.div(where(first, 1, length))));
        const diagonal = rows.square().sum(-1).neg().add(1).clamp(TINY).sqrt();
        return rows.add(diagonal.diagEmbed());
      }),
    );
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => {
      const { dim, concentration } = this;
      const diagonal = x.diagonal({ dim1: -1, dim2: -2 }).narrow(-1, 1, dim - 1);
      const order = concentration
        .sub(1)
        .mul(2)
        .unsqueeze(-1)
        .add(dim)
        .sub(arange(2, dim + 1));
      const score = order.mul(diagonal.log()).sum(-1);
      const alpha = concentration.add(0.5 * (dim - 1));
      const constant = alpha
        .sub(0.5)
        .mvlgamma(dim - 1)
        .sub(alpha.lgamma().mul(dim - 1));
      return score.sub(constant.add(0.5 * (dim - 1) * Math.log(Math.PI)));
    });
  }

  override expand(batchShape: Shape): this {
    return this.with({ batchShape, concentration: spread(this.concentration, batchShape) });
  }

  /** The squared lengths of rows without their diagonals. */
  private radii(): Beta {
    const offset = cat([zeros(1), arange(this.dim - 1, { dtype: "float32" })]);
    const marginal = this.concentration.add(0.5 * (this.dim - 2)).unsqueeze(-1);
    return new Beta(offset.add(0.5), marginal.sub(offset.mul(0.5)), { validateArgs: false });
  }
}
