import { DataLoader } from "../nn/data/loader.ts";
import type { Dataset } from "../nn/data/dataset.ts";
import type { Batch } from "../nn/experiment.ts";
import { TensorError } from "../tensor/errors.ts";
import { RandomStream } from "../tensor/random/stream.ts";
import { Tensor } from "../tensor/tensor.ts";

/** How a set is cut into batches. */
export interface BatchOptions {
  /** Undefined: all samples are one batch. */
  batchSize: number | undefined;
  shuffle: boolean;
}

/** A data set as batches. */
export class Batches {
  readonly #dataset: Dataset;
  readonly #options: BatchOptions;
  #whole: Batch | undefined;

  /** @throws TensorError when the set is empty */
  constructor(dataset: Dataset, options: BatchOptions) {
    if (!(dataset.length > 0)) throw new TensorError("value", "experiment(): the data set has no samples");
    this.#dataset = dataset;
    this.#options = options;
  }

  get samples(): number {
    return this.#dataset.length;
  }

  /** Batches of an epoch. */
  get length(): number {
    return Math.ceil(this.samples / (this.#options.batchSize ?? this.samples));
  }

  /** Tensors of the first sample. */
  sample(): Batch {
    return asBatch(this.#dataset.get(0));
  }

  /**
   * The batches of a new epoch. A loader draws from the global generator as PyTorch's does; a set that is one batch in
   * its own order draws nothing, like a script that has no loader.
   */
  epoch(): Iterable<Batch> {
    const { batchSize, shuffle } = this.#options;
    if (batchSize === undefined && !shuffle) return [(this.#whole ??= this.#first())];
    return map(new DataLoader(this.#dataset, { batchSize: batchSize ?? this.samples, shuffle }));
  }

  /** The batches in the set's own order, without a random number. */
  inOrder(): Iterable<Batch> {
    const batchSize = this.#options.batchSize ?? this.samples;
    return map(new DataLoader(this.#dataset, { batchSize, generator: new RandomStream() }));
  }

  #first(): Batch {
    for (const batch of this.inOrder()) return batch;
    throw new TensorError("value", "experiment(): the data set has no batch");
  }
}

function* map(batches: Iterable<unknown>): Iterable<Batch> {
  for (const batch of batches) yield asBatch(batch);
}

/**
 * A batch or a sample as a list of tensors.
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
