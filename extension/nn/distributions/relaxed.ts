import { rand } from "../../tensor/functions/creation/random.ts";
import { lgamma } from "../../tensor/ops/elementwise/specialValues.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { bind, REQUIRED } from "../arguments.ts";
import { Categorical, OfCategories, type CategoricalArguments } from "./categorical.ts";
import * as constraints from "./constraints.ts";
import {
  broadcastAll,
  clampProbs,
  spread,
  type Optional,
  type SampleShape,
  type Validate,
} from "./helpers.ts";
import { OfProbabilities, oneOf, PROBABILITIES, type ProbabilityArguments } from "./ofProbabilities.ts";
import { TransformedDistribution } from "./transformedDistribution.ts";
import { ExpTransform, SigmoidTransform } from "./elementwiseTransforms.ts";

interface Tempered {
  temperature: Tensor;
}

/** The log of {@link RelaxedOneHotCategorical}. */
export class ExpRelaxedCategorical extends OfCategories {
  override readonly hasRsample = true;
  readonly temperature: Tensor;

  constructor({ temperature, ...options }: Tempered & CategoricalArguments) {
    super(new Categorical(options), options);
    this.temperature = temperature;
  }

  override get support(): constraints.Constraint {
    return constraints.realVector;
  }

  override rsample(sampleShape: SampleShape = []): Tensor {
    const noise = rand(this.extended(sampleShape));
    return this.guarded(() => {
      const gumbels = clampProbs(noise).log().neg().log().neg();
      const scores = this.logits.add(gumbels).div(this.temperature);
      return scores.sub(scores.logsumexp(-1, true));
    });
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => {
      const k = this.categorical.numEvents;
      const [logits, logs] = broadcastAll(this.logits, x);
      const score = logits.sub(logs.mul(this.temperature));
      const sum = score.sub(score.logsumexp(-1, true)).sum(-1);
      return sum.add(
        this.temperature
          .log()
          .mul(k - 1)
          .add(lgamma(k)),
      );
    });
  }
}

/**
 * Probabilities near a corner, with gradients by the parameters: a relaxed OneHotCategorical. The lower the temperature,
 * the nearer.
 *
 * ```ts
 * const { RelaxedOneHotCategorical } = torch.distributions;
 * new RelaxedOneHotCategorical(torch.tensor(0.5), { logits: torch.zeros(3) }).rsample().shape; // [3]
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#relaxedonehotcategorical
 */
export class RelaxedOneHotCategorical extends TransformedDistribution<ExpRelaxedCategorical> {
  constructor(temperature: Tensor, probs?: Optional<Tensor>, logits?: Optional<Tensor>, validate?: Validate);
  constructor(temperature: Tensor, options: CategoricalArguments);
  constructor(options: Tempered & CategoricalArguments);
  constructor(...args: unknown[]) {
    const bound = bind<Tempered & CategoricalArguments>("RelaxedOneHotCategorical", args, {
      temperature: REQUIRED,
      ...PROBABILITIES,
    });
    super(new ExpRelaxedCategorical(bound), new ExpTransform(), bound.validateArgs);
  }

  override get support(): constraints.Constraint {
    return constraints.simplex;
  }

  get temperature(): Tensor {
    return (this.baseDist as ExpRelaxedCategorical).temperature;
  }

  get logits(): Tensor {
    return (this.baseDist as ExpRelaxedCategorical).logits;
  }

  get probs(): Tensor {
    return (this.baseDist as ExpRelaxedCategorical).probs;
  }
}

/** The log odds of {@link RelaxedBernoulli}. */
export class LogitRelaxedBernoulli extends OfProbabilities {
  override readonly hasRsample = true;
  readonly temperature: Tensor;

  constructor({ temperature, ...options }: Tempered & ProbabilityArguments) {
    const { name, value } = oneOf(options.probs, options.logits);
    const [parameter] = broadcastAll(value);
    super(name, parameter, { batchShape: parameter.shape }, options);
    this.temperature = temperature;
    this.validateParameters({ [name]: value });
  }

  override get argConstraints(): Record<string, constraints.Constraint> {
    return { probs: constraints.unitInterval, logits: constraints.real };
  }

  override get support(): constraints.Constraint {
    return constraints.real;
  }

  override rsample(sampleShape: SampleShape = []): Tensor {
    const shape = this.extended(sampleShape);
    const noise = rand(shape);
    return this.guarded(() => {
      const [p, u] = [clampProbs(spread(this.probs, shape)), clampProbs(noise)];
      const odds = u.log().sub(u.neg().log1p()).add(p.log()).sub(p.neg().log1p());
      return odds.div(this.temperature);
    });
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => {
      const [logits, odds] = broadcastAll(this.logits, x);
      const distance = logits.sub(odds.mul(this.temperature));
      return this.temperature.log().add(distance).sub(distance.exp().log1p().mul(2));
    });
  }
}

/**
 * Numbers near 0 or 1, with gradients by the parameters: a relaxed Bernoulli. The lower the temperature, the nearer.
 *
 * ```ts
 * const { RelaxedBernoulli } = torch.distributions;
 * new RelaxedBernoulli(torch.tensor(0.5), torch.tensor([0.1, 0.9])).rsample().shape; // [2]
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#relaxedbernoulli
 */
export class RelaxedBernoulli extends TransformedDistribution<LogitRelaxedBernoulli> {
  constructor(
    temperature: Tensor,
    probs?: Optional<number | Tensor>,
    logits?: Optional<number | Tensor>,
    validate?: Validate,
  );
  constructor(temperature: Tensor, options: ProbabilityArguments);
  constructor(options: Tempered & ProbabilityArguments);
  constructor(...args: unknown[]) {
    const bound = bind<Tempered & ProbabilityArguments>("RelaxedBernoulli", args, {
      temperature: REQUIRED,
      ...PROBABILITIES,
    });
    super(new LogitRelaxedBernoulli(bound), new SigmoidTransform(), bound.validateArgs);
  }

  get temperature(): Tensor {
    return (this.baseDist as LogitRelaxedBernoulli).temperature;
  }

  get logits(): Tensor {
    return (this.baseDist as LogitRelaxedBernoulli).logits;
  }

  get probs(): Tensor {
    return (this.baseDist as LogitRelaxedBernoulli).probs;
  }
}
