import { TensorError } from "../../../tensor/core/errors.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { rand } from "../../../tensor/functions/creation/random.ts";
import { where } from "../../../tensor/functions/pointwise/elementwise.ts";
import { composed } from "../../../tensor/functions/pointwise/operands.ts";
import { bind } from "../../arguments.ts";
import { binaryCrossEntropyWithLogits } from "../../functional/loss/binaryCrossEntropy.ts";
import * as constraints from "../constraints.ts";
import {
  broadcastAll,
  clampProbs,
  knownValues,
  type Optional,
  type SampleShape,
  type Validate,
} from "../helpers.ts";
import { OfProbabilities, oneOf, type ProbabilityArguments } from "../ofProbabilities.ts";

interface ContinuousBernoulliArguments extends ProbabilityArguments {
  lims?: readonly [number, number];
}

/**
 * Numbers of [0, 1] of a density proportional to pˣ (1 − p)¹⁻ˣ, for `probs` or sigmoid(`logits`). Between `lims` (0.499 and
 * 0.501) p is taken for close to 1/2, where series replace formulas that divide by 1 − 2p.
 *
 * ```ts
 * new torch.distributions.ContinuousBernoulli(0.5).mean.item(); // 0.5
 * ```
 * @throws TensorError "Either `probs` or `logits` must be specified, but not both."
 * @see https://docs.pytorch.org/docs/stable/distributions.html#continuousbernoulli
 */
export class ContinuousBernoulli extends OfProbabilities {
  override readonly hasRsample = true;
  private readonly lims: readonly [number, number];

  constructor(
    probs?: Optional<number | Tensor>,
    logits?: Optional<number | Tensor>,
    lims?: readonly [number, number],
    validate?: Validate,
  );
  constructor(options: ContinuousBernoulliArguments);
  constructor(...args: unknown[]) {
    const bound = bind<ContinuousBernoulliArguments>("ContinuousBernoulli", args, {
      probs: null,
      logits: null,
      lims: [0.499, 0.501],
      validateArgs: null,
    });
    const { name, value } = oneOf(bound.probs, bound.logits);
    const [given] = broadcastAll(value);
    if (name === "probs" && bound.validateArgs !== null) {
      const known = knownValues(given);
      if (known?.every((p) => p >= 0 && p <= 1) === false)
        throw new TensorError("value", "The parameter probs has invalid values");
    }
    const parameter = name === "probs" ? composed(() => clampProbs(given)) : given;
    super(name, parameter, { batchShape: parameter.shape }, bound);
    this.lims = bound.lims;
    if (name === "logits") this.validateParameters({ logits: value });
  }

  override get argConstraints(): Record<string, constraints.Constraint> {
    return { probs: constraints.unitInterval, logits: constraints.real };
  }

  override get support(): constraints.Constraint {
    return constraints.unitInterval;
  }

  override get mean(): Tensor {
    return composed(() => {
      const p = this.cut();
      const formula = p.div(p.mul(2).sub(1)).add(oddsOf(p).reciprocal());
      const x = this.probs.sub(0.5);
      return where(
        this.stable(),
        formula,
        x
          .square()
          .mul(16 / 45)
          .add(1 / 3)
          .mul(x)
          .add(0.5),
      );
    });
  }

  override get variance(): Tensor {
    return composed(() => {
      const p = this.cut();
      const formula = p.mul(p.sub(1)).div(p.mul(-2).add(1).square()).add(oddsOf(p).square().reciprocal());
      const x = this.probs.sub(0.5).square();
      return where(
        this.stable(),
        formula,
        x
          .mul(128 / 945)
          .sub(1 / 15)
          .mul(x)
          .add(1 / 12),
      );
    });
  }

  override rsample(sampleShape: SampleShape = []): Tensor {
    const u = rand(this.extended(sampleShape));
    return this.guarded(() => this.icdf(u));
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => {
      const [logits, wide] = broadcastAll(this.logits, x);
      const cost = binaryCrossEntropyWithLogits(logits, wide, { reduction: "none" });
      return this.logNorm().sub(cost);
    });
  }

  override cdf(value: Tensor): Tensor {
    return this.scored(value, (x) => {
      const p = this.cut();
      const rest = p.neg().add(1);
      const power = p.pow(x).mul(rest.pow(x.neg().add(1)));
      const formula = power.add(p).sub(1).div(p.mul(2).sub(1));
      const inside = where(this.stable(), formula, x);
      return where(x.le(0), 0, where(x.ge(1), 1, inside));
    });
  }

  override icdf(value: Tensor): Tensor {
    return composed(() => {
      const p = this.cut();
      const start = p.neg().log1p();
      const formula = value.mul(p.mul(2).sub(1)).sub(p).log1p().sub(start).div(p.log().sub(start));
      return where(this.stable(), formula, value);
    });
  }

  override entropy(): Tensor {
    return composed(() => {
      const [no, yes] = [this.probs.neg().log1p(), this.probs.log()];
      return this.mean.mul(no.sub(yes)).sub(this.logNorm()).sub(no);
    });
  }

  protected override probsOf(logits: Tensor): Tensor {
    return clampProbs(logits.sigmoid());
  }

  /** Where formulas that divide by 1 − 2p are used. */
  private stable(): Tensor {
    return this.probs.le(this.lims[0]).logicalOr(this.probs.gt(this.lims[1]));
  }

  /** Probabilities at which these formulas have values. */
  private cut(): Tensor {
    return where(this.stable(), this.probs, this.lims[0]);
  }

  /** @internal The log of what the density is multiplied by. */
  logNorm(): Tensor {
    const p = this.cut();
    const low = p.le(0.5);
    const below = where(low, p, 0).mul(-2).log1p();
    const above = where(p.ge(0.5), p, 1).mul(2).sub(1).log();
    const formula = oddsOf(p)
      .abs()
      .log()
      .sub(where(low, below, above));
    const x = this.probs.sub(0.5).square();
    const series = x
      .mul(104 / 45)
      .add(4 / 3)
      .mul(x)
      .add(Math.log(2));
    return where(this.stable(), formula, series);
  }
}

/** ln(1 − p) − ln p. */
const oddsOf = (p: Tensor): Tensor => p.neg().log1p().sub(p.log());
