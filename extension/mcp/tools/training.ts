import * as v from "valibot";
import { EngineError } from "../../protocol/errors.ts";
import { LOG_FILE, type RunRecord } from "../../protocol/run.ts";
import { resumeRequest } from "../../supervisor/runs/resume.ts";
import { readTail } from "../../supervisor/runs/recordLines.ts";
import { checkpointPath, listRuns } from "../../supervisor/runs/runDirectory.ts";
import { pageOf } from "../answers.ts";
import {
  Backend,
  Hyperparameters,
  limit,
  LONGEST_WAIT,
  Num,
  Offset,
  Rest,
  RunId,
  Seed,
  State,
  Values,
  WaitSeconds,
} from "../schemas.ts";
import type { Services } from "../services.ts";
import { tool, type Tool } from "../tool.ts";
import { Experiment } from "./files.ts";

const Checkpoint = v.object({ file: v.string(), kind: v.string(), epoch: v.number(), bytes: v.number() });
const RunSummary = v.object({
  run: v.string(),
  kind: v.string(),
  state: State,
  file: v.string(),
  exportName: v.string(),
  model: v.string(),
  createdAt: v.string(),
  epoch: v.number(),
  epochs: v.number(),
  step: v.number(),
  metrics: Values,
});
const RunDetails = v.object({
  ...RunSummary.entries,
  seed: v.optional(v.number()),
  endedAt: v.optional(v.string()),
  device: v.optional(v.string()),
  parameters: v.optional(v.object({ total: v.number(), trainable: v.number() })),
  settings: v.record(v.string(), v.union([v.string(), v.number(), v.boolean()])),
  best: v.optional(v.object({ metric: v.string(), value: Num, epoch: v.number() })),
  checkpoints: v.array(Checkpoint),
  error: v.optional(v.object({ code: v.string(), message: v.string(), hint: v.optional(v.string()) })),
});

function summaryOf(record: RunRecord, { workspace }: Services): v.InferInput<typeof RunSummary> {
  const { id: run, kind, state, file, exportName, model, createdAt, epoch, epochs, step, metrics } = record;
  return {
    run,
    kind,
    state,
    file: workspace.shown(file),
    exportName,
    model,
    createdAt,
    epoch,
    epochs,
    step,
    metrics,
  };
}

/** Checkpoints in an answer: the newest ones. */
const MOST_CHECKPOINTS = 50;

function detailsOf(
  directory: string,
  record: RunRecord,
  services: Services,
): v.InferInput<typeof RunDetails> {
  const { seed, endedAt, executor, parameters, settings, best, checkpoints, error } = record;
  return {
    ...summaryOf(record, services),
    seed,
    endedAt,
    device: executor?.version,
    parameters,
    settings,
    best,
    checkpoints: checkpoints.slice(-MOST_CHECKPOINTS).map((one) => ({
      file: services.workspace.shown(checkpointPath(directory, one)),
      kind: one.kind,
      epoch: one.epoch,
      bytes: one.bytes,
    })),
    error: error === undefined ? undefined : { code: error.code, message: error.message, hint: error.hint },
  };
}

async function recorded(
  id: string,
  { workspace, runs }: Services,
): Promise<{ directory: string; record: RunRecord } | undefined> {
  const directory = await workspace.run(id);
  const record = await runs.record(directory);
  return record && { directory, record };
}

/** Details of a run, also before its engine has written anything. */
export async function runDetails(id: string, services: Services): Promise<v.InferInput<typeof RunDetails>> {
  const failure = services.runs.failure(id);
  const record = await recorded(id, services).catch((error: unknown) => {
    // A run that never began has no directory any more, unless it was to be resumed.
    if (failure === undefined) throw error;
    return undefined;
  });
  if (record !== undefined) {
    const details = detailsOf(record.directory, record.record, services);
    return failure === undefined ? details : { ...details, error: failure };
  }
  return {
    run: id,
    kind: "",
    state: failure !== undefined ? "failed" : services.runs.firstState(id),
    file: "",
    exportName: "",
    model: "",
    createdAt: "",
    epoch: 0,
    epochs: 0,
    step: 0,
    metrics: {},
    settings: {},
    checkpoints: [],
    error: failure,
  };
}

export const listRunsTool = (services: Services): Tool =>
  tool({
    name: "list_runs",
    title: "List Runs",
    description: "Lists the trainings and evaluations of the workspace, newest first.",
    effect: "reads",
    input: v.strictObject({ offset: Offset, limit: limit(100, 20) }),
    output: v.object({ runs: v.array(RunSummary), ...Rest }),
    async call({ offset, limit: most }) {
      const all = await listRuns(services.workspace.root);
      const { items, total, next } = pageOf(all, offset, most);
      return { runs: items.map(({ record }) => summaryOf(record, services)), total, next };
    },
  });

export const getRun = (services: Services): Tool =>
  tool({
    name: "get_run",
    title: "Get Run",
    description: "The state of a run: progress, newest metrics, settings, checkpoints, and why it failed.",
    effect: "reads",
    input: v.strictObject({ run: RunId }),
    output: RunDetails,
    call: ({ run }) => runDetails(run, services),
  });

const Started = v.object({ run: v.string(), state: State });

export const train = (services: Services): Tool =>
  tool({
    name: "train",
    title: "Train",
    description:
      "Starts the training of an experiment and answers its run id at once; wait_for_run waits for it. Runs the file's code. Runs take turns; they end with this session and can be resumed. It is checked for probable mistakes while it runs: see get_findings.",
    effect: "runs",
    input: v.strictObject({
      ...Experiment,
      epochs: v.optional(
        v.pipe(
          v.number(),
          v.integer(),
          v.minValue(1),
          v.maxValue(1_000_000),
          v.description("Default: the experiment's"),
        ),
      ),
      hyperparameters: v.pipe(
        v.optional(Hyperparameters),
        v.description(
          "Values of the experiment's sweep, as get_sweep gives them; the others have their defaults",
        ),
      ),
      seed: Seed,
      device: Backend,
      watch: v.pipe(
        v.optional(v.boolean(), true),
        v.description("Checks data, layers and losses; changes no results"),
      ),
    }),
    output: Started,
    async call({ file, exportName, epochs, hyperparameters, seed, device, watch }) {
      const run = await services.runs.start(services.workspace.root, {
        kind: "train",
        file: await services.workspace.model(file),
        exportName,
        device,
        ...(watch ? { watch } : {}),
        ...(epochs === undefined ? {} : { epochs }),
        ...(hyperparameters === undefined ? {} : { hyperparameters }),
        ...(seed === undefined ? {} : { seed }),
      });
      return { run, state: services.runs.firstState(run) };
    },
  });

export const resume = (services: Services): Tool =>
  tool({
    name: "resume_run",
    title: "Resume Run",
    description:
      "Resumes a training that was stopped or has crashed from its last saved state. Runs the file's code. With rollback it goes back to the last sound state with half the learning rate, after a loss that was NaN.",
    effect: "runs",
    input: v.strictObject({
      run: RunId,
      epochs: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1_000_000))),
      rollback: v.optional(v.boolean(), false),
    }),
    output: Started,
    async call({ run, epochs, rollback }) {
      const request = await resumeRequest(await services.workspace.run(run), {
        folder: services.workspace.root,
        ...(epochs === undefined ? {} : { epochs }),
        ...(rollback ? { rollback } : {}),
      });
      // It would send files to a machine that no client may name, and run the program there.
      if (request.on !== undefined)
        throw new EngineError({
          code: "remote",
          message: `Run ${run} is on another machine.`,
          hint: "Resume it on the command line: layerwise train FILE --resume NAME.",
        });
      // A record may come from a stranger: the files that it names are checked like a client's.
      await services.workspace.model(request.file);
      if (request.checkpoint !== undefined) await services.workspace.path(request.checkpoint);
      const id = services.runs.resume({ ...request, watch: true });
      return { run: id, state: services.runs.firstState(id) };
    },
  });

export const waitForRun = (services: Services): Tool =>
  tool({
    name: "wait_for_run",
    title: "Wait for Run",
    description: `Waits until a run has ended, ${LONGEST_WAIT} seconds at most, with progress notifications; then answers its state. Call it again where "ended" is false.`,
    effect: "reads",
    input: v.strictObject({
      run: RunId,
      seconds: WaitSeconds,
    }),
    output: v.object({ ended: v.boolean(), ...RunDetails.entries }),
    async call({ run, seconds }, call) {
      if (services.runs.failure(run) !== undefined)
        return { ended: true, ...(await runDetails(run, services)) };
      const directory = await services.workspace.run(run);
      const ended = await services.runs.wait(directory, seconds, call);
      return { ended, ...(await runDetails(run, services)) };
    },
  });

export const stopRun = (services: Services): Tool =>
  tool({
    name: "stop_run",
    title: "Stop Run",
    description: "Ends a run after its current step. Its model is kept, and it can be resumed.",
    effect: "ends",
    input: v.strictObject({ run: RunId }),
    output: RunDetails,
    async call({ run }) {
      await services.runs.stop(await services.workspace.run(run));
      return runDetails(run, services);
    },
  });

export const readLog = ({ workspace }: Services): Tool =>
  tool({
    name: "read_log",
    title: "Read Log",
    description: "The last lines of a run's log: what its program printed, and the engine's messages.",
    effect: "reads",
    input: v.strictObject({ run: RunId, offset: Offset, limit: limit(200, 50) }),
    output: v.object({ lines: v.array(v.string()), ...Rest }),
    async call({ run, offset, limit: most }) {
      const directory = await workspace.run(run);
      const text = await readTail(directory, LOG_FILE, LOG_BYTES);
      const lines = text.trimEnd().split("\n").toReversed();
      const { items, total, next } = pageOf(lines, offset, most);
      return { lines: items.toReversed().map((line) => line.slice(0, LINE)), total, next };
    },
  });

/** Bytes of a log that are read, from its end; characters of a line. */
const LOG_BYTES = 2 ** 20;
const LINE = 400;
