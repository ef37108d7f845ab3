import * as v from "valibot";
import { Device } from "../device.ts";
import { UserError } from "../errors.ts";
import { FolderName } from "../names.ts";
import { RunPlace } from "../target.ts";

/**
 * The sweep directory, `.layerwise/sweeps/<id>/`, beside the runs of its trials:
 *
 * - `sweep.json`: a {@link SweepRecord}, replaced atomically at the start and the end of the sweep;
 * - `trials.jsonl`: one {@link TrialRow} a line, append-only; the last row of a trial counts;
 * - `lock.json`: the process that runs the sweep, a {@link SweepLock};
 * - `optuna.log`: Optuna's journal, if it searches or prunes.
 *
 * Each trial is a run with a directory of its own, whose record names the sweep, the trial and its settings.
 */
export const SWEEPS_FOLDER = ".layerwise/sweeps";
export const SWEEP_FILE = "sweep.json";
export const TRIALS_FILE = "trials.jsonl";
export const SWEEP_LOCK_FILE = "lock.json";
export const OPTUNA_FILE = "optuna.log";

/** Most trials of a sweep: the file of its trials stays below the size limit of a record. */
export const MOST_TRIALS = 10_000;
/** Most trials at a time: each has a process. */
export const MOST_PARALLEL = 64;
/** Most parameters of a search space, and values of a choice. */
const MOST_PARAMETERS = 100;
const MOST_VALUES = 1000;

const Finite = v.pipe(v.number(), v.finite());
const Name = v.pipe(v.string(), v.regex(/^[A-Za-z_$][\w$]{0,99}$/));

/** The value of one hyperparameter. */
export const Setting = v.union([Finite, v.pipe(v.string(), v.maxLength(1000)), v.boolean()]);
export type Setting = v.InferOutput<typeof Setting>;

/** Values of hyperparameters by name. */
export const Settings = v.pipe(
  v.record(Name, Setting),
  v.check((settings) => Object.keys(settings).length <= MOST_PARAMETERS, "too many parameters"),
);
export type Settings = v.InferOutput<typeof Settings>;

/** The values that one hyperparameter can take, and the one it has outside of a sweep. */
export const DomainSpec = v.variant("kind", [
  v.object({
    kind: v.literal("choice"),
    values: v.pipe(v.array(Setting), v.minLength(1), v.maxLength(MOST_VALUES)),
    default: Setting,
  }),
  v.object({
    kind: v.picklist(["float", "int"]),
    low: Finite,
    high: Finite,
    /** Distance of two neighbours; a float without it is continuous. */
    step: v.optional(v.pipe(Finite, v.minValue(0))),
    /** Whether the logarithm is uniform. */
    log: v.boolean(),
    default: Finite,
  }),
]);
export type DomainSpec = v.InferOutput<typeof DomainSpec>;

export const SearchSpace = v.pipe(
  v.record(Name, DomainSpec),
  v.check((space) => Object.keys(space).length <= MOST_PARAMETERS, "too many parameters"),
);
export type SearchSpace = v.InferOutput<typeof SearchSpace>;

export const Mode = v.picklist(["min", "max"]);
export type Mode = v.InferOutput<typeof Mode>;

/** The metric that a sweep optimizes, by its name in the curves. */
export const Objective = v.object({ metric: v.pipe(v.string(), v.maxLength(200)), mode: Mode });
export type Objective = v.InferOutput<typeof Objective>;

/** Direction in which a metric improves: "max" for accuracy, top-k, precision, recall, F1 and R2, else "min". */
export function modeOf(metric: string): Mode {
  return /^(?:val_)?(?:accuracy|top\d+|precision|recall|f1|r2)$/.test(metric) ? "max" : "min";
}

/** The sweep and the number of the trial that a run is. */
export const TrialOf = v.object({
  sweep: v.pipe(v.string(), v.maxLength(255)),
  number: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(MOST_TRIALS)),
});
export type TrialOf = v.InferOutput<typeof TrialOf>;

export const SEARCHES = ["random", "grid", "tpe"] as const;
export const PRUNERS = ["none", "asha", "median", "hyperband"] as const;
export type SearchName = (typeof SEARCHES)[number];
export type PrunerName = (typeof PRUNERS)[number];

export const SweepState = v.picklist(["running", "stopped", "finished", "failed"]);
export type SweepState = v.InferOutput<typeof SweepState>;

const Count = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MOST_TRIALS));
const Seed = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));

export const SweepRecord = v.object({
  version: v.literal(1),
  /** Folder name, as a run's. */
  id: FolderName,
  state: SweepState,
  /** Absolute path of the `.nn.ts` file. */
  file: v.pipe(v.string(), v.maxLength(10_000)),
  exportName: v.pipe(v.string(), v.maxLength(1000)),
  createdAt: v.string(),
  endedAt: v.optional(v.string()),
  space: SearchSpace,
  /** The metric to optimize; absent: each run's own objective, the loss of its validation, else of its training. */
  metric: v.optional(v.pipe(v.string(), v.maxLength(200))),
  mode: Mode,
  search: v.picklist(SEARCHES),
  pruner: v.picklist(PRUNERS),
  /** Of ASHA and Hyperband. */
  reductionFactor: v.pipe(v.number(), v.integer(), v.minValue(2), v.maxValue(1000)),
  /** Epochs that a trial trains before it can be pruned. */
  gracePeriod: Count,
  /** Of the search; each trial has the experiment's seed, or one that follows from this. */
  seed: Seed,
  trials: Count,
  /** Trials at a time. */
  parallel: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MOST_PARALLEL)),
  device: Device,
  /** The machine of the trials, if it is not this one. */
  on: v.optional(RunPlace),
  /** Of each trial. */
  epochs: v.pipe(v.number(), v.integer(), v.minValue(1)),
  /** Whether `epochs` replaces the experiment's. */
  epochsGiven: v.boolean(),
  /** The experiment's own seed, which every trial has; absent when trials have seeds of their own. */
  trialSeed: v.optional(v.pipe(v.number(), v.integer())),
  /** Why it failed. */
  error: v.optional(UserError),
});
export type SweepRecord = v.InferOutput<typeof SweepRecord>;

/** "interrupted": the sweep was stopped; resuming it resumes the trial. */
export const TrialState = v.picklist(["running", "complete", "pruned", "failed", "interrupted"]);
export type TrialState = v.InferOutput<typeof TrialState>;

const MaybeValue = v.optional(Finite);

/** One trial, when it starts and when it ends. */
export const TrialRow = v.object({
  number: TrialOf.entries.number,
  state: TrialState,
  settings: Settings,
  /** Name of the run's directory; empty before there is one. */
  run: v.union([v.literal(""), FolderName]),
  /** Best value of the metric, and its epoch. */
  value: MaybeValue,
  epoch: v.optional(v.number()),
  /** The first value at or after each of ASHA's rungs, by the rung's epoch. */
  rungs: v.optional(v.record(v.string(), Finite)),
  /** The metric that `value` is of. */
  metric: v.optional(Objective.entries.metric),
  error: v.optional(v.pipe(v.string(), v.maxLength(2000))),
  /** When it began and ended: ISO 8601. */
  startedAt: v.pipe(v.string(), v.maxLength(40)),
  endedAt: v.optional(v.pipe(v.string(), v.maxLength(40))),
});
export type TrialRow = v.InferOutput<typeof TrialRow>;

/** Description of an experiment before its sweep, by an engine. */
export const ExperimentDescription = v.object({
  exportName: v.string(),
  space: SearchSpace,
  epochs: v.number(),
  seed: v.optional(v.number()),
  /** The metric that its sweep optimizes, where the experiment sets it. */
  objective: v.optional(v.object({ metric: v.optional(v.string()), mode: v.optional(Mode) })),
});
export type ExperimentDescription = v.InferOutput<typeof ExperimentDescription>;

export const DescribeRequest = v.object({
  file: v.string(),
  exportName: v.string(),
  device: Device,
  /** Train one step with the default settings too. */
  check: v.optional(v.boolean()),
});
export type DescribeRequest = v.InferOutput<typeof DescribeRequest>;
