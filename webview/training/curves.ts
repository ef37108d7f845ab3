/** The run's metric rows as columns, one curve per metric and kind of row, grouped into charts. */
import type { MetricRow } from "../../extension/protocol/run.ts";

export type Axis = "step" | "epoch" | "time";

/** One metric's values over one kind of row, in the order in which they came; `step` ascends strictly. */
export class Curve {
  readonly step: number[] = [];
  readonly epoch: number[] = [];
  readonly time: number[] = [];
  readonly value: number[] = [];

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

/** What one chart shows: the curves of a metric in training and in validation. */
export interface MetricCurves {
  /** The metric's name without "val_". */
  name: string;
  steps?: Curve;
  epochs?: Curve;
  validation?: Curve;
}

export const VALIDATION_PREFIX = "val_";

/** "loss" of "val_loss". */
export const metricName = (metric: string): string =>
  metric.startsWith(VALIDATION_PREFIX) ? metric.slice(VALIDATION_PREFIX.length) : metric;

export class Curves {
  readonly #curves = new Map<string, MetricCurves>();
  #stepsPerEpoch: number | undefined;
  /** Seconds since the run began, at the latest row. */
  elapsed = 0;
  rows = 0;

  constructor(rows: readonly MetricRow[] = [], stepsPerEpoch?: number) {
    this.#stepsPerEpoch = stepsPerEpoch;
    this.append(rows);
  }

  append(rows: readonly MetricRow[]): void {
    for (const row of rows) {
      this.rows++;
      this.elapsed = Math.max(this.elapsed, row.time);
      const epoch = this.#epochOf(row);
      for (const [metric, value] of Object.entries(row.values))
        // postMessage made null of what isn't finite.
        this.#curve(metric, row.kind).add(row.step, epoch, row.time, value ?? Number.NaN);
    }
  }

  /** The first record may come before the engine knows how long an epoch is. */
  set stepsPerEpoch(steps: number | undefined) {
    if (!steps || steps === this.#stepsPerEpoch) return;
    this.#stepsPerEpoch = steps;
    for (const { steps: train, epochs, validation } of this.#curves.values())
      for (const curve of [train, epochs, validation])
        curve?.step.forEach((step, index) => (curve.epoch[index] = step / steps));
  }

  /** Charts in the order in which they are shown: losses, then the rest in the order of their first row. */
  metrics(): MetricCurves[] {
    const all = [...this.#curves.values()];
    const isLoss = (metric: MetricCurves): boolean => metric.name.includes("loss");
    return [...all.filter(isLoss), ...all.filter((metric) => !isLoss(metric))];
  }

  /** Steps fall between the epochs' whole numbers, so that both kinds share an axis. */
  #epochOf(row: MetricRow): number {
    if (this.#stepsPerEpoch) return row.step / this.#stepsPerEpoch;
    return row.epoch;
  }

  #curve(metric: string, kind: MetricRow["kind"]): Curve {
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
