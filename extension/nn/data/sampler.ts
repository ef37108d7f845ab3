import { TensorError } from "../../tensor/core/errors.ts";
import * as sampling from "../../tensor/random/dataSamplers.ts";
import { defaultStream, type RandomStream } from "../../tensor/random/stream.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { bind, REQUIRED, type Call } from "../arguments.ts";

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

/** Numbers, as a list or a tensor. */
export type Numbers = readonly number[] | Tensor;

/** The numbers of a list or a tensor as a list. */
export const numbersOf = (numbers: Numbers): readonly number[] =>
  numbers instanceof Tensor ? Array.from(valuesOf(numbers.value), Number) : numbers;

interface RandomOptions {
  /** Whether a number may come several times; false by default. */
  replacement?: boolean;
  /** How many numbers an epoch has: as many as there are samples by default. */
  numSamples?: number | null;
  /** Where the order is drawn from; the global generator by default. */
  generator?: RandomStream | null;
}

interface SubsetOptions extends Pick<RandomOptions, "generator"> {
  indices: Numbers;
}

interface WeightedOptions extends Pick<RandomOptions, "generator"> {
  /** How often each sample is drawn, relative to the others. */
  weights: Numbers;
  /** How many numbers an epoch has. */
  numSamples: number;
  /** Whether a number may come several times; true by default. */
  replacement?: boolean;
}

interface BatchOptions {
  sampler: Iterable<number> & Sized;
  batchSize: number;
  /** Whether a last batch that is smaller is left out. */
  dropLast: boolean;
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

  constructor(dataSource: Sized, ...rest: Call<RandomOptions, "replacement numSamples generator">) {
    super();
    const { replacement, numSamples, generator } = bind<RandomOptions>("RandomSampler", rest, {
      replacement: false,
      numSamples: null,
      generator: null,
    });
    const samples = numSamples ?? dataSource.length;
    sampling.checkSampleCount(samples);
    this.length = samples;
    this.options = { length: dataSource.length, replacement, samples, source: generator ?? undefined };
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

  constructor(...args: Call<SubsetOptions, "indices generator">) {
    super();
    const { indices, generator } = bind<SubsetOptions>("SubsetRandomSampler", args, {
      indices: REQUIRED,
      generator: null,
    });
    this.indices = numbersOf(indices);
    this.source = generator ?? defaultStream;
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

  constructor(...args: Call<WeightedOptions, "weights numSamples replacement generator">) {
    super();
    const { weights, numSamples, replacement, generator } = bind<WeightedOptions>(
      "WeightedRandomSampler",
      args,
      { weights: REQUIRED, numSamples: REQUIRED, replacement: true, generator: null },
    );
    sampling.checkSampleCount(numSamples);
    this.weights = numbersOf(weights);
    this.length = numSamples;
    this.replacement = replacement;
    this.source = generator ?? defaultStream;
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
  readonly sampler: Iterable<number> & Sized;
  readonly batchSize: number;
  /** Whether a last batch that is smaller is left out. */
  readonly dropLast: boolean;

  constructor(...args: Call<BatchOptions, "sampler batchSize dropLast">) {
    super();
    const { sampler, batchSize, dropLast } = bind<BatchOptions>("BatchSampler", args, {
      sampler: REQUIRED,
      batchSize: REQUIRED,
      dropLast: REQUIRED,
    });
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
