import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import * as v from "valibot";
import { ReadBudget } from "../../files/budget.ts";
import { RECORD_LIMIT } from "../../files/runFiles.ts";
import { EngineError } from "../../protocol/errors.ts";
import { RUN_FILE } from "../../protocol/run.ts";
import {
  MOST_TRIALS,
  Mode,
  SweepState,
  TrialState,
  type Settings,
  type SweepRecord,
  type TrialRow,
} from "../../protocol/sweeps/sweep.ts";
import type { ShownTrial, SweepSnapshot } from "../../protocol/sweeps/views.ts";
import { readRecord, RECORDS_LIMIT } from "../../supervisor/runs/runDirectory.ts";
import { sourceOfRun } from "../../supervisor/runs/sourceFile.ts";
import { SweepFollower } from "../../supervisor/sweeps/follow.ts";
import { newSweep, oldSweep } from "../../supervisor/sweeps/plan.ts";
import { rankedTrials } from "../../supervisor/sweeps/sweep.ts";
import { listSweeps, readSweep, type StoredSweep } from "../../supervisor/sweeps/sweepDirectory.ts";
import { isSweepOwned } from "../../supervisor/sweeps/sweepLock.ts";
import { bounded, pageOf } from "../answers.ts";
import {
  Backend,
  Hyperparameters,
  limit,
  LONGEST_WAIT,
  Num,
  Offset,
  Rest,
  Seed,
  SweepId,
  WaitSeconds,
} from "../schemas.ts";
import type { Services } from "../services.ts";
import { tool, type Tool } from "../tool.ts";
import type { Workspace } from "../workspace.ts";
import { Experiment } from "./files.ts";

/** Trials at a time: each has a process. */
const MOST_PARALLEL = 8;
/** Milliseconds between two looks while a client waits. */
const INTERVAL = 500;
/** Characters of a setting and of an error: a trial may have a hundred settings. */
const SETTING = 100;
const ERROR = 500;

const whole = (least: number, most: number) =>
  v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most));
const optional = <T extends v.GenericSchema>(schema: T, text: string) =>
  v.pipe(v.optional(schema), v.description(text));

const Trials = optional(whole(1, MOST_TRIALS), "Trials to train; default: 20, of a grid all");
const Parallel = optional(whole(1, MOST_PARALLEL), `Trials at a time, ${MOST_PARALLEL} at most; default: 1`);

const Trial = v.object({
  trial: v.number(),
  state: TrialState,
  settings: Hyperparameters,
  /** Empty before it has one. */
  run: v.string(),
  value: v.optional(Num),
  /** Of its best value; of a running trial, the completed ones. */
  epoch: v.optional(v.number()),
  error: v.optional(v.string()),
});

const SweepSummary = v.object({
  sweep: v.string(),
  /** "interrupted": its process was ended. */
  state: v.picklist([...SweepState.options, "interrupted"]),
  file: v.string(),
  exportName: v.string(),
  createdAt: v.string(),
  metric: v.optional(v.string()),
  mode: Mode,
  /** Trials in all, and so far by their state. */
  trials: v.number(),
  counts: v.record(v.string(), v.number()),
  best: v.optional(Trial),
});

const SweepDetails = v.object({
  ...SweepSummary.entries,
  endedAt: v.optional(v.string()),
  search: v.string(),
  pruner: v.string(),
  seed: v.number(),
  parallel: v.number(),
  epochs: v.number(),
  importance: v.array(v.object({ name: v.string(), value: v.number() })),
  error: v.optional(v.object({ code: v.string(), message: v.string(), hint: v.optional(v.string()) })),
});

const shownSettings = (settings: Settings): Settings =>
  Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [
      name,
      typeof value === "string" ? bounded(value, SETTING) : value,
    ]),
  );

function trialOf({
  number,
  state,
  settings,
  run,
  value,
  epoch,
  error,
  live,
}: ShownTrial): v.InferInput<typeof Trial> {
  return {
    trial: number,
    state,
    settings: shownSettings(settings),
    run,
    value: value ?? live?.value,
    epoch: epoch ?? live?.epoch,
    error: error === undefined ? undefined : bounded(error, ERROR),
  };
}

function summaryOf(
  record: SweepRecord,
  trials: readonly TrialRow[],
  { live, workspace }: { live: boolean; workspace: Workspace },
): v.InferInput<typeof SweepSummary> {
  const [best] = rankedTrials(record, trials);
  const counts: Record<string, number> = {};
  for (const { state } of trials) counts[state] = (counts[state] ?? 0) + 1;
  return {
    sweep: record.id,
    state: live ? "running" : record.state === "running" ? "interrupted" : record.state,
    file: workspace.shown(record.file),
    exportName: record.exportName,
    createdAt: record.createdAt,
    metric: record.metric ?? best?.metric,
    mode: record.mode,
    trials: record.trials,
    counts,
    best: best && trialOf(best),
  };
}

type Look = Omit<SweepSnapshot, "stoppable">;

function detailsOf(
  { sweep, trials, importances, live }: Look,
  { workspace }: Services,
): v.InferInput<typeof SweepDetails> {
  const { endedAt, search, pruner, seed, parallel, epochs, error } = sweep;
  return {
    ...summaryOf(sweep, trials, { live, workspace }),
    endedAt: live ? undefined : endedAt,
    search,
    pruner,
    seed,
    parallel,
    epochs,
    importance: importances,
    error:
      live || error === undefined
        ? undefined
        : { code: error.code, message: error.message, hint: error.hint },
  };
}

async function look(id: string, { workspace }: Services): Promise<Look> {
  return new SweepFollower(await workspace.sweep(id)).look();
}

export const startSweep = (services: Services): Tool =>
  tool({
    name: "start_sweep",
    title: "Start Sweep",
    description:
      "Trains an experiment with many settings of the hyperparameters that its `sweep` declares, and finds the best. Answers the sweep's id at once; wait_for_sweep waits for it. Each trial is a run. Runs the file's code. One sweep runs at a time; it ends with this session and can be resumed.",
    effect: "runs",
    input: v.strictObject({
      ...Experiment,
      trials: Trials,
      parallel: Parallel,
      search: optional(v.picklist(["random", "grid"]), "How settings are chosen; default: random"),
      pruner: optional(
        v.picklist(["none", "asha"]),
        "What ends bad trials early: asha is successive halving; default: none",
      ),
      reductionFactor: optional(whole(2, 1000), "Of asha: one in so many trials trains on; default: 4"),
      gracePeriod: optional(whole(1, 10_000), "Of asha: epochs before a trial can be pruned; default: 1"),
      metric: optional(
        v.pipe(v.string(), v.minLength(1), v.maxLength(200)),
        "What to optimize; default: the experiment's objective, else val_loss or loss",
      ),
      mode: optional(Mode, "Whether smaller or larger values are better; default: by the metric"),
      epochs: optional(whole(1, 1_000_000), "Epochs of a trial; default: the experiment's"),
      seed: v.pipe(Seed, v.description("Seed of the search; default: a random one")),
      device: Backend,
    }),
    output: SweepDetails,
    async call({ file, exportName, device, ...choices }, { signal }) {
      const { workspace, sweeps } = services;
      const source = { file: await workspace.model(file), exportName };
      const directory = await sweeps.start(
        device,
        (workers) => newSweep(source, choices, { workers, device, folder: workspace.root }),
        signal,
      );
      return detailsOf(await new SweepFollower(directory).look(), services);
    },
  });

export const resumeSweep = (services: Services): Tool =>
  tool({
    name: "resume_sweep",
    title: "Resume Sweep",
    description:
      "Continues a sweep that was stopped or interrupted: finished trials are kept, interrupted ones resume from their last saved state. With more trials, also a finished one. Runs the file's code.",
    effect: "runs",
    input: v.strictObject({ sweep: SweepId, trials: Trials, parallel: Parallel }),
    output: SweepDetails,
    async call({ sweep, trials, parallel }, { signal }) {
      const { workspace, sweeps } = services;
      const stored = await readSweep(await workspace.sweep(sweep));
      await demandOwn(stored, workspace);
      const { device } = stored.record;
      const folder = workspace.root;
      const choices = { trials, parallel: parallel ?? Math.min(MOST_PARALLEL, stored.record.parallel) };
      const directory = await sweeps.start(
        device,
        (workers) => oldSweep(stored, choices, { workers, device, folder }),
        signal,
      );
      return detailsOf(await new SweepFollower(directory).look(), services);
    },
  });

/**
 * Checks what a sweep's records name like what a client names: they may come from a stranger.
 * @throws EngineError
 */
async function demandOwn({ record, trials }: StoredSweep, workspace: Workspace): Promise<void> {
  const elsewhere = (): never => {
    throw new EngineError({
      code: "remote",
      message: `Sweep ${record.id} has trials on another machine.`,
      hint: "Resume it on the command line: layerwise sweep resume NAME.",
    });
  };
  if (record.on !== undefined) elsewhere();
  await workspace.model(record.file);
  const budget = new ReadBudget(RECORDS_LIMIT);
  for (const { state, run } of trials) {
    if (run === "" || (state !== "running" && state !== "interrupted")) continue;
    const directory = await workspace.run(run).catch(() => undefined);
    if (directory !== undefined && !(await budget.allows(join(directory, RUN_FILE), RECORD_LIMIT)))
      throw new EngineError({
        code: "sweep-record",
        message: `The trials of sweep ${record.id} can't be checked: ${budget.exceeded}.`,
      });
    const found = directory === undefined ? undefined : await readRecord(directory).catch(() => undefined);
    // A trial without a run begins again.
    if (directory === undefined || found === undefined) continue;
    if (found.on !== undefined) elsewhere();
    await workspace.model(await sourceOfRun(directory, found, { folder: workspace.root }));
    const { checkpoint } = found.settings;
    if (typeof checkpoint === "string") await workspace.path(checkpoint);
  }
}

export const getSweep = (services: Services): Tool =>
  tool({
    name: "get_sweep",
    title: "Get Sweep",
    description:
      "The state of a sweep: its trials with their settings and metric, best first, the best settings, and the importance of each parameter (the rank correlation of its values with the metric, from five complete trials on). A trial's run is one that get_run, summarize_curves, evaluate and export_model take.",
    effect: "reads",
    input: v.strictObject({ sweep: SweepId, offset: Offset, limit: limit(200, 20) }),
    output: v.object({ ...SweepDetails.entries, list: v.array(Trial), ...Rest }),
    async call({ sweep, offset, limit: most }) {
      const found = await look(sweep, services);
      const ranked = rankedTrials(found.sweep, found.trials);
      const place = new Map(ranked.map(({ number }, i) => [number, i]));
      const at = ({ number }: ShownTrial): number => place.get(number) ?? ranked.length + number;
      const { items, total, next } = pageOf(
        found.trials.toSorted((a, b) => at(a) - at(b)),
        offset,
        most,
      );
      return { ...detailsOf(found, services), list: items.map(trialOf), total, next };
    },
  });

export const waitForSweep = (services: Services): Tool =>
  tool({
    name: "wait_for_sweep",
    title: "Wait for Sweep",
    description: `Waits until a sweep has ended, ${LONGEST_WAIT} seconds at most, with progress notifications; then answers its state, without the list of trials. Call it again where "ended" is false.`,
    effect: "reads",
    input: v.strictObject({
      sweep: SweepId,
      seconds: WaitSeconds,
    }),
    output: v.object({ ended: v.boolean(), ...SweepDetails.entries }),
    async call({ sweep, seconds }, call) {
      const { signal } = call;
      const follower = new SweepFollower(await services.workspace.sweep(sweep));
      const until = performance.now() + 1000 * seconds;
      for (;;) {
        const found = await follower.look();
        const details = detailsOf(found, services);
        const left = until - performance.now();
        if (!found.live || left <= 0 || signal.aborted) return { ended: !found.live, ...details };
        const { counts, trials, best } = details;
        const { running = 0, interrupted = 0 } = counts;
        const done = found.trials.length - running - interrupted;
        const value = best?.value === undefined ? "" : `, best ${best.value}`;
        call.progress(done, trials, `${done} of ${trials} trials${value}`);
        await pause(Math.min(INTERVAL, left), undefined, { signal }).catch(() => undefined);
      }
    },
  });

export const stopSweep = (services: Services): Tool =>
  tool({
    name: "stop_sweep",
    title: "Stop Sweep",
    description:
      "Ends a sweep of this session after the current steps of its trials. Finished trials are kept, and it can be resumed.",
    effect: "ends",
    input: v.strictObject({ sweep: SweepId }),
    output: SweepDetails,
    async call({ sweep }) {
      const directory = await services.workspace.sweep(sweep);
      await services.sweeps.stop(directory, () => isSweepOwned(directory));
      return detailsOf(await look(sweep, services), services);
    },
  });

export const listSweepsTool = ({ workspace }: Services): Tool =>
  tool({
    name: "list_sweeps",
    title: "List Sweeps",
    description: "Lists the sweeps of the workspace, newest first, each with its best trial.",
    effect: "reads",
    input: v.strictObject({ offset: Offset, limit: limit(50, 10) }),
    output: v.object({ sweeps: v.array(SweepSummary), ...Rest }),
    async call({ offset, limit: most }) {
      const { items, total, next } = pageOf(await listSweeps(workspace.root), offset, most);
      const sweeps: v.InferInput<typeof SweepSummary>[] = [];
      // One at a time: each may be large.
      for (const { directory } of items) {
        const { sweep, trials, live } = await new SweepFollower(directory).look();
        sweeps.push(summaryOf(sweep, trials, { live, workspace }));
      }
      return { sweeps, total, next };
    },
  });
