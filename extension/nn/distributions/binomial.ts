// Counts of successes in trials.
import { TensorError } from "../../tensor/core/errors.ts";
import { arange } from "../../tensor/functions/creation/creation.ts";
import { binomial } from "../../tensor/functions/creation/sampling.ts";
import { minimum } from "../../tensor/functions/pointwise/arithmetic.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { poisson } from "../../tensor/functions/creation/random.ts";
import { where } from "../../tensor/functions/pointwise/elementwise.ts";
import { castTo, composed } from "../../tensor/functions/pointwise/operands.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { bind, REQUIRED } from "../arguments.ts";
import { logsigmoid } from "../functional/activation/activation.ts";
import * as constraints from "./constraints.ts";
import { Gamma } from "./gamma.ts";
import {
  broadcastAll,
  expands,
  readNow,
  spread,
  type Optional,
  type SampleShape,
  type Validate,
} from "./helpers.ts";
import { OfProbabilities, oneOf, PROBABILITIES, type ProbabilityArguments } from "./ofProbabilities.ts";

interface CountArguments extends ProbabilityArguments {
  totalCount?: number | Tensor;
}

/** A distribution of counts, of trials of one probability. */
abstract class OfTrials extends OfProbabilities {
  /** `totalCount` where none is given. */
  protected static readonly trials: number | typeof REQUIRED = REQUIRED;
  readonly totalCount: Tensor;

  constructor(
    totalCount: number | Tensor,
    probs?: Optional<number | Tensor>,
    logits?: Optional<number | Tensor>,
    validate?: Validate,
  );
  constructor(totalCount: number | Tensor, options: ProbabilityArguments);
  constructor(options: CountArguments);
  constructor(...args: unknown[]) {
    const bound = bind<CountArguments>(new.target.name, args, {
      totalCount: new.target.trials,
      ...PROBABILITIES,
    });
    const { name, value } = oneOf(bound.probs, bound.logits);
    const [count, parameter] = broadcastAll(bound.totalCount, value);
    super(name, parameter, { batchShape: parameter.shape }, bound);
    this.totalCount = castTo(count, parameter.dtype);
    this.validateParameters({ totalCount: bound.totalCount, [name]: value });
  }
}

/** max(x, 0), with slope 1/2 at 0. */
const clampByZero = (x: Tensor): Tensor => x.clamp(0).add(x).sub(x.clamp(null, 0)).div(2);

/**
 * The number of successes, each of probability `probs`, in `totalCount` trials, 1 by default.
 *
 * ```ts
 * new torch.distributions.Binomial(10, 0.5).variance.item(); // 2.5
 * ```
 * @throws TensorError "Either `probs` or `logits` must be specified, but not both."
 * @see https://docs.pytorch.org/docs/stable/distributions.html#binomial
 */
export class Binomial extends OfTrials {
  protected static override readonly trials = 1;
  override readonly hasEnumerateSupport = true;

  override get argConstraints(): Record<string, constraints.Constraint> {
    return {
      totalCount: constraints.nonnegativeInteger,
      probs: constraints.unitInterval,
      logits: constraints.real,
    };
  }

  override get support(): constraints.Constraint {
    return constraints.integerInterval(0, this.totalCount);
  }

  override get mean(): Tensor {
    return composed(() => this.totalCount.mul(this.probs));
  }

  override get mode(): Tensor {
    return composed(() => minimum(this.totalCount.add(1).mul(this.probs).floor(), this.totalCount));
  }

  override get variance(): Tensor {
    return composed(() => this.mean.mul(this.probs.neg().add(1)));
  }

  override sample(sampleShape: SampleShape = []): Tensor {
    const shape = this.extended(sampleShape);
    return noGrad(() =>
      this.guarded(() => {
        const [count, probs] = [spread(this.totalCount, shape), spread(this.probs, shape)];
        readNow(probs);
        this.validateParameters({ probs });
        return binomial(count, probs);
      }),
    );
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => {
      const { totalCount: count, logits } = this;
      const choices = count.add(1).lgamma().sub(x.add(1).lgamma()).sub(count.sub(x).add(1).lgamma());
      const rest = clampByZero(logits).add(logits.abs().neg().exp().log1p());
      return x.mul(logits).add(choices).sub(count.mul(rest));
    });
  }

  override entropy(): Tensor {
    const values = this.values("entropy");
    return composed(() => {
      const log = this.logProb(values);
      return log.exp().mul(log).sum(0).neg();
    });
  }

  override enumerateSupport(expand: boolean | { expand?: boolean } = true): Tensor {
    const values = this.values("enumerate_support");
    return expands(expand) ? values.expand([values.shape[0]!, ...this.batchShape]) : values;
  }

  /** 0 to `totalCount`, along a new dimension; reads the counts, which must be equal. */
  private values(caller: string): Tensor {
    const counts = valuesOf(this.totalCount.value);
    const [first = 0] = counts;
    if (counts.some((n) => n !== first))
      throw new TensorError("unsupported", `Inhomogeneous total count not supported by \`${caller}\`.`);
    return arange(first + 1, { dtype: "float32" }).reshape([-1, ...this.batchShape.map(() => 1)]);
  }
}

/**
 * The number of successes, each of probability `probs`, before `totalCount` failures; `totalCount` need not be whole.
 *
 * ```ts
 * new torch.distributions.NegativeBinomial(3, 0.5).mean.item(); // 3
 * ```
 * @throws TensorError "Either `probs` or `logits` must be specified, but not both."
 * @see https://docs.pytorch.org/docs/stable/distributions.html#negativebinomial
 */
export class NegativeBinomial extends OfTrials {
  override get argConstraints(): Record<string, constraints.Constraint> {
    return {
      totalCount: constraints.greaterThanEq(0),
      probs: constraints.halfOpenInterval(0, 1, () => ["0.0", "1.0"]),
      logits: constraints.real,
    };
  }

  override get support(): constraints.Constraint {
    return constraints.nonnegativeInteger;
  }

  override get mean(): Tensor {
    return composed(() => this.totalCount.mul(this.logits.exp()));
  }

  override get mode(): Tensor {
    return composed(() => this.totalCount.sub(1).mul(this.logits.exp()).floor().clamp(0));
  }

  override get variance(): Tensor {
    return composed(() => this.mean.div(this.logits.neg().sigmoid()));
  }

  override sample(sampleShape: SampleShape = []): Tensor {
    return noGrad(() =>
      this.guarded(() => {
        // Without checks: a count of 0 has no Gamma distribution.
        const gamma = new Gamma(this.totalCount, this.logits.neg().exp(), false);
        const rate = gamma.sample(sampleShape);
        readNow(rate);
        return poisson(rate);
      }),
    );
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => {
      const { totalCount: count, logits } = this;
      const unnormalized = count.mul(logsigmoid(logits.neg())).add(x.mul(logsigmoid(logits)));
      const sum = count.add(x);
      const normalization = x.add(1).lgamma().add(count.lgamma()).sub(sum.lgamma());
      // Zero successes before zero failures are certain, where lgamma is infinite.
      return unnormalized.sub(where(sum.eq(0), 0, normalization));
    });
  }
}
