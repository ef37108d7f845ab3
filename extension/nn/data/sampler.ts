import { TensorError } from "../../tensor/core/errors.ts";
import * as sampling from "../../tensor/random/dataSamplers.ts";
import { defaultStream, type RandomStream } from "../../tensor/random/stream.ts";

/**
 * Gives sample numbers for each epoch: the base class of all samplers, also of your own.
 *
 * ```ts
 * class Backwards extends data.Sampler {
 *   readonly length = 3;
 *   *[Symbol.iterator]() {
 *     for (let i = this.length - 1; i >= 0; i--) yield i;
 *   }
 * }
 * [...new Backwards()]; // [2, 1, 0]
 * ```
 * @see https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.Sampler
 */
export abstract class Sampler<T = number> implements Iterable<T> {
  /** How many numbers an epoch has. */
  abstract readonly length: number;
  abstract [Symbol.iterator](): Iterator<T>;
}

interface Sized {
  readonly length: number;
}

/**
 * 0, 1, 2, …
 *
 * ```ts
 * [...new data.SequentialSampler({ length: 3 })]; // [0, 1, 2]
 * ```
 */
export class SequentialSampler extends Sampler {
  readonly length: number;

  constructor(dataSource: Sized) {
    super();
    this.length = dataSource.length;
  }

  [Symbol.iterator](): IterableIterator<number> {
    return sampling.sequentialSampler(this.length);
  }
}

/**
 * All numbers in random order, or `numSamples` drawn with replacement.
 *
 * ```ts
 * new data.DataLoader(set, { sampler: new data.RandomSampler(set, { replacement: true, numSamples: 50 }) });
 * ```
 */
export class RandomSampler extends Sampler {
  readonly length: number;
  private readonly options: sampling.RandomSamplerOptions;

  constructor(
    dataSource: Sized,
    options: { replacement?: boolean; numSamples?: number; generator?: RandomStream } = {},
  ) {
    super();
    const { replacement = false, numSamples = dataSource.length, generator } = options;
    sampling.checkSampleCount(numSamples);
    this.length = numSamples;
    this.options = { length: dataSource.length, replacement, samples: numSamples, source: generator };
  }

  [Symbol.iterator](): IterableIterator<number> {
    return sampling.randomSampler(this.options, defaultStream);
  }
}

/**
 * The given numbers in random order.
 *
 * ```ts
 * [...new data.SubsetRandomSampler([3, 1, 4])]; // the three numbers in some order
 * ```
 */
export class SubsetRandomSampler extends Sampler {
  readonly indices: readonly number[];
  private readonly source: RandomStream;

  constructor(indices: readonly number[], options: { generator?: RandomStream } = {}) {
    super();
    this.indices = indices;
    this.source = options.generator ?? defaultStream;
  }

  get length(): number {
    return this.indices.length;
  }

  [Symbol.iterator](): IterableIterator<number> {
    return sampling.subsetRandomSampler(this.indices, this.source);
  }
}

/**
 * Numbers drawn as often as their weights say.
 *
 * ```ts
 * // Every third sample is of the second kind.
 * new data.WeightedRandomSampler([2, 1], 100);
 * ```
 */
export class WeightedRandomSampler extends Sampler {
  readonly weights: readonly number[];
  readonly length: number;
  readonly replacement: boolean;
  private readonly source: RandomStream;

  constructor(
    weights: readonly number[],
    numSamples: number,
    options: { replacement?: boolean; generator?: RandomStream } = {},
  ) {
    super();
    sampling.checkSampleCount(numSamples);
    this.weights = weights;
    this.length = numSamples;
    this.replacement = options.replacement ?? true;
    this.source = options.generator ?? defaultStream;
  }

  [Symbol.iterator](): IterableIterator<number> {
    return sampling.weightedRandomSampler(this.weights, this.length, this.replacement, this.source);
  }
}

/**
 * Groups of the numbers that another sampler gives: batches.
 *
 * ```ts
 * [...new data.BatchSampler(new data.SequentialSampler(set), 3, false)] // [[0, 1, 2], [3, 4, 5], …]
 * ```
 *
 * @throws TensorError "batch_size should be a positive integer value, but got batch_size=…"
 */
export class BatchSampler extends Sampler<number[]> {
  readonly sampler: Sampler;
  readonly batchSize: number;
  /** Whether a last batch that is smaller is left out. */
  readonly dropLast: boolean;

  constructor(sampler: Sampler, batchSize: number, dropLast: boolean) {
    super();
    sampling.checkBatchSize(batchSize);
    if (typeof dropLast !== "boolean") {
      throw new TensorError(
        "value",
        `drop_last should be a boolean value, but got drop_last=${String(dropLast)}`,
      );
    }
    this.sampler = sampler;
    this.batchSize = batchSize;
    this.dropLast = dropLast;
  }

  /** Number of batches. */
  get length(): number {
    const { batchSize, dropLast } = this;
    return sampling.batchCount({ length: this.sampler.length, batchSize, dropLast });
  }

  [Symbol.iterator](): IterableIterator<number[]> {
    return sampling.batchSampler(this.sampler, this.batchSize, this.dropLast);
  }
}
