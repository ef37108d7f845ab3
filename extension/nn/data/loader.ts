import { TensorError } from "../../tensor/errors.ts";
import { batchCount, batchSampler, checkLoader, loaderBatches } from "../../tensor/random/sampling.ts";
import { defaultStream, type RandomStream } from "../../tensor/random/stream.ts";
import { bind } from "../arguments.ts";
import { defaultCollate, type Collated } from "./collate.ts";
import type { Dataset } from "./dataset.ts";
import type { Sampler } from "./sampler.ts";

export interface DataLoaderOptions<Sample, Batch> {
  /** Samples in a batch; 1 by default. */
  batchSize?: number;
  /** A new random order for every epoch; the order of the data set by default. */
  shuffle?: boolean;
  /** Gives the sample numbers, instead of `shuffle`. */
  sampler?: Sampler | null;
  /** Makes a batch of samples; {@link defaultCollate} by default. */
  collateFn?: ((samples: Sample[]) => Batch) | null;
  /** Leave out a last batch that is smaller than the others. */
  dropLast?: boolean;
  /** Where the order is drawn from; the global generator by default. */
  generator?: RandomStream | null;
}

/**
 * Batches of a data set. Each loop over it is one epoch, in the order PyTorch gives for the same seed:
 *
 * ```ts
 * for (const [x, y] of new data.DataLoader(set, { batchSize: 32, shuffle: true })) …
 * ```
 */
export class DataLoader<Sample, Batch = Collated<Sample>> {
  readonly dataset: Dataset<Sample>;
  readonly batchSize: number;
  readonly dropLast: boolean;
  private readonly shuffle: boolean;
  private readonly sampler: Sampler | null;
  private readonly collateFn: ((samples: Sample[]) => Batch) | null;
  private readonly generator: RandomStream | null;

  constructor(dataset: Dataset<Sample>, options?: DataLoaderOptions<Sample, Batch>);
  constructor(
    dataset: Dataset<Sample>,
    batchSize: number,
    options?: Omit<DataLoaderOptions<Sample, Batch>, "batchSize">,
  );
  constructor(dataset: Dataset<Sample>, ...rest: unknown[]) {
    const options = bind<DataLoaderOptions<Sample, Batch>>("DataLoader", rest, {
      batchSize: 1,
      shuffle: false,
      sampler: null,
      collateFn: null,
      dropLast: false,
      generator: null,
    });
    if (options.sampler !== null && options.shuffle) {
      throw new TensorError("value", "sampler option is mutually exclusive with shuffle");
    }
    this.dataset = dataset;
    this.batchSize = options.batchSize;
    this.dropLast = options.dropLast;
    this.shuffle = options.shuffle;
    this.sampler = options.sampler;
    this.collateFn = options.collateFn;
    this.generator = options.generator;
    checkLoader(this.order);
  }

  /** Number of batches in an epoch. */
  get length(): number {
    return batchCount({ ...this.order, length: this.sampler?.length ?? this.dataset.length });
  }

  /** Starts an epoch. */
  [Symbol.iterator](): IterableIterator<Batch> {
    return this.read(this.batches());
  }

  private get order(): Parameters<typeof loaderBatches>[0] {
    const { batchSize, shuffle, dropLast } = this;
    return {
      length: this.dataset.length,
      batchSize,
      shuffle,
      dropLast,
      source: this.generator ?? undefined,
    };
  }

  private batches(): Iterable<number[]> {
    if (this.sampler === null) return loaderBatches(this.order, defaultStream);
    // The base seed that PyTorch's iterators draw for their workers.
    (this.generator ?? defaultStream).generator.nextU64();
    return batchSampler(this.sampler, this.batchSize, this.dropLast);
  }

  private *read(batches: Iterable<number[]>): IterableIterator<Batch> {
    for (const indices of batches) yield this.batch(indices);
  }

  private batch(indices: number[]): Batch {
    const { dataset, collateFn } = this;
    const whole = collateFn === null ? dataset.getBatch?.(indices) : undefined;
    if (whole !== undefined) return whole as Batch;
    const samples = indices.map((i) => dataset.get(i));
    return collateFn === null ? (defaultCollate(samples) as Batch) : collateFn(samples);
  }
}
