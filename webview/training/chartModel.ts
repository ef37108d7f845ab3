/** From a metric's curves to the lines of its chart. */
import { strings } from "../shared/strings.ts";
import {
  type Axis,
  type Curve,
  type CurveEvent,
  direction,
  type MetricCurves,
  visibleCurves,
} from "./curves.ts";
import { Smoother } from "./smoothing.ts";

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
  /** Of another run: its colour among those that are compared, counted from 0. */
  slot?: number;
}

/** The same metric of another run, beside this one's. */
export interface OtherRun {
  name: string;
  slot: number;
  metric: MetricCurves | undefined;
}

export interface ChartModel {
  name: string;
  axis: Axis;
  logarithmic: boolean;
  /** The weight by which lines are smoothed. */
  smoothing: number;
  lines: ChartLine[];
  /** The best epoch's point. */
  best?: { x: number; y: number };
  /** Marks across the chart. */
  events: { x: number; label: string }[];
  /** A problem of the values, such as a loss that is nan. */
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
  { others = [], events = [] }: { others?: readonly OtherRun[]; events?: readonly CurveEvent[] } = {},
): ChartModel {
  const { axis } = options;
  const note = diverged(metric);
  const mark = best && bestPoint(metric, axis, best);
  return {
    name: metric.name,
    axis,
    logarithmic: options.logScale && direction(metric.name) !== "higher",
    smoothing: options.smoothing,
    // This run lies on top.
    lines: [...others.flatMap((other) => otherLines(other, options)), ...chartLines(metric, options)],
    events: events.map((event) => ({ x: event[axis], label: event.label })),
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

/** One or two lines a run: smoothed ones have no faint line behind, and validation is dashed. */
function otherLines({ name, slot, metric }: OtherRun, { axis, smoothing }: ChartOptions): ChartLine[] {
  if (!metric) return [];
  const { steps, epochs, validation } = visibleCurves(metric);
  const train = steps ?? epochs;
  const text = strings.training.charts;
  return [
    ...(train
      ? [
          {
            style: "train" as const,
            label: name,
            x: train[axis],
            y: steps ? smoothed(steps, smoothing) : train.value,
            slot,
          },
        ]
      : []),
    ...(validation
      ? [
          {
            style: "validation" as const,
            label: text.validationOf(name),
            x: validation[axis],
            y: validation.value,
            slot,
          },
        ]
      : []),
  ];
}

/** Redrawing at ten frames a second must not smooth a long curve again for what was added to it. */
const smoothers = new WeakMap<readonly number[], { weight: number; smoother: Smoother }>();

function smoothed(curve: Curve, weight: number): readonly number[] {
  if (weight <= 0) return curve.value;
  let known = smoothers.get(curve.value);
  if (known?.weight !== weight)
    smoothers.set(curve.value, (known = { weight, smoother: new Smoother(weight) }));
  return known.smoother.add(curve.value);
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
