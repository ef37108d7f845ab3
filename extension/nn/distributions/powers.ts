// Distributions of positive numbers that are functions of simpler ones.
import { ones, zeros } from "../../tensor/functions/creation/creation.ts";
import { where } from "../../tensor/functions/pointwise/elementwise.ts";
import { composed } from "../../tensor/functions/pointwise/operands.ts";
import type { Shape } from "../../tensor/core/shape.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { bind, REQUIRED } from "../arguments.ts";
import * as constraints from "./constraints.ts";
import { Cauchy, Uniform } from "./continuous.ts";
import type { Distribution } from "./distribution.ts";
import { AbsTransform, AffineTransform, ExpTransform, PowerTransform } from "./elementwiseTransforms.ts";
import { Exponential, Gamma } from "./gamma.ts";
import { broadcastAll, EULER, formatted, spread, type Validate } from "./helpers.ts";
import type { Transform } from "./transform.ts";
import { TransformedDistribution } from "./transformedDistribution.ts";

const oneMinus = (x: Tensor): Tensor => x.neg().add(1);

/** A transformed distribution with parameters of its own, in whose shape it is expanded. */
abstract class Parameterized<D extends Distribution> extends TransformedDistribution<D> {
  override expand(batchShape: Shape): this {
    const own = this as unknown as Record<string, Tensor>;
    const names = Object.keys(this.argConstraints).filter((name) => Object.hasOwn(this, name));
    const expanded = Object.fromEntries(names.map((name) => [name, spread(own[name]!, batchShape)]));
    return super.expand(batchShape).with(expanded);
  }
}

interface ParetoArguments {
  scale: number | Tensor;
  alpha: number | Tensor;
  validateArgs?: boolean | null;
}

/**
 * Pareto's distribution of numbers from `scale` on: alpha · scaleᵅ / xᵅ⁺¹.
 *
 * ```ts
 * new torch.distributions.Pareto(1, 3).mean.item(); // 1.5
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#pareto
 */
export class Pareto extends Parameterized<Exponential> {
  readonly scale: Tensor;
  readonly alpha: Tensor;

  constructor(scale: number | Tensor, alpha: number | Tensor, validate?: Validate);
  constructor(options: ParetoArguments);
  constructor(...args: unknown[]) {
    const bound = bind<ParetoArguments>("Pareto", args, {
      scale: REQUIRED,
      alpha: REQUIRED,
      validateArgs: null,
    });
    const [scale, alpha] = broadcastAll(bound.scale, bound.alpha);
    const { validateArgs } = bound;
    const transforms: Transform[] = [new ExpTransform(), new AffineTransform(0, scale)];
    super(new Exponential(alpha, { validateArgs: false }), transforms, validateArgs);
    this.scale = scale;
    this.alpha = alpha;
    this.validateParameters({ scale: bound.scale, alpha: bound.alpha });
  }

  override get argConstraints(): Record<string, constraints.Constraint> {
    return { alpha: constraints.positive, scale: constraints.positive };
  }

  override get support(): constraints.Constraint {
    return constraints.greaterThanEq(this.scale, () => formatted(this.scale));
  }

  override get mean(): Tensor {
    return composed(() => {
      const alpha = this.alpha.clamp(1);
      return alpha.mul(this.scale).div(alpha.sub(1));
    });
  }

  override get mode(): Tensor {
    return this.scale;
  }

  override get variance(): Tensor {
    return composed(() => {
      const alpha = this.alpha.clamp(2);
      return this.scale
        .square()
        .mul(alpha)
        .div(alpha.sub(1).square().mul(alpha.sub(2)));
    });
  }

  override entropy(): Tensor {
    return composed(() => this.scale.div(this.alpha).log().add(this.alpha.reciprocal().add(1)));
  }
}

interface WeibullArguments {
  scale: number | Tensor;
  concentration: number | Tensor;
  validateArgs?: boolean | null;
}

/**
 * Weibull's distribution: scale times a power of an exponential value, 1 / concentration.
 *
 * ```ts
 * new torch.distributions.Weibull(2, 1).mean.item(); // 2
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#weibull
 */
export class Weibull extends Parameterized<Exponential> {
  readonly scale: Tensor;
  readonly concentration: Tensor;

  constructor(scale: number | Tensor, concentration: number | Tensor, validate?: Validate);
  constructor(options: WeibullArguments);
  constructor(...args: unknown[]) {
    const bound = bind<WeibullArguments>("Weibull", args, {
      scale: REQUIRED,
      concentration: REQUIRED,
      validateArgs: null,
    });
    const [scale, concentration] = broadcastAll(bound.scale, bound.concentration);
    const power = composed(() => concentration.reciprocal());
    const base = new Exponential(ones(scale.shape), { validateArgs: false });
    super(base, [new PowerTransform(power), new AffineTransform(0, scale)], bound.validateArgs);
    this.scale = scale;
    this.concentration = concentration;
    this.validateParameters({ scale: bound.scale, concentration: bound.concentration });
  }

  override get argConstraints(): Record<string, constraints.Constraint> {
    return { scale: constraints.positive, concentration: constraints.positive };
  }

  override get support(): constraints.Constraint {
    return constraints.positive;
  }

  /** E[xⁿ] / scaleⁿ. */
  private moment(n: number): Tensor {
    return this.concentration.reciprocal().mul(n).add(1).lgamma().exp();
  }

  override get mean(): Tensor {
    return composed(() => this.scale.mul(this.moment(1)));
  }

  override get mode(): Tensor {
    return composed(() => {
      const { concentration } = this;
      return this.scale.mul(concentration.sub(1).div(concentration).pow(concentration.reciprocal()));
    });
  }

  override get variance(): Tensor {
    return composed(() => this.scale.square().mul(this.moment(2).sub(this.moment(1).square())));
  }

  override entropy(): Tensor {
    return composed(() => {
      const power = this.concentration.reciprocal();
      return oneMinus(power).mul(EULER).add(this.scale.mul(power).log()).add(1);
    });
  }
}

interface KumaraswamyArguments {
  concentration1: number | Tensor;
  concentration0: number | Tensor;
  validateArgs?: boolean | null;
}

/**
 * Kumaraswamy's distribution of numbers between 0 and 1, whose cdf is 1 − (1 − xᵃ)ᵇ with a = concentration1, b = concentration0.
 *
 * ```ts
 * new torch.distributions.Kumaraswamy(1, 1).mean.item(); // 0.5
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#kumaraswamy
 */
export class Kumaraswamy extends Parameterized<Uniform> {
  readonly concentration1: Tensor;
  readonly concentration0: Tensor;

  constructor(concentration1: number | Tensor, concentration0: number | Tensor, validate?: Validate);
  constructor(options: KumaraswamyArguments);
  constructor(...args: unknown[]) {
    const bound = bind<KumaraswamyArguments>("Kumaraswamy", args, {
      concentration1: REQUIRED,
      concentration0: REQUIRED,
      validateArgs: null,
    });
    const [a, b] = broadcastAll(bound.concentration1, bound.concentration0);
    const power = (x: Tensor): Transform => new PowerTransform(composed(() => x.reciprocal()));
    const base = new Uniform(zeros(b.shape), ones(b.shape), bound.validateArgs);
    super(base, [power(b), new AffineTransform(1, -1), power(a)], bound.validateArgs);
    this.concentration1 = a;
    this.concentration0 = b;
    this.validateParameters({ concentration1: bound.concentration1, concentration0: bound.concentration0 });
  }

  override get argConstraints(): Record<string, constraints.Constraint> {
    return { concentration1: constraints.positive, concentration0: constraints.positive };
  }

  override get support(): constraints.Constraint {
    return constraints.unitInterval;
  }

  /** E[xⁿ] = b · B(1 + n / a, b). */
  private moment(n: number): Tensor {
    const { concentration1: a, concentration0: b } = this;
    const raised = a.reciprocal().mul(n).add(1);
    return b.mul(raised.lgamma().add(b.lgamma()).sub(raised.add(b).lgamma()).exp());
  }

  override get mean(): Tensor {
    return composed(() => this.moment(1));
  }

  override get mode(): Tensor {
    return composed(() => {
      const { concentration1: a, concentration0: b } = this;
      const log = b.reciprocal().mul(b.neg().log1p()).sub(b.neg().mul(a).log1p());
      return where(b.lt(1).logicalOr(a.lt(1)), NaN, log).exp();
    });
  }

  override get variance(): Tensor {
    return composed(() => this.moment(2).sub(this.moment(1).square()));
  }

  override entropy(): Tensor {
    return composed(() => {
      const { concentration1: a, concentration0: b } = this;
      const harmonic = b.add(1).digamma().add(EULER);
      const parts = oneMinus(b.reciprocal()).add(oneMinus(a.reciprocal()).mul(harmonic));
      return parts.sub(a.log()).sub(b.log());
    });
  }
}

interface InverseGammaArguments {
  concentration: number | Tensor;
  rate: number | Tensor;
  validateArgs?: boolean | null;
}

/**
 * The distribution of 1 / x of Gamma values.
 *
 * ```ts
 * new torch.distributions.InverseGamma(3, 4).mean.item(); // 2
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#inversegamma
 */
export class InverseGamma extends TransformedDistribution<Gamma> {
  constructor(concentration: number | Tensor, rate: number | Tensor, validate?: Validate);
  constructor(options: InverseGammaArguments);
  constructor(...args: unknown[]) {
    const { concentration, rate, validateArgs } = bind<InverseGammaArguments>("InverseGamma", args, {
      concentration: REQUIRED,
      rate: REQUIRED,
      validateArgs: null,
    });
    super(new Gamma(concentration, rate, validateArgs), new PowerTransform(-1), validateArgs);
  }

  override get support(): constraints.Constraint {
    return constraints.positive;
  }

  get concentration(): Tensor {
    return (this.baseDist as Gamma).concentration;
  }

  get rate(): Tensor {
    return (this.baseDist as Gamma).rate;
  }

  override get mean(): Tensor {
    return composed(() =>
      where(this.concentration.gt(1), this.rate.div(this.concentration.sub(1)), Infinity),
    );
  }

  override get mode(): Tensor {
    return composed(() => this.rate.div(this.concentration.add(1)));
  }

  override get variance(): Tensor {
    return composed(() => {
      const { concentration: alpha } = this;
      const variance = this.rate.square().div(alpha.sub(1).square().mul(alpha.sub(2)));
      return where(alpha.gt(2), variance, Infinity);
    });
  }

  override entropy(): Tensor {
    return composed(() => {
      const { concentration: alpha } = this;
      return alpha.add(this.rate.log()).add(alpha.lgamma()).sub(alpha.add(1).mul(alpha.digamma()));
    });
  }
}

/**
 * The distribution of the absolute value of a Cauchy value around 0.
 *
 * ```ts
 * new torch.distributions.HalfCauchy(1).cdf(torch.tensor(1.0)).item(); // 0.5
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#halfcauchy
 */
export class HalfCauchy extends TransformedDistribution<Cauchy> {
  constructor(scale: number | Tensor, validate?: Validate);
  constructor(options: { scale: number | Tensor; validateArgs?: boolean | null });
  constructor(...args: unknown[]) {
    const { scale, validateArgs } = bind<{ scale: number | Tensor; validateArgs?: boolean | null }>(
      "HalfCauchy",
      args,
      { scale: REQUIRED, validateArgs: null },
    );
    super(new Cauchy(0, scale, false), new AbsTransform(), validateArgs);
    this.validateParameters({ scale });
  }

  override get argConstraints(): Record<string, constraints.Constraint> {
    return { scale: constraints.positive };
  }

  protected override get derived(): readonly string[] {
    return ["scale"];
  }

  get scale(): Tensor {
    return (this.baseDist as Cauchy).scale;
  }

  override get support(): constraints.Constraint {
    return constraints.nonnegative;
  }

  override get mean(): Tensor {
    return composed(() => this.scale.mul(0).add(Infinity));
  }

  override get mode(): Tensor {
    return composed(() => this.scale.mul(0));
  }

  override get variance(): Tensor {
    return this.baseDist.variance;
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => where(x.ge(0), this.baseDist.logProb(x).add(Math.LN2), -Infinity));
  }

  override cdf(value: Tensor): Tensor {
    return this.scored(value, (x) => this.baseDist.cdf(x).mul(2).sub(1));
  }

  override icdf(value: Tensor): Tensor {
    return composed(() => this.baseDist.icdf(value.add(1).div(2)));
  }

  override entropy(): Tensor {
    return composed(() => this.baseDist.entropy().sub(Math.LN2));
  }
}
