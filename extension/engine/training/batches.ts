import { defaultCollate } from "../../nn/data/collate.ts";
import { Dataset, Subset } from "../../nn/data/dataset.ts";
import { IterableDataset } from "../../nn/data/iterable.ts";
import { DataLoader } from "../../nn/data/loader.ts";
import { BatchSampler } from "../../nn/data/sampler.ts";
import type { Batch, DataSource } from "../../nn/experiment/experiment.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { select } from "../../tensor/functions/shape/parts.ts";
import { RandomStream } from "../../tensor/random/stream.ts";
import { Tensor } from "../../tensor/core/tensor.ts";

/** Longer lists have no numbers of 32 bits for all of their places. */
const MOST_SAMPLES = 2 ** 31 - 1;

/** How a set is cut into batches. */
export interface BatchOptions {
  /** Undefined: all samples are one batch. */
  batchSize: number | undefined;
  shuffle: boolean;
}

/** Whether batches can be made of a value. */
export function isDataSource(value: unknown): value is DataSource {
  return value instanceof Dataset || value instanceof IterableDataset || value instanceof DataLoader;
}

/** The set behind a source: its own, when it is a loader. */
export function datasetOf(source: DataSource): Dataset | IterableDataset {
  return source instanceof DataLoader ? source.samples : source;
}

/** A data set as batches. */
export class Batches {
  readonly #dataset: Dataset | IterableDataset;
  readonly #options: BatchOptions;
  /** The loader that the user made, if so. */
  readonly #loader: DataLoader<unknown, unknown> | undefined;
  #whole: Batch | undefined;

  /** @throws TensorError when the set is empty, or is a stream without a batch size */
  constructor(source: DataSource, options: BatchOptions) {
    this.#dataset = datasetOf(source);
    this.#options = options;
    this.#loader = source instanceof DataLoader ? source : undefined;
    const { samples } = this;
    demandSamples(samples);
    if (this.#dataset instanceof IterableDataset && (this.#loader ?? options).batchSize === undefined)
      throw new TensorError("value", "experiment(): an IterableDataset needs a batchSize");
  }

  /** Undefined for a stream that doesn't know its length. */
  get samples(): number | undefined {
    return this.#dataset.length;
  }

  /** Loader of the batches: the user's own, or one like it. Its batches need not be lists of tensors. */
  get loader(): DataLoader<unknown, unknown> {
    return (
      this.#loader ??
      new DataLoader<unknown, unknown>(this.#dataset, {
        batchSize: this.#options.batchSize ?? this.samples ?? 1,
      })
    );
  }

  /** Samples in a batch of the user's own loader, 0 where that isn't one number; undefined without one. */
  get loaderBatch(): number | undefined {
    return this.#loader === undefined ? undefined : (this.#loader.batchSize ?? 0);
  }

  /** Sampler of the user's own loader. */
  get sampler(): unknown {
    return this.#loader?.sampler;
  }

  /** Whether the user's own loader makes its batches in a way of its own. */
  get batchSampler(): boolean {
    const sampler = this.#loader?.batchSampler ?? undefined;
    return sampler !== undefined && sampler.constructor !== BatchSampler;
  }

  /** Batches of an epoch; Infinity for a stream that doesn't know its length. */
  get length(): number {
    const { samples } = this;
    if (samples === undefined) return Infinity;
    return this.#loader?.length ?? Math.ceil(samples / (this.#options.batchSize ?? samples));
  }

  /** Whether batches may be read ahead of their turn. */
  get fixed(): boolean {
    const dataset = this.#dataset;
    return this.#loader?.fixed ?? (dataset instanceof Dataset && dataset.fixed);
  }

  /** Tensors of the first sample. */
  sample(): Batch {
    return this.#loader === undefined && this.#dataset instanceof Dataset
      ? firstSample(this.#dataset)
      : this.#first().map((tensor) => select(tensor, 0, 0));
  }

  /** The set that the samples come from; of a subset, the whole set. */
  get source(): Dataset | IterableDataset {
    let dataset: Dataset | IterableDataset = this.#dataset;
    while (dataset instanceof Subset) dataset = dataset.dataset;
    return dataset;
  }

  /** The number that a sample has in {@link source}. */
  numberInSource(index: number): number {
    let [dataset, number] = [this.#dataset, index];
    for (; dataset instanceof Subset; dataset = dataset.dataset) number = dataset.indices[number]!;
    return number;
  }

  /** A row of numbers as the input of a sample: scaled if the set's own rows are. */
  encodeRow(row: readonly number[]): readonly number[] {
    const { source } = this;
    return source instanceof Dataset ? (source.encodeRow?.(row) ?? row) : row;
  }

  /** Texts by the names of their columns as the input of a sample; undefined where the set has no such columns. */
  encodeCells(cells: ReadonlyMap<string, string>): readonly number[] | undefined {
    const { source } = this;
    return source instanceof Dataset ? source.encodeCells?.(cells) : undefined;
  }

  /** Whether samples can be read by number: those of a stream can't. */
  get listed(): boolean {
    return this.#dataset instanceof Dataset;
  }

  /** Samples by number, in the order of {@link inOrder}, as one batch. @throws TensorError of a stream */
  pick(indices: readonly number[]): Batch {
    return asBatch((this.#loader ?? new DataLoader(this.#dataset)).pick(indices));
  }

  /**
   * The batches of a new epoch. A loader draws from the global generator as PyTorch's does; a set that is one batch in
   * its own order draws nothing, like a script that has no loader.
   */
  epoch(): Iterable<Batch> {
    const { batchSize, shuffle } = this.#options;
    if (this.#loader !== undefined) return map(this.#loader);
    if (batchSize === undefined && !shuffle) return [(this.#whole ??= this.#first())];
    return map(new DataLoader(this.#dataset, { batchSize: batchSize ?? this.samples ?? 1, shuffle }));
  }

  /**
   * The batches of a new epoch of which `done` were trained on before an interruption. Those before the last of them aren't made where
   * the data allows that: generators are restored after it.
   * @returns the batches, and how many before them were not made
   */
  from(done: number): { passed: number; batches: Iterable<Batch> } {
    const passed = done - 1;
    const batches = passed > 0 ? this.epochAfter(passed) : undefined;
    return batches === undefined ? { passed: 0, batches: this.epoch() } : { passed, batches };
  }

  /**
   * The batches of a new epoch after the first `count`, which are not made; undefined if they must be. Draws what
   * {@link epoch} draws before its first batch.
   */
  epochAfter(count: number): Iterable<Batch> | undefined {
    const { batchSize, shuffle } = this.#options;
    if (this.#loader === undefined && batchSize === undefined) return undefined;
    const loader =
      this.#loader ?? new DataLoader<unknown, unknown>(this.#dataset, { batchSize: batchSize!, shuffle });
    const batches = loader.after(count);
    return batches && map(batches);
  }

  /** The batches in the set's own order, without a random number. */
  inOrder(): Iterable<Batch> {
    const generator = new RandomStream();
    if (this.#loader !== undefined) return map(this.#loader.inOrder(generator));
    const batchSize = this.#options.batchSize ?? this.samples ?? 1;
    return map(new DataLoader(this.#dataset, { batchSize, generator }));
  }

  #first(): Batch {
    for (const batch of this.inOrder()) return batch;
    throw new TensorError("value", "experiment(): the data set has no batch");
  }
}

function* map(batches: Iterable<unknown>): Iterable<Batch> {
  for (const batch of batches) yield asBatch(batch);
}

/** The first batches. */
export function* take(batches: Iterable<Batch>, count: number): Iterable<Batch> {
  if (count <= 0) return;
  let taken = 0;
  for (const batch of batches) {
    yield batch;
    if (++taken >= count) return;
  }
}

/** Tensors of a set's first sample, whose numbers become tensors as in a batch. */
export function firstSample(dataset: Dataset): Batch {
  return asBatch(defaultCollate([dataset.get(0)])).map((tensor) => select(tensor, 0, 0));
}

/**
 * A batch as a list of tensors.
 * @throws TensorError when it is something else
 */
export function asBatch(batch: unknown): Batch {
  if (batch instanceof Tensor) return [batch];
  if (Array.isArray(batch) && batch.every((one) => one instanceof Tensor)) return batch;
  throw new TensorError(
    "value",
    "experiment(): expected samples of the data set to be lists of tensors, such as [input, target]",
  );
}

/** @throws TensorError for a length of a data set that none has; undefined is that of a stream */
export function demandSamples(length: number | undefined): void {
  if (length === undefined) return;
  if (length === 0) throw new TensorError("value", "experiment(): the data set has no samples");
  // The order of an epoch is a list.
  if (!Number.isInteger(length) || length < 0 || length > MOST_SAMPLES)
    throw new TensorError(
      "value",
      `experiment(): expected the data set's length to be a whole number up to ${MOST_SAMPLES.toLocaleString("en-US")}, got ${typeof length === "number" ? length : typeof length}`,
    );
}
