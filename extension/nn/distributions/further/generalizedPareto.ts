import type { Tensor } from "../../../tensor/core/tensor.ts";
import { rand } from "../../../tensor/functions/creation/random.ts";
import { where } from "../../../tensor/functions/pointwise/elementwise.ts";
import { composed } from "../../../tensor/functions/pointwise/operands.ts";
import { bind, REQUIRED } from "../../arguments.ts";
import * as constraints from "../constraints.ts";
import { Distribution } from "../distribution.ts";
import { broadcastAll, formatted, spread, type SampleShape, type Validate } from "../helpers.ts";

interface GeneralizedParetoArguments {
  loc: number | Tensor;
  scale: number | Tensor;
  concentration: number | Tensor;
  validateArgs?: boolean | null;
}

/**
 * The generalized Pareto distribution: P(X > x) = (1 + c z)^(−1 / c) for z = (x − loc) / scale, from `loc` on; e⁻ᶻ for a
 * `concentration` c of 0. For a negative one values end at loc − scale / c.
 *
 * ```ts
 * new torch.distributions.GeneralizedPareto(1, 3, 0.5).mean.item(); // 7
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#generalizedpareto
 */
export class GeneralizedPareto extends Distribution {
  override readonly hasRsample = true;
  readonly loc: Tensor;
  readonly scale: Tensor;
  readonly concentration: Tensor;

  constructor(
    loc: number | Tensor,
    scale: number | Tensor,
    concentration: number | Tensor,
    validate?: Validate,
  );
  constructor(options: GeneralizedParetoArguments);
  constructor(...args: unknown[]) {
    const { loc, scale, concentration, validateArgs } = bind<GeneralizedParetoArguments>(
      "GeneralizedPareto",
      args,
      { loc: REQUIRED, scale: REQUIRED, concentration: REQUIRED, validateArgs: null },
    );
    const [a, b, c] = broadcastAll(loc, scale, concentration);
    super(a.shape, [], { validateArgs });
    this.loc = a;
    this.scale = b;
    this.concentration = c;
    this.validateParameters({ loc, scale, concentration });
  }

  override get argConstraints(): Record<string, constraints.Constraint> {
    return { loc: constraints.real, scale: constraints.positive, concentration: constraints.real };
  }

  override get support(): constraints.Constraint {
    const { loc } = this;
    const upper = composed(() =>
      where(this.concentration.lt(0), loc.sub(this.scale.div(this.concentration)), Infinity),
    );
    return constraints.interval(loc, upper, () => [formatted(loc), formatted(upper)]);
  }

  override get mean(): Tensor {
    return composed(() => {
      const valid = this.concentration.lt(1);
      const safe = where(valid, this.concentration, 0.5);
      return where(valid, this.loc.add(this.scale.div(safe.neg().add(1))), NaN);
    });
  }

  override get mode(): Tensor {
    return this.loc;
  }

  override get variance(): Tensor {
    return composed(() => {
      const valid = this.concentration.lt(0.5);
      const safe = where(valid, this.concentration, 0.25);
      const divisor = safe.neg().add(1).square().mul(safe.mul(-2).add(1));
      return where(valid, this.scale.square().div(divisor), NaN);
    });
  }

  override rsample(sampleShape: SampleShape = []): Tensor {
    const u = rand(this.extended(sampleShape));
    return this.guarded(() => this.icdf(u));
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => {
      const z = this.standardized(x);
      const { none, safe } = this.parts();
      const y = safe.reciprocal().add(1);
      const powers = where(y.eq(0), y, y.mul(safe.mul(z).log1p()));
      return this.scale
        .log()
        .neg()
        .sub(where(none, z, powers));
    });
  }

  /** The log of the probability of more than a value. */
  logSurvivalFunction(value: Tensor): Tensor {
    return this.scored(value, (x) => {
      const z = this.standardized(x);
      const { none, safe } = this.parts();
      return where(none, z.neg(), safe.mul(z).log1p().neg().div(safe));
    });
  }

  /** The log of the probability of at most a value. */
  logCdf(value: Tensor): Tensor {
    return composed(() => this.logSurvivalFunction(value).exp().neg().log1p());
  }

  override cdf(value: Tensor): Tensor {
    return composed(() => this.logCdf(value).exp());
  }

  override icdf(value: Tensor): Tensor {
    return composed(() => {
      const { none, safe } = this.parts();
      const log = value.neg().log1p();
      const powers = this.loc.add(this.scale.div(safe).mul(safe.neg().mul(log).expm1()));
      return where(none, this.loc.sub(this.scale.mul(log)), powers);
    });
  }

  override entropy(): Tensor {
    return composed(() => spread(this.scale.log().add(this.concentration).add(1), this.batchShape));
  }

  private standardized(x: Tensor): Tensor {
    return x.sub(this.loc).div(this.scale);
  }

  /** Where the concentration is 0, and the concentration with 1 in its place. */
  private parts(): { none: Tensor; safe: Tensor } {
    const none = this.concentration.abs().le(1e-8);
    return { none, safe: where(none, 1, this.concentration) };
  }
}
