import { basename, join } from "node:path";
import { forwardControls, type RunControls } from "../../protocol/controls.ts";
import type {
  EvaluationResult,
  Hello,
  Progress,
  RunEngineMethods,
  RunRequest,
} from "../../protocol/engine.ts";
import { EngineError, type UserError } from "../../protocol/errors.ts";
import { isLive, type MetricRow, type RunRecord } from "../../protocol/run.ts";
import { outlivesFollower } from "../../protocol/target.ts";
import { signalGroup } from "../../processes/signals.ts";
import type { Remote } from "../engines/channel.ts";
import { deferred } from "../../processes/deferred.ts";
import { toUserError } from "../errors.ts";
import {
  describeExit,
  lastLines,
  type EngineOptions,
  type EngineProcess,
  type ExitInfo,
} from "../engines/process.ts";
import { lastCheckpoint, markKilled, readRecord } from "./runDirectory.ts";
import { forkRunProcess, type RunProcess } from "../engines/runProcess.ts";

/** Events of a running run. {@link RunHandle.ended} has its outcome. */
export interface RunEvents {
  hello?(hello: Hello): void;
  record?(record: RunRecord): void;
  metrics?(rows: MetricRow[]): void;
  progress?(progress: Progress): void;
  log?(level: "info" | "warning" | "error", text: string): void;
  evaluated?(result: EvaluationResult): void;
  /** A run on another machine has started there. */
  arrived?(): void;
  /** The run waits for a debugger at this address of the machine. */
  inspecting?(url: string): void;
  /** The output streams of the process, cut at arbitrary places. */
  output?(stream: "stdout" | "stderr", text: string): void;
}

export interface RunOutcome {
  /** The final record, else the one on disk; undefined when the run never wrote one. */
  record: RunRecord | undefined;
  /** Why it failed, was killed or never started; undefined when it finished or was stopped. */
  error: UserError | undefined;
  /** Undefined without a process: cancelled in the queue, or the fork failed; or if the process takes another run. */
  exit: ExitInfo | undefined;
  /** The process, if it takes another run. */
  process?: RunProcess;
}

export interface RunHandle {
  /** The run directory's name. */
  readonly id: string;
  readonly request: RunRequest;
  readonly pid: number | undefined;
  /** Never rejects: every failure is in the outcome. */
  readonly ended: Promise<RunOutcome>;
  readonly control: RunControls;
  /** Ends after the current step with the weights saved; by force when that takes too long. */
  stop(): Promise<RunOutcome>;
  /** Ends the process and its children at once. */
  kill(): Promise<RunOutcome>;
  /** Like {@link kill}, for an exiting process that can't wait. */
  killNow(): void;
  /** Closes the channel, so that this process may end. A run ends then unless it outlives its window. */
  detach(): void;
}

/**
 * Starts a run in a process of its own. The handle's `ended` reports failures to start too.
 * @param spare A process that has already started
 */
export function spawnRun(
  request: RunRequest,
  events: RunEvents,
  options: EngineOptions,
  spare?: RunProcess,
): RunHandle {
  return new SupervisedRun(request, events, options, spare);
}

/** Milliseconds that a run on another machine has to end after `stop`. */
const REMOTE_STOP = 600_000;

class SupervisedRun implements RunHandle {
  readonly id: string;
  readonly request: RunRequest;
  readonly ended: Promise<RunOutcome>;
  readonly control: RunControls = {
    ...forwardControls(() => this.#running()),
    checkpoint: async () => {
      this.#lostSave = true;
      const file = await this.#running().checkpoint();
      this.#lostSave = false;
      return file;
    },
    stop: async () => void (await this.stop()),
  };
  readonly #events: RunEvents;
  readonly #options: EngineOptions;
  readonly #lastWord = deferred<RunRecord>();
  #engine: EngineProcess | undefined;
  #remote: Remote<RunEngineMethods> | undefined;
  #record: RunRecord | undefined;
  /** Whether a requested checkpoint has not been saved, or not yet. */
  #lostSave = false;
  /** Why an attempt to resume failed, which the record doesn't say. */
  #failure: UserError | undefined;
  /** How the run is being ended on purpose, which decides how its end is described. */
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

  async stop(): Promise<RunOutcome> {
    // Without an engine there is nothing to save.
    if (this.#remote === undefined) return this.kill();
    if (this.#ending === undefined) {
      this.#ending = "stop";
      this.#remote.stop().catch(() => undefined);
      const timer = setTimeout(() => {
        this.#ending = "force";
        void this.#engine?.kill();
      }, this.#stopTimeout);
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

  /** A run on another machine is ended there, and its weights have to come here. */
  get #stopTimeout(): number {
    return this.request.on === undefined ? (this.#options.stopTimeout ?? 10_000) : REMOTE_STOP;
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
      ended: (record, error) => {
        this.#failure = error;
        this.#setRecord(record);
        this.#lastWord.resolve(record);
      },
    };
    const idle = deferred<void>();
    process.events.idle = () => idle.resolve();
    let refusal: UserError | undefined;
    const exitTimeout = this.#options.exitTimeout ?? 3000;
    const onDisconnect = (): void => void engine.exit(exitTimeout);
    try {
      const hello = await process.ready;
      this.#events.hello?.(hello);
      if (this.#ending === undefined) {
        this.#remote = remote;
        // The engine may answer at once or at the end of the run; a refusal ends the run.
        remote.start(request).catch((error: unknown) => {
          refusal = toUserError(error);
          if (refusal.code !== "ended") void engine.exit(exitTimeout);
        });
        void this.#lastWord.promise.then(() => endUnless(idle.promise, engine, exitTimeout));
        if (!request.outlive) engine.child.once("disconnect", onDisconnect);
      } else await engine.kill();
    } catch (error) {
      refusal = toUserError(error);
    }
    const exit = await Promise.race([engine.exited, idle.promise.then(() => undefined)]);
    engine.child.off("disconnect", onDisconnect);
    if (exit === undefined) {
      // The process is no longer this run's.
      this.#engine = undefined;
      this.#remote = undefined;
      process.events = {};
      return { record: this.#record, error: this.#failure ?? this.#record?.error, exit, process };
    }
    return this.#outcome(exit, refusal?.code === "ended" ? undefined : refusal);
  }

  #setRecord(record: RunRecord): void {
    this.#record = record;
    this.#events.record?.(record);
  }

  /** The outcome comes from the final record, else the one on disk, else the last one received. */
  async #outcome(exit: ExitInfo, refusal: UserError | undefined): Promise<RunOutcome> {
    const heard = this.#record;
    if (heard !== undefined && !isLive(heard))
      return { record: heard, error: this.#failure ?? heard.error, exit };
    // A process that is being ended may fail in other ways first.
    const error = (this.#ending === undefined ? refusal : undefined) ?? this.#causeOfDeath(exit);
    const { directory } = this.request;
    const stored = await readRecord(directory).catch(() => undefined);
    // Another process owns the run, and its own window reports it.
    if (refusal !== undefined && heard === undefined && this.#ending === undefined)
      return this.#refused(refusal, stored, exit);
    if (stored !== undefined && outlivesFollower(stored.on) && isLive(stored))
      return this.#left(stored, exit);
    if (stored === undefined) {
      const record = heard === undefined ? undefined : killedRecord(heard, error);
      if (record !== undefined) this.#setRecord(record);
      return { record, error, exit };
    }
    const hint = this.#hint(stored, error);
    const child = this.#engine ?? { pid: undefined, token: "" };
    const ended = hint === undefined ? error : { ...error, hint };
    const state = this.#ending === "force" ? "stopped" : "killed";
    const record = await markKilled(directory, child, ended, state).catch(() => killedRecord(stored, error));
    this.#setRecord(record);
    // The record on disk describes the end before a failed attempt to resume.
    const unheard = heard === undefined && this.request.resume === true;
    return { record, error: unheard ? error : record.error, exit };
  }

  /** A run on another machine continues without the process that followed it. */
  #left(record: RunRecord, exit: ExitInfo): RunOutcome {
    this.#setRecord(record);
    const left = exit.code === 0 || this.#ending !== undefined;
    const error = {
      code: "detached",
      message: `The process that followed the run has ended (${describeExit(exit)}); the run continues on ${record.on!.name}.`,
      hint: `layerwise attach ${this.id}`,
    };
    return { record, error: left ? undefined : error, exit };
  }

  /** A run that never began leaves the record on disk unchanged. A record in the way of a new run is another run's. */
  #refused(error: UserError, stored: RunRecord | undefined, exit: ExitInfo): RunOutcome {
    const own = this.request.resume === true && stored !== undefined && !isLive(stored);
    const record = own ? stored : undefined;
    if (record !== undefined) this.#setRecord(record);
    return { record, error, exit };
  }

  #causeOfDeath(exit: ExitInfo): UserError {
    if (this.#ending === "kill") return { code: "killed", message: "The run was ended at once, on request." };
    if (this.#ending === "force") {
      const seconds = this.#stopTimeout / 1000;
      const lost = this.#lostSave ? " The checkpoint that was to be saved after it was not saved." : "";
      const message = `The run was stopped in the middle of a step, which did not end within ${seconds} s.${lost}`;
      return { code: "killed", message };
    }
    const hint = lastLines(exit);
    return {
      code: "killed",
      message: `The run's process ended unexpectedly: ${describeExit(exit)}.`,
      ...(hint === undefined ? {} : { hint }),
    };
  }

  #hint(record: RunRecord, error: UserError): string | undefined {
    const last = lastCheckpoint(record);
    // Before the first epoch is over, its number would be 0.
    const of = last !== undefined && last.epoch > 0 ? `epoch ${last.epoch}` : `step ${last?.step}`;
    const saved = last === undefined ? undefined : `Its last checkpoint is ${last.file}, of ${of}.`;
    const parts = [error.hint, saved].filter((part) => part !== undefined);
    return parts.length === 0 ? undefined : parts.join("\n");
  }
}

/** Ends a process that has sent its last message, unless it takes another run. */
async function endUnless(idle: Promise<void>, engine: EngineProcess, grace: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), grace);
  });
  const first = await Promise.race([idle, late, engine.exited]);
  clearTimeout(timer);
  if (first === "late") await engine.kill();
}

function killedRecord(record: RunRecord, error: UserError): RunRecord {
  return { ...record, state: "killed", endedAt: new Date().toISOString(), error };
}
