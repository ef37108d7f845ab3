import { TensorError } from "../core/errors.ts";
import { multinomial, randint, randperm } from "./discrete.ts";
import { Generator } from "./generator.ts";

/** Where samplers draw from. Read for every draw, so that a lazy stream can do the draws that come before. */
export interface RandomSource {
  readonly generator: Generator;
}

export interface LoaderOptions {
  /** Number of samples of the data set. */
  readonly length: number;
  readonly batchSize: number;
  readonly shuffle?: boolean | undefined;
  /** Drops a last batch that is smaller than the others. */
  readonly dropLast?: boolean | undefined;
  /** Source of all the loader's draws; without it they come from the global one. */
  readonly source?: RandomSource | undefined;
}

/**
 * Checks the arguments of `DataLoader`'s constructor.
 *
 * @throws TensorError when the batch size is no positive integer or there is nothing to shuffle.
 */
export function checkLoader({ length, batchSize, shuffle }: LoaderOptions): void {
  if (shuffle === true) checkSampleCount(length);
  checkBatchSize(batchSize);
}

/** @throws TensorError when the batch size is no positive integer */
export function checkBatchSize(batchSize: number): void {
  if (!Number.isInteger(batchSize) || batchSize <= 0) {
    throw new TensorError(
      "value",
      `batch_size should be a positive integer value, but got batch_size=${batchSize}`,
    );
  }
}

/**
 * One epoch of a `DataLoader`: the sample numbers of each batch. Takes the loader's base seed from the source at once,
 * the order when the first batch is read.
 */
export function loaderBatches(options: LoaderOptions, global: RandomSource): IterableIterator<number[]> {
  checkLoader(options);
  const { length, batchSize, shuffle = false, dropLast = false, source } = options;
  drawSeed(source ?? global);
  const order = shuffle ? randomSampler({ length, source }, global) : sequentialSampler(length);
  return batchSampler(order, batchSize, dropLast);
}

/** Number of batches of an epoch. */
export function batchCount({ length, batchSize, dropLast }: LoaderOptions): number {
  return dropLast === true ? Math.floor(length / batchSize) : Math.ceil(length / batchSize);
}

/** `SequentialSampler`: 0, 1, ... length - 1. */
export function* sequentialSampler(length: number): IterableIterator<number> {
  for (let i = 0; i < length; i++) yield i;
}

export interface RandomSamplerOptions {
  readonly length: number;
  /** Draws with replacement instead of from a permutation. */
  readonly replacement?: boolean | undefined;
  /** Number of samples. Default `length`. */
  readonly samples?: number | undefined;
  readonly source?: RandomSource | undefined;
}

/**
 * `RandomSampler`: without a source of its own, a generator seeded from the global one, else that source itself, which
 * then also loses the permutation PyTorch draws after the last number and never uses.
 */
export function* randomSampler(
  options: RandomSamplerOptions,
  global: RandomSource,
): IterableIterator<number> {
  const { length, replacement = false, samples = length } = options;
  checkSampleCount(length === 0 ? 0 : samples);
  const source = options.source ?? seededSource(global);
  if (replacement) {
    for (let left = samples; left > 0; left -= 32) {
      const numbers = new Float64Array(Math.min(32, left));
      randint(numbers.length, 0, length).fill(source.generator, numbers);
      yield* numbers;
    }
    return;
  }
  for (let dealt = length; dealt <= samples; dealt += length) yield* permutation(length, source);
  const rest = samples % length;
  if (rest === 0) randperm(length).skip(source.generator);
  else yield* permutation(length, source).subarray(0, rest);
}

/** `SubsetRandomSampler`: the given numbers in random order. */
export function* subsetRandomSampler(
  indices: readonly number[],
  source: RandomSource,
): IterableIterator<number> {
  for (const i of permutation(indices.length, source)) yield indices[i]!;
}

/** `WeightedRandomSampler`: `samples` numbers, each as likely as its weight; drawn when the first is read. */
export function* weightedRandomSampler(
  weights: readonly number[],
  samples: number,
  replacement: boolean,
  source: RandomSource,
): IterableIterator<number> {
  checkSampleCount(samples);
  const numbers = new Int32Array(samples);
  const draw = multinomial(1, weights.length, samples, replacement);
  draw.fill(source.generator, numbers, Float64Array.from(weights));
  yield* numbers;
}

/** `BatchSampler`: groups of `batchSize` numbers, the last one smaller unless it is dropped. */
export function* batchSampler(
  sampler: Iterable<number>,
  batchSize: number,
  dropLast: boolean,
): IterableIterator<number[]> {
  let batch: number[] = [];
  for (const i of sampler) {
    batch.push(i);
    if (batch.length < batchSize) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0 && !dropLast) yield batch;
}

/**
 * Sizes of the parts of `random_split`: counts as they are; fractions of 1 become counts, rounded down, and the
 * remaining samples go to the parts in turn, from the first on.
 *
 * @throws TensorError when the counts don't add up to `length` or a fraction is outside [0, 1].
 */
export function splitLengths(length: number, lengths: readonly number[]): number[] {
  const sum = lengths.reduce((total, part) => total + part, 0);
  let counts = [...lengths];
  // PyTorch requires a sum of at most 1; rounding errors of sums such as 0.7 + 0.2 + 0.1 are tolerated here.
  if (Math.abs(sum - 1) <= 1e-9 && sum <= 1 + 4 * Number.EPSILON) {
    const wrong = lengths.findIndex((fraction) => fraction < 0 || fraction > 1);
    if (wrong !== -1) {
      throw new TensorError("value", `Fraction at index ${wrong} is not between 0 and 1`);
    }
    counts = lengths.map((fraction) => Math.floor(length * fraction));
    const left = length - counts.reduce((total, part) => total + part, 0);
    for (let i = 0; i < left; i++) counts[i % counts.length]!++;
  }
  if (counts.reduce((total, part) => total + part, 0) !== length) {
    throw new TensorError("value", "Sum of input lengths does not equal the length of the input dataset!");
  }
  return counts;
}

/** `random_split`: the sample numbers of each part, of {@link splitLengths} sizes, from one permutation. */
export function randomSplit(length: number, lengths: readonly number[], source: RandomSource): number[][] {
  const counts = splitLengths(length, lengths);
  const order = [...permutation(length, source)];
  return counts.map((count) => order.splice(0, count));
}

/** The numbers below `length` in random order. */
export function permutation(length: number, source: RandomSource): Int32Array {
  const order = new Int32Array(length);
  randperm(length).fill(source.generator, order);
  return order;
}

/** A source of its own, with a seed from another one. */
export function seededSource(source: RandomSource): RandomSource {
  return { generator: new Generator().manualSeed(drawSeed(source)) };
}

/** A 63-bit seed, as `torch.empty((), dtype=torch.int64).random_()` gives. */
function drawSeed(source: RandomSource): bigint {
  return source.generator.nextU64() & (2n ** 63n - 1n);
}

/** @throws TensorError when the count is no positive integer */
export function checkSampleCount(samples: number): void {
  if (Number.isInteger(samples) && samples > 0) return;
  throw new TensorError(
    "value",
    `num_samples should be a positive integer value, but got num_samples=${samples}`,
  );
}
