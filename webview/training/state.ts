/** All that the training panel shows. Views are functions of it; nothing else is remembered. */
import type { EvaluationResult, Progress } from "../../extension/protocol/engine.ts";
import type { RunRecord } from "../../extension/protocol/run.ts";
import type { TrainingSnapshot } from "../../extension/protocol/views.ts";
import { strings } from "../shared/strings.ts";
import { type Axis, Curves } from "./curves.ts";
import type { Range } from "./decimate.ts";

/** What the user has set in this panel; survives it. */
export interface TrainingUi {
  axis: Axis;
  logScale: boolean;
  smoothing: number;
  byEpochOpen: boolean;
}

export const defaultUi: TrainingUi = { axis: "step", logScale: false, smoothing: 0.6, byEpochOpen: false };

export type ActionName = keyof typeof strings.training.actions;

export interface TrainingState {
  run: RunRecord;
  live: boolean;
  /** The extension host, which answered for this panel, is gone. */
  disconnected: boolean;
  curves: Curves;
  progress: Progress | undefined;
  evaluation: EvaluationResult | undefined;
  ui: TrainingUi;
  zoom: Range | undefined;
  /** Calls that the host hasn't answered yet. */
  pending: Set<ActionName>;
  /** Why the last call failed. */
  notice: string | undefined;
}

export function fromSnapshot(snapshot: TrainingSnapshot, ui: TrainingUi): TrainingState {
  const { run, live, rows, progress, evaluation } = snapshot;
  return {
    run,
    live,
    disconnected: false,
    curves: new Curves(rows, run.stepsPerEpoch),
    progress,
    evaluation,
    ui,
    zoom: undefined,
    pending: new Set(),
    notice: undefined,
  };
}

export type StateKind = "busy" | "paused" | "good" | "neutral" | "bad";

export interface StateBadge {
  text: string;
  icon: string;
  kind: StateKind;
}

export function stateBadge({
  run,
  live,
  disconnected,
}: Pick<TrainingState, "run" | "live" | "disconnected">): StateBadge {
  const text = strings.training;
  if (disconnected) return { text: text.disconnected, icon: "debug-disconnect", kind: "bad" };
  switch (run.state) {
    case "starting":
    case "running":
      if (!live) return { text: text.gone, icon: "debug-disconnect", kind: "bad" };
      return {
        text: run.state === "running" && run.kind === "evaluate" ? text.evaluating : text.states[run.state],
        icon: "sync",
        kind: "busy",
      };
    case "paused":
      if (!live) return { text: text.gone, icon: "debug-disconnect", kind: "bad" };
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

/** The latest value of every metric: the progress is ahead of the record while the run is live. */
export function latestMetrics({ run, progress, live }: TrainingState): Record<string, number> {
  return { ...run.metrics, ...(live ? progress?.metrics : {}) };
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
