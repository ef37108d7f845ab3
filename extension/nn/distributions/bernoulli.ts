import { composed } from "../../tensor/functions/pointwise/operands.ts";
import { bernoulli } from "../../tensor/functions/creation/random.ts";
import { drawn } from "../../tensor/functions/creation/sampling.ts";
import { arange, tensor } from "../../tensor/functions/creation/creation.ts";
import { where } from "../../tensor/functions/pointwise/elementwise.ts";
import * as random from "../../tensor/random/operations.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import type { HostArray } from "../../tensor/core/dtype.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import type { Operand } from "../../tensor/functions/pointwise/operands.ts";
import { bind } from "../arguments.ts";
import { py } from "../module/repr.ts";
import { binaryCrossEntropyWithLogits } from "../functional/loss/binaryCrossEntropy.ts";
import * as constraints from "./constraints.ts";
import {
  broadcastAll,
  formatted,
  knownValues,
  expands,
  spread,
  TINY,
  type Optional,
  type SampleShape,
  type Validate,
  readNow,
} from "./helpers.ts";
import { OfProbabilities, oneOf, PROBABILITIES, type ProbabilityArguments } from "./ofProbabilities.ts";

/** A distribution of one probability for each place. */
abstract class OfOneProbability extends OfProbabilities {
  constructor(probs?: Optional<number | Tensor>, logits?: Optional<number | Tensor>, validate?: Validate);
  constructor(options: ProbabilityArguments);
  constructor(...args: unknown[]) {
    const bound = bind<ProbabilityArguments>(new.target.name, args, PROBABILITIES);
    const { name, value } = oneOf(bound.probs, bound.logits);
    const [parameter] = broadcastAll(value);
    super(name, parameter, { batchShape: parameter.shape }, bound);
    this.validateParameters({ [name]: value });
  }

  override get argConstraints(): Record<string, constraints.Constraint> {
    return { probs: constraints.unitInterval, logits: constraints.real };
  }
}

/** −log of the probability of values of 0 and 1, or what lies between. */
const cost = (logits: Tensor, value: Tensor): Tensor =>
  binaryCrossEntropyWithLogits(logits, value, { reduction: "none" });

/**
 * 1 with probability `probs`, or sigmoid(`logits`), else 0. `sample()` reads the probabilities at once.
 *
 * ```ts
 * new torch.distributions.Bernoulli(0.25).variance.item(); // 0.1875
 * ```
 * @throws TensorError "Either `probs` or `logits` must be specified, but not both."
 * @see https://docs.pytorch.org/docs/stable/distributions.html#bernoulli
 */
export class Bernoulli extends OfOneProbability {
  override readonly hasEnumerateSupport = true;

  override get support(): constraints.Constraint {
    return constraints.boolean;
  }

  override get mean(): Tensor {
    return this.probs;
  }

  override get mode(): Tensor {
    return composed(() => where(this.probs.eq(0.5), NaN, this.probs.ge(0.5).float()));
  }

  override get variance(): Tensor {
    return composed(() => this.probs.mul(this.probs.neg().add(1)));
  }

  override sample(sampleShape: SampleShape = []): Tensor {
    const shape = this.extended(sampleShape);
    return noGrad(() =>
      this.guarded(() => {
        const probs = spread(this.probs, shape);
        readNow(probs);
        this.validateParameters({ probs });
        return bernoulli(probs);
      }),
    );
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => cost(...broadcastAll(this.logits, x)).neg());
  }

  override entropy(): Tensor {
    return composed(() => cost(this.logits, this.probs));
  }

  override enumerateSupport(expand: boolean | { expand?: boolean } = true): Tensor {
    const values = arange(2, { dtype: "float32" }).reshape([-1, ...this.batchShape.map(() => 1)]);
    return expands(expand) ? values.expand([2, ...this.batchShape]) : values;
  }
}

/**
 * The number of failures before the first success: (1 − p)ˣ p.
 *
 * ```ts
 * new torch.distributions.Geometric(0.25).mean.item(); // 3
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#geometric
 */
export class Geometric extends OfOneProbability {
  override validateParameters(given: Readonly<Record<string, Operand | HostArray | null>> = {}): void {
    super.validateParameters(given);
    const probs = given["probs"] ?? (Object.hasOwn(this, "probs") ? this.probs : null);
    if (!this.validates || probs === null) return;
    const values = ArrayBuffer.isView(probs) ? probs : knownValues(probs);
    const invalid = Array.from<number | bigint, number>(values ?? [], Number).filter((p) => !(p > 0));
    if (invalid.length === 0) return;
    throw new TensorError(
      "value",
      `Expected parameter probs (Tensor of shape ${py(this.probs.shape)}) of distribution ${this.toString()} ` +
        `to be positive but found invalid values:\n${formatted(tensor(invalid, { dtype: "float32" }))}`,
    );
  }

  override get support(): constraints.Constraint {
    return constraints.nonnegativeInteger;
  }

  override get mean(): Tensor {
    return composed(() => this.probs.reciprocal().sub(1));
  }

  override get mode(): Tensor {
    return composed(() => this.probs.mul(0));
  }

  override get variance(): Tensor {
    return composed(() => this.probs.reciprocal().sub(1).div(this.probs));
  }

  override sample(sampleShape: SampleShape = []): Tensor {
    const u = drawn((size) => random.uniform(size, TINY, 1), this.extended(sampleShape));
    return noGrad(() => this.guarded(() => u.log().div(this.probs.neg().log1p()).floor()));
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => {
      const [count, probs] = broadcastAll(x, this.probs);
      const certain = probs.eq(1).logicalAnd(count.eq(0));
      return count.mul(where(certain, 0, probs).neg().log1p()).add(this.probs.log());
    });
  }

  override entropy(): Tensor {
    return composed(() => cost(this.logits, this.probs).div(this.probs));
  }
}
