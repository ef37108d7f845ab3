import { TensorError } from "../../tensor/core/errors.ts";
import { where } from "../../tensor/functions/pointwise/elementwise.ts";
import { composed } from "../../tensor/functions/pointwise/operands.ts";
import { sampleDirichlet } from "../../tensor/functions/creation/sampling.ts";
import { stack } from "../../tensor/functions/shape/shape.ts";
import { xlogy } from "../../tensor/functions/pointwise/special.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { bind, REQUIRED } from "../arguments.ts";
import { oneHot } from "../functional/embedding/embedding.ts";
import * as constraints from "./constraints.ts";
import { Distribution } from "./distribution.ts";
import { broadcastAll, knownValues, spread, type SampleShape, type Validate, readNow } from "./helpers.ts";

interface DirichletArguments {
  concentration: Tensor;
  validateArgs?: boolean | null;
}

/**
 * Dirichlet's distribution of probabilities, along the last dimension of `concentration`. Samples have implicit
 * reparameterization gradients.
 *
 * ```ts
 * new torch.distributions.Dirichlet(torch.tensor([1.0, 3.0])).mean.tolist(); // [0.25, 0.75]
 * ```
 * @throws TensorError "`concentration` parameter must be at least one-dimensional."
 * @see https://docs.pytorch.org/docs/stable/distributions.html#dirichlet
 */
export class Dirichlet extends Distribution {
  override readonly hasRsample = true;
  concentration: Tensor;

  constructor(concentration: Tensor, validate?: Validate);
  constructor(options: DirichletArguments);
  constructor(...args: unknown[]) {
    const { concentration, validateArgs } = bind<DirichletArguments>("Dirichlet", args, {
      concentration: REQUIRED,
      validateArgs: null,
    });
    if (concentration.ndim < 1) {
      throw new TensorError("shape", "`concentration` parameter must be at least one-dimensional.");
    }
    super(concentration.shape.slice(0, -1), concentration.shape.slice(-1), { validateArgs });
    this.concentration = concentration;
    this.validateParameters();
  }

  override get argConstraints(): Record<string, constraints.Constraint> {
    return { concentration: constraints.independent(constraints.positive, 1) };
  }

  override get support(): constraints.Constraint {
    return constraints.simplex;
  }

  override get mean(): Tensor {
    return composed(() => this.concentration.div(this.concentration.sum(-1, true)));
  }

  override get mode(): Tensor {
    return composed(() => {
      const above = this.concentration.sub(1).clamp(0);
      const mode = above.div(above.sum(-1, true));
      const corner = this.concentration.lt(1).all(-1);
      // Where no parameter is above 1, `mode` is NaN, and so PyTorch takes the first corner.
      const first = oneHot(mode.argmax(-1), this.eventShape[0]).float();
      return where(corner.unsqueeze(-1), first, mode);
    });
  }

  override get variance(): Tensor {
    return composed(() => {
      const total = this.concentration.sum(-1, true);
      const products = this.concentration.mul(total.sub(this.concentration));
      return products.div(total.square().mul(total.add(1)));
    });
  }

  override rsample(sampleShape: SampleShape = []): Tensor {
    const shape = this.extended(sampleShape);
    return this.guarded(() => {
      const concentration = spread(this.concentration, shape);
      readNow(concentration);
      this.validateParameters({ concentration });
      return sampleDirichlet(concentration);
    });
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => {
      const { concentration } = this;
      const powers = xlogy(concentration.sub(1), x).sum(-1);
      return powers.add(concentration.sum(-1).lgamma()).sub(concentration.lgamma().sum(-1));
    });
  }

  override entropy(): Tensor {
    return composed(() => {
      const { concentration } = this;
      const total = concentration.sum(-1);
      const gammas = concentration.lgamma().sum(-1).sub(total.lgamma());
      const whole = total.neg().add(this.eventShape[0]!).mul(total.digamma());
      return gammas.sub(whole).sub(concentration.sub(1).mul(concentration.digamma()).sum(-1));
    });
  }
}

interface BetaArguments {
  concentration1: number | Tensor;
  concentration0: number | Tensor;
  validateArgs?: boolean | null;
}

/**
 * The Beta distribution on [0, 1]: x^(concentration1 − 1) (1 − x)^(concentration0 − 1) / B. Samples have implicit
 * reparameterization gradients.
 *
 * ```ts
 * new torch.distributions.Beta(1, 3).mean.item(); // 0.25
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#beta
 */
export class Beta extends Distribution {
  override readonly hasRsample = true;
  private readonly dirichlet: Dirichlet;

  constructor(concentration1: number | Tensor, concentration0: number | Tensor, validate?: Validate);
  constructor(options: BetaArguments);
  constructor(...args: unknown[]) {
    const { concentration1, concentration0, validateArgs } = bind<BetaArguments>("Beta", args, {
      concentration1: REQUIRED,
      concentration0: REQUIRED,
      validateArgs: null,
    });
    const both = composed(() => stack(broadcastAll(concentration1, concentration0), -1));
    const dirichlet = new Dirichlet(both, { validateArgs });
    super(dirichlet.batchShape, [], { validateArgs });
    this.dirichlet = dirichlet;
    const [heads, tails] = [knownValues(concentration1), knownValues(concentration0)];
    if (validateArgs === false || heads === undefined || tails === undefined) return;
    dirichlet.validateParameters({ concentration: Float32Array.of(...heads, ...tails) });
  }

  override get argConstraints(): Record<string, constraints.Constraint> {
    return { concentration1: constraints.positive, concentration0: constraints.positive };
  }

  override get support(): constraints.Constraint {
    return constraints.unitInterval;
  }

  get concentration1(): Tensor {
    return this.dirichlet.concentration.select(-1, 0);
  }

  get concentration0(): Tensor {
    return this.dirichlet.concentration.select(-1, 1);
  }

  override expand(batchShape: readonly number[]): this {
    return this.with({ batchShape, dirichlet: this.dirichlet.expand(batchShape) });
  }

  override get mean(): Tensor {
    return composed(() => this.concentration1.div(this.concentration1.add(this.concentration0)));
  }

  override get mode(): Tensor {
    return composed(() => this.dirichlet.mode.select(-1, 0));
  }

  override get variance(): Tensor {
    return composed(() => {
      const total = this.concentration1.add(this.concentration0);
      return this.concentration1.mul(this.concentration0).div(total.square().mul(total.add(1)));
    });
  }

  override rsample(sampleShape: SampleShape = []): Tensor {
    return this.guarded(() => this.dirichlet.rsample(sampleShape).select(-1, 0));
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => this.dirichlet.logProb(stack([x, x.neg().add(1)], -1)));
  }

  override entropy(): Tensor {
    return this.dirichlet.entropy();
  }
}
