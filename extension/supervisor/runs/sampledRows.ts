import type { MetricRow } from "../../protocol/run.ts";

/**
 * Values of a sample's rows, at most: a thousand rows of a training have some ten thousand. A stranger's rows may have thousands of
 * values each, under names of their own.
 */
const MOST_VALUES = 2 ** 18;
/** Characters of a text that take as much memory as a value. */
const TEXT = 64;

const weigh = ({ values, text = "" }: MetricRow): number =>
  1 + Object.keys(values).length + text.length / TEXT;

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
    this.#steps = new Sample<MetricRow>(limit, weigh);
    this.#epochs = new Sample<MetricRow>(limit, weigh);
    this.#events = new Sample<MetricRow>(limit, weigh);
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
  readonly #weigh: (row: Row) => number;
  #kept: Row[] = [];
  /** Of the rows that are kept, and all together. */
  #weights: number[] = [];
  #weight = 0;
  #stride = 1;
  #seen = 0;
  #newest: Row | undefined;
  /** Changes when rows that were kept are dropped. */
  generation = 0;

  /** @param weigh gives a row's number of values, of which a sample has a limited number */
  constructor(limit: number, weigh: (row: Row) => number = () => 0) {
    this.#limit = limit;
    this.#weigh = weigh;
  }

  push(row: Row): void {
    if (this.#seen++ % this.#stride === 0) {
      const weight = this.#weigh(row);
      this.#kept.push(row);
      this.#weights.push(weight);
      this.#weight += weight;
    }
    this.#newest = row;
    // One place is for the newest row, which may not be among those kept.
    while (this.#kept.length >= 2 * this.#limit || (this.#weight > MOST_VALUES && this.#kept.length > 1)) {
      this.#keep((_, index) => index % 2 === 0);
      this.#stride *= 2;
    }
  }

  #keep(stays: (row: Row, index: number) => boolean): void {
    this.generation++;
    const rows = this.#kept;
    this.#kept = rows.filter(stays);
    this.#weights = this.#weights.filter((_, index) => stays(rows[index]!, index));
    this.#weight = this.#weights.reduce((sum, weight) => sum + weight, 0);
  }

  /** Drops the newest rows after a step. Rows come in the order of steps: those before it stay. */
  cut(step: number): void {
    const before = this.#kept.length;
    while ((this.#kept.at(-1)?.step ?? step) > step) {
      this.#kept.pop();
      this.#weight -= this.#weights.pop() ?? 0;
    }
    if (this.#kept.length < before) this.generation++;
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
