import { kindOf, TensorError } from "../../tensor/core/errors.ts";

/**
 * Samples one after the other, without access by number: a stream. Each loop starts over.
 *
 * ```ts
 * class Lines extends data.IterableDataset<Tensor> {
 *   *[Symbol.iterator]() { for (let i = 0; i < 100; i++) yield torch.tensor(i); }
 * }
 * ```
 */
export abstract class IterableDataset<Sample = unknown> implements Iterable<Sample> {
  abstract [Symbol.iterator](): Iterator<Sample>;

  /** Number of samples; undefined when unknown. */
  get length(): number | undefined {
    return undefined;
  }
}

/**
 * Streams one after the other.
 *
 * ```ts
 * for (const sample of new data.ChainDataset([first, second])) print(sample);
 * ```
 * @throws TensorError "ChainDataset only supports IterableDataset"
 */
export class ChainDataset<Sample = unknown> extends IterableDataset<Sample> {
  readonly datasets: readonly IterableDataset<Sample>[];

  constructor(datasets: Iterable<IterableDataset<Sample>>) {
    super();
    this.datasets = listDatasets("ChainDataset", datasets);
    if (!this.datasets.every((one) => one instanceof IterableDataset))
      throw new TensorError("value", "ChainDataset only supports IterableDataset");
  }

  *[Symbol.iterator](): Iterator<Sample> {
    for (const dataset of this.datasets) yield* dataset;
  }

  override get length(): number | undefined {
    let total = 0;
    for (const { length } of this.datasets) {
      if (length === undefined) return undefined;
      total += length;
    }
    return total;
  }
}

/** A stream that can begin in its middle. */
export interface Resumable<Sample> {
  /**
   * The samples after the first `count` of a loop, without making those; undefined where they must be made. Draws what a whole loop
   * draws before its first sample.
   */
  after(count: number): Iterator<Sample> | undefined;
}

/** @throws TensorError for what can't be iterated */
export function listDatasets<T>(callee: string, datasets: Iterable<T>): T[] {
  if (Symbol.iterator in Object(datasets)) return [...datasets];
  throw new TensorError("value", `${callee}(): argument 'datasets' must be a list, not ${kindOf(datasets)}`);
}
