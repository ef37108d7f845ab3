import { TensorError } from "../../tensor/core/errors.ts";
import { composed } from "../../tensor/functions/pointwise/operands.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import { formatSize, type Shape } from "../../tensor/core/shape.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { bind, REQUIRED } from "../arguments.ts";
import { Categorical } from "./categorical.ts";
import * as constraints from "./constraints.ts";
import { Distribution, sampleSizes } from "./distribution.ts";
import type { SampleShape, Validate } from "./helpers.ts";

interface MixtureArguments {
  mixtureDistribution: Categorical;
  componentDistribution: Distribution;
  validateArgs?: boolean | null;
}

/**
 * A mixture of distributions of one family: the last batch dimension of `componentDistribution` counts the components,
 * whose weights are those of `mixtureDistribution`.
 *
 * ```ts
 * const { Categorical, MixtureSameFamily, Normal } = torch.distributions;
 * const weights = new Categorical(torch.ones(3));
 * new MixtureSameFamily(weights, new Normal(torch.tensor([0.0, 1.0, 2.0]), 1)).mean.item().toFixed(3); // "1.000"
 * ```
 * @throws TensorError "`mixture_distribution component` (2) does not equal `component_distribution.batch_shape[-1]` (3)"
 * @see https://docs.pytorch.org/docs/stable/distributions.html#mixturesamefamily
 */
export class MixtureSameFamily extends Distribution {
  readonly mixtureDistribution: Categorical;
  readonly componentDistribution: Distribution;

  constructor(mixtureDistribution: Categorical, componentDistribution: Distribution, validate?: Validate);
  constructor(options: MixtureArguments);
  constructor(...args: unknown[]) {
    const bound = bind<MixtureArguments>("MixtureSameFamily", args, {
      mixtureDistribution: REQUIRED,
      componentDistribution: REQUIRED,
      validateArgs: null,
    });
    const { mixtureDistribution: weights, componentDistribution: components } = bound;
    if (!(weights instanceof Categorical)) {
      throw new TensorError(
        "value",
        " The Mixture distribution needs to be an  instance of torch.distributions.Categorical",
      );
    }
    if (!(components instanceof Distribution)) {
      throw new TensorError(
        "value",
        "The Component distribution needs to be an instance of torch.distributions.Distribution",
      );
    }
    const batch = components.batchShape.slice(0, -1);
    checkBatches(weights.batchShape, batch);
    const [given, needed] = [weights.logits.shape.at(-1), components.batchShape.at(-1)];
    if (given !== needed) {
      throw new TensorError(
        "shape",
        `\`mixture_distribution component\` (${given}) does not equal \`component_distribution.batch_shape[-1]\` (${needed})`,
      );
    }
    super(batch, components.eventShape, bound);
    this.mixtureDistribution = weights;
    this.componentDistribution = components;
  }

  override get support(): constraints.Constraint {
    return constraints.mixture(this.componentDistribution.support);
  }

  override get mean(): Tensor {
    return composed(() => this.weighted(this.componentDistribution.mean));
  }

  override get variance(): Tensor {
    return composed(() => {
      const distance = this.componentDistribution.mean.sub(this.padded(this.mean));
      return this.weighted(this.componentDistribution.variance).add(this.weighted(distance.square()));
    });
  }

  override cdf(value: Tensor): Tensor {
    return composed(() =>
      this.componentDistribution.cdf(this.padded(value)).mul(this.mixtureDistribution.probs).sum(-1),
    );
  }

  override logProb(value: Tensor): Tensor {
    return this.scored(value, (x) => {
      const each = this.componentDistribution.logProb(this.padded(x));
      return each.add(this.mixtureDistribution.logits.logSoftmax(-1)).logsumexp(-1);
    });
  }

  override sample(sampleShape: SampleShape = []): Tensor {
    return noGrad(() => {
      const chosen = this.mixtureDistribution.sample(sampleShape);
      const samples = this.componentDistribution.sample(sampleShape);
      const at = sampleSizes(sampleShape).length + this.batchShape.length;
      return composed(() => {
        const places = chosen.reshape([...chosen.shape, 1, ...this.eventShape.map(() => 1)]);
        return samples.gather(at, places.expand([...chosen.shape, 1, ...this.eventShape])).squeeze(at);
      });
    });
  }

  override expand(batchShape: Shape): this {
    return this.with({
      batchShape,
      mixtureDistribution: this.mixtureDistribution.expand(batchShape),
      componentDistribution: this.componentDistribution.expand([
        ...batchShape,
        this.mixtureDistribution.numEvents,
      ]),
    });
  }

  override toString(): string {
    return `MixtureSameFamily(\n  ${this.mixtureDistribution.toString()},\n  ${this.componentDistribution.toString()})`;
  }

  /** A value for all components. */
  private padded(x: Tensor): Tensor {
    return x.unsqueeze(-1 - this.eventShape.length);
  }

  /** The mean over the components. */
  private weighted(x: Tensor): Tensor {
    const { probs } = this.mixtureDistribution;
    const weights = probs.reshape([...probs.shape, ...this.eventShape.map(() => 1)]);
    return weights.mul(x).sum(-1 - this.eventShape.length);
  }
}

function checkBatches(weights: Shape, components: Shape): void {
  for (let i = 1; i <= Math.min(weights.length, components.length); i++) {
    const [a, b] = [weights.at(-i)!, components.at(-i)!];
    if (a === 1 || b === 1 || a === b) continue;
    throw new TensorError(
      "shape",
      `\`mixture_distribution.batch_shape\` (${formatSize(weights)}) is not compatible with \`component_distribution.batch_shape\`(${formatSize(components)})`,
    );
  }
}
