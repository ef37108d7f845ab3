import { TensorError } from "../../tensor/core/errors.ts";
import { randperm } from "../../tensor/random/discrete.ts";
import { Generator } from "../../tensor/random/generator.ts";
import { getRank, getWorldSize } from "../distributed/processGroup.ts";
import { bind, type Call } from "../arguments.ts";
import { Sampler } from "./sampler.ts";

/** Options of {@link DistributedSampler}. */
export interface DistributedSamplerOptions {
  /** How many processes share the samples: those of the group by default. */
  numReplicas?: number | null;
  /** The number of this process: that of the group by default. */
  rank?: number | null;
  /** Whether each epoch has an order of its own; true by default. */
  shuffle?: boolean;
  /** The same in all processes; 0 by default. */
  seed?: number;
  /** Leaves out the samples that don't go round, in place of giving the first ones twice; false by default. */
  dropLast?: boolean;
}

/**
 * The sample numbers of one process of a group: all processes have the same order, and each takes every n-th number.
 * Call `setEpoch` before each epoch, or all epochs have one order.
 *
 * ```ts
 * [...new data.DistributedSampler({ length: 5 }, { numReplicas: 2, rank: 1, shuffle: false })]; // [1, 3, 0]
 * ```
 * @throws TensorError "Invalid rank 2, rank should be in the interval [0, 1]"
 * @see https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.distributed.DistributedSampler
 */
export class DistributedSampler extends Sampler {
  readonly numReplicas: number;
  readonly rank: number;
  readonly shuffle: boolean;
  readonly seed: number;
  readonly dropLast: boolean;
  readonly numSamples: number;
  readonly totalSize: number;
  epoch = 0;
  readonly #samples: number;

  constructor(
    dataset: { readonly length: number },
    ...rest: Call<DistributedSamplerOptions, "numReplicas rank shuffle seed dropLast">
  ) {
    super();
    const bound = bind<DistributedSamplerOptions>("DistributedSampler", rest, {
      numReplicas: null,
      rank: null,
      shuffle: true,
      seed: 0,
      dropLast: false,
    });
    const { shuffle, seed, dropLast } = bound;
    const numReplicas = bound.numReplicas ?? getWorldSize();
    const rank = bound.rank ?? getRank();
    if (rank >= numReplicas || rank < 0)
      throw new TensorError(
        "value",
        `Invalid rank ${rank}, rank should be in the interval [0, ${numReplicas - 1}]`,
      );
    this.numReplicas = numReplicas;
    this.rank = rank;
    this.shuffle = shuffle;
    this.seed = seed;
    this.dropLast = dropLast;
    this.#samples = dataset.length;
    const even = this.#samples % numReplicas === 0;
    this.numSamples = Math.ceil(
      (dropLast && !even ? this.#samples - numReplicas : this.#samples) / numReplicas,
    );
    this.totalSize = this.numSamples * numReplicas;
  }

  get length(): number {
    return this.numSamples;
  }

  /** Gives the next epoch an order of its own. */
  setEpoch(epoch: number): void {
    this.epoch = epoch;
  }

  *[Symbol.iterator](): IterableIterator<number> {
    const order = this.#order();
    for (let i = this.rank; i < this.totalSize; i += this.numReplicas) yield order[i % order.length]!;
  }

  #order(): ArrayLike<number> {
    const count = this.#samples;
    if (!this.shuffle) return Array.from({ length: count }, (_, i) => i);
    const permutation = randperm(count);
    const order = new Float64Array(count);
    const generator = new Generator();
    generator.manualSeed(this.seed + this.epoch);
    // oxlint-disable-next-line unicorn/no-array-fill-with-reference-type -- a Draw's fill: it writes random numbers into `order`
    permutation.fill(generator, order);
    return order;
  }
}
