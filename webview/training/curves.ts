/** The run's metric rows as columns, one curve per metric and kind of row, grouped into charts. */
import { clipped } from "../../extension/protocol/text/clip.ts";
import type { MetricRow } from "../../extension/protocol/run.ts";
import { formatTick } from "../shared/format.ts";
import { EpochClock, type Timing } from "./epochClock.ts";

export type Axis = "step" | "epoch" | "time";

/** One metric's values over one kind of row, in the order in which they came; `step` ascends strictly. */
export class Curve {
  step: number[] = [];
  epoch: number[] = [];
  time: number[] = [];
  /** Grows at its end. A {@link cut} replaces the array, so results cached for the old one don't match the new one. */
  value: number[] = [];

  /** A step that is already there gets the new value; one before it is an old row sent again. */
  add(step: number, epoch: number, time: number, value: number): void {
    const last = this.step.length - 1;
    const previous = this.step[last] ?? Number.NEGATIVE_INFINITY;
    if (step < previous) return;
    if (step === previous) {
      this.value[last] = value;
      return;
    }
    this.step.push(step);
    this.epoch.push(epoch);
    this.time.push(time);
    this.value.push(value);
  }

  /** Removes the points after a step. */
  cut(step: number): void {
    const end = this.step.findLastIndex((one) => one <= step) + 1;
    if (end === this.step.length) return;
    this.step = this.step.slice(0, end);
    this.epoch = this.epoch.slice(0, end);
    this.time = this.time.slice(0, end);
    this.value = this.value.slice(0, end);
  }

  get length(): number {
    return this.value.length;
  }

  get latest(): number | undefined {
    return this.value.at(-1);
  }

  /** Index from which on no value is finite; undefined when the latest one is. A diverged loss, that is. */
  divergedAt(): number | undefined {
    const last = this.value.findLastIndex((value) => Number.isFinite(value));
    return last === this.value.length - 1 ? undefined : last + 1;
  }
}

/** The curves of one chart: a metric in training and in validation. */
export interface MetricCurves {
  /** The metric's name without "val_". */
  name: string;
  steps?: Curve;
  epochs?: Curve;
  validation?: Curve;
}

/** Whether it is a learning rate: of the optimizer, or of one of several. */
export const isRate = (metric: string): boolean => /^lr(_|$)/.test(metric);

export const VALIDATION_PREFIX = "val_";

/** "loss" of "val_loss". */
export const metricName = (metric: string): string =>
  metric.startsWith(VALIDATION_PREFIX) ? metric.slice(VALIDATION_PREFIX.length) : metric;

/** Something that happened to the run, such as a learning rate that was changed by hand. */
export interface CurveEvent extends Record<Axis, number> {
  text: string;
  /** For the mark on a curve: shorter than the text. */
  label: string;
}

/** No mark's text is longer: the whole stands in the list of events. */
const LABEL = 30;

/** Seconds over which a point of the throughput is measured. */
const THROUGHPUT_SPAN = 0.2;

export class Curves {
  readonly #curves = new Map<string, MetricCurves>();
  #stepsPerEpoch: number | undefined;
  readonly #batchSize: number | undefined;
  #mark: { step: number; time: number } | undefined;
  readonly #clock = new EpochClock();
  readonly events: CurveEvent[] = [];
  /** Seconds since the run began, at the latest row. */
  elapsed = 0;
  rows = 0;

  /** @param batchSize Samples of a step, for the throughput; without it, that is in steps */
  constructor(rows: readonly MetricRow[] = [], stepsPerEpoch?: number, batchSize?: number) {
    this.#stepsPerEpoch = stepsPerEpoch;
    this.#batchSize = batchSize;
    this.append(rows);
  }

  append(rows: readonly MetricRow[]): void {
    for (const row of rows) {
      this.rows++;
      this.elapsed = Math.max(this.elapsed, row.time);
      const epoch = this.#epochOf(row);
      if (row.kind === "event") {
        if (row.rollback !== undefined) this.#cut(row.rollback);
        this.#addEvent(row, epoch);
        continue;
      }
      this.#measure(row, epoch);
      this.#clock.add(row);
      for (const [metric, value] of Object.entries(row.values))
        // postMessage turned non-finite values into null.
        this.#curve(metric, row.kind).add(row.step, epoch, row.time, value ?? Number.NaN);
    }
  }

  /** The first record may come before the engine knows how long an epoch is. */
  set stepsPerEpoch(steps: number | undefined) {
    if (!steps || steps === this.#stepsPerEpoch) return;
    this.#stepsPerEpoch = steps;
    for (const event of this.events) event.epoch = event.step / steps;
    const throughput = this.throughput();
    for (const { steps: train, epochs, validation } of [
      ...this.#curves.values(),
      ...(throughput ? [throughput] : []),
    ])
      for (const curve of [train, epochs, validation])
        curve?.step.forEach((step, index) => (curve.epoch[index] = step / steps));
  }

  /** The training rolled back to a step: later points no longer count. */
  #cut(step: number): void {
    this.#clock.cut(step);
    const all = [...this.#curves.values(), ...(this.throughput() ? [this.throughput()!] : [])];
    for (const { steps, epochs, validation } of all)
      for (const curve of [steps, epochs, validation]) curve?.cut(step);
    this.#mark = undefined;
  }

  /** Charts in the order in which they are shown: losses, other metrics in the order of their first row, rates. */
  metrics(): MetricCurves[] {
    const rank = ({ name }: MetricCurves): number => (name.includes("loss") ? 0 : isRate(name) ? 2 : 1);
    return [...this.#curves.values()].sort((a, b) => rank(a) - rank(b));
  }

  /** Samples or steps a second, by the steps' own clock: pauses are no part of it. */
  throughput(): MetricCurves | undefined {
    return this.#throughput && { name: this.#batchSize ? "samples/s" : "steps/s", steps: this.#throughput };
  }

  /** Means of the last epochs; the speed has the unit of {@link throughput}. */
  timing(): (Timing & { speed: { value: number; unit: "samples" | "steps" } }) | undefined {
    const timing = this.#clock.timing(this.#stepsPerEpoch);
    return (
      timing && {
        ...timing,
        speed: {
          value: timing.stepsPerSecond * (this.#batchSize ?? 1),
          unit: this.#batchSize ? "samples" : "steps",
        },
      }
    );
  }

  #throughput: Curve | undefined;

  #measure({ step, time }: MetricRow, epoch: number): void {
    const mark = (this.#mark ??= { step, time });
    if (time - mark.time < THROUGHPUT_SPAN || step <= mark.step) return;
    const speed = ((step - mark.step) * (this.#batchSize ?? 1)) / (time - mark.time);
    (this.#throughput ??= new Curve()).add(step, epoch, time, speed);
    this.#mark = { step, time };
  }

  #addEvent({ step, time, text = "", values }: MetricRow, epoch: number): void {
    // A snapshot and the rows after it may both have it.
    if (this.events.some((event) => event.step === step && event.text === text)) return;
    const changes = Object.entries(values).map(([name, value]) => `${name} ${formatTick(value)}`);
    this.events.push({ step, epoch, time, text, label: changes.join(", ") || clipped(text, LABEL) });
  }

  /** Steps fall between the epochs' whole numbers, so that both kinds share an axis. */
  #epochOf(row: MetricRow): number {
    if (this.#stepsPerEpoch) return row.step / this.#stepsPerEpoch;
    return row.epoch;
  }

  #curve(metric: string, kind: "step" | "epoch"): Curve {
    const isValidation = metric.startsWith(VALIDATION_PREFIX);
    const name = metricName(metric);
    let curves = this.#curves.get(name);
    if (!curves) this.#curves.set(name, (curves = { name }));
    if (isValidation) return (curves.validation ??= new Curve());
    return kind === "step" ? (curves.steps ??= new Curve()) : (curves.epochs ??= new Curve());
  }
}

/** Curves worth a line of their own: with one step an epoch, steps and epochs would be the same line twice. */
export function visibleCurves({ steps, epochs, validation }: MetricCurves): Omit<MetricCurves, "name"> {
  const coincide = steps && epochs && steps.length > 0 && steps.length <= epochs.length + 1;
  return {
    ...(steps && !coincide ? { steps } : {}),
    ...(epochs ? { epochs } : {}),
    ...(validation ? { validation } : {}),
  };
}

const HIGHER_IS_BETTER = /acc|precision|recall|f1|auc|r2|iou|dice|bleu|psnr|ssim/i;
const LOWER_IS_BETTER = /loss|error|mse|mae|rmse|perplexity|nll|wer|fid/i;

/** Which values of a metric are better, by its name; undefined when the name doesn't tell. */
export function direction(metric: string): "higher" | "lower" | undefined {
  if (LOWER_IS_BETTER.test(metric)) return "lower";
  return HIGHER_IS_BETTER.test(metric) ? "higher" : undefined;
}

/** Index of the best finite value; undefined when there is none or the metric's name doesn't tell what is better. */
export function bestIndex(metric: string, values: readonly number[]): number | undefined {
  const better = direction(metric);
  if (!better) return undefined;
  let best: number | undefined;
  for (const [index, value] of values.entries()) {
    if (!Number.isFinite(value)) continue;
    const current = best === undefined ? undefined : values[best];
    if (current === undefined || (better === "lower" ? value < current : value > current)) best = index;
  }
  return best;
}
