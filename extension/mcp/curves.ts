// Curves in words and numbers. Each word has a rule with a source; none has a constant that was found on examples.
import { SPIKE_RULE, SpikeFinder } from "../protocol/curves/spikes.ts";
import type { MetricRow } from "../protocol/run.ts";
import { modeOf } from "../protocol/sweeps/sweep.ts";

export const CURVE_RULES = {
  trend:
    "Mann and Kendall's test on the second half of the points, the last five at least: rising or falling if its two-sided significance is 5 % (|z| > 1.96), else flat.",
  best: "The smallest value; the largest of accuracies, precision, recall, F1 and R².",
  noise:
    "Standard deviation of the differences of neighbouring points, divided by √2 (von Neumann, 1941): a linear trend adds nothing.",
  spikes: SPIKE_RULE,
  plateau:
    "The best value has not improved by 0.01 % in the last 10 epochs: the defaults of PyTorch's ReduceLROnPlateau.",
  overfitting:
    "Prechelt's generalisation loss GL = 100 (validation / best validation - 1) exceeds 5 at the end, while the training loss is below its value at the best epoch (Early Stopping - But When?, 1998).",
  divergence:
    "A value that is not finite, or a last value above the first by more than twice the noise, on a rising trend.",
} as const;

export interface CurveSummary {
  metric: string;
  points: number;
  first: number;
  last: number;
  best: number;
  bestEpoch: number;
  bestStep: number;
  trend: "rising" | "falling" | "flat" | "too few points";
  noise: number;
  plateau: boolean;
  diverged: boolean;
}

/** The rows that a curve is summed up by: those of epochs, or of steps where there are none, as in runs of other tools. */
export function pointRows(rows: readonly MetricRow[]): MetricRow[] {
  const epochs = rows.filter(({ kind }) => kind === "epoch");
  return epochs.length > 0 ? epochs : rows.filter(({ kind }) => kind === "step");
}

/** How epochs, or steps, changed one metric. */
export function summarize(metric: string, rows: readonly MetricRow[]): CurveSummary | undefined {
  const points = rows.flatMap(({ kind, epoch, step, values }) =>
    values[metric] === undefined ? [] : [{ kind, epoch, step, value: values[metric] }],
  );
  const finite = points.filter(({ value }) => Number.isFinite(value));
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined) return undefined;
  const sign = modeOf(metric) === "max" ? -1 : 1;
  const best = finite.reduce(
    (a, b) => (sign * b.value < sign * a.value ? b : a),
    finite[0] ?? { ...first, value: NaN },
  );
  const values = finite.map(({ value }) => value);
  const trend = trendOf(values.slice(-Math.max(FEWEST, Math.ceil(values.length / 2))));
  const noise = noiseOf(values);
  const worse = sign * (last.value - first.value) > 2 * noise;
  return {
    metric,
    points: points.length,
    first: first.value,
    last: last.value,
    best: best.value,
    bestEpoch: best.epoch,
    bestStep: best.step,
    trend,
    noise,
    // Its rule counts epochs.
    plateau: first.kind === "epoch" && isPlateau(finite, sign),
    diverged: finite.length < points.length || (worse && trend === (sign > 0 ? "rising" : "falling")),
  };
}

/** Points of which a trend can be significant. */
const FEWEST = 5;

/** Mann and Kendall's test, at 5 %. */
export function trendOf(values: readonly number[]): CurveSummary["trend"] {
  // Thousands of epochs: every so many-th is enough, since pairs are compared.
  const stride = Math.ceil(values.length / 500);
  const some = values.filter((_, i) => i % stride === 0);
  const n = some.length;
  if (n < FEWEST) return "too few points";
  let sum = 0;
  for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) sum += Math.sign(some[j]! - some[i]!);
  const z = (sum - Math.sign(sum)) / Math.sqrt((n * (n - 1) * (2 * n + 5)) / 18);
  if (Math.abs(z) <= 1.96) return "flat";
  return z > 0 ? "rising" : "falling";
}

export function noiseOf(values: readonly number[]): number {
  const differences = values.slice(1).map((value, i) => value - values[i]!);
  if (differences.length === 0) return 0;
  const mean = differences.reduce((a, b) => a + b, 0) / differences.length;
  return Math.sqrt(differences.reduce((sum, x) => sum + (x - mean) ** 2, 0) / differences.length / 2);
}

const PATIENCE = 10;
const THRESHOLD = 1e-4;

function isPlateau(points: readonly { epoch: number; value: number }[], sign: number): boolean {
  if (points.length <= PATIENCE) return false;
  let best = Infinity;
  let since = 0;
  for (const { value } of points) {
    const better = sign * value < best - THRESHOLD * Math.abs(best === Infinity ? 0 : best);
    since = better ? 0 : since + 1;
    if (better) best = sign * value;
  }
  return since >= PATIENCE;
}

/** Steps of a curve's spikes. */
export function spikesOf(points: readonly { step: number; value: number }[]): number[] {
  const finder = new SpikeFinder();
  return points.flatMap(({ step, value }) => finder.add(step, value)?.step ?? []);
}

/** The median of those that are finite; undefined if there is none. */
export function medianOf(values: readonly number[]): number | undefined {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

/**
 * Prechelt's generalisation loss in percent: how far the last epoch's validation loss is above the best one. 0 if the training
 * loss is not below its value at the best epoch, or if the best validation loss isn't positive. Undefined if no epoch has both
 * losses.
 */
export function generalisationLoss(
  rows: readonly MetricRow[],
): { percent: number; bestEpoch: number; bestStep: number } | undefined {
  const epochs = rows.filter(
    ({ values }) => values["val_loss"] !== undefined && values["loss"] !== undefined,
  );
  const last = epochs.at(-1);
  if (last === undefined) return undefined;
  const best = epochs.reduce((a, b) => (b.values["val_loss"]! < a.values["val_loss"]! ? b : a));
  const fits = last.values["loss"]! < best.values["loss"]!;
  const percent = 100 * (last.values["val_loss"]! / best.values["val_loss"]! - 1);
  return {
    percent: fits && best.values["val_loss"]! > 0 ? percent : 0,
    bestEpoch: best.epoch,
    bestStep: best.step,
  };
}

/** Percent above which a validation loss says that the model overfits. */
const OVERFITTING = 5;

/** Sentences about a run's curves, most important first. */
export function describeCurves(
  summaries: readonly CurveSummary[],
  rows: readonly MetricRow[],
  spikes: readonly number[],
): string[] {
  const words: string[] = [];
  const byEpoch = rows.some(({ kind }) => kind === "epoch");
  const gap = generalisationLoss(rows);
  for (const { metric, diverged } of summaries) if (diverged) words.push(`${metric} diverges.`);
  if (gap !== undefined && gap.percent > OVERFITTING)
    words.push(
      `The model overfits: since ${byEpoch ? `epoch ${gap.bestEpoch}` : `step ${gap.bestStep}`} val_loss rose by ${gap.percent.toFixed(1)} % while loss fell.`,
    );
  for (const { metric, trend, first, last, best, bestEpoch, bestStep, plateau } of summaries)
    words.push(
      `${metric}: ${short(first)} to ${short(last)}, best ${short(best)} ${byEpoch ? `in epoch ${bestEpoch}` : `at step ${bestStep}`}, ${trend === "too few points" ? "too few points for a trend" : `${trend} at the end`}${plateau ? ", on a plateau" : ""}.`,
    );
  if (spikes.length > 0)
    words.push(
      `loss has ${spikes.length} ${spikes.length === 1 ? "spike" : "spikes"}, the first at step ${spikes[0]}.`,
    );
  return words;
}

const short = (x: number): string => String(Number(x.toPrecision(4)));
