import type {
  ForeignHistogram,
  ForeignPicture,
  ForeignRun,
  ForeignSeries,
} from "../../protocol/history/foreignRun.ts";
import {
  LONGEST_TEXT,
  MOST_HISTOGRAMS,
  MOST_NOTES,
  MOST_PICTURES,
  MOST_POINTS,
  MOST_PROBLEMS,
  MOST_SERIES,
  MOST_VALUES,
  nameOf,
} from "./limits.ts";

type Point = readonly [step: number, time: number, value: number];

/** A metric's values in the order in which they were logged: of too many, evenly spaced ones and the last. */
class Values {
  /** In this order; a number is a step from which on the values before it are void. */
  #log: (Point | number)[] = [];
  #stride = 1;
  #skipped = 0;
  #last: Point | undefined;

  add(point: Point): void {
    this.#last = point;
    if (++this.#skipped < this.#stride) return;
    this.#skipped = 0;
    this.#log.push(point);
    this.#last = undefined;
    if (this.#log.length < 2 * MOST_POINTS) return;
    const points = this.#points();
    this.#log = points;
    // With a few points less, all would be checked again for the next ones.
    if (points.length < 1.5 * MOST_POINTS) return;
    this.#log = points.filter((_, i) => i % 2 === 0);
    this.#stride *= 2;
  }

  /** Drops a step and later ones, which a resumed training has declared void. A file may do so with each of its events. */
  cut(step: number): void {
    if (this.#last !== undefined && this.#last[0] >= step) this.#last = undefined;
    const before = this.#log.at(-1);
    if (typeof before === "number") this.#log[this.#log.length - 1] = Math.min(before, step);
    else if (before !== undefined) this.#log.push(step);
  }

  /** The points that count, in one pass: from the last one back, each up to the lowest step that was cut after it. */
  #points(): Point[] {
    let end = Infinity;
    const points: Point[] = [];
    for (const one of this.#log.toReversed())
      if (typeof one === "number") end = Math.min(end, one);
      else if (one[0] < end) points.push(one);
    return points.reverse();
  }

  get thinned(): boolean {
    return this.#stride > 1;
  }

  /** The series with ascending steps; of several values of a step, the last logged one. */
  series(name: string): ForeignSeries {
    const points = this.#points();
    const all = this.#last === undefined ? points : [...points, this.#last];
    // Tools count from 0 where no step is given: such values have an order only.
    const counted = all.length > 1 && all.every(([step]) => step === all[0]![0]);
    const numbered = counted ? all.map(([, time, value], i): Point => [i, time, value]) : all;
    const byStep = new Map(numbered.map((point) => [point[0], point]));
    const sorted = [...byStep.values()].sort((a, b) => a[0] - b[0]);
    return {
      name,
      steps: sorted.map(([step]) => step),
      times: sorted.map(([, time]) => time),
      values: sorted.map(([, , value]) => value),
    };
  }
}

/** Collects what a run has, within limits, and says what is left out. */
export class Collector {
  readonly #series = new Map<string, Values>();
  readonly #parameters = new Map<string, string | number | boolean>();
  readonly #notes = new Map<string, string>();
  readonly #histograms: ForeignHistogram[] = [];
  readonly #pictures = new Map<string, ForeignPicture>();
  readonly #problems = new Set<string>();
  #values = 0;

  /** @param time in seconds since 1970 */
  value(metric: string, step: number, time: number, value: number): void {
    const name = nameOf(metric);
    if (name === undefined || !Number.isSafeInteger(step)) return;
    if (++this.#values > MOST_VALUES)
      return this.problem(`Values after the first ${count(MOST_VALUES)} are left out.`);
    let values = this.#series.get(name);
    if (values === undefined) {
      if (this.#series.size >= MOST_SERIES)
        return this.problem(`Metrics after the first ${count(MOST_SERIES)} are left out.`);
      this.#series.set(name, (values = new Values()));
    }
    values.add([step, time, value]);
  }

  /** Forgets values of a step and those after it. */
  cut(step: number): void {
    for (const values of this.#series.values()) values.cut(step);
  }

  parameter(name: string, value: unknown): void {
    this.#note(this.#parameters, name, scalarOf(value));
  }

  note(name: string, value: string): void {
    this.#note(this.#notes, name, value.slice(0, LONGEST_TEXT));
  }

  #note<T>(notes: Map<string, T>, given: string, value: T): void {
    const name = nameOf(given);
    if (name === undefined) return;
    if (notes.size >= MOST_NOTES && !notes.has(name))
      return this.problem(`Parameters and tags after the first ${count(MOST_NOTES)} are left out.`);
    notes.set(name, value);
  }

  histogram(histogram: ForeignHistogram): void {
    if (this.#histograms.length < MOST_HISTOGRAMS) this.#histograms.push(histogram);
    else this.problem(`Histograms after the first ${count(MOST_HISTOGRAMS)} are left out.`);
  }

  picture(picture: ForeignPicture): void {
    if (this.#pictures.size < MOST_PICTURES) this.#pictures.set(`${picture.step} ${picture.name}`, picture);
    else this.problem(`Pictures after the first ${count(MOST_PICTURES)} are left out.`);
  }

  problem(text: string): void {
    if (this.#problems.size < MOST_PROBLEMS) this.#problems.add(text);
  }

  get empty(): boolean {
    return this.#series.size === 0 && this.#histograms.length === 0 && this.#pictures.size === 0;
  }

  /** Returns the collected run. */
  run(
    facts: Omit<ForeignRun, "parameters" | "notes" | "series" | "histograms" | "pictures" | "problems">,
  ): ForeignRun {
    const thinned = [...this.#series].filter(([, values]) => values.thinned).map(([name]) => name);
    if (thinned.length > 0)
      this.problem(
        `Of metrics with more than ${count(2 * MOST_POINTS)} values, evenly spaced ones are kept: ${thinned.slice(0, 5).join(", ")}.`,
      );
    return {
      ...facts,
      parameters: this.#parameters,
      notes: this.#notes,
      series: [...this.#series].map(([name, values]) => values.series(name)),
      histograms: this.#histograms,
      pictures: [...this.#pictures.values()],
      problems: [...this.#problems],
    };
  }
}

const count = (n: number): string => n.toLocaleString("en-US");

function scalarOf(value: unknown): string | number | boolean {
  if (typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value))) return value;
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? String(value));
  // Tools that keep only texts have numbers as texts.
  if (/^-?\d+(\.\d+)?(e[-+]?\d+)?$/i.test(text) && text.length < 20) return Number(text);
  return text.slice(0, LONGEST_TEXT);
}
