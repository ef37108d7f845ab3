import { MAX_FLOAT } from "../../tensor/core/dtype.ts";
import type { HostArray } from "../../tensor/core/dtype.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { arange, eye, full } from "../../tensor/functions/creation/creation.ts";
import { composed } from "../../tensor/functions/pointwise/operands.ts";
import { multinomial } from "../../tensor/functions/creation/random.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import { broadcastShapes, numel, type Shape } from "../../tensor/core/shape.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { bind } from "../arguments.ts";
import { oneHot } from "../functional/embedding/embedding.ts";
import * as constraints from "./constraints.ts";
import { Distribution, sampleSizes } from "./distribution.ts";
import {
  clampProbs,
  expands,
  knownValues,
  spread,
  type Optional,
  type SampleShape,
  type Validate,
  readNow,
} from "./helpers.ts";
import { OfProbabilities, oneOf, PROBABILITIES } from "./ofProbabilities.ts";

export interface CategoricalArguments {
  probs?: Optional<Tensor>;
  logits?: Optional<Tensor>;
  validateArgs?: boolean | null;
}

/**
 * The distribution of category numbers 0 to K − 1, of `probs` (relative, along the last dimension) or `logits` (log
 * probabilities but for a constant). Both are normalized. `sample()` reads the probabilities at once.
 *
 * ```ts
 * const policy = new torch.distributions.Categorical({ logits: torch.tensor([0.5, 0.5]) });
 * policy.logProb(torch.tensor(1)).item().toFixed(4); // "-0.6931"
 * ```
 * @throws TensorError "Either `probs` or `logits` must be specified, but not both."
 * @see https://docs.pytorch.org/docs/stable/distributions.html#categorical
 */
export class Categorical extends OfProbabilities {
  override readonly hasEnumerateSupport = true;

  constructor(probs?: Optional<Tensor>, logits?: Optional<Tensor>, validate?: Validate);
  constructor(options: CategoricalArguments);
  constructor(...args: unknown[]) {
    const bound = bind<CategoricalArguments>("Categorical", args, PROBABILITIES);
    const { name, value: raw } = oneOf(bound.probs, bound.logits);
    if (raw.ndim < 1) {
      throw new TensorError("shape", `\`${name}\` parameter must be at least one-dimensional.`);
    }
    const parameter = composed(() =>
      name === "probs" ? raw.div(raw.sum(-1, true)) : raw.sub(raw.logsumexp(-1, true)),
    );
    super(name, parameter, { batchShape: raw.shape.slice(0, -1) }, bound);
    const known = knownValues(raw);
    if (known === undefined) return;
    this.validateParameters({ [name]: name === "probs" ? normalized(known, this.numEvents) : known });
  }

  override get argConstraints(): Record<string, constraints.Constraint> {
    return { probs: constraints.simplex, logits: constraints.realVector };
  }

  override get support(): constraints.Constraint {
    return constraints.integerInterval(0, this.numEvents - 1);
  }

  /** @internal Number of categories. */
  get numEvents(): number {
    return this.paramShape.at(-1)!;
  }

  override get mean(): Tensor {
    return full(this.batchShape, NaN);
  }

  override get mode(): Tensor {
    return composed(() => this.probs.argmax(-1));
  }

  override get variance(): Tensor {
    return full(this.batchShape, NaN);
  }

  override sample(sampleShape: SampleShape = []): Tensor {
    const sizes = sampleSizes(sampleShape);
    return noGrad(() =>
      composed(() => {
        const weights = this.probs.reshape([-1, this.numEvents]);
        readNow(weights);
        this.validateParameters({ probs: knownValues(weights) ?? null });
        const samples = multinomial(weights, numel(sizes), { replacement: true });
        return samples.t().reshape([...sizes, ...this.batchShape]);
      }),
    );
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => {
      const shape = broadcastShapes(x.shape, this.batchShape);
      const logits = spread(this.logits, [...shape, this.numEvents]);
      return logits.gather(-1, spread(x.long(), shape).unsqueeze(-1)).squeeze(-1);
    });
  }

  override entropy(): Tensor {
    return composed(() => this.logits.clamp(-MAX_FLOAT).mul(this.probs).sum(-1).neg());
  }

  override enumerateSupport(expand: boolean | { expand?: boolean } = true): Tensor {
    const values = arange(this.numEvents).reshape([-1, ...this.batchShape.map(() => 1)]);
    return expands(expand) ? values.expand([this.numEvents, ...this.batchShape]) : values;
  }

  protected override probsOf(logits: Tensor): Tensor {
    return logits.softmax(-1);
  }

  protected override logitsOf(probs: Tensor): Tensor {
    return clampProbs(probs).log();
  }
}

/** Rows divided by their sums. */
function normalized(values: HostArray, width: number): HostArray {
  const out = new Float32Array(values.length);
  for (let at = 0; at < values.length; at += width) {
    let sum = 0;
    for (let i = at; i < at + width; i++) sum += values[i]!;
    for (let i = at; i < at + width; i++) out[i] = values[i]! / sum;
  }
  return out;
}

/** A distribution of vectors that a distribution of category numbers makes. */
export abstract class OfCategories extends Distribution {
  /** @internal */
  readonly categorical: Categorical;

  constructor(categorical: Categorical, options: { validateArgs?: boolean | null }) {
    super(categorical.batchShape, [categorical.numEvents], options);
    this.categorical = categorical;
  }

  override get argConstraints(): Record<string, constraints.Constraint> {
    return { probs: constraints.simplex, logits: constraints.realVector };
  }

  get probs(): Tensor {
    return this.categorical.probs;
  }

  get logits(): Tensor {
    return this.categorical.logits;
  }

  get paramShape(): Shape {
    return this.categorical.paramShape;
  }

  override expand(batchShape: Shape): this {
    return this.with({ batchShape, categorical: this.categorical.expand(batchShape) });
  }
}

/**
 * As {@link Categorical}, with vectors of zeros and a single 1.
 *
 * ```ts
 * new torch.distributions.OneHotCategorical(torch.tensor([1.0, 3.0])).mean.tolist(); // [0.25, 0.75]
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#onehotcategorical
 */
export class OneHotCategorical extends OfCategories {
  override readonly hasEnumerateSupport = true;

  constructor(probs?: Optional<Tensor>, logits?: Optional<Tensor>, validate?: Validate);
  constructor(options: CategoricalArguments);
  constructor(...args: unknown[]) {
    const bound = bind<CategoricalArguments>(new.target.name, args, PROBABILITIES);
    super(new Categorical(bound), bound);
  }

  override get support(): constraints.Constraint {
    return constraints.oneHot;
  }

  override get mean(): Tensor {
    return this.probs;
  }

  override get mode(): Tensor {
    return composed(() => oneHot(this.categorical.mode, this.categorical.numEvents).float());
  }

  override get variance(): Tensor {
    return composed(() => this.probs.mul(this.probs.neg().add(1)));
  }

  override sample(sampleShape: SampleShape = []): Tensor {
    return composed(() => oneHot(this.categorical.sample(sampleShape), this.categorical.numEvents).float());
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => this.categorical.logProb(x.argmax(-1)));
  }

  override entropy(): Tensor {
    return this.categorical.entropy();
  }

  override enumerateSupport(expand: boolean | { expand?: boolean } = true): Tensor {
    const n = this.eventShape[0]!;
    const values = eye(n).reshape([n, ...this.batchShape.map(() => 1), n]);
    return expands(expand) ? values.expand([n, ...this.batchShape, n]) : values;
  }
}

/**
 * As {@link OneHotCategorical}, with the gradient of the probabilities: the straight-through estimator.
 *
 * @see https://docs.pytorch.org/docs/stable/distributions.html#onehotcategorical
 */
export class OneHotCategoricalStraightThrough extends OneHotCategorical {
  override readonly hasRsample = true;

  override rsample(sampleShape: SampleShape = []): Tensor {
    const sample = this.sample(sampleShape);
    return composed(() => sample.add(this.probs.sub(this.probs.detach())));
  }
}

interface MultinomialArguments extends CategoricalArguments {
  totalCount?: number;
}

/**
 * Counts of the categories in `totalCount` (1) draws.
 *
 * ```ts
 * new torch.distributions.Multinomial(8, torch.tensor([1.0, 3.0])).mean.tolist(); // [2, 6]
 * ```
 * @see https://docs.pytorch.org/docs/stable/distributions.html#multinomial
 */
export class Multinomial extends OfCategories {
  readonly totalCount: number;

  constructor(totalCount?: number, probs?: Optional<Tensor>, logits?: Optional<Tensor>, validate?: Validate);
  constructor(totalCount: number, options: CategoricalArguments);
  constructor(options: MultinomialArguments);
  constructor(...args: unknown[]) {
    const bound = bind<MultinomialArguments>("Multinomial", args, {
      totalCount: 1,
      ...PROBABILITIES,
    });
    if (!Number.isInteger(bound.totalCount)) {
      throw new TensorError("value", "inhomogeneous total_count is not supported");
    }
    super(new Categorical(bound.probs, bound.logits, bound.validateArgs), bound);
    this.totalCount = bound.totalCount;
  }

  override get support(): constraints.Constraint {
    return constraints.multinomial(this.totalCount);
  }

  override get mean(): Tensor {
    return composed(() => this.probs.mul(this.totalCount));
  }

  override get variance(): Tensor {
    return composed(() => this.probs.mul(this.totalCount).mul(this.probs.neg().add(1)));
  }

  override sample(sampleShape: SampleShape = []): Tensor {
    const sizes = sampleSizes(sampleShape);
    return composed(() => {
      const categories = this.categorical.sample([this.totalCount, ...sizes]);
      return oneHot(categories, this.categorical.numEvents).sum(0).float();
    });
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => {
      const factorials = x.sum(-1).add(1).lgamma().sub(x.add(1).lgamma().sum(-1));
      // 0 · −∞ counts as 0.
      const impossible = x.eq(0).logicalAnd(this.logits.eq(-Infinity));
      const logits = spread(this.logits, broadcastShapes(this.logits.shape, x.shape));
      return factorials.add(logits.maskedFill(impossible, 0).mul(x).sum(-1));
    });
  }

  override entropy(): Tensor {
    return composed(() => {
      const n = this.totalCount;
      const counts = arange(1, n + 1, { dtype: "float32" }).reshape([-1, ...this.paramShape.map(() => 1)]);
      const weights = counts.add(1).lgamma();
      const ways = counts
        .add(1)
        .lgamma()
        .add(
          counts
            .neg()
            .add(n + 1)
            .lgamma(),
        )
        .neg()
        .add(logFactorial(n));
      const p = clampProbs(this.probs);
      const logs = counts.mul(p.log()).add(counts.neg().add(n).mul(p.neg().log1p()));
      const expected = ways.add(logs).exp().mul(weights).sum([0, -1]);
      return this.categorical.entropy().mul(n).sub(logFactorial(n)).add(expected);
    });
  }
}

function logFactorial(n: number): number {
  let sum = 0;
  for (let i = 2; i <= n; i++) sum += Math.log(i);
  return sum;
}
