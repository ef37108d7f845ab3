import { composed } from "../../tensor/functions/pointwise/operands.ts";
import { fullLike } from "../../tensor/functions/creation/creation.ts";
import { rand, randn } from "../../tensor/functions/creation/random.ts";
import { drawn } from "../../tensor/functions/creation/sampling.ts";
import * as random from "../../tensor/random/operations.ts";
import { where } from "../../tensor/functions/pointwise/elementwise.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { bind, REQUIRED } from "../arguments.ts";
import * as constraints from "./constraints.ts";
import { Distribution } from "./distribution.ts";
import { Chi2 } from "./gamma.ts";
import { broadcastAll, EPS, EULER, formatted, TINY, type SampleShape, type Validate } from "./helpers.ts";
import { LocationScale } from "./normal.ts";

interface UniformArguments {
  low: number | Tensor;
  high: number | Tensor;
  validateArgs?: boolean | null;
}

/**
 * The uniform distribution of [low, high), which broadcast.
 *
 * ```ts
 * new torch.distributions.Uniform(2, 4).mean.item(); // 3
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#uniform
 */
export class Uniform extends Distribution {
  override readonly hasRsample = true;
  low: Tensor;
  high: Tensor;
  /** As they were given: numbers are known without computing. */
  private readonly bounds: readonly [constraints.Bound, constraints.Bound];

  constructor(low: number | Tensor, high: number | Tensor, validate?: Validate);
  constructor(options: UniformArguments);
  constructor(...args: unknown[]) {
    const { low, high, validateArgs } = bind<UniformArguments>("Uniform", args, {
      low: REQUIRED,
      high: REQUIRED,
      validateArgs: null,
    });
    const [from, to] = broadcastAll(low, high);
    super(from.shape, [], { validateArgs });
    this.low = from;
    this.high = to;
    this.bounds = [low, high];
    this.validateParameters({ low, high });
  }

  override get argConstraints(): Record<string, constraints.Constraint> {
    const [low, high] = this.bounds;
    return {
      low: constraints.lessThan(high, () => formatted(this.high)),
      high: constraints.greaterThan(low, () => formatted(this.low)),
    };
  }

  override get support(): constraints.Constraint {
    return constraints.interval(...this.bounds, () => [formatted(this.low), formatted(this.high)]);
  }

  override get mean(): Tensor {
    return composed(() => this.high.add(this.low).div(2));
  }

  override get mode(): Tensor {
    return composed(() => this.high.mul(NaN));
  }

  override get stddev(): Tensor {
    return composed(() => this.high.sub(this.low).div(Math.sqrt(12)));
  }

  override get variance(): Tensor {
    return composed(() => this.high.sub(this.low).square().div(12));
  }

  override rsample(sampleShape: SampleShape = []): Tensor {
    const noise = rand(this.extended(sampleShape));
    return this.guarded(() => this.low.add(noise.mul(this.high.sub(this.low))));
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => {
      const inside = this.low.le(x).logicalAnd(this.high.gt(x)).float();
      return inside.log().sub(this.high.sub(this.low).log());
    });
  }

  override cdf(value: Tensor): Tensor {
    return this.scored(value, (x) => x.sub(this.low).div(this.high.sub(this.low)).clamp(0, 1));
  }

  override icdf(value: Tensor): Tensor {
    return composed(() => value.mul(this.high.sub(this.low)).add(this.low));
  }

  override entropy(): Tensor {
    return composed(() => this.high.sub(this.low).log());
  }
}

/**
 * Laplace's distribution: exp(−|x − loc| / scale) / (2 scale).
 *
 * ```ts
 * new torch.distributions.Laplace(0, 1).entropy().item().toFixed(4); // "1.6931"
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#laplace
 */
export class Laplace extends LocationScale {
  override get variance(): Tensor {
    return composed(() => this.scale.square().mul(2));
  }

  override get stddev(): Tensor {
    return composed(() => this.scale.mul(Math.SQRT2));
  }

  override rsample(sampleShape: SampleShape = []): Tensor {
    const u = drawn((size) => random.uniform(size, EPS - 1, 1), this.extended(sampleShape));
    return this.guarded(() => this.loc.sub(this.scale.mul(u.sign()).mul(u.abs().neg().log1p())));
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) =>
      this.scale.mul(2).log().neg().sub(x.sub(this.loc).abs().div(this.scale)),
    );
  }

  override cdf(value: Tensor): Tensor {
    return this.scored(value, (x) => {
      const distance = x.sub(this.loc);
      const tail = distance.abs().neg().div(this.scale).expm1();
      return distance.sign().mul(-0.5).mul(tail).add(0.5);
    });
  }

  override icdf(value: Tensor): Tensor {
    return composed(() => {
      const term = value.sub(0.5);
      return this.loc.sub(this.scale.mul(term.sign()).mul(term.abs().mul(-2).log1p()));
    });
  }

  override entropy(): Tensor {
    return composed(() => this.scale.mul(2).log().add(1));
  }
}

/**
 * Cauchy's distribution: 1 / (π scale (1 + ((x − loc) / scale)²)). It has neither mean nor variance.
 *
 * ```ts
 * new torch.distributions.Cauchy(0, 1).cdf(torch.tensor(0)).item(); // 0.5
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#cauchy
 */
export class Cauchy extends LocationScale {
  override get mean(): Tensor {
    return fullLike(this.loc, NaN);
  }

  override get variance(): Tensor {
    return fullLike(this.loc, Infinity);
  }

  override rsample(sampleShape: SampleShape = []): Tensor {
    const noise = drawn(random.cauchy, this.extended(sampleShape));
    return this.guarded(() => this.loc.add(noise.mul(this.scale)));
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) =>
      this.scale.log().neg().sub(Math.log(Math.PI)).sub(this.standardized(x).square().log1p()),
    );
  }

  override cdf(value: Tensor): Tensor {
    return this.scored(value, (x) => this.standardized(x).atan().div(Math.PI).add(0.5));
  }

  override icdf(value: Tensor): Tensor {
    return composed(() => value.sub(0.5).mul(Math.PI).tan().mul(this.scale).add(this.loc));
  }

  override entropy(): Tensor {
    return composed(() => this.scale.log().add(Math.log(4 * Math.PI)));
  }
}

/**
 * Gumbel's distribution of extreme values: exp(−y − exp(−y)) / scale of y = (x − loc) / scale.
 *
 * ```ts
 * new torch.distributions.Gumbel(0, 1).entropy().item().toFixed(4); // "1.5772"
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#gumbel
 */
export class Gumbel extends LocationScale {
  override get mean(): Tensor {
    return composed(() => this.loc.add(this.scale.mul(EULER)));
  }

  override get stddev(): Tensor {
    return composed(() => this.scale.mul(Math.PI / Math.sqrt(6)));
  }

  override get variance(): Tensor {
    return composed(() => this.stddev.square());
  }

  override rsample(sampleShape: SampleShape = []): Tensor {
    const noise = rand(this.extended(sampleShape));
    return this.guarded(() => {
      const u = noise.mul(Math.fround(1 - EPS - TINY)).add(TINY);
      return this.loc.sub(this.scale.mul(u.log().neg().log()));
    });
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => {
      const y = this.loc.sub(x).div(this.scale);
      return y.sub(y.exp()).sub(this.scale.log());
    });
  }

  override cdf(value: Tensor): Tensor {
    return this.scored(value, (x) => this.standardized(x).neg().exp().neg().exp());
  }

  override icdf(value: Tensor): Tensor {
    return composed(() => this.loc.sub(this.scale.mul(value.log().neg().log())));
  }

  override entropy(): Tensor {
    return composed(() => this.scale.log().add(1 + EULER));
  }
}

interface StudentTArguments {
  df: number | Tensor;
  loc?: number | Tensor;
  scale?: number | Tensor;
  validateArgs?: boolean | null;
}

/**
 * Student's t distribution of `df` degrees of freedom, moved by `loc` and stretched by `scale`.
 *
 * ```ts
 * new torch.distributions.StudentT(3).variance.item(); // 3
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#studentt
 */
export class StudentT extends Distribution {
  override readonly hasRsample = true;
  df: Tensor;
  loc: Tensor;
  scale: Tensor;

  constructor(df: number | Tensor, loc?: number | Tensor, scale?: number | Tensor, validate?: Validate);
  constructor(df: number | Tensor, options?: Omit<StudentTArguments, "df">);
  constructor(options: StudentTArguments);
  constructor(...args: unknown[]) {
    const { df, loc, scale, validateArgs } = bind<StudentTArguments>("StudentT", args, {
      df: REQUIRED,
      loc: 0,
      scale: 1,
      validateArgs: null,
    });
    const [freedom, center, width] = broadcastAll(df, loc, scale);
    // As in PyTorch, it refuses its degrees of freedom first.
    void new Chi2(df);
    super(freedom.shape, [], { validateArgs });
    this.df = freedom;
    this.loc = center;
    this.scale = width;
    this.validateParameters({ df, loc, scale });
  }

  override get argConstraints(): Record<string, constraints.Constraint> {
    return { df: constraints.positive, loc: constraints.real, scale: constraints.positive };
  }

  override get support(): constraints.Constraint {
    return constraints.real;
  }

  override get mean(): Tensor {
    return composed(() => where(this.df.le(1), NaN, this.loc));
  }

  override get mode(): Tensor {
    return this.loc;
  }

  override get variance(): Tensor {
    return composed(() => {
      const finite = this.df.gt(2);
      const freedom = where(finite, this.df, 3);
      const variance = this.scale.square().mul(freedom).div(freedom.sub(2));
      return where(finite, variance, where(this.df.gt(1), Infinity, fullLike(this.df, NaN)));
    });
  }

  override rsample(sampleShape: SampleShape = []): Tensor {
    const noise = randn(this.extended(sampleShape));
    return this.guarded(() => {
      const z = new Chi2(this.df, { validateArgs: this.validates }).rsample(sampleShape);
      return this.loc.add(this.scale.mul(noise.mul(z.div(this.df).rsqrt())));
    });
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => {
      const { df, loc, scale } = this;
      const y = x.sub(loc).div(scale);
      const gammas = df.mul(0.5).lgamma().sub(df.add(1).mul(0.5).lgamma());
      const z = scale
        .log()
        .add(df.log().mul(0.5))
        .add(0.5 * Math.log(Math.PI))
        .add(gammas);
      return df.add(1).mul(-0.5).mul(y.square().div(df).log1p()).sub(z);
    });
  }

  override entropy(): Tensor {
    return composed(() => {
      const { df, scale } = this;
      const [half, next] = [df.mul(0.5), df.add(1).mul(0.5)];
      const beta = half
        .lgamma()
        .add(0.5 * Math.log(Math.PI))
        .sub(next.lgamma());
      return scale
        .log()
        .add(next.mul(next.digamma().sub(half.digamma())))
        .add(df.log().mul(0.5))
        .add(beta);
    });
  }
}
