import type { MetricRow } from "../../protocol/run.ts";

/**
 * A sample of a run's rows in bounded memory: evenly spaced, as many as a screen can show, whatever the run's length.
 * The newest row of each kind is always in it.
 */
export class SampledRows {
  readonly #steps: Sample<MetricRow>;
  readonly #epochs: Sample<MetricRow>;
  readonly #events: Sample<MetricRow>;

  /** @param limit Keeps between `limit` and twice as many rows of each kind */
  constructor(limit = 500) {
    this.#steps = new Sample<MetricRow>(limit);
    this.#epochs = new Sample<MetricRow>(limit);
    this.#events = new Sample<MetricRow>(limit);
  }

  push(rows: readonly MetricRow[]): void {
    const kinds = { step: this.#steps, epoch: this.#epochs, event: this.#events };
    for (const row of rows) {
      // The training rolled back: rows after that step no longer count.
      if (row.rollback !== undefined) for (const kind of Object.values(kinds)) kind.cut(row.rollback);
      kinds[row.kind].push(row);
    }
  }

  /** In the order of steps; an epoch follows its last step. */
  get rows(): MetricRow[] {
    return [...this.#steps.rows, ...this.#epochs.rows, ...this.#events.rows].sort((a, b) => a.step - b.step);
  }
}

/** Drops every second row when there are too many, and from then on takes only every second of the new ones. */
export class Sample<Row extends { readonly step: number }> {
  readonly #limit: number;
  #kept: Row[] = [];
  #stride = 1;
  #seen = 0;
  #newest: Row | undefined;
  /** Changes when rows that were kept are dropped. */
  generation = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  push(row: Row): void {
    if (this.#seen++ % this.#stride === 0) this.#kept.push(row);
    this.#newest = row;
    // One place is for the newest row, which may not be among those kept.
    if (this.#kept.length < 2 * this.#limit) return;
    this.#kept = this.#kept.filter((_, index) => index % 2 === 0);
    this.#stride *= 2;
    this.generation++;
  }

  cut(step: number): void {
    this.generation++;
    this.#kept = this.#kept.filter((row) => row.step <= step);
    if (this.#newest !== undefined && this.#newest.step > step) this.#newest = this.#kept.at(-1);
  }

  /** How many of {@link rows} stay: the newest may not. */
  get kept(): number {
    return this.#kept.length;
  }

  get rows(): Row[] {
    const newest = this.#newest;
    return newest === undefined || this.#kept.at(-1) === newest ? this.#kept : [...this.#kept, newest];
  }
}
