import { basename, join } from "node:path";
import * as v from "valibot";
import type {
  EvaluationResult,
  Hello,
  Progress,
  RunEngineMethods,
  RunRequest,
} from "../../protocol/engine.ts";
import type { UserError } from "../../protocol/errors.ts";
import type { MetricRow, RunRecord } from "../../protocol/run.ts";
import { signalGroup } from "../../processes/signals.ts";
import type { Remote } from "../engines/channel.ts";
import { deferred } from "../deferred.ts";
import { EngineError, toUserError } from "../errors.ts";
import {
  describeExit,
  lastLines,
  type EngineOptions,
  type EngineProcess,
  type ExitInfo,
} from "../engines/process.ts";
import { isLive, lastCheckpoint, markKilled, readRecord } from "./runDirectory.ts";
import { forkRunProcess, type RunProcess } from "../engines/runProcess.ts";

/** What a run tells while it goes on. How it ended is {@link RunHandle.ended}. */
export interface RunEvents {
  hello?(hello: Hello): void;
  record?(record: RunRecord): void;
  metrics?(rows: MetricRow[]): void;
  progress?(progress: Progress): void;
  log?(level: "info" | "warning" | "error", text: string): void;
  evaluated?(result: EvaluationResult): void;
  /** It waits for a debugger at this address of the machine. */
  inspecting?(url: string): void;
  /** What the process wrote to its output streams, cut at arbitrary places. */
  output?(stream: "stdout" | "stderr", text: string): void;
}

export interface RunOutcome {
  /** The last word, or what is on disk; undefined when the run never got so far as to write a record. */
  record: RunRecord | undefined;
  /** Why it failed, was killed or never started; undefined when it finished or was stopped. */
  error: UserError | undefined;
  /** Undefined when there was no process: cancelled in the queue, or the fork failed. */
  exit: ExitInfo | undefined;
}

export interface RunHandle {
  /** The run directory's name. */
  readonly id: string;
  readonly request: RunRequest;
  readonly pid: number | undefined;
  /** Never rejects: whatever happens is in the outcome. */
  readonly ended: Promise<RunOutcome>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** One optimizer step, then a pause. */
  step(): Promise<void>;
  /** So many epochs more; answers how many there are now. */
  addEpochs(count: number): Promise<number>;
  /** Of all optimizers, or of the one of that name. */
  setLearningRate(lr: number, optimizer?: string): Promise<void>;
  /** Saves the weights as they are after the current step; answers the file's path. */
  checkpoint(): Promise<string>;
  counters(): Promise<Record<string, number>>;
  /** Ends after the current step with the weights saved; by force when that takes too long. */
  stop(): Promise<RunOutcome>;
  /** Ends the process and all it started, at once. */
  kill(): Promise<RunOutcome>;
  /** Like {@link kill}, for a process that exits and waits for nothing. */
  killNow(): void;
  /** Closes the channel, so that this process may end. A run that wasn't told to outlive it ends then. */
  detach(): void;
}

/**
 * Starts a run in a process of its own. Failures to start, too, are told by the handle's `ended`.
 * @param spare A process that is there already
 */
export function spawnRun(
  request: RunRequest,
  events: RunEvents,
  options: EngineOptions,
  spare?: RunProcess,
): RunHandle {
  return new Run(request, events, options, spare);
}

class Run implements RunHandle {
  readonly id: string;
  readonly request: RunRequest;
  readonly ended: Promise<RunOutcome>;
  readonly #events: RunEvents;
  readonly #options: EngineOptions;
  readonly #lastWord = deferred<RunRecord>();
  #engine: EngineProcess | undefined;
  #remote: Remote<RunEngineMethods> | undefined;
  #record: RunRecord | undefined;
  /** Set while the run is being ended on purpose; says how to describe its end. */
  #ending: "stop" | "force" | "kill" | undefined;

  constructor(request: RunRequest, events: RunEvents, options: EngineOptions, spare?: RunProcess) {
    this.id = basename(request.directory);
    this.request = request;
    this.#events = events;
    this.#options = options;
    this.ended = this.#live(spare);
  }

  get pid(): number | undefined {
    return this.#engine?.pid;
  }

  async pause(): Promise<void> {
    await this.#running().pause();
  }

  async resume(): Promise<void> {
    await this.#running().resume();
  }

  async step(): Promise<void> {
    await this.#running().step();
  }

  async addEpochs(count: number): Promise<number> {
    return v.parse(v.number(), await this.#running().addEpochs(count));
  }

  async setLearningRate(lr: number, optimizer?: string): Promise<void> {
    await this.#running().setLearningRate(lr, optimizer);
  }

  async checkpoint(): Promise<string> {
    return v.parse(v.string(), await this.#running().checkpoint());
  }

  async counters(): Promise<Record<string, number>> {
    return v.parse(v.record(v.string(), v.number()), await this.#running().counters());
  }

  async stop(): Promise<RunOutcome> {
    // Before the engine is there, nothing is to be saved.
    if (this.#remote === undefined) return this.kill();
    if (this.#ending === undefined) {
      this.#ending = "stop";
      this.#remote.stop().catch(() => undefined);
      const timer = setTimeout(() => {
        this.#ending = "force";
        void this.#engine?.kill();
      }, this.#options.stopTimeout ?? 10_000);
      void this.ended.then(() => clearTimeout(timer));
    }
    return this.ended;
  }

  async kill(): Promise<RunOutcome> {
    this.#ending = "kill";
    await this.#engine?.kill();
    return this.ended;
  }

  killNow(): void {
    if (this.#engine !== undefined) signalGroup(this.#engine.child, "SIGKILL");
  }

  detach(): void {
    const child = this.#engine?.child;
    if (child?.connected === true) child.disconnect();
    child?.unref();
  }

  #running(): Remote<RunEngineMethods> {
    if (this.#remote === undefined || this.#remote.$closed)
      throw new EngineError({ code: "ended", message: `Run ${this.id} is not running.` });
    return this.#remote;
  }

  async #live(spare: RunProcess | undefined): Promise<RunOutcome> {
    const { request } = this;
    let process: RunProcess;
    try {
      const outliveTo = request.outlive ? join(request.directory, "output.txt") : undefined;
      process = spare ?? (await forkRunProcess(this.#options, outliveTo));
    } catch (error) {
      return { record: undefined, error: toUserError(error), exit: undefined };
    }
    const { engine, remote } = process;
    this.#engine = engine;
    process.events = {
      ...this.#events,
      record: (record) => this.#setRecord(record),
      ended: (record) => {
        this.#setRecord(record);
        this.#lastWord.resolve(record);
      },
    };
    let refusal: UserError | undefined;
    try {
      const hello = await process.ready;
      this.#events.hello?.(hello);
      if (this.#ending === undefined) {
        this.#remote = remote;
        const exitTimeout = this.#options.exitTimeout ?? 3000;
        // Whether the engine answers at once or when the run ends is its business; a refusal ends the run.
        const { rowsPerMessage } = this.#options;
        remote
          .start(rowsPerMessage === undefined ? request : { ...request, rowsPerMessage })
          .catch((error: unknown) => {
            refusal = toUserError(error);
            if (refusal.code !== "ended") void engine.exit(exitTimeout);
          });
        void this.#lastWord.promise.then(() => engine.exit(exitTimeout));
        if (!request.outlive) engine.child.once("disconnect", () => void engine.exit(exitTimeout));
      } else await engine.kill();
    } catch (error) {
      refusal = toUserError(error);
    }
    const exit = await engine.exited;
    return this.#outcome(exit, refusal?.code === "ended" ? undefined : refusal);
  }

  #setRecord(record: RunRecord): void {
    this.#record = record;
    this.#events.record?.(record);
  }

  /** The truth is the last word, else what is on disk, else what this process last heard. */
  async #outcome(exit: ExitInfo, refusal: UserError | undefined): Promise<RunOutcome> {
    const heard = this.#record;
    if (heard !== undefined && !isLive(heard)) return { record: heard, error: heard.error, exit };
    // A process that is ended on purpose may fail in other ways first.
    const error = (this.#ending === undefined ? refusal : undefined) ?? this.#causeOfDeath(exit);
    const { directory } = this.request;
    const stored = await readRecord(directory).catch(() => undefined);
    // Refused because another process has the run: whose it is, its own window tells.
    if (refusal !== undefined && heard === undefined && this.#ending === undefined)
      return this.#refused(refusal, stored, exit);
    if (stored === undefined) {
      const record = heard === undefined ? undefined : killedRecord(heard, error);
      if (record !== undefined) this.#setRecord(record);
      return { record, error, exit };
    }
    const hint = this.#hint(stored, error);
    const child = this.#engine ?? { pid: undefined, token: "" };
    const record = await markKilled(directory, child, hint === undefined ? error : { ...error, hint }).catch(
      () => killedRecord(stored, error),
    );
    this.#setRecord(record);
    // Of a run that was to go on and didn't get so far, the disk tells how it ended before.
    const unheard = heard === undefined && this.request.resume === true;
    return { record, error: unheard ? error : record.error, exit };
  }

  /** A run that never began leaves the record on disk unchanged. A new run has none: what is there is another's. */
  #refused(error: UserError, stored: RunRecord | undefined, exit: ExitInfo): RunOutcome {
    const own = this.request.resume === true && stored !== undefined && !isLive(stored);
    const record = own ? stored : undefined;
    if (record !== undefined) this.#setRecord(record);
    return { record, error, exit };
  }

  #causeOfDeath(exit: ExitInfo): UserError {
    if (this.#ending === "kill") return { code: "killed", message: "The run was ended at once, on request." };
    if (this.#ending === "force") {
      const seconds = (this.#options.stopTimeout ?? 10_000) / 1000;
      const message = `The run was ended by force: its current step did not end within ${seconds} s of the stop.`;
      return { code: "killed", message };
    }
    const hint = lastLines(exit);
    return {
      code: "killed",
      message: `The run's process ended without a last word: ${describeExit(exit)}.`,
      ...(hint === undefined ? {} : { hint }),
    };
  }

  #hint(record: RunRecord, error: UserError): string | undefined {
    const last = lastCheckpoint(record);
    const saved =
      last === undefined ? undefined : `Its last checkpoint is ${last.file}, of epoch ${last.epoch}.`;
    const parts = [error.hint, saved].filter((part) => part !== undefined);
    return parts.length === 0 ? undefined : parts.join("\n");
  }
}

function killedRecord(record: RunRecord, error: UserError): RunRecord {
  return { ...record, state: "killed", endedAt: new Date().toISOString(), error };
}
