// Output of commands with --json: one value a line. docs/json.md and its schema are made from here, and the tests of
// the command line check each line that they see.
import * as v from "valibot";
import { EvaluationResult, ExportResult, LrFindResult, Prediction, Progress } from "./engine.ts";
import { UserError } from "./errors.ts";
import { EngineCheck, InstallLine, NativeReport } from "./native.ts";
import { ModelReport } from "./preview.ts";
import { Profile } from "./profile.ts";
import { Metrics, RunRecord, RunState } from "./run.ts";
import { SweepRecord, TrialRow } from "./sweeps/sweep.ts";
import { WeightStatistics } from "./tensorValues.ts";

const event = <const E extends string, T extends v.ObjectEntries>(name: E, entries: T) =>
  v.object({ event: v.literal(name), ...entries });

const Start = event("start", { run: RunRecord });
const Epoch = event("epoch", { epoch: v.number(), step: v.number(), time: v.number(), metrics: Metrics });
const ProgressLine = event("progress", Progress.entries);
const LogLevel = v.picklist(["info", "warning", "error"]);
const Log = event("log", { level: LogLevel, text: v.string() });
const ErrorLine = event("error", { error: UserError });

const Owner = v.object({
  host: v.string(),
  pid: v.number(),
  since: v.string(),
  /** False after 30 seconds without a sign of life. */
  seen: v.boolean(),
});

const Shape = v.array(v.number());
const Differing = {
  elements: v.number(),
  changed: v.number(),
  largest: v.optional(v.nullable(v.number())),
};

/** Output of one command. */
interface CommandOutput {
  /** In a sentence, for the documentation. */
  what: string;
  lines: Readonly<Record<string, v.GenericSchema>>;
}

/** Lines of a training, also of one on another machine that `attach` follows again. */
const TRAIN_LINES = {
  TrainStart: Start,
  TrainEpoch: Epoch,
  TrainProgress: ProgressLine,
  TrainLog: Log,
  TrainError: ErrorLine,
  TrainEnd: event("end", {
    state: RunState,
    epoch: v.number(),
    step: v.number(),
    metrics: Metrics,
    best: RunRecord.entries.best,
    directory: v.string(),
    checkpoint: v.optional(v.string()),
    error: v.optional(UserError),
  }),
};

export const CLI_JSON = {
  train: {
    what: "Events while it trains: `start` first, then `epoch`, `progress` and `log`; `end` last, after `error` if it failed to start.",
    lines: TRAIN_LINES,
  },
  attach: {
    what: "The events of `train` from where the run is followed again.",
    lines: TRAIN_LINES,
  },
  evaluate: {
    what: "Events: `start`, `progress`, `log`, then `evaluated` with the metrics and the confusion matrix, and `end`.",
    lines: {
      EvaluateStart: Start,
      EvaluateProgress: ProgressLine,
      EvaluateLog: Log,
      Evaluated: event("evaluated", EvaluationResult.entries),
      EvaluateError: ErrorLine,
      EvaluateEnd: event("end", {
        state: RunState,
        metrics: Metrics,
        directory: v.string(),
        checkpoint: v.string(),
        error: v.optional(UserError),
      }),
    },
  },
  sweep: {
    what: "Events: `install` while Optuna is installed, `start` first, then a `trial` whenever one starts or ends, and `log`; `end` last, after `error` if it failed to start.",
    lines: {
      SweepInstall: event("install", { text: v.string() }),
      SweepStart: event("start", { sweep: SweepRecord, directory: v.string(), trials: v.array(TrialRow) }),
      SweepTrial: event("trial", TrialRow.entries),
      SweepLog: event("log", { trial: v.number(), level: LogLevel, text: v.string() }),
      SweepError: ErrorLine,
      SweepEnd: event("end", {
        state: SweepRecord.entries.state,
        directory: v.string(),
        metric: SweepRecord.entries.metric,
        mode: SweepRecord.entries.mode,
        best: v.optional(TrialRow),
        weights: v.optional(v.string()),
        error: v.optional(UserError),
      }),
    },
  },
  predict: { what: "A line for each sample.", lines: { Prediction, PredictError: ErrorLine } },
  "lr-find": { what: "One object.", lines: { LrFindResult, LrFindError: ErrorLine } },
  profile: { what: "One object.", lines: { Profile, ProfileError: ErrorLine } },
  export: {
    what: "One object.",
    lines: { Exported: event("exported", ExportResult.entries), ExportError: ErrorLine },
  },
  summary: {
    what: "A line for each model: layers in `rows`, totals in `parameters`.",
    lines: { Model: ModelReport, SummaryError: ErrorLine },
  },
  print: {
    what: "A line for each model.",
    lines: {
      PrintedModel: v.object({ model: v.string(), experiments: v.array(v.string()), text: v.string() }),
      PrintError: ErrorLine,
    },
  },
  inspect: {
    what: "The file, then a line for each of its tensors; with `--compare`, a line for each tensor that differs.",
    lines: {
      TensorFile: v.object({
        file: v.string(),
        format: v.string(),
        bytes: v.number(),
        tensors: v.number(),
        metadata: v.record(v.string(), v.string()),
      }),
      Tensor: v.object({ ...WeightStatistics.entries, bytes: v.number() }),
      TensorAdded: v.object({
        name: v.string(),
        change: v.picklist(["added", "removed"]),
        shape: Shape,
        dtype: v.string(),
      }),
      TensorReshaped: v.object({ name: v.string(), change: v.literal("shape"), shape: Shape, other: Shape }),
      TensorRetyped: v.object({
        name: v.string(),
        change: v.literal("type"),
        dtype: v.string(),
        other: v.string(),
        ...v.partial(v.object(Differing)).entries,
      }),
      TensorChanged: v.object({ name: v.string(), change: v.literal("values"), ...Differing }),
      InspectError: ErrorLine,
    },
  },
  runs: {
    what: "A line for each run, newest first; with `--stop`, the run that was stopped.",
    lines: {
      Run: v.object({ directory: v.string(), ...RunRecord.entries, owner: v.optional(Owner) }),
      RunsError: ErrorLine,
    },
  },
  import: {
    what: "A line for each run that was imported or brought up to date, and for each file that can't be read; with `--follow`, again when it has more.",
    lines: {
      ImportedRun: event("imported", {
        directory: v.string(),
        /** Whether an earlier import had created it. */
        updated: v.boolean(),
        /** With `--follow`: whether rows were only added to its metrics.jsonl since its line before. */
        appended: v.boolean(),
        run: RunRecord,
      }),
      /** With `--follow`, once everything there was is imported, unless nothing was logged for an hour. */
      ImportFollowing: event("following", {}),
      ImportReading: event("reading", { path: v.string() }),
      ImportProblem: event("problem", { text: v.string() }),
      ImportError: ErrorLine,
    },
  },
  "engine status": { what: "One object.", lines: { NativeReport } },
  "engine doctor": { what: "One list.", lines: { EngineChecks: v.array(EngineCheck) } },
  "engine install": { what: "Progress; the last line says how it ended.", lines: { InstallLine } },
  "engine remove": { what: "One object.", lines: { EngineRemoved: v.object({ removed: v.boolean() }) } },
} as const satisfies Record<string, CommandOutput>;
export type JsonCommand = keyof typeof CLI_JSON;

/** Returns the problems of a command's line; undefined where the line is as documented, with no other fields. */
export function problemOfLine(command: JsonCommand, line: unknown): string | undefined {
  const problems: string[] = [];
  for (const [name, schema] of Object.entries<v.GenericSchema>(CLI_JSON[command].lines)) {
    const checked = v.safeParse(schema, line);
    if (!checked.success) problems.push(`${name}: ${v.summarize(checked.issues)}`);
    else {
      const unknown = undocumented(line, checked.output, "");
      if (unknown === undefined) return undefined;
      problems.push(`${name}: ${unknown} is not documented`);
    }
  }
  return problems.join("\n");
}

/** The path of a field that is not in the schema. */
function undocumented(given: unknown, known: unknown, path: string): string | undefined {
  if (typeof given !== "object" || given === null || typeof known !== "object" || known === null)
    return undefined;
  for (const [name, value] of Object.entries(given)) {
    if (!(name in known)) return `${path}.${name}`;
    const inner = undocumented(value, Reflect.get(known, name), `${path}.${name}`);
    if (inner !== undefined) return inner;
  }
  return undefined;
}
