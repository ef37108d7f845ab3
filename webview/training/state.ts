/** The complete state of the training panel; its views are functions of it. */
import type { PanelControl } from "../../extension/protocol/controls.ts";
import { secondsOf } from "../../extension/protocol/runs/duration.ts";
import type { Progress } from "../../extension/protocol/engine.ts";
import type { MetricRow, RunRecord } from "../../extension/protocol/run.ts";
import type { ListedRun, RunHistory, TrainingSnapshot } from "../../extension/protocol/views.ts";
import { unfollowed } from "../shared/place.ts";
import { strings } from "../shared/strings.ts";
import { type Axis, Curves } from "./curves.ts";
import type { Range } from "./decimate.ts";

/** The user's settings of this panel; they survive it. */
export interface TrainingUi {
  axis: Axis;
  logScale: boolean;
  smoothing: number;
  byEpochOpen: boolean;
  timingOpen: boolean;
  /** Ids of the runs beside this one; a place that is free is empty (see `toggleCompared`). */
  compare: string[];
  /** Of the table of runs, see `ListOptions`. */
  filter: string;
  showArchived: boolean;
  sort: string;
  descending: boolean;
  /** Ids of the table's columns that were chosen. Undefined: those that tell runs apart. */
  columns: string[] | undefined;
  columnsOpen: boolean;
  /** Of the layers: path of the selected one if any, a measure of all, and how values are drawn. */
  layer: string[];
  layerMeasure: string;
  layerView: string;
}

export const defaultUi: TrainingUi = {
  axis: "step",
  logScale: false,
  smoothing: 0.6,
  byEpochOpen: false,
  timingOpen: false,
  compare: [],
  filter: "",
  showArchived: false,
  sort: "created",
  descending: true,
  columns: undefined,
  columnsOpen: false,
  layer: [],
  layerMeasure: "gradNorm",
  layerView: "heat",
};

/** A run with its origin, as its directory records it. */
export interface DiffSide {
  name: string;
  history: RunHistory;
}

export type ActionName = keyof typeof strings.training.actions;

/** The cell of the table of runs that is being edited. */
export interface Editing {
  id: string;
  field: "name" | "tags";
}

export interface TrainingState {
  run: RunRecord;
  live: boolean;
  /** Ids of the runs that must end before its turn; empty unless it waits in the queue. */
  waitsFor: readonly string[];
  /** The extension host of this panel has not answered for a while: it is busy, or has ended. */
  unanswered: boolean;
  curves: Curves;
  progress: Progress | undefined;
  /** When the progress was measured, by this page's clock; seconds that the run has trained since count too. */
  measuredAt: number;
  ui: TrainingUi;
  zoom: Range | undefined;
  /** Calls that the host hasn't answered yet. */
  pending: Set<ActionName | PanelControl>;
  /** The trainings of the folder, this one included. */
  runs: readonly ListedRun[];
  /** Curves of compared runs, by id. */
  others: ReadonlyMap<string, Curves>;
  editing: Editing | undefined;
  /** The run's origin, once it was read. */
  history: RunHistory | undefined;
  /** Id of the run that this one is compared with, and both once they were read. */
  diffWith: string | undefined;
  diff: readonly [DiffSide, DiffSide] | undefined;
  /** The selected step of the layers; undefined to follow the end. */
  layerStep: number | undefined;
  /** Why the last call failed. */
  notice: string | undefined;
}

export function fromSnapshot(snapshot: TrainingSnapshot, ui: TrainingUi): TrainingState {
  const { run, live, rows, progress, progressAge = 0, waitsFor = [] } = snapshot;
  return {
    run,
    live,
    waitsFor,
    unanswered: false,
    curves: curvesOf(run, rows),
    progress,
    measuredAt: performance.now() - 1000 * progressAge,
    ui,
    zoom: undefined,
    pending: new Set(),
    runs: [],
    others: new Map(),
    editing: undefined,
    history: undefined,
    diffWith: undefined,
    diff: undefined,
    layerStep: undefined,
    notice: undefined,
  };
}

export function curvesOf(
  { stepsPerEpoch, settings }: Pick<RunRecord, "stepsPerEpoch" | "settings">,
  rows: readonly MetricRow[],
): Curves {
  const { batchSize, accumulateGradBatches: batches = 1 } = settings;
  const known = typeof batchSize === "number" && typeof batches === "number";
  return new Curves(rows, stepsPerEpoch, known ? batchSize * batches : undefined);
}

export type StateKind = "busy" | "paused" | "good" | "neutral" | "bad";

export interface StateBadge {
  text: string;
  icon: string;
  kind: StateKind;
}

/** Whether it waits for other runs to end. */
export const waits = ({ live, waitsFor }: Pick<TrainingState, "live" | "waitsFor">): boolean =>
  live && waitsFor.length > 0;

export function stateBadge(
  state: Pick<TrainingState, "run" | "live" | "waitsFor" | "unanswered">,
): StateBadge {
  const { run, live, unanswered } = state;
  const text = strings.training;
  if (unanswered) return { text: text.unanswered, icon: "debug-disconnect", kind: "neutral" };
  if (waits(state)) return { text: text.states.waiting, icon: "watch", kind: "paused" };
  if (unfollowed(state))
    return { text: strings.elsewhere.notFollowed, icon: "debug-disconnect", kind: "neutral" };
  if (run.imported !== undefined && live) return { text: text.following, icon: "sync", kind: "busy" };
  switch (run.state) {
    case "starting":
    case "running":
      if (!live) return { text: text.silent, icon: "debug-disconnect", kind: "neutral" };
      return {
        text: text.states[run.state],
        icon: "sync",
        kind: "busy",
      };
    case "paused":
      if (!live) return { text: text.silent, icon: "debug-disconnect", kind: "neutral" };
      return { text: text.states.paused, icon: "debug-pause", kind: "paused" };
    case "finished":
      return { text: text.states.finished, icon: "pass-filled", kind: "good" };
    case "stopped":
      return { text: text.states.stopped, icon: "debug-stop", kind: "neutral" };
    case "failed":
    case "killed":
      return { text: text.states[run.state], icon: "error", kind: "bad" };
  }
}

/** Sets a run's record. @returns whether its badge has changed */
export function setState(
  state: TrainingState,
  run: RunRecord,
  live: boolean,
  waitsFor: readonly string[],
): boolean {
  const before = stateBadge(state).text;
  // Nothing was trained in a pause.
  if (run.state !== state.run.state) state.measuredAt = performance.now();
  Object.assign(state, { run, live, waitsFor });
  state.curves.stepsPerEpoch = run.stepsPerEpoch;
  return stateBadge(state).text !== before;
}

/** Whether a live run takes other controls than stop. Ray can't send anything to a running job, and other tools take none. */
export const steerable = ({ kind, on, imported }: RunRecord): boolean =>
  kind === "train" && on?.kind !== "ray" && imported === undefined;

/** Whether a training was interrupted and can be resumed. */
export const resumable = ({ kind, state, imported }: RunRecord): boolean =>
  kind === "train" &&
  imported === undefined &&
  (state === "stopped" || state === "failed" || state === "killed");

/** The latest value of every metric: the progress is ahead of the record while the run is live. */
export function latestMetrics({ run, progress, live }: TrainingState): Record<string, number> {
  return { ...run.metrics, ...(live ? progress?.metrics : {}) };
}

/** Seconds since the progress was measured, in which the run has trained on. */
export const progressAge = ({ run, live, measuredAt }: TrainingState): number =>
  live && run.state === "running" ? (performance.now() - measuredAt) / 1000 : 0;

/** Seconds that the run has trained, in all of its sessions. */
export function elapsed(state: TrainingState): number {
  const { run, live, progress, curves } = state;
  if (run.kind !== "train" || run.imported) return run.endedAt ? secondsOf(run) : curves.elapsed;
  if (live && progress?.seconds !== undefined) return progress.seconds + progressAge(state);
  // Rows count them too: earlier versions recorded no more.
  return run.seconds ?? curves.elapsed;
}

/** Done share of the whole run, 0 to 1. */
export function doneShare({ run, progress, live }: TrainingState): number {
  if (run.state === "finished") return 1;
  const epochs = progress?.epochs ?? run.epochs;
  if (!live || !progress) {
    const steps = (run.stepsPerEpoch ?? 0) * run.epochs;
    return Math.min(1, steps > 0 ? run.step / steps : run.epoch / Math.max(1, run.epochs));
  }
  const inEpoch = progress.stepsPerEpoch > 0 ? progress.stepInEpoch / progress.stepsPerEpoch : 0;
  return Math.min(1, Math.max(0, (progress.epoch - 1 + inEpoch) / Math.max(1, epochs)));
}
