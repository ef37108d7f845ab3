import { TensorError } from "../../tensor/core/errors.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import * as sampling from "../../tensor/random/dataSamplers.ts";
import { defaultStream, type RandomStream } from "../../tensor/random/stream.ts";
import { bind } from "../arguments.ts";
import { BlockSampler } from "./blocks.ts";
import { defaultCollate, defaultConvert, type Collated } from "./collate.ts";
import { wantThreads } from "./access.ts";
import { asDataset, type Dataset, type SampleSource } from "./dataset.ts";
import { IterableDataset, type Resumable } from "./iterable.ts";
import { BatchSampler, RandomSampler, SequentialSampler, type Sampler } from "./sampler.ts";

export interface DataLoaderOptions<Sample, Batch> {
  /** Samples in a batch; 1 by default. `null`: the samples one by one, as they are. */
  batchSize?: number | null;
  /** A new random order for every epoch; the order of the data set by default. */
  shuffle?: boolean;
  /** Gives the sample numbers, instead of `shuffle`. */
  sampler?: Sampler | null;
  /** Gives the sample numbers of each batch, instead of `batchSize`, `shuffle`, `sampler` and `dropLast`. */
  batchSampler?: (Iterable<readonly number[] | Tensor> & { readonly length: number }) | null;
  /** Makes a batch of samples; {@link defaultCollate} by default. */
  collateFn?: ((samples: Sample[]) => Batch) | null;
  /** Leave out a last batch that is smaller than the others. */
  dropLast?: boolean;
  /** Where the order is drawn from; the global generator by default. */
  generator?: RandomStream | null;
  /**
   * Threads that read ahead: image files, tar shards, Parquet's row groups. Transforms and data sets of your own run in
   * this thread. The order and all random numbers are those of 0 (default). At most 16.
   */
  numWorkers?: number;
  /** Accepted, without effect: memory is pinned for GPUs. */
  pinMemory?: boolean;
  /** Accepted, without effect. */
  pinMemoryDevice?: string;
  /** Accepted, without effect. */
  timeout?: number;
  /** Accepted, never called: there are no workers. */
  workerInitFn?: ((worker: number) => void) | null;
  /** Batches that are read ahead for each worker; 2 by default. */
  prefetchFactor?: number | null;
  /** Accepted, without effect. PyTorch's loaders then draw no base seed from the second epoch on, so its later orders differ. */
  persistentWorkers?: boolean;
}

/** Source of a loader: a data set, an object with `length` and `get`, an array of samples, or a stream. */
export type LoaderSource<Sample> = SampleSource<Sample> | IterableDataset<Sample>;

/**
 * Batches of a data set, or of a list of samples. Each loop over it is one epoch, in the order PyTorch gives for the same seed:
 *
 * ```ts
 * for (const [x, y] of new data.DataLoader(set, { batchSize: 32, shuffle: true })) …
 * for (const batch of new data.DataLoader([1, 2, 3], { batchSize: 2 })) …
 * ```
 *
 * @throws TensorError for options that exclude each other
 */
export class DataLoader<
  // oxlint-disable-next-line typescript/no-explicit-any -- a field may be declared without saying what is loaded
  const Sample = any,
  Batch = Collated<Sample>,
  Source extends LoaderSource<Sample> = LoaderSource<Sample>,
> implements Iterable<Batch> {
  /** The source as given. The length of a stream that doesn't know it is undefined; in PyTorch it is an error. */
  readonly dataset: Source & { readonly length: number };
  /** @internal The data set of the source `dataset`. */
  readonly samples: Dataset<Sample> | IterableDataset<Sample>;
  readonly batchSize: number | null;
  readonly dropLast: boolean;
  /** Gives the sample numbers; null for a stream. */
  readonly sampler: Sampler | null;
  /** Gives the sample numbers of each batch; null for a stream, and where nothing is batched. */
  readonly batchSampler: (Iterable<readonly number[] | Tensor> & { readonly length: number }) | null;
  readonly generator: RandomStream | null;
  /** The order of a loader that was given neither sampler. */
  private readonly plain: sampling.LoaderOptions | null = null;
  private readonly collateFn: ((samples: Sample[]) => Batch) | null;
  /** Batches whose samples threads read ahead. */
  private readonly readAhead: number;

  constructor(dataset: Source & LoaderSource<Sample>, options?: DataLoaderOptions<Sample, Batch>);
  constructor(
    dataset: Source & LoaderSource<Sample>,
    batchSize: number | null | undefined,
    options?: Omit<DataLoaderOptions<Sample, Batch>, "batchSize">,
  );
  constructor(
    dataset: Source & LoaderSource<Sample>,
    batchSize: number | null | undefined,
    shuffle: boolean | null | undefined,
    options?: Omit<DataLoaderOptions<Sample, Batch>, "batchSize" | "shuffle">,
  );
  constructor(named: DataLoaderOptions<Sample, Batch> & { readonly dataset: Source & LoaderSource<Sample> });
  constructor(
    first: (Source & LoaderSource<Sample>) | { readonly dataset: Source & LoaderSource<Sample> },
    ...others: unknown[]
  ) {
    const { dataset: source, rest } = sourceOf<Source & LoaderSource<Sample>>(first, others);
    const options = bind<DataLoaderOptions<Sample, Batch>>("DataLoader", rest, {
      batchSize: 1,
      shuffle: false,
      sampler: null,
      batchSampler: null,
      numWorkers: 0,
      collateFn: null,
      pinMemory: false,
      dropLast: false,
      timeout: 0,
      workerInitFn: null,
      generator: null,
      prefetchFactor: null,
      persistentWorkers: false,
      pinMemoryDevice: "",
    });
    const { batchSize, dropLast, generator, shuffle } = options;
    checkWorkers(options);
    if (options.numWorkers > 0) wantThreads(options.numWorkers);
    this.readAhead = options.numWorkers * (options.prefetchFactor ?? 2);
    const dataset = source instanceof IterableDataset ? source : asDataset(source);
    checkOptions(dataset, options);
    this.dataset = source as typeof this.dataset;
    this.samples = dataset;
    this.generator = generator;
    this.collateFn = options.collateFn;
    this.dropLast = dropLast;
    this.batchSize = options.batchSampler === null ? batchSize : null;
    if (dataset instanceof IterableDataset) {
      if (batchSize !== null) sampling.checkBatchSize(batchSize);
      this.sampler = this.batchSampler = null;
      return;
    }
    this.sampler = options.sampler ?? defaultSampler(dataset, shuffle, generator);
    const inBlocks = this.sampler instanceof BlockSampler;
    if (options.sampler === null && options.batchSampler === null && batchSize !== null && !inBlocks) {
      const source = generator ?? undefined;
      this.plain = { length: dataset.length, batchSize, shuffle, dropLast, source };
    }
    this.batchSampler =
      options.batchSampler ??
      (batchSize === null ? null : new BatchSampler(this.sampler, batchSize, dropLast));
  }

  /**
   * Number of batches in an epoch.
   * @throws TensorError for a stream that doesn't know its length
   */
  get length(): number {
    const { batchSampler, sampler, batchSize, dropLast } = this;
    if (batchSampler !== null) return batchSampler.length;
    if (sampler !== null) return sampler.length;
    const { length } = this.samples;
    if (length === undefined) {
      throw new TensorError("value", `object of type '${this.samples.constructor.name}' has no length`);
    }
    return batchSize === null ? length : sampling.batchCount({ length, batchSize, dropLast });
  }

  /** Starts an epoch. */
  [Symbol.iterator](): IterableIterator<Batch> {
    const { samples: dataset, plain, batchSampler } = this;
    if (plain !== null && !(dataset instanceof IterableDataset))
      return this.read(dataset, sampling.loaderBatches(plain, defaultStream));
    // The base seed that PyTorch's iterators draw for their workers.
    (this.generator ?? defaultStream).generator.nextU64();
    if (dataset instanceof IterableDataset) return this.stream(dataset[Symbol.iterator]());
    return batchSampler === null ? this.unbatched(dataset) : this.read(dataset, batchSampler);
  }

  /** Numbers and batches of an epoch: Python's `enumerate(loader)`. A batch is made when it is its turn. */
  *entries(): IterableIterator<[index: number, batch: Batch]> {
    let index = 0;
    for (const batch of this) yield [index++, batch];
  }

  /**
   * @internal An epoch from its middle on: its batches after the first `count`, which are not made. Undefined where
   * user code makes the batches, since it must run for all. Draws what the epoch draws before its first batch.
   */
  after(count: number): IterableIterator<Batch> | undefined {
    const { samples: dataset, plain, batchSampler, batchSize } = this;
    const own = this[Symbol.iterator] === DataLoader.prototype[Symbol.iterator];
    if (dataset instanceof IterableDataset) {
      const stream = dataset as IterableDataset<Sample> & Partial<Resumable<Sample>>;
      const rest = own ? stream.after?.(count * (batchSize ?? 1)) : undefined;
      if (rest !== undefined) (this.generator ?? defaultStream).generator.nextU64();
      return rest && this.stream(rest);
    }
    if (!this.fixed || batchSampler === null) return undefined;
    if (plain === null) (this.generator ?? defaultStream).generator.nextU64();
    const batches = plain === null ? batchSampler : sampling.loaderBatches(plain, defaultStream);
    return this.read(dataset, passing(batches, count));
  }

  /** @internal Whether batches may be read before it is their turn: nothing but the set is asked, and it is fixed. */
  get fixed(): boolean {
    const { samples: dataset, collateFn, plain, sampler, batchSampler } = this;
    if (collateFn !== null || dataset instanceof IterableDataset) return false;
    if (plain === null && !(sampler instanceof BlockSampler && batchSampler instanceof BatchSampler))
      return false;
    return dataset.fixed && this[Symbol.iterator] === DataLoader.prototype[Symbol.iterator];
  }

  /** @internal The batches in the set's own order, which takes nothing from any other generator. */
  inOrder(generator: RandomStream): DataLoader<Sample, Batch> {
    const { collateFn } = this;
    const { samples: dataset } = this;
    const batchSize = this.batchSize ?? (this.batchSampler === null ? null : 1);
    return new DataLoader(dataset, { batchSize, collateFn, generator });
  }

  /** @internal Samples by number, as one batch. */
  pick(indices: readonly number[]): Batch {
    const { samples: dataset } = this;
    if (dataset instanceof IterableDataset)
      throw new TensorError("value", "a stream has no samples by number");
    return this.read(dataset, [[...indices]]).next().value as Batch;
  }

  private *unbatched(dataset: Dataset<Sample>): IterableIterator<Batch> {
    for (const index of this.sampler!) yield this.single(dataset.get(index));
  }

  private *read(
    dataset: Dataset<Sample>,
    batches: Iterable<readonly number[] | Tensor>,
  ): IterableIterator<Batch> {
    const { collateFn } = this;
    for (const indices of this.announced(dataset, listed(batches))) {
      const whole = collateFn === null ? dataset.getBatch?.(indices) : undefined;
      yield whole === undefined ? this.collate(indices.map((i) => dataset.get(i))) : (whole as Batch);
    }
  }

  /** The batches' sample numbers, of which threads know in advance. */
  private *announced(dataset: Dataset<Sample>, batches: Iterable<number[]>): Iterable<number[]> {
    const { readAhead: most, plain, sampler } = this;
    if (most === 0 || dataset.readAhead === undefined) return yield* batches;
    // Other samplers draw when it is their turn.
    const ahead = plain === null && !(sampler instanceof BlockSampler) ? 1 : most;
    const queue: number[][] = [];
    const source = batches[Symbol.iterator]();
    try {
      for (let over = false; ;) {
        while (!over && queue.length < ahead) {
          const { done, value } = source.next();
          over = done === true;
          if (done === true) break;
          dataset.readAhead(value);
          queue.push(value);
        }
        const next = queue.shift();
        if (next === undefined) return;
        yield next;
      }
    } finally {
      source.return?.();
      dataset.endReadAhead?.();
    }
  }

  private *stream(source: Iterator<Sample>): IterableIterator<Batch> {
    const { batchSize, dropLast } = this;
    let samples: Sample[] = [];
    for (const sample of { [Symbol.iterator]: () => source }) {
      if (batchSize === null) {
        yield this.single(sample);
        continue;
      }
      samples.push(sample);
      if (samples.length < batchSize) continue;
      yield this.collate(samples);
      samples = [];
    }
    if (samples.length > 0 && !dropLast) yield this.collate(samples);
  }

  private collate(samples: Sample[]): Batch {
    return this.collateFn === null ? (defaultCollate(samples) as Batch) : this.collateFn(samples);
  }

  /** Without batches, `collateFn` is given each sample by itself, as in PyTorch. */
  private single(sample: Sample): Batch {
    const collateFn = this.collateFn as ((sample: Sample) => Batch) | null;
    return collateFn === null ? (defaultConvert(sample) as unknown as Batch) : collateFn(sample);
  }
}

/** All but the first. */
function* passing<T>(all: Iterable<T>, count: number): Iterable<T> {
  let passed = 0;
  for (const one of all) if (++passed > count) yield one;
}

function defaultSampler(dataset: Dataset, shuffle: boolean, generator: RandomStream | null): Sampler {
  if (!shuffle) return new SequentialSampler(dataset);
  const { blocks } = dataset;
  if (blocks !== undefined) return new BlockSampler(dataset, blocks, generator);
  return new RandomSampler(dataset, generator === null ? {} : { generator });
}

/** Checks the options for workers, as PyTorch does. */
function checkWorkers({
  numWorkers,
  timeout,
  prefetchFactor,
  persistentWorkers,
}: Required<
  Pick<DataLoaderOptions<unknown, unknown>, "numWorkers" | "timeout" | "prefetchFactor" | "persistentWorkers">
>): void {
  const fail = (message: string): never => {
    throw new TensorError("value", message);
  };
  if (numWorkers < 0)
    fail("num_workers option should be non-negative; use num_workers=0 to disable multiprocessing.");
  if (timeout < 0) fail("timeout option should be non-negative");
  if (numWorkers === 0 && prefetchFactor !== null)
    fail(
      "prefetch_factor option could only be specified in multiprocessing.let num_workers > 0 to enable multiprocessing, otherwise set prefetch_factor to None.",
    );
  if (numWorkers === 0 && persistentWorkers) fail("persistent_workers option needs num_workers > 0");
}

/** Refuses options that exclude each other, in PyTorch's order and words. */
function checkOptions(
  dataset: unknown,
  {
    batchSize,
    shuffle,
    sampler,
    batchSampler,
    dropLast,
  }: Pick<
    DataLoaderOptions<unknown, unknown>,
    "batchSize" | "shuffle" | "sampler" | "batchSampler" | "dropLast"
  >,
): void {
  const fail = (message: string): never => {
    throw new TensorError("value", message);
  };
  if (dataset instanceof IterableDataset) {
    const stream = "DataLoader with IterableDataset: expected unspecified";
    if (shuffle) fail(`${stream} shuffle option, but got shuffle=True`);
    if (sampler !== null) fail(`${stream} sampler option, but got sampler=${nameOf(sampler)}`);
    if (batchSampler !== null)
      fail(`${stream} batch_sampler option, but got batch_sampler=${nameOf(batchSampler)}`);
  }
  if (sampler !== null && shuffle) fail("sampler option is mutually exclusive with shuffle");
  if (batchSampler !== null && (batchSize !== 1 || shuffle || sampler !== null || dropLast))
    fail("batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last");
  if (batchSize === null && dropLast)
    fail("batch_size=None option disables auto-batching and is mutually exclusive with drop_last");
}

function nameOf(value: unknown): string {
  return typeof value === "object" && value !== null ? value.constructor.name : String(value);
}

/** The source of samples, given by position or with the options by its name. */
function sourceOf<S>(
  first: S | { readonly dataset: S },
  others: readonly unknown[],
): { dataset: S; rest: unknown[] } {
  const isPlain =
    typeof first === "object" && first !== null && Object.getPrototypeOf(first) === Object.prototype;
  if (others.length > 0 || !isPlain || !("dataset" in first) || "get" in first)
    return { dataset: first as S, rest: [...others] };
  const { dataset, ...rest } = first;
  return { dataset, rest: [rest] };
}

/** Sample numbers of batches: PyTorch's data sets take those of tensors, too. */
function* listed(batches: Iterable<readonly number[] | Tensor>): Iterable<number[]> {
  for (const indices of batches)
    yield indices instanceof Tensor ? (indices.tolist() as number[]) : [...indices];
}
