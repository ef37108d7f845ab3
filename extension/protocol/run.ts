import * as v from "valibot";
import { isInherited } from "./data/own.ts";
import { UserError } from "./errors.ts";
import { FOREIGN_TOOLS } from "./history/foreignRun.ts";
import { FolderName, NAME } from "./names.ts";
import { modelName } from "./runs/title.ts";
import { Objective, Settings, TrialOf } from "./sweeps/sweep.ts";
import { RunPlace } from "./target.ts";

/**
 * The run directory, `.layerwise/runs/<id>/`, beside the workspace's models:
 *
 * - `run.json`: a {@link RunRecord}, replaced atomically at every change of state and at most once a second otherwise;
 * - `metrics.jsonl`: one {@link MetricRow} a line, append-only;
 * - `layers.jsonl`: one {@link LayerRow} a line, append-only, if the training watches its layers;
 * - `layer-pictures.jsonl`: one PictureRow (protocol/layers/pictures.ts) a line, append-only, if it does;
 * - `findings.jsonl`: one Finding (protocol/findings.ts) a line, append-only, if the training is watched;
 * - `log.txt`: the output of the user's code and the engine's messages;
 * - `source.ts`: the trained version of the `.nn.ts` file;
 * - `sources.json`: what that file imports from its workspace, texts by path, relative to the file;
 * - `provenance.json`: how the run came about, a Provenance (protocol/history/provenance.ts);
 * - `labels.json`: the user's name and tags, {@link RunLabels};
 * - `lock.json`: the owner while the run has one, {@link RunLock}; its modification time is the last sign of life;
 * - `evaluation.json`: of an evaluation, its EvaluationResult (protocol/engine.ts);
 * - `report.json`: of an evaluation, what else views show, an EvaluationReport (protocol/evaluation.ts);
 * - `outcomes.safetensors`: of an evaluation, loss, actual and predicted class of each sample;
 * - `pictures/*.png`: pictures that a training drew with `saveImage`, by epoch;
 * - `checkpoints/*.safetensors`: weights, named in the record's `checkpoints`;
 * - `checkpoints/training.pth`: the state that resuming needs, and beside it the state saved before.
 *
 * The directory is a run's only source of truth: every view can be closed and rebuilt from it.
 */
export const RUNS_FOLDER = ".layerwise/runs";
export const RUN_FILE = "run.json";
export const METRICS_FILE = "metrics.jsonl";
/** Most bytes of it that are read: a text in memory can't be longer. */
export const METRICS_LIMIT = 500 * 2 ** 20;
export const LAYERS_FILE = "layers.jsonl";
export const LOG_FILE = "log.txt";
export const EVALUATION_FILE = "evaluation.json";
/** Not named as models are: searches for those would find it. */
export const SOURCE_FILE = "source.ts";
export const SOURCES_FILE = "sources.json";
export const REPORT_FILE = "report.json";
export const OUTCOMES_FILE = "outcomes.safetensors";
/** Files of an evaluation, beside its record; all but the first may be missing. */
export const EVALUATION_FILES = [EVALUATION_FILE, REPORT_FILE, OUTCOMES_FILE] as const;
/**
 * Most bytes of the result and of the report, and most parts of each. The extension host parses them, and must not be held up for more
 * than some 50 ms. Of a thousand classes, the result has a million counts of confusions. Samples' pictures are up to 10 MB of few values,
 * and of 16 numbers that are predicted, the report has 32,000 points.
 */
export const REPORT_LIMIT = 16 * 2 ** 20;
export const RESULT_PARTS = {
  values: 1.1e6,
  containers: 10_000,
  keys: 10_000,
  texts: 20_000,
  fractions: 20_000,
} as const;
export const REPORT_PARTS = {
  values: 200_000,
  containers: 50_000,
  keys: 20_000,
  texts: 100_000,
  fractions: 150_000,
} as const;
/** Most bytes of the outcomes, which only engines read. */
export const OUTCOMES_LIMIT = 256 * 2 ** 20;
export const PICTURES_FOLDER = "pictures";
export const LABELS_FILE = "labels.json";
export const LOCK_FILE = "lock.json";
export const CHECKPOINTS_FOLDER = "checkpoints";

export const ExecutorInfo = v.object({
  /** Which executor ran: compiled TensorFlow graphs fall back to eager per graph, so both count as "tensorflow". */
  backend: v.picklist(["tensorflow", "kernels", "wasm", "cpu"]),
  /** Such as "TensorFlow 2.21.0 with Layerwise's own kernels" or "tfjs 4.22.0 wasm". */
  version: v.string(),
  /** Whether it is the native engine's build for GPUs. */
  gpu: v.optional(v.boolean()),
  /** Why not the native engine, or why its build for GPUs computes on the CPU, in one line. */
  reason: v.optional(v.string()),
});
export type ExecutorInfo = v.InferOutput<typeof ExecutorInfo>;

/** A measured value. A loss may diverge, and JSON writes NaN and infinities as null: null reads back as NaN. */
export const MetricValue = v.union([
  v.number(),
  v.nan(),
  v.pipe(
    v.null(),
    v.transform(() => Number.NaN),
  ),
]);

/** Metrics by name. Of a run without a metric of that name, "toString" would be a function. */
export const Metrics = v.record(
  v.pipe(
    v.string(),
    v.check((name) => !isInherited(name), "expected another name than those that every object has"),
  ),
  MetricValue,
);
export type Metrics = v.InferOutput<typeof Metrics>;

export const CheckpointRecord = v.object({
  /** Path relative to the run directory, such as "checkpoints/last.safetensors". */
  file: v.pipe(
    v.string(),
    v.regex(new RegExp(`^${CHECKPOINTS_FOLDER}/${NAME}$`), "expected a file of the run's checkpoints folder"),
  ),
  kind: v.picklist(["last", "best", "manual", "final"]),
  epoch: v.number(),
  step: v.number(),
  /** ISO 8601. */
  savedAt: v.string(),
  bytes: v.number(),
  metrics: Metrics,
});
export type CheckpointRecord = v.InferOutput<typeof CheckpointRecord>;

/** Id of a process that may be signalled: 0 and negative ones are groups, 1 is the system's first process. */
export const ProcessId = v.pipe(v.number(), v.integer(), v.minValue(2), v.maxValue(2 ** 31 - 1));

/** "killed": the process ended unexpectedly. Readers derive that; the process that started the run writes it. */
export const RunState = v.picklist([
  "starting",
  "running",
  "paused",
  "finished",
  "stopped",
  "failed",
  "killed",
]);
export type RunState = v.InferOutput<typeof RunState>;

export const RunRecord = v.object({
  version: v.literal(1),
  /** Folder name: sortable time and a word, such as "20260131-142501-digits". */
  id: FolderName,
  kind: v.picklist(["train", "evaluate"]),
  state: RunState,
  /** Absolute path of the `.nn.ts` file. */
  file: v.string(),
  /** Name of the experiment's export ("default" included). */
  exportName: v.string(),
  /** Class name of the model. */
  model: v.string(),
  createdAt: v.string(),
  endedAt: v.optional(v.string()),
  /** For people; the lock names the owner. */
  pid: v.optional(ProcessId),
  seed: v.optional(v.number()),
  /** Requested epochs, completed epochs, optimizer steps done, steps of one epoch. */
  epochs: v.number(),
  epoch: v.number(),
  step: v.number(),
  stepsPerEpoch: v.optional(v.number()),
  /** Seconds of training in all sessions, pauses left out. */
  seconds: v.optional(v.number()),
  executor: v.optional(ExecutorInfo),
  parameters: v.optional(v.object({ total: v.number(), trainable: v.number() })),
  /** One-line descriptions for tables: optimizer, loss, batch size, samples in each split. */
  settings: v.record(v.string(), v.union([v.string(), v.number(), v.boolean()])),
  /** Values of the experiment's hyperparameters, if it has a sweep. */
  hyperparameters: v.optional(Settings),
  /** True if it began with the version of its file that another run had kept, not with the file itself. */
  keptVersion: v.optional(v.literal(true)),
  /** The trial of a sweep that this run is. */
  trial: v.optional(TrialOf),
  /** Metric that a sweep of the experiment optimizes. */
  objective: v.optional(Objective),
  /** Source of a run that another tool recorded: tool, path, and its id there. It has no code and no weights. */
  imported: v.optional(v.object({ tool: v.picklist(FOREIGN_TOOLS), path: v.string(), id: v.string() })),
  /** The machine that the run is on, if it is not this one. Checkpoints that are still there are not listed. */
  on: v.optional(RunPlace),
  /** Latest value of every metric ("loss", "val_loss", "accuracy", …). */
  metrics: Metrics,
  best: v.optional(v.object({ metric: v.string(), value: v.number(), epoch: v.number() })),
  checkpoints: v.array(CheckpointRecord),
  error: v.optional(UserError),
  /** True when the run may outlive its window. */
  outlive: v.boolean(),
  /** True when the run stopped because the process that had started it was gone. */
  orphaned: v.optional(v.boolean()),
});
export type RunRecord = v.InferOutput<typeof RunRecord>;

const LIVE_STATES: readonly RunState[] = ["starting", "running", "paused"];

/** True while a run is unfinished by its record, whether or not its process lives. */
export const isLive = ({ state }: Pick<RunRecord, "state">): boolean => LIVE_STATES.includes(state);

/** Who owns a run: the one process that writes into its directory. Created exclusively, removed at the end. */
export const RunLock = v.object({
  version: v.literal(1),
  /** Name of the machine or container, and what tells apart those of one name: see processes/place.ts. */
  host: v.pipe(v.string(), v.regex(/^[\w.-]{1,255}$/)),
  machine: v.pipe(v.string(), v.maxLength(100)),
  boot: v.pipe(v.string(), v.maxLength(100)),
  namespace: v.pipe(v.string(), v.maxLength(100)),
  pid: ProcessId,
  /** When the process began, as its system counts. */
  start: v.pipe(v.number(), v.integer(), v.minValue(0)),
  /** When the run was taken: ISO 8601. */
  since: v.pipe(v.string(), v.isoTimestamp()),
  /** Made of all this, the file's inode and a token that only the process's command line has. */
  proof: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
});
export type RunLock = v.InferOutput<typeof RunLock>;

/** The user's labels of a run. */
const LABELS = {
  /** Shown for the run's id; empty where it has no name. */
  name: v.pipe(v.string(), v.maxLength(200)),
  tags: v.pipe(v.array(v.pipe(v.string(), v.maxLength(100))), v.maxLength(1000)),
  /** Hidden in tables by default. */
  archived: v.boolean(),
};
export const RunLabels = v.object({
  name: v.optional(LABELS.name, ""),
  tags: v.optional(LABELS.tags, []),
  archived: v.optional(LABELS.archived, false),
});
export type RunLabels = v.InferOutput<typeof RunLabels>;

/** Labels that are changed; the others stay. */
export const LabelChanges = v.object({
  name: v.exactOptional(LABELS.name),
  tags: v.exactOptional(LABELS.tags),
  archived: v.exactOptional(LABELS.archived),
});
export type LabelChanges = v.InferOutput<typeof LabelChanges>;

/**
 * One point of the curves: a step's values, or those of a whole epoch (mean of its steps, and validation); or an event,
 * such as a learning rate that was changed by hand, with its new values. `time` is in seconds since the run began.
 */
export const MetricRow = v.object({
  kind: v.picklist(["step", "epoch", "event"]),
  /** Of an event: what happened, in one line. */
  text: v.optional(v.string()),
  /** Of an event: the training went back to this step, and the rows after it don't count any more. */
  rollback: v.optional(v.number()),
  /** Optimizer steps done, counted over the whole run. */
  step: v.number(),
  /** The epoch under way, for an "epoch" row the one completed, counted from 1. */
  epoch: v.number(),
  time: v.number(),
  /** Of an epoch: seconds since the row of the epoch before that went into validation and into saving. */
  spent: v.optional(v.object({ validation: v.number(), checkpoints: v.number() })),
  values: Metrics,
});
export type MetricRow = v.InferOutput<typeof MetricRow>;

/** Most bins of a histogram in {@link LAYERS_FILE}. */
export const MOST_BINS = 64;

/** Values in bins of equal width from `low` to `high`; those beyond count in the outermost bins. */
export const ValueHistogram = v.object({
  low: v.number(),
  high: v.number(),
  mean: v.number(),
  std: v.number(),
  counts: v.pipe(v.array(v.number()), v.minLength(1), v.maxLength(MOST_BINS)),
});
export type ValueHistogram = v.InferOutput<typeof ValueHistogram>;

/** Most names of fields in a row of {@link LAYERS_FILE}: those of 2,000 layers with all figures and histograms. */
export const LAYER_NAMES = 2 ** 16;

/** Statistics of each layer in an observed optimizer step, by its path in the model. */
export const LayerRow = v.object({
  step: v.number(),
  epoch: v.number(),
  layers: v.record(
    v.string(),
    v.object({
      /** Of its own parameters together; after clipping. */
      gradNorm: v.optional(MetricValue),
      /** Norm of what the step changed, by the norm of the weights. */
      updateRatio: v.optional(MetricValue),
      /** Units of its ReLUs that were 0 for the whole batch, and all that they have. */
      deadUnits: v.optional(v.number()),
      units: v.optional(v.number()),
      /** Mean absolute value of its output in evaluation mode, for the batch of the step. */
      meanActivation: v.optional(MetricValue),
      /** A sample of its own parameters after the step, of their gradients, and of its output. */
      weights: v.optional(ValueHistogram),
      gradients: v.optional(ValueHistogram),
      activations: v.optional(ValueHistogram),
    }),
  ),
});
export type LayerRow = v.InferOutput<typeof LayerRow>;

/** The title of a run: its model, and the export unless that is the file's default. */
export function runTitle(run: Pick<RunRecord, "model" | "exportName" | "file" | "imported">): string {
  const name = modelName(run);
  if (name === "") return run.exportName;
  return run.exportName === "default" ? name : `${name} (${run.exportName})`;
}
