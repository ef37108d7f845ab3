import * as v from "valibot";
import { UserError } from "./errors.ts";
import { MetricRow, Metrics, RunRecord } from "./run.ts";

/** Raised when a message changes incompatibly: a host refuses an engine of another protocol. */
export const PROTOCOL_VERSION = 1;

/** First message of every child: who answers, raced by the supervisor against exit and a timeout. */
export const Hello = v.object({
  protocol: v.number(),
  pid: v.number(),
  node: v.string(),
  engine: v.picklist(["run", "preview"]),
});
export type Hello = v.InferOutput<typeof Hello>;

export const Device = v.picklist(["auto", "native", "wasm", "cpu"]);
export type Device = v.InferOutput<typeof Device>;

/** What to train or evaluate, and where to write it. Paths are absolute. */
export const RunRequest = v.object({
  kind: v.picklist(["train", "evaluate"]),
  file: v.string(),
  exportName: v.string(),
  /** The run directory to create; its last segment is the run's id. */
  directory: v.string(),
  device: Device,
  epochs: v.optional(v.number()),
  seed: v.optional(v.number()),
  /** Weights to load before the first step: a `.safetensors` file. */
  checkpoint: v.optional(v.string()),
  /** Go on when the host's channel closes. */
  outlive: v.boolean(),
});
export type RunRequest = v.InferOutput<typeof RunRequest>;

/** How the run stands now: 10 times a second at most. */
export const Progress = v.object({
  /** The epoch under way, counted from 1. */
  epoch: v.number(),
  epochs: v.number(),
  /** Steps done in this epoch and steps of one epoch. */
  stepInEpoch: v.number(),
  stepsPerEpoch: v.number(),
  samplesPerSecond: v.number(),
  /** Seconds left of the whole run, by the speed so far. */
  eta: v.number(),
  metrics: Metrics,
});
export type Progress = v.InferOutput<typeof Progress>;

export const EvaluationResult = v.object({
  samples: v.number(),
  metrics: Metrics,
  /** Rows: actual class; columns: predicted class. Only for classification. */
  confusion: v.optional(v.array(v.array(v.number()))),
  classes: v.optional(v.array(v.string())),
});
export type EvaluationResult = v.InferOutput<typeof EvaluationResult>;

/** Methods of a run engine, called by its supervisor. */
export interface RunEngineMethods {
  start(request: RunRequest): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Ends after the current step; the weights are saved first. */
  stop(): Promise<void>;
  /** Saves the weights as they are after the current step; answers the file's path. */
  checkpoint(): Promise<string>;
  /** Reruns nothing: says which executor is loaded and its counters. */
  counters(): Promise<Record<string, number>>;
}

/** Events a run engine sends. All are also on disk, in the run directory. */
export interface RunEngineEvents {
  hello(hello: Hello): void;
  record(record: RunRecord): void;
  metrics(rows: MetricRow[]): void;
  progress(progress: Progress): void;
  log(level: "info" | "warning" | "error", text: string): void;
  evaluated(result: EvaluationResult): void;
  /** The last word; the process exits after it. */
  ended(record: RunRecord): void;
}

export const RunEventSchemas = {
  hello: Hello,
  record: RunRecord,
  metrics: v.array(MetricRow),
  progress: Progress,
  evaluated: EvaluationResult,
  ended: RunRecord,
  error: UserError,
};
