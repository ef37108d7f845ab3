import { where } from "../../tensor/functions/pointwise/elementwise.ts";
import { asTensor, castTo, composed } from "../../tensor/functions/pointwise/operands.ts";
import { poisson } from "../../tensor/functions/creation/random.ts";
import { drawn, standardGamma } from "../../tensor/functions/creation/sampling.ts";
import { igamma, xlogy } from "../../tensor/functions/pointwise/special.ts";
import * as random from "../../tensor/random/operations.ts";
import type { RandomStream } from "../../tensor/random/stream.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { bind, REQUIRED } from "../arguments.ts";
import * as constraints from "./constraints.ts";
import { Distribution } from "./distribution.ts";
import { broadcastAll, spread, TINY, type SampleShape, type Validate, readNow } from "./helpers.ts";

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
  override readonly hasRsample = true;
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
    return this.guarded(() => {
      const concentration = spread(this.concentration, shape);
      readNow(concentration);
      this.validateParameters({ concentration });
      const sample = standardGamma(concentration, options.generator);
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

  override cdf(value: Tensor): Tensor {
    return this.scored(value, (x) => igamma(this.concentration, this.rate.mul(x)));
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
    this.validateParameters({ df });
  }

  override get argConstraints(): Record<string, constraints.Constraint> {
    return { df: constraints.positive };
  }

  protected override get derived(): readonly string[] {
    return ["df"];
  }

  get df(): Tensor {
    return composed(() => this.concentration.mul(2));
  }

  override toString(): string {
    return "Chi2()";
  }
}

interface FisherArguments {
  df1: number | Tensor;
  df2: number | Tensor;
  validateArgs?: boolean | null;
}

/**
 * Fisher's and Snedecor's F distribution of df1 and df2 degrees of freedom: of the ratio of two χ² values, each divided by its
 * degrees of freedom.
 *
 * ```ts
 * new torch.distributions.FisherSnedecor(2, 4).mean.item(); // 2
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#fishersnedecor
 */
export class FisherSnedecor extends Distribution {
  override readonly hasRsample = true;
  readonly df1: Tensor;
  readonly df2: Tensor;

  constructor(df1: number | Tensor, df2: number | Tensor, validate?: Validate);
  constructor(options: FisherArguments);
  constructor(...args: unknown[]) {
    const bound = bind<FisherArguments>("FisherSnedecor", args, {
      df1: REQUIRED,
      df2: REQUIRED,
      validateArgs: null,
    });
    const [df1, df2] = broadcastAll(bound.df1, bound.df2);
    super(df1.shape, [], bound);
    this.df1 = df1;
    this.df2 = df2;
    // As in PyTorch, the two Gamma distributions refuse their parameters first.
    for (const df of [bound.df1, bound.df2]) this.halved(df);
    this.validateParameters({ df1: bound.df1, df2: bound.df2 });
  }

  override get argConstraints(): Record<string, constraints.Constraint> {
    return { df1: constraints.positive, df2: constraints.positive };
  }

  override get support(): constraints.Constraint {
    return constraints.positive;
  }

  override get mean(): Tensor {
    return composed(() => where(this.df2.gt(2), this.df2.div(this.df2.sub(2)), NaN));
  }

  override get mode(): Tensor {
    return composed(() => {
      const { df1, df2 } = this;
      return where(df1.gt(2), df1.sub(2).div(df1).mul(df2).div(df2.add(2)), NaN);
    });
  }

  override get variance(): Tensor {
    return composed(() => {
      const { df1, df2 } = this;
      const above = df2.square().mul(2).mul(df1.add(df2).sub(2));
      return where(df2.gt(4), above.div(df1.mul(df2.sub(2).square()).mul(df2.sub(4))), NaN);
    });
  }

  private halved(df: number | Tensor): Gamma {
    return new Gamma(df instanceof Tensor ? composed(() => df.mul(0.5)) : df / 2, df);
  }

  override rsample(sampleShape: SampleShape = []): Tensor {
    return this.guarded(() => {
      const above = this.halved(this.df1).rsample(sampleShape);
      return above.div(this.halved(this.df2).rsample(sampleShape).clamp(TINY)).clamp(TINY);
    });
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => {
      const [half1, half2] = [this.df1.mul(0.5), this.df2.mul(0.5)];
      const ratio = this.df1.div(this.df2);
      const both = half1.add(half2);
      const t1 = both.lgamma().sub(half1.lgamma()).sub(half2.lgamma());
      const t2 = half1.mul(ratio.log()).add(half1.sub(1).mul(x.log()));
      return t1.add(t2).sub(both.mul(ratio.mul(x).log1p()));
    });
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
  override readonly hasRsample = true;

  override get argConstraints(): Record<string, constraints.Constraint> {
    return { rate: constraints.positive };
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
    const noise = drawn(random.exponential, this.extended(sampleShape));
    return this.guarded(() => noise.div(this.rate));
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
      this.guarded(() => {
        const rate = spread(this.rate, shape);
        readNow(rate);
        this.validateParameters({ rate });
        return poisson(rate);
      }),
    );
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => xlogy(x, this.rate).sub(this.rate).sub(x.add(1).lgamma()));
  }
}
