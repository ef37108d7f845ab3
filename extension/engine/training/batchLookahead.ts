import type { Batch } from "../../nn/experiment/experiment.ts";
import { Value } from "../../tensor/recording/graph.ts";
import type { Lookahead } from "../../tensor/recording/policy.ts";
import type { Batches } from "./batches.ts";

/** The batches of an epoch, the next of which can be read ahead. */
export class BatchLookahead implements Lookahead {
  current: readonly Value[] = [];
  since = 0;
  predictable = true;
  readonly #batches: Batches;
  readonly #most: number;
  readonly #ahead: Batch[] = [];
  #taken: number;
  /** Batches at the epoch's start that are not made: a resumed training has done them. */
  readonly passed: number;
  readonly #rest: Iterable<Batch> | undefined;
  #source: Iterator<Batch> | undefined;

  /**
   * @param most Batches of the epoch that are trained on
   * @param done Batches that a resumed epoch has done. They are passed over without being made where the data allows that, but for
   * the last: generators are restored after it
   */
  constructor(batches: Batches, most: number, done = 0) {
    const pass = done - 1;
    this.#batches = batches;
    this.#most = Math.min(most, batches.length);
    this.#rest = pass > 0 ? batches.epochAfter(pass) : undefined;
    this.#taken = this.passed = this.#rest === undefined ? 0 : pass;
  }

  /** The batches one after the other, read when it is their turn unless they were read ahead. */
  *[Symbol.iterator](): Iterator<Batch> {
    const source = (this.#source = (this.#rest ?? this.#batches.epoch())[Symbol.iterator]());
    try {
      for (;;) {
        const batch = this.#ahead.shift() ?? this.#read();
        if (batch === undefined) return;
        this.#taken++;
        const before = this.current;
        this.current = batch.map(({ value }) => value);
        this.predictable =
          this.#batches.fixed || this.#taken === this.passed + 1 || same(this.current, before);
        this.since = Value.made;
        yield batch;
      }
    } finally {
      source.return?.();
    }
  }

  /** A set that isn't fixed is predicted to repeat its current batch. */
  next(most: number): (readonly Value[])[] {
    const count = Math.min(most, this.#most - this.#taken);
    if (count <= 0 || !this.predictable) return [];
    if (!this.#batches.fixed) return Array.from({ length: count }, () => this.current);
    while (this.#ahead.length < count) {
      const batch = this.#read();
      if (batch === undefined) break;
      this.#ahead.push(batch);
    }
    return this.#ahead.slice(0, count).map((batch) => batch.map(({ value }) => value));
  }

  #read(): Batch | undefined {
    const { done, value } = this.#source!.next();
    return done === true ? undefined : value;
  }
}

const same = (a: readonly Value[], b: readonly Value[]): boolean =>
  a.length === b.length && a.every((value, i) => value === b[i]);
