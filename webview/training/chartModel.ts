/** From a metric's curves to the lines of its chart. */
import { strings } from "../shared/strings.ts";
import { type Axis, type Curve, direction, type MetricCurves, visibleCurves } from "./curves.ts";
import { smooth } from "./smoothing.ts";

/**
 * "raw" is the faint line behind a smoothed one; "mean" marks the epochs' means on a line of steps; the others are
 * plain lines.
 */
export type LineStyle = "raw" | "train" | "mean" | "validation";

export interface ChartLine {
  style: LineStyle;
  label: string;
  x: readonly number[];
  y: readonly number[];
}

export interface ChartModel {
  name: string;
  axis: Axis;
  logarithmic: boolean;
  lines: ChartLine[];
  /** The best epoch's point. */
  best?: { x: number; y: number };
  /** What is wrong with the values, such as a loss that is nan. */
  note?: string;
}

export interface ChartOptions {
  axis: Axis;
  logScale: boolean;
  /** 0 to 0.99: weight of the past. */
  smoothing: number;
}

export function chartModel(
  metric: MetricCurves,
  options: ChartOptions,
  best?: { metric: string; epoch: number },
): ChartModel {
  const { axis } = options;
  const note = diverged(metric);
  const mark = best && bestPoint(metric, axis, best);
  return {
    name: metric.name,
    axis,
    logarithmic: options.logScale && direction(metric.name) !== "higher",
    lines: chartLines(metric, options),
    ...(mark ? { best: mark } : {}),
    ...(note ? { note } : {}),
  };
}

function chartLines(metric: MetricCurves, { axis, smoothing }: ChartOptions): ChartLine[] {
  const { steps, epochs, validation } = visibleCurves(metric);
  const text = strings.training.charts;
  const lines: ChartLine[] = [];
  const add = (style: LineStyle, label: string, curve: Curve, y: readonly number[] = curve.value): void => {
    lines.push({ style, label, x: curve[axis], y });
  };
  if (steps && smoothing > 0) {
    add("raw", text.train, steps);
    add("train", text.smoothed, steps, smoothed(steps, smoothing));
  } else if (steps) add("train", text.train, steps);
  if (epochs) add(steps ? "mean" : "train", steps ? text.epochMean : text.train, epochs);
  if (validation) add("validation", text.validation, validation);
  return lines;
}

/** Redrawing at ten frames a second must not smooth a long curve again when nothing was added to it. */
const smoothedCurves = new WeakMap<Curve, { weight: number; length: number; values: readonly number[] }>();

function smoothed(curve: Curve, weight: number): readonly number[] {
  const known = smoothedCurves.get(curve);
  if (known?.weight === weight && known.length === curve.length) return known.values;
  const values = smooth(curve.value, weight);
  smoothedCurves.set(curve, { weight, length: curve.length, values });
  return values;
}

function bestPoint(
  { name, epochs, validation }: MetricCurves,
  axis: Axis,
  best: { metric: string; epoch: number },
): ChartModel["best"] {
  const curve = best.metric === name ? epochs : best.metric === `val_${name}` ? validation : undefined;
  if (!curve) return undefined;
  const index = curve.epoch.findIndex((epoch) => Math.round(epoch) === best.epoch);
  const x = curve[axis][index];
  const y = curve.value[index];
  return x === undefined || y === undefined || !Number.isFinite(y) ? undefined : { x, y };
}

function diverged({ steps, epochs, validation }: MetricCurves): string | undefined {
  for (const curve of [steps, epochs, validation]) {
    const index = curve?.divergedAt();
    const step = index === undefined ? undefined : curve?.step[index];
    if (step !== undefined) return strings.training.charts.notFinite(step);
  }
  return undefined;
}
