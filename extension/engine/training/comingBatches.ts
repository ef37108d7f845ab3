import type { Batch } from "../../nn/experiment/experiment.ts";
import { Value } from "../../tensor/recording/graph.ts";
import type { Coming } from "../../tensor/planning/runtime.ts";
import type { Batches } from "./batches.ts";

/** The batches of an epoch, some of which can be read ahead. */
export class ComingBatches implements Coming {
  now: readonly Value[] = [];
  since = 0;
  foreseen = true;
  readonly #batches: Batches;
  readonly #most: number;
  readonly #looked: Batch[] = [];
  #taken = 0;
  #source: Iterator<Batch> | undefined;

  /** @param most Batches of the epoch that are trained on */
  constructor(batches: Batches, most: number) {
    this.#batches = batches;
    this.#most = Math.min(most, batches.length);
  }

  /** The batches one after the other, read when it is their turn unless they were read ahead. */
  *[Symbol.iterator](): Iterator<Batch> {
    const source = (this.#source = this.#batches.epoch()[Symbol.iterator]());
    try {
      for (;;) {
        const batch = this.#looked.shift() ?? this.#read();
        if (batch === undefined) return;
        this.#taken++;
        const before = this.now;
        this.now = batch.map(({ value }) => value);
        this.foreseen = this.#batches.fixed || this.#taken === 1 || same(this.now, before);
        this.since = Value.made;
        yield batch;
      }
    } finally {
      source.return?.();
    }
  }

  /** A set that isn't fixed is thought to go on as it does now: the same batch over and over. */
  next(most: number): (readonly Value[])[] {
    const count = Math.min(most, this.#most - this.#taken);
    if (count <= 0 || !this.foreseen) return [];
    if (!this.#batches.fixed) return Array.from({ length: count }, () => this.now);
    while (this.#looked.length < count) {
      const batch = this.#read();
      if (batch === undefined) break;
      this.#looked.push(batch);
    }
    return this.#looked.slice(0, count).map((batch) => batch.map(({ value }) => value));
  }

  #read(): Batch | undefined {
    const { done, value } = this.#source!.next();
    return done === true ? undefined : value;
  }
}

const same = (a: readonly Value[], b: readonly Value[]): boolean =>
  a.length === b.length && a.every((value, i) => value === b[i]);
