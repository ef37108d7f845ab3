import * as v from "valibot";
import type { RunControls } from "./controls.ts";
import type { DataRequest, DataSummary } from "./data/data.ts";
import type { DataFile } from "./data/dataFile.ts";
import { Device } from "./device.ts";
import { UserError } from "./errors.ts";
import type { Profile, ProfileRequest } from "./profile.ts";
import { MetricRow, Metrics, MetricValue, RunRecord } from "./run.ts";
import { Settings, TrialOf, type DescribeRequest, type ExperimentDescription } from "./sweeps/sweep.ts";
import { Numbers } from "./data/numbers.ts";
import { RunOn } from "./target.ts";

/** Raised when a message changes incompatibly: a host refuses an engine of another protocol. */
export const PROTOCOL_VERSION = 1;

/** The variable with the folders of an editor's window, as JSON: user code runs in the one that has its file. */
export const FOLDERS_VARIABLE = "LAYERWISE_FOLDERS";

/** First message of every child: who answers, raced by the supervisor against exit and a timeout. */
export const Hello = v.object({
  protocol: v.number(),
  pid: v.number(),
  node: v.string(),
  engine: v.picklist(["run", "preview", "tensorFile"]),
});
export type Hello = v.InferOutput<typeof Hello>;

/** The place of a worker among those that train one model together. */
export const WorkerPlace = v.object({
  /** From 0. The first worker writes the run's directory. */
  rank: v.pipe(v.number(), v.integer(), v.minValue(0)),
  size: v.pipe(v.number(), v.integer(), v.minValue(1)),
  /** "host:port" of each worker, by rank; undefined where the first worker sends them. */
  addresses: v.optional(v.array(v.string())),
  /** "host:port" where the first worker tells the others their addresses. */
  master: v.optional(v.string()),
  /** Seconds that a worker waits for the others in a step; 0 where a launcher watches the workers. */
  timeout: v.pipe(v.number(), v.minValue(0)),
});
export type WorkerPlace = v.InferOutput<typeof WorkerPlace>;

/** A training or an evaluation to run, and the directory to write it to. Paths are absolute. */
export const RunRequest = v.object({
  kind: v.picklist(["train", "evaluate"]),
  file: v.string(),
  exportName: v.string(),
  /** The run directory to create; its last segment is the run's id. */
  directory: v.string(),
  device: Device,
  epochs: v.optional(v.number()),
  seed: v.optional(v.number()),
  /** Values of hyperparameters; the others have their defaults. */
  hyperparameters: v.optional(Settings),
  /** The trial of a sweep that the run is. */
  trial: v.optional(TrialOf),
  /** Keep the process for another run when this one has ended well. */
  reuse: v.optional(v.boolean()),
  /** Weights to load before the first step: a `.safetensors` file. */
  checkpoint: v.optional(v.string()),
  /** Absolute path of a run whose kept version of the file is run, instead of the file's text. */
  version: v.optional(v.string()),
  /** Resume the training of that directory from its last saved state. */
  resume: v.optional(v.boolean()),
  /** Resume also from an owner on another machine or in a container. */
  forceUnlock: v.optional(v.boolean()),
  /** Resume with smaller learning rates, and roll back again automatically when values are not finite. */
  rollback: v.optional(v.boolean()),
  /** Write the curves for TensorBoard too, also where the experiment doesn't say so. */
  tensorboard: v.optional(v.boolean()),
  /** Look for probable mistakes, as the experiment's `watch` does. */
  watch: v.optional(v.boolean()),
  /** Log the choices of the engine with their reasons. */
  explain: v.optional(v.boolean()),
  /** Train as one of several workers. */
  worker: v.optional(WorkerPlace),
  /** Continue when the host's channel closes. */
  outlive: v.boolean(),
  /** Wait for a debugger before any of the user's code runs. */
  inspect: v.optional(v.boolean()),
  /** Run on another machine: this process follows it and keeps the run's directory here. */
  on: v.optional(RunOn),
  /** A file with the bundled program, made on another machine, in place of `file`. */
  bundle: v.optional(v.string()),
});
export type RunRequest = v.InferOutput<typeof RunRequest>;

/** The record of a run before its engine fills it in. */
export function startingRecord(request: RunRequest): RunRecord {
  return {
    version: 1,
    id: request.directory.split(/[\\/]/).findLast((segment) => segment !== "") ?? "",
    kind: request.kind,
    state: "starting",
    file: request.file,
    exportName: request.exportName,
    model: "",
    createdAt: new Date().toISOString(),
    ...(request.seed === undefined ? {} : { seed: request.seed }),
    ...(request.hyperparameters === undefined ? {} : { hyperparameters: request.hyperparameters }),
    ...(request.trial === undefined ? {} : { trial: request.trial }),
    // One that waited for its turn has kept its own.
    ...(request.version === undefined || request.version === request.directory ? {} : { keptVersion: true }),
    epochs: request.epochs ?? 0,
    epoch: 0,
    step: 0,
    settings: {},
    metrics: {},
    checkpoints: [],
    outlive: request.outlive,
  };
}

/** The current progress of a run, at most 10 times a second. */
export const Progress = v.object({
  /** The epoch under way, counted from 1. */
  epoch: v.number(),
  epochs: v.number(),
  /** Steps done in this epoch and steps of one epoch. */
  stepInEpoch: v.number(),
  stepsPerEpoch: v.number(),
  samplesPerSecond: v.number(),
  /** Seconds of training so far, in all of the run's sessions, pauses left out. */
  seconds: v.optional(v.number()),
  /** Seconds left of the whole run, by the speed so far: see protocol/runs/duration.ts. */
  eta: v.number(),
  /** Bytes of memory that the run's process holds. */
  memory: v.optional(v.number()),
  /** Live tensors of the backend: a number that grows from epoch to epoch is a leak. */
  tensors: v.optional(v.number()),
  /** Processor cores that the run's process has used in the last second. */
  processor: v.optional(v.number()),
  metrics: Metrics,
});
export type Progress = v.InferOutput<typeof Progress>;

export const EvaluationResult = v.object({
  samples: v.number(),
  metrics: Metrics,
  /** Rows: actual class; columns: predicted class. Only for classification. */
  confusion: v.optional(v.array(Numbers)),
  classes: v.optional(v.array(v.string())),
});
export type EvaluationResult = v.InferOutput<typeof EvaluationResult>;

/** Methods of a run engine, called by its supervisor. */
export interface RunEngineMethods extends RunControls {
  /** Loads the executor of a run on `device` ahead of its request. Fails silently: the run reports the error. */
  warmUp(device: Device): Promise<void>;
  start(request: RunRequest): Promise<void>;
  /** Loads a file and describes one of its experiments; the process then serves runs as if it were new. */
  describe(request: DescribeRequest): Promise<ExperimentDescription>;
}

/** A file to run as a program: its top-level code. It prints to the process's own streams. */
export const ScriptRequest = v.object({
  file: v.string(),
  device: Device,
  /** For `torch.manualSeed` before the first line. */
  seed: v.optional(v.number()),
  /** The program's own arguments: `process.argv.slice(2)`. */
  args: v.array(v.string()),
});
export type ScriptRequest = v.InferOutput<typeof ScriptRequest>;

export const ScriptResult = v.object({
  code: v.number(),
  /** Exports of experiments of a file that printed nothing: they would have to be trained. */
  experiments: v.array(v.string()),
});
export type ScriptResult = v.InferOutput<typeof ScriptResult>;

/** Samples to predict with an experiment's model: given rows, or the first `count` held-out samples of its data. */
export const PredictRequest = v.object({
  file: v.string(),
  exportName: v.string(),
  device: Device,
  seed: v.optional(v.number()),
  /** Absolute path of a `.safetensors` file. */
  checkpoint: v.string(),
  /** One sample a row, its values in row-major order. */
  rows: v.optional(v.array(v.array(v.number()))),
  /** Rows as texts with the names of their columns, for a model that was trained on such a table. */
  table: v.optional(v.object({ names: v.array(v.string()), rows: v.array(v.array(v.string())) })),
  count: v.optional(v.number()),
});
export type PredictRequest = v.InferOutput<typeof PredictRequest>;

export const Prediction = v.object({
  /** The model's output for the sample, row-major. */
  output: v.array(v.nullable(v.number())),
  /** Index of the largest output, and its name where the experiment names its classes. Only for classification. */
  label: v.optional(v.number()),
  className: v.optional(v.string()),
  /** Target of a sample from the data set: a class, or the values the output should have. */
  target: v.optional(v.array(v.number())),
});
export type Prediction = v.InferOutput<typeof Prediction>;

/** The experiment whose learning rate is searched, and the sweep; see the engine's `SweepOptions`. */
export const LrFindRequest = v.object({
  file: v.string(),
  exportName: v.string(),
  device: Device,
  seed: v.optional(v.number()),
  /** Weights to begin with: absolute path of a `.safetensors` file. */
  checkpoint: v.optional(v.string()),
  sweep: v.object({
    minLr: v.optional(v.number()),
    maxLr: v.optional(v.number()),
    steps: v.optional(v.number()),
    earlyStopThreshold: v.optional(v.number()),
  }),
});
export type LrFindRequest = v.InferOutput<typeof LrFindRequest>;

export const LrFindResult = v.object({
  /** Each rate that was tried, and the smoothed loss after its step. */
  points: v.array(v.object({ lr: v.number(), loss: MetricValue })),
  /** Whether it ended early, because the loss rose. */
  diverged: v.boolean(),
  /** Where the loss falls fastest; absent when there are too few points. */
  suggestion: v.optional(v.number()),
});
export type LrFindResult = v.InferOutput<typeof LrFindResult>;

export const ExportFormat = v.picklist(["onnx", "tfjs", "typescript"]);
export type ExportFormat = v.InferOutput<typeof ExportFormat>;

/** A trained model to be written for other programs. Paths are absolute. */
export const ExportRequest = v.object({
  file: v.string(),
  exportName: v.string(),
  device: Device,
  seed: v.optional(v.number()),
  /** Its weights: a `.safetensors` file. */
  checkpoint: v.string(),
  format: ExportFormat,
  /** The output: a file, for tfjs a folder. */
  out: v.string(),
  /** Samples in a batch; any number when left out, one in TypeScript. */
  batch: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
});
export type ExportRequest = v.InferOutput<typeof ExportRequest>;

/** An input or output of an exported model: a size is a number, or the name of a size that varies. */
const ExportedValue = v.object({
  name: v.string(),
  dtype: v.string(),
  shape: v.array(v.union([v.number(), v.string()])),
});

export const ExportResult = v.object({
  /** The output and its total bytes. */
  out: v.string(),
  bytes: v.number(),
  inputs: v.array(ExportedValue),
  outputs: v.array(ExportedValue),
});
export type ExportResult = v.InferOutput<typeof ExportResult>;

/** Methods of a run engine for the command line, without a run directory. After one call the process is killed. */
export interface ToolMethods {
  /** Resolves with the program's exit code when it has ended, its promises and timers included. */
  script(request: ScriptRequest): Promise<ScriptResult>;
  predict(request: PredictRequest): Promise<Prediction[]>;
  lrFind(request: LrFindRequest): Promise<LrFindResult>;
  /** Reports its progress as `log`. */
  exportModel(request: ExportRequest): Promise<ExportResult>;
  /** Reports its progress as `log`. */
  profile(request: ProfileRequest): Promise<Profile>;
  describeData(request: DataRequest): Promise<DataSummary>;
  /** Contents of a table or a folder of images, by absolute path. Runs no code of it. */
  describeDataFile(path: string): Promise<DataFile>;
}
export type ToolEvents = Pick<RunEngineEvents, "hello" | "log" | "failed">;

/** Events a run engine sends. All are also on disk, in the run directory. */
export interface RunEngineEvents {
  hello(hello: Hello): void;
  record(record: RunRecord): void;
  metrics(rows: MetricRow[]): void;
  progress(progress: Progress): void;
  log(level: "info" | "warning" | "error", text: string): void;
  evaluated(result: EvaluationResult): void;
  /** A run on another machine has started there, so its files are there. */
  arrived(): void;
  /** The run waits until a debugger attaches to this address. */
  inspecting(url: string): void;
  /**
   * The run's last message; the process exits after it, or sends `idle`. `error`: why an attempt to resume made no step, which
   * left the record as it was.
   */
  ended(record: RunRecord, error?: UserError): void;
  /** The last message when a call other than `start` can't be answered: user code hangs. */
  failed(error: UserError): void;
  /** The process accepts another run, which computes the same numbers as in a new process. */
  idle(): void;
}
