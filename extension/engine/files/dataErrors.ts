import type { Batch } from "../../nn/experiment/experiment.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { formatShape } from "../../tensor/core/shape.ts";
import type { Batches } from "../training/batches.ts";

/** A data set, as errors name it. */
export interface NamedData {
  set: "validation" | "test" | "train";
  /** The training data, to compare with. */
  train: Batches;
}

/** Yields batches in order, each with its place in the data. */
export function* located(batches: Iterable<Batch>, data: NamedData): Iterable<[Batch, Place]> {
  const iterator = batches[Symbol.iterator]();
  const place = new Place(data);
  try {
    for (;;) {
      const { done, value } = place.run(() => iterator.next());
      if (done === true) return;
      place.arrive(value);
      yield [value, place];
      place.leave(value);
    }
  } finally {
    iterator.return?.();
  }
}

/** A place in a data set, named by errors that occur there. */
export class Place {
  readonly #data: NamedData;
  #number = 1;
  #first = 0;
  #batch: Batch | undefined;

  constructor(data: NamedData) {
    this.#data = data;
  }

  arrive(batch: Batch): void {
    this.#batch = batch;
  }

  leave(batch: Batch): void {
    this.#number++;
    this.#first += lengthOf(batch);
    this.#batch = undefined;
  }

  /** Runs `body`, which reads or computes the batch. @throws its error, with the data's name before the message */
  run<T>(body: () => T): T {
    try {
      return body();
    } catch (error) {
      if (error instanceof Error && !error.message.startsWith("internal: ")) this.#name(error);
      throw error;
    }
  }

  #name(error: Error): void {
    const { set } = this.#data;
    const length = this.#batch === undefined ? 0 : lengthOf(this.#batch);
    const samples =
      length === 0
        ? `, from sample ${this.#first} on`
        : `, ${length === 1 ? `sample ${this.#first}` : `samples ${this.#first} to ${this.#first + length - 1}`}`;
    error.message = `${set === "train" ? "training" : set} data, batch ${this.#number}${samples}: ${error.message}`;
    const difference =
      set === "train" || this.#batch === undefined ? undefined : this.#difference(this.#batch);
    if (difference === undefined || !(error instanceof TensorError)) return;
    const { hint } = error;
    Object.assign(error, { hint: hint === undefined ? difference : `${difference} ${hint}` });
  }

  /** How the batch's samples differ from those that the model is trained on. */
  #difference(batch: Batch): string | undefined {
    const { set, train } = this.#data;
    const texts = (all: readonly { shape: readonly number[]; dtype: string }[]): string =>
      all.map(({ shape, dtype }) => `${formatShape(shape)} ${dtype}`).join(", ");
    const here = texts(batch.map(({ shape, dtype }) => ({ shape: shape.slice(1), dtype })));
    try {
      const there = texts(train.sample());
      if (here === there) return undefined;
      return `A sample of the ${set} data is ${here}, one of the training data ${there}.`;
    } catch {
      return undefined;
    }
  }
}

const lengthOf = (batch: Batch): number => batch[0]?.shape[0] ?? 0;
