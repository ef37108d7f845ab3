import { TensorError } from "../../tensor/errors.ts";
import { oneHot } from "../functional/embedding.ts";
import { where } from "../../tensor/functions/elementwise.ts";
import { asTensor, castTo, composed } from "../../tensor/functions/operands.ts";
import { poisson } from "../../tensor/functions/random.ts";
import { drawn, sampleDirichlet, standardGamma } from "../../tensor/functions/sampling.ts";
import { stack } from "../../tensor/functions/shape.ts";
import { xlogy } from "../../tensor/functions/special.ts";
import * as draws from "../../tensor/random/draws.ts";
import type { RandomStream } from "../../tensor/random/stream.ts";
import { noGrad } from "../../tensor/scope.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { bind, REQUIRED } from "../arguments.ts";
import * as constraints from "./constraints.ts";
import { Distribution } from "./distribution.ts";
import { broadcastAll, knownValues, spread, TINY, type SampleShape, type Validate } from "./helpers.ts";

interface GammaArguments {
  concentration: number | Tensor;
  rate: number | Tensor;
  validateArgs?: boolean | null;
}

/**
 * The Gamma distribution of shape `concentration` and `rate`. Samples have implicit reparameterization gradients.
 *
 * ```ts
 * new torch.distributions.Gamma(3, 2).mean.item(); // 1.5
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#gamma
 */
export class Gamma extends Distribution {
  concentration: Tensor;
  rate: Tensor;

  constructor(concentration: number | Tensor, rate: number | Tensor, validate?: Validate);
  constructor(options: GammaArguments);
  constructor(...args: unknown[]) {
    const { concentration, rate, validateArgs } = bind<GammaArguments>("Gamma", args, {
      concentration: REQUIRED,
      rate: REQUIRED,
      validateArgs: null,
    });
    const [alpha, beta] = broadcastAll(concentration, rate);
    super(alpha.shape, [], { validateArgs });
    this.concentration = alpha;
    this.rate = beta;
    this.validateParameters({ concentration, rate });
  }

  override get argConstraints(): Record<string, constraints.Constraint> {
    return { concentration: constraints.positive, rate: constraints.positive };
  }

  override get hasRsample(): boolean {
    return true;
  }

  override get support(): constraints.Constraint {
    return constraints.nonnegative;
  }

  override get mean(): Tensor {
    return composed(() => this.concentration.div(this.rate));
  }

  override get mode(): Tensor {
    return composed(() => this.concentration.sub(1).div(this.rate).clamp(0));
  }

  override get variance(): Tensor {
    return composed(() => this.concentration.div(this.rate.square()));
  }

  override sample(sampleShape: SampleShape = [], options: { generator?: RandomStream } = {}): Tensor {
    return noGrad(() => this.rsample(sampleShape, options));
  }

  override rsample(sampleShape: SampleShape = [], options: { generator?: RandomStream } = {}): Tensor {
    const shape = this.extended(sampleShape);
    return composed(() => {
      const concentration = spread(this.concentration, shape);
      const sample = standardGamma(concentration, options.generator);
      this.validateParameters({ concentration });
      return sample.div(this.rate).clamp(TINY);
    });
  }

  override logProb(value: Tensor | number): Tensor {
    const tensor = castTo(asTensor(value), "float32");
    return this.scored(tensor, (x) => {
      const { concentration, rate } = this;
      const powers = xlogy(concentration, rate).add(xlogy(concentration.sub(1), x));
      return powers.sub(rate.mul(x)).sub(concentration.lgamma());
    });
  }

  override entropy(): Tensor {
    return composed(() => {
      const { concentration, rate } = this;
      const digammas = concentration.neg().add(1).mul(concentration.digamma());
      return concentration.sub(rate.log()).add(concentration.lgamma()).add(digammas);
    });
  }
}

/**
 * The χ² distribution of `df` degrees of freedom: Gamma of df / 2 and rate 1/2.
 *
 * ```ts
 * new torch.distributions.Chi2(4).mean.item(); // 4
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#chi2
 */
export class Chi2 extends Gamma {
  constructor(df: number | Tensor, validate?: Validate);
  constructor(options: { df: number | Tensor; validateArgs?: boolean | null });
  constructor(...args: unknown[]) {
    const { df, validateArgs } = bind<{ df: number | Tensor; validateArgs?: boolean | null }>("Chi2", args, {
      df: REQUIRED,
      validateArgs: null,
    });
    super(df instanceof Tensor ? composed(() => df.mul(0.5)) : df / 2, 0.5, { validateArgs });
  }

  get df(): Tensor {
    return composed(() => this.concentration.mul(2));
  }

  override toString(): string {
    return "Chi2()";
  }
}

interface RateArguments {
  rate: number | Tensor;
  validateArgs?: boolean | null;
}

/** A distribution of a rate alone. */
abstract class OfRate extends Distribution {
  rate: Tensor;

  constructor(rate: number | Tensor, validate?: Validate);
  constructor(options: RateArguments);
  constructor(...args: unknown[]) {
    const { rate, validateArgs } = bind<RateArguments>(new.target.name, args, {
      rate: REQUIRED,
      validateArgs: null,
    });
    const [each] = broadcastAll(rate);
    super(each.shape, [], { validateArgs });
    this.rate = each;
    this.validateParameters({ rate });
  }
}

/**
 * The exponential distribution: rate · exp(−rate x).
 *
 * ```ts
 * new torch.distributions.Exponential(2).mean.item(); // 0.5
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#exponential
 */
export class Exponential extends OfRate {
  override get argConstraints(): Record<string, constraints.Constraint> {
    return { rate: constraints.positive };
  }

  override get hasRsample(): boolean {
    return true;
  }

  override get support(): constraints.Constraint {
    return constraints.nonnegative;
  }

  override get mean(): Tensor {
    return composed(() => this.rate.reciprocal());
  }

  override get mode(): Tensor {
    return composed(() => this.rate.mul(0));
  }

  override get stddev(): Tensor {
    return this.mean;
  }

  override get variance(): Tensor {
    return composed(() => this.rate.pow(-2));
  }

  override rsample(sampleShape: SampleShape = []): Tensor {
    const noise = drawn(draws.exponential, this.extended(sampleShape));
    return composed(() => noise.div(this.rate));
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => this.rate.log().sub(this.rate.mul(x)));
  }

  override cdf(value: Tensor): Tensor {
    return this.scored(value, (x) => this.rate.neg().mul(x).exp().neg().add(1));
  }

  override icdf(value: Tensor): Tensor {
    return composed(() => value.neg().log1p().neg().div(this.rate));
  }

  override entropy(): Tensor {
    return composed(() => this.rate.log().neg().add(1));
  }
}

/**
 * Poisson's distribution of counts: rateˣ e^−rate / x!.
 *
 * ```ts
 * new torch.distributions.Poisson(4).logProb(torch.tensor(3.0)).item().toFixed(4); // "-1.6329"
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#poisson
 */
export class Poisson extends OfRate {
  override get argConstraints(): Record<string, constraints.Constraint> {
    return { rate: constraints.nonnegative };
  }

  override get support(): constraints.Constraint {
    return constraints.nonnegativeInteger;
  }

  override get mean(): Tensor {
    return this.rate;
  }

  override get mode(): Tensor {
    return composed(() => this.rate.floor());
  }

  override get variance(): Tensor {
    return this.rate;
  }

  override sample(sampleShape: SampleShape = []): Tensor {
    const shape = this.extended(sampleShape);
    return noGrad(() =>
      composed(() => {
        const rate = spread(this.rate, shape);
        const sample = poisson(rate);
        this.validateParameters({ rate });
        return sample;
      }),
    );
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => xlogy(x, this.rate).sub(this.rate).sub(x.add(1).lgamma()));
  }
}

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

  override get hasRsample(): boolean {
    return true;
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
    return composed(() => {
      const concentration = spread(this.concentration, shape);
      const sample = sampleDirichlet(concentration);
      this.validateParameters({ concentration });
      return sample;
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

  override get hasRsample(): boolean {
    return true;
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
    return composed(() => this.dirichlet.rsample(sampleShape).select(-1, 0));
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => this.dirichlet.logProb(stack([x, x.neg().add(1)], -1)));
  }

  override entropy(): Tensor {
    return this.dirichlet.entropy();
  }
}
