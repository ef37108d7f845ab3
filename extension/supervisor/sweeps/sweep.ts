import { isLive } from "../../protocol/run.ts";
import { basename, join } from "node:path";
import { rootOfRun } from "../../files/runFiles.ts";
import type { RunRequest } from "../../protocol/engine.ts";
import type { UserError } from "../../protocol/errors.ts";
import type { RunOn } from "../../protocol/target.ts";
import type { SweepRecord, TrialRow } from "../../protocol/sweeps/sweep.ts";
import type { EngineOptions } from "../engines/process.ts";
import type { RunProcess } from "../engines/runProcess.ts";
import { toUserError } from "../errors.ts";
import { dropRunDirectory, makeRunDirectory } from "../runs/newRun.ts";
import { spawnRun, type RunHandle, type RunOutcome } from "../runs/run.ts";
import { runsRoot } from "../runs/runDirectory.ts";
import { continuation } from "./interrupted.ts";
import { TrialMachine, tryThere, type Remedy } from "./remoteTrials.ts";
import { trialSeed } from "./samplers.ts";
import type { Search } from "./search.ts";
import type { SweepWriter } from "./sweepDirectory.ts";
import { TrialFollower, type Conclusion } from "./trialFollower.ts";
import type { Workers } from "./workers.ts";

/** Callbacks of a sweep. */
export interface SweepEvents {
  started?(trial: TrialRow): void;
  ended?(trial: TrialRow): void;
  log?(trial: TrialRow, level: "info" | "warning" | "error", text: string): void;
  /** A trial is being sent to another machine. */
  sending?(trial: TrialRow, text: string): void;
}

export interface SweepParts {
  writer: SweepWriter;
  search: Search;
  workers: Workers;
  engine: EngineOptions;
  /** Another machine for the trials. */
  on?: RunOn | undefined;
  events?: SweepEvents;
}

/** The file and export of the trials, which the user allowed to run. */
export type SweepSource = Pick<RunRequest, "file" | "exportName">;

const isOver = ({ state }: TrialRow): boolean => state !== "running" && state !== "interrupted";

/** The complete trials that have a value, best first; of equal ones the earlier first. */
export function rankedTrials(
  { mode }: Pick<SweepRecord, "mode">,
  trials: readonly TrialRow[],
): (TrialRow & { value: number })[] {
  const sign = mode === "min" ? 1 : -1;
  return trials
    .filter((trial): trial is TrialRow & { value: number } => trial.value !== undefined)
    .filter(({ state }) => state === "complete")
    .sort((a, b) => sign * (a.value - b.value) || a.number - b.number);
}

/** The complete trial with the best value. */
export const bestTrial = (
  record: Pick<SweepRecord, "mode">,
  trials: readonly TrialRow[],
): (TrialRow & { value: number }) | undefined => rankedTrials(record, trials)[0];

/** Runs the trials of a sweep, some at a time, until all are done or it is stopped. */
export class Sweep {
  #record: SweepRecord;
  readonly #source: SweepSource;
  readonly #parts: SweepParts;
  readonly #folder: string;
  readonly #trials = new Map<number, TrialRow>();
  /** Earlier trials that were interrupted, in order. */
  readonly #unfinished: TrialRow[];
  readonly #running = new Map<number, RunHandle>();
  /** Epochs at which trials were pruned: a trial that is continued reports its values again, but is judged once. */
  readonly #pruned = new Map<number, number>();
  readonly #machine = new TrialMachine();
  readonly #ending = new AbortController();
  #next = 0;
  /** Why the sweep ends: a mistake that every trial would repeat, or a disk that is full. */
  #failure: UserError | undefined;
  /** Whether a trial has trained a step, so that the file isn't broken. */
  #stepped: boolean;
  #checking: Promise<void> | undefined;

  /** @param trials those of the sweep so far */
  constructor(record: SweepRecord, trials: readonly TrialRow[], source: SweepSource, parts: SweepParts) {
    this.#record = record;
    this.#source = source;
    this.#parts = parts;
    this.#folder = rootOfRun(parts.writer.directory);
    for (const trial of trials) this.#trials.set(trial.number, trial);
    this.#unfinished = trials.filter((trial) => !isOver(trial));
    this.#stepped = trials.some(({ state }) => state === "complete" || state === "pruned");
  }

  get trials(): TrialRow[] {
    return [...this.#trials.values()].sort((a, b) => a.number - b.number);
  }

  /** Runs to the end. Never rejects: a failure is in the record. */
  async run(): Promise<SweepRecord> {
    const { writer, workers } = this.#parts;
    try {
      const { endedAt: _, error: __, ...record } = this.#record;
      this.#record = { ...record, state: "running" };
      await writer.record(this.#record);
      await Promise.all(Array.from({ length: this.#record.parallel }, () => this.#lane()));
    } catch (error) {
      this.#fail(toUserError(error));
    } finally {
      await workers.dispose();
    }
    const whole = this.trials.every(isOver) && this.#trials.size >= this.#parts.search.size;
    const error = this.#failure;
    this.#record = {
      ...this.#record,
      state: error !== undefined ? "failed" : whole ? "finished" : "stopped",
      endedAt: new Date().toISOString(),
      ...(error === undefined ? {} : { error }),
    };
    await writer.record(this.#record).catch((problem: unknown) => this.#fail(toUserError(problem)));
    writer.close();
    return this.#record;
  }

  /** Ends the running trials after their current step, so that they can be resumed, and starts no more. */
  stop(): void {
    this.#ending.abort();
    for (const handle of this.#running.values()) void handle.stop();
  }

  /** Ends all processes at once, for a process that can't wait. */
  killNow(): void {
    this.#ending.abort();
    for (const handle of this.#running.values()) handle.killNow();
  }

  get #stopping(): boolean {
    return this.#ending.signal.aborted;
  }

  #fail(error: UserError): void {
    this.#failure ??= error;
    this.stop();
  }

  /** One trial after the other. */
  async #lane(): Promise<void> {
    try {
      for (;;) {
        const trial = this.#stopping ? undefined : (this.#unfinished.shift() ?? (await this.#ask()));
        if (trial === undefined) return;
        await this.#runTrial(trial);
      }
    } catch (error) {
      this.#fail(toUserError(error));
    }
  }

  async #ask(): Promise<TrialRow | undefined> {
    // Numbers that were never written are free.
    while (this.#trials.has(this.#next)) this.#next++;
    if (this.#next >= this.#parts.search.size) return undefined;
    const number = this.#next++;
    const settings = await this.#parts.search.ask(number);
    const trial: TrialRow = {
      number,
      state: "running",
      settings,
      run: "",
      startedAt: new Date().toISOString(),
    };
    this.#trials.set(number, trial);
    return trial;
  }

  /** Writes a trial's current row. */
  #note(trial: TrialRow): undefined {
    this.#trials.set(trial.number, trial);
    this.#parts.writer.trial(trial);
  }

  async #runTrial(begun: TrialRow): Promise<void> {
    for (let next: TrialRow | undefined = begun; next !== undefined;) next = await this.#attempt(next);
  }

  /** Runs a trial, or continues it. @returns the trial if it has to be tried again */
  async #attempt(begun: TrialRow): Promise<TrialRow | undefined> {
    const { search, on } = this.#parts;
    const before =
      begun.run === "" ? undefined : await continuation(this.#directoryOf(begun), this.#record, begun, on);
    const trial: TrialRow = { ...begun, state: "running" };
    const follower = new TrialFollower(trial, this.#record, {
      report: async (epoch, value) => {
        const { prune, reached } = await search.report(trial.number, epoch, value);
        if (prune) this.#pruned.set(trial.number, epoch);
        return { prune: epoch >= (this.#pruned.get(trial.number) ?? Infinity), reached };
      },
      prune: () => void this.#running.get(trial.number)?.stop(),
    });
    // Its process sent its last message after the sweep had ended.
    if (before?.kind === "ended") {
      await follower.readRows(before.directory, before.record);
      return this.#end(follower.conclude(before.record, before.record.error, this.#stopping));
    }
    const elsewhere = (before === undefined ? on : before.request.on) !== undefined;
    const endTurn = elsewhere ? await this.#machine.turn() : undefined;
    try {
      if (this.#stopping) return this.#note({ ...trial, state: "interrupted" });
      const request = before?.request ?? (await this.#newRequest(trial));
      trial.run = basename(request.directory);
      const outcome = await this.#outcome(request, trial, follower);
      const remedy = elsewhere ? this.#machine.remedy(request, outcome) : undefined;
      if (elsewhere && outcome.record === undefined) await dropRunDirectory(request.directory);
      if (remedy !== undefined) return await this.#recover(remedy, outcome, follower.interrupted());
      const { record, error } = outcome;
      if ((record?.step ?? 0) > 0) this.#stepped = true;
      else if (error !== undefined && !this.#stopping) await this.#checkFile();
      return await this.#end(follower.conclude(record, error, this.#stopping));
    } finally {
      endTurn?.();
    }
  }

  /** Follows the run of a trial to its end. */
  async #outcome(request: RunRequest, trial: TrialRow, follower: TrialFollower): Promise<RunOutcome> {
    const { search, workers, events = {} } = this.#parts;
    this.#note(trial);
    events.started?.(trial);
    const process = await workers.take();
    const outcome = await this.#spawn(request, trial, follower, process).ended;
    this.#running.delete(trial.number);
    if (outcome.process !== undefined) workers.give(outcome.process);
    else if (!this.#stopping && this.#next < search.size) workers.replace();
    await follower.settled();
    return outcome;
  }

  #spawn(request: RunRequest, trial: TrialRow, follower: TrialFollower, process: RunProcess): RunHandle {
    const { engine, events = {} } = this.#parts;
    const handle = spawnRun(
      request,
      {
        record: (record) => {
          if (isLive(record)) this.#machine.reached();
          follower.record(record, request);
        },
        metrics: (rows) => follower.metrics(rows),
        log: (level, text) => {
          events.log?.(trial, level, text);
          if (request.on !== undefined && level === "info" && !this.#machine.supplied)
            events.sending?.(trial, text);
        },
        arrived: () => this.#machine.supply(),
      },
      engine,
      process,
    );
    this.#running.set(trial.number, handle);
    if (this.#stopping) void handle.stop();
    return handle;
  }

  /**
   * Handles the end of a trial that its machine has caused: the trial has not failed.
   * @returns the trial if it is to be tried again
   */
  async #recover(remedy: Remedy, { error }: RunOutcome, trial: TrialRow): Promise<TrialRow | undefined> {
    this.#note(trial);
    if (remedy === "end" && error !== undefined) this.#fail(error);
    if (this.#stopping) return undefined;
    if (error !== undefined)
      this.#parts.events?.log?.(trial, "warning", `${error.message} The trial is tried again …`);
    if (remedy === "restart") return { ...trial, run: "" };
    await this.#machine.pause(this.#ending.signal);
    return this.#stopping ? undefined : trial;
  }

  async #end({ trial, fatal }: Conclusion): Promise<undefined> {
    this.#note(trial);
    if (!isOver(trial)) return undefined;
    await this.#parts.search.tell(trial);
    this.#parts.events?.ended?.(trial);
    if (fatal !== undefined) this.#fail(fatal);
    return undefined;
  }

  #directoryOf({ run }: TrialRow): string {
    return join(runsRoot(this.#folder), run);
  }

  /** Fields of the request that all trials share. */
  get #common(): Omit<RunRequest, "directory"> {
    const { on } = this.#parts;
    const { device } = this.#record;
    return { kind: "train", ...this.#source, device, outlive: false, ...(on === undefined ? {} : { on }) };
  }

  async #newRequest({ number, settings }: TrialRow): Promise<RunRequest> {
    const { id, epochs, epochsGiven, seed, trialSeed: own, trials } = this.#record;
    const word = basename(this.#source.file).replace(/(\.nn)?\.[cm]?[jt]s$/, "");
    const digits = String(trials - 1).length;
    const name = `${word}-trial-${String(number).padStart(digits, "0")}`;
    return {
      ...this.#common,
      directory: await makeRunDirectory(this.#folder, name),
      reuse: true,
      hyperparameters: settings,
      trial: { sweep: id, number },
      ...(epochsGiven ? { epochs } : {}),
      ...(own === undefined ? { seed: trialSeed(seed, number) } : {}),
    };
  }

  /**
   * A trial failed before its first step. If no trial has trained yet, the default settings are tried: when they fail
   * too, the file is broken, and the sweep ends with the reason.
   */
  #checkFile(): Promise<void> {
    if (this.#stepped) return Promise.resolve();
    const { workers, engine, on } = this.#parts;
    this.#checking ??= (
      on === undefined
        ? workers.describe({ ...this.#source, device: this.#record.device, check: true })
        : tryThere(this.#common, engine, this.#ending.signal)
    ).then(
      () => void (this.#stepped = true),
      (error: unknown) => this.#fail(toUserError(error)),
    );
    return this.#checking;
  }
}
