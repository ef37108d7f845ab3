/** Axes of a sweep's charts: where values lie, from 0 (bottom) to 1 (top). */
import { clipped } from "../../extension/protocol/text/clip.ts";
import type { DomainSpec, Mode, Setting } from "../../extension/protocol/sweeps/sweep.ts";
import type { ShownTrial, SweepSnapshot } from "../../extension/protocol/sweeps/views.ts";
import { formatTick } from "../shared/format.ts";

export interface Axis {
  /** The parameter's name; "" for the metric. */
  id: string;
  label: string;
  /** Where a trial lies; undefined without a value. */
  position: (trial: ShownTrial) => number | undefined;
  ticks: { at: number; label: string }[];
}

/** The axes of all parameters, then that of the metric. */
export function axesOf({ sweep, trials }: SweepSnapshot, metric: string): Axis[] {
  const parameters = Object.entries(sweep.space).map(([name, spec]): Axis => {
    const { place, ticks } = scaleOf(spec);
    const position = ({ settings }: ShownTrial): number | undefined => {
      const value = settings[name];
      return value === undefined ? undefined : place(value);
    };
    return { id: name, label: name, position, ticks };
  });
  return [...parameters, metricAxis(trials, metric)];
}

/** The newest value of a trial's metric: of a running one, that of its last epoch. */
export const valueOf = ({ value, live }: ShownTrial): number | undefined => value ?? live?.value;

function metricAxis(trials: readonly ShownTrial[], label: string): Axis {
  const values = trials.map(valueOf).filter((value) => value !== undefined);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const place = (value: number): number => (high > low ? (value - low) / (high - low) : 0.5);
  const ticks = values.length === 0 ? [] : high > low ? [low, (low + high) / 2, high] : [low];
  return {
    id: "",
    label,
    position: (trial) => {
      const value = valueOf(trial);
      return value === undefined ? undefined : place(value);
    },
    ticks: ticks.map((value) => ({ at: place(value), label: shortTick(value) })),
  };
}

const shortTick = (value: number): string => formatTick(Number(value.toPrecision(3)));

/** Longest label of a tick. */
const LONGEST = 14;

/** Places a setting; undefined for one outside of its domain, which a changed file may leave. */
function scaleOf(spec: DomainSpec): { place: (value: Setting) => number | undefined; ticks: Axis["ticks"] } {
  if (spec.kind === "choice") {
    const { values } = spec;
    const at = (index: number): number => (values.length === 1 ? 0.5 : index / (values.length - 1));
    const place = (value: Setting): number | undefined => {
      const index = values.indexOf(value);
      return index < 0 ? undefined : at(index);
    };
    const label = (value: Setting): string =>
      clipped(typeof value === "number" ? formatTick(value) : String(value), LONGEST);
    return { place, ticks: values.map((value, index) => ({ at: at(index), label: label(value) })) };
  }
  const { low, high, log } = spec;
  const scale = (value: number): number => (log ? Math.log(value) : value);
  const inner = (share: number): number => {
    const value = scale(low) + share * (scale(high) - scale(low));
    return log ? Math.exp(value) : value;
  };
  const place = (value: Setting): number | undefined => {
    if (typeof value !== "number" || value < low || value > high) return undefined;
    return high > low ? (scale(value) - scale(low)) / (scale(high) - scale(low)) : 0.5;
  };
  const marks = high > low ? [0, 0.5, 1] : [0.5];
  const valueAt = (at: number): number => (high > low ? inner(at) : low);
  if (spec.kind === "float")
    return { place, ticks: marks.map((at) => ({ at, label: shortTick(valueAt(at)) })) };
  const whole = [...new Set(marks.map((at) => Math.min(high, Math.round(valueAt(at)))))];
  return { place, ticks: whole.map((value) => ({ at: place(value) ?? 0.5, label: formatTick(value) })) };
}

/** Levels of colour by the metric, the best first. */
const LEVELS = 5;

/** Each trial's level by the rank of its value, 0 for the best. Trials without a value have none. */
export function levelsOf(trials: readonly ShownTrial[], mode: Mode): Map<number, number> {
  const sign = mode === "min" ? 1 : -1;
  const ranked = trials
    .filter((trial) => valueOf(trial) !== undefined)
    .sort((a, b) => sign * (valueOf(a)! - valueOf(b)!));
  return new Map(ranked.map(({ number }, rank) => [number, Math.floor((LEVELS * rank) / ranked.length)]));
}

/** Selected ranges of axes, by the axes' ids. */
export type Brushes = Readonly<Record<string, readonly [low: number, high: number]>>;

/** Room for rounding at the ends of a range. */
const EDGE = 1e-9;

/** Whether a trial lies within the selected ranges of all axes. */
export function isSelected(trial: ShownTrial, axes: readonly Axis[], brushes: Brushes): boolean {
  return axes.every(({ id, position }) => {
    const brush = brushes[id];
    if (brush === undefined) return true;
    const at = position(trial);
    return at !== undefined && at >= brush[0] - EDGE && at <= brush[1] + EDGE;
  });
}
