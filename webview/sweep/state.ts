/** The state of a sweep's panel; its views are functions of it. */
import type { Setting } from "../../extension/protocol/sweeps/sweep.ts";
import { COLLATOR } from "../shared/format.ts";
import type { ShownTrial, SweepSnapshot } from "../../extension/protocol/sweeps/views.ts";
import { strings } from "../shared/strings.ts";
import { axesOf, isSelected, levelsOf, valueOf, type Axis, type Brushes } from "./axes.ts";

/** The user's settings; saved when the panel is hidden. */
export interface SweepUi {
  /** A column: "number", "state", "value", "epoch", "time" or "setting:" with a name. */
  sort: string;
  descending: boolean;
  brushes: Brushes;
}

export const defaultUi: SweepUi = { sort: "number", descending: false, brushes: {} };

export interface SweepState {
  snapshot: SweepSnapshot;
  ui: SweepUi;
  /** The trial under the pointer, or with the focus. */
  hovered: number | undefined;
  /** Why the last call failed. */
  error: string | undefined;
}

/** Values derived from a state, which the views share. */
export interface Derived {
  metric: string;
  axes: Axis[];
  levels: ReadonlyMap<number, number>;
  selected: ReadonlySet<number>;
}

export function derived({ snapshot, ui }: SweepState): Derived {
  const { sweep, trials } = snapshot;
  const metric =
    sweep.metric ?? trials.find((trial) => trial.metric !== undefined)?.metric ?? strings.sweep.metric;
  const axes = axesOf(snapshot, metric);
  const selected = trials.filter((trial) => isSelected(trial, axes, ui.brushes));
  return {
    metric,
    axes,
    levels: levelsOf(trials, sweep.mode),
    selected: new Set(selected.map(({ number }) => number)),
  };
}

/** The saved brushes that are ranges: an older version's, or another sweep's, may be anything. */
export function checkedUi(ui: SweepUi): SweepUi {
  const brushes = Object.entries(ui.brushes ?? {}).filter(
    ([, range]) =>
      Array.isArray(range) && range.length === 2 && range.every((end) => typeof end === "number"),
  );
  return { ...ui, brushes: Object.fromEntries(brushes) };
}

/** The selected trials in the order of a column. Trials without a value in it come last. */
export function sortedTrials(trials: readonly ShownTrial[], { sort, descending }: SweepUi): ShownTrial[] {
  const key = (trial: ShownTrial): Setting | undefined => {
    if (sort.startsWith("setting:")) return trial.settings[sort.slice("setting:".length)];
    if (sort === "value") return valueOf(trial);
    if (sort === "state") return trial.state;
    if (sort === "epoch") return trial.epoch;
    if (sort === "time") return secondsOf(trial);
    return trial.number;
  };
  const sign = descending ? -1 : 1;
  return trials.toSorted((a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === undefined || y === undefined) return Number(x === undefined) - Number(y === undefined);
    return sign * compare(x, y) || a.number - b.number;
  });
}

function compare(a: Setting, b: Setting): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return COLLATOR.compare(String(a), String(b));
}

/** Seconds that a trial took; undefined until it ends. */
export function secondsOf({ startedAt, endedAt }: ShownTrial): number | undefined {
  return endedAt === undefined ? undefined : (Date.parse(endedAt) - Date.parse(startedAt)) / 1000;
}
