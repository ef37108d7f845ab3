import { basename, join } from "node:path";
import { rootOfRun } from "../../files/runFiles.ts";
import type { RunRequest } from "../../protocol/engine.ts";
import type { UserError } from "../../protocol/errors.ts";
import type { SweepRecord, TrialRow } from "../../protocol/sweeps/sweep.ts";
import type { EngineOptions } from "../engines/process.ts";
import type { RunProcess } from "../engines/runProcess.ts";
import { toUserError } from "../errors.ts";
import { makeRunDirectory } from "../runs/newRun.ts";
import { spawnRun, type RunHandle } from "../runs/run.ts";
import { runsRoot } from "../runs/runDirectory.ts";
import { continuation } from "./interrupted.ts";
import { trialSeed } from "./samplers.ts";
import type { Search } from "./search.ts";
import type { SweepWriter } from "./sweepDirectory.ts";
import { TrialFollower, type Conclusion } from "./trialFollower.ts";
import { isBetter } from "./trialValues.ts";
import type { Workers } from "./workers.ts";

/** What happens in a sweep. */
export interface SweepEvents {
  started?(trial: TrialRow): void;
  ended?(trial: TrialRow): void;
  log?(trial: TrialRow, level: "info" | "warning" | "error", text: string): void;
}

export interface SweepParts {
  writer: SweepWriter;
  search: Search;
  workers: Workers;
  engine: EngineOptions;
  events?: SweepEvents;
}

/** The file and export of the trials, which the user allowed to run. */
export type SweepSource = Pick<RunRequest, "file" | "exportName">;

const isOver = ({ state }: TrialRow): boolean => state !== "running" && state !== "interrupted";

/** The complete trial with the best value. */
export function bestTrial(
  { mode }: Pick<SweepRecord, "mode">,
  trials: readonly TrialRow[],
): TrialRow | undefined {
  return trials
    .filter(({ state, value }) => state === "complete" && value !== undefined)
    .reduce<TrialRow | undefined>(
      (best, trial) => (best === undefined || isBetter(trial.value!, best.value!, mode) ? trial : best),
      undefined,
    );
}

/** Runs the trials of a sweep, some at a time, until all are done or it is stopped. */
export class Sweep {
  #record: SweepRecord;
  readonly #source: SweepSource;
  readonly #parts: SweepParts;
  readonly #folder: string;
  readonly #trials = new Map<number, TrialRow>();
  /** Trials of before that were interrupted, in order. */
  readonly #unfinished: TrialRow[];
  readonly #running = new Map<number, RunHandle>();
  #next = 0;
  #stopping = false;
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
    this.#stopping = true;
    for (const handle of this.#running.values()) void handle.stop();
  }

  /** Ends all processes at once, for a process that can't wait. */
  killNow(): void {
    this.#stopping = true;
    for (const handle of this.#running.values()) handle.killNow();
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

  /** Writes what a trial is now. */
  #note(trial: TrialRow): void {
    this.#trials.set(trial.number, trial);
    this.#parts.writer.trial(trial);
  }

  async #runTrial(begun: TrialRow): Promise<void> {
    const { search, workers, engine, events = {} } = this.#parts;
    const before =
      begun.run === "" ? undefined : await continuation(this.#directoryOf(begun), this.#record, begun);
    const trial: TrialRow = { ...begun, state: "running" };
    const follower = new TrialFollower(trial, this.#record, {
      report: (epoch, value) => search.report(trial.number, epoch, value),
      prune: () => void this.#running.get(trial.number)?.stop(),
    });
    // Its process said its last word after that of the sweep.
    if (before?.kind === "ended") {
      await follower.readRows(before.directory, before.record);
      await this.#end(follower.conclude(before.record, before.record.error, this.#stopping));
      return;
    }
    const request = before?.request ?? (await this.#newRequest(trial));
    trial.run = basename(request.directory);
    if (this.#stopping) return this.#note({ ...trial, state: "interrupted" });
    this.#note(trial);
    events.started?.(trial);
    const process = await workers.take();
    const handle = this.#spawn(request, trial, follower, process, engine);
    const outcome = await handle.ended;
    this.#running.delete(trial.number);
    if (outcome.process !== undefined) workers.give(outcome.process);
    // Another takes its place while the other trials train.
    else if (!this.#stopping && this.#next < search.size) workers.prepare();
    await follower.settled();
    const { record, error } = outcome;
    if ((record?.step ?? 0) > 0) this.#stepped = true;
    else if (error !== undefined && !this.#stopping) await this.#checkFile();
    await this.#end(follower.conclude(record, error, this.#stopping));
  }

  #spawn(
    request: RunRequest,
    trial: TrialRow,
    follower: TrialFollower,
    process: RunProcess,
    engine: EngineOptions,
  ): RunHandle {
    const { events = {} } = this.#parts;
    const handle = spawnRun(
      request,
      {
        record: (record) => follower.record(record, request),
        metrics: (rows) => follower.metrics(rows),
        log: (level, text) => events.log?.(trial, level, text),
      },
      engine,
      process,
    );
    this.#running.set(trial.number, handle);
    if (this.#stopping) void handle.stop();
    return handle;
  }

  async #end({ trial, fatal }: Conclusion): Promise<void> {
    this.#note(trial);
    if (!isOver(trial)) return;
    await this.#parts.search.tell(trial);
    this.#parts.events?.ended?.(trial);
    if (fatal !== undefined) this.#fail(fatal);
  }

  #directoryOf({ run }: TrialRow): string {
    return join(runsRoot(this.#folder), run);
  }

  async #newRequest({ number, settings }: TrialRow): Promise<RunRequest> {
    const { id, device, epochs, epochsGiven, seed, trialSeed: own, trials } = this.#record;
    const word = basename(this.#source.file).replace(/(\.nn)?\.[cm]?[jt]s$/, "");
    const digits = String(trials - 1).length;
    const name = `${word}-trial-${String(number).padStart(digits, "0")}`;
    return {
      kind: "train",
      ...this.#source,
      directory: await makeRunDirectory(this.#folder, name),
      device,
      outlive: false,
      reuse: true,
      hyperparameters: settings,
      trial: { sweep: id, number },
      ...(epochsGiven ? { epochs } : {}),
      ...(own === undefined ? { seed: trialSeed(seed, number) } : {}),
    };
  }

  /**
   * A trial failed before its first step. If no trial has trained yet, the default settings are tried: when they fail too,
   * the file is broken, and the sweep ends with the reason.
   */
  #checkFile(): Promise<void> {
    if (this.#stepped) return Promise.resolve();
    this.#checking ??= this.#parts.workers
      .describe({ ...this.#source, device: this.#record.device, check: true })
      .then(
        () => void (this.#stepped = true),
        (error: unknown) => this.#fail(toUserError(error)),
      );
    return this.#checking;
  }
}
