import type { EarlyStoppingState } from "./earlyStopping.ts";

/** How far a run is when its weights are saved. */
export interface SavePoint {
  epoch: number;
  step: number;
  metrics: Readonly<Record<string, number>>;
}

/** A checkpoint that is kept for its metric. */
export interface Kept {
  /** Path relative to the run directory. */
  file: string;
  value: number;
  epoch: number;
  step: number;
}

/** All state of a training between two batches, as plain data: what resuming needs. */
export interface TrainerState {
  /** The epoch under way or just over, counted from 1. */
  epoch: number;
  /** Epochs completed. */
  completed: number;
  /** Batches done in the epoch. */
  batch: number;
  /** Batches whose gradients wait for the next optimizer step. */
  accumulated: number;
  /** Optimizer steps done. */
  step: number;
  /** Samples trained on. */
  samples: number;
  /** Seconds of training before this process, for `maxTime` and the curves. */
  seconds: number;
  /** The newest value of every metric. */
  metrics: Readonly<Record<string, number>>;
  /** Results of the last validation, as `val_…`, and its epoch. */
  validation: Readonly<Record<string, number>>;
  validatedIn: number;
  earlyStopping: EarlyStoppingState | undefined;
  /** Whether gradients stay readable after their step, and the steps until that is decided. */
  gradients: { kept: boolean; probation: number };
  /** The graphs that are compiled: the first ones. */
  compiled: readonly string[];
  /** {@link TrainingGraphs.kernelWork} */
  kernelWork: number;
  /** A checkpoint is due as soon as a validation says how good the weights are. */
  checkpointDue: boolean;
  /** The checkpoints kept for their metric, the best first. */
  kept: readonly Kept[];
}

/** Why a training ends before its last epoch. */
export interface Stop {
  by: "a callback" | "early stopping" | "its limit";
  reason: string;
}

export function startState(): TrainerState {
  return {
    epoch: 0,
    completed: 0,
    batch: 0,
    accumulated: 0,
    step: 0,
    samples: 0,
    seconds: 0,
    metrics: {},
    validation: {},
    validatedIn: 0,
    earlyStopping: undefined,
    gradients: { kept: false, probation: 0 },
    compiled: [],
    kernelWork: 0,
    checkpointDue: false,
    kept: [],
  };
}

/** The training's progress, as checkpoints and records state it. */
export function savePoint({ completed, step, metrics }: TrainerState): SavePoint {
  return { epoch: completed, step, metrics };
}
