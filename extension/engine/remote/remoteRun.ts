import { randomBytes } from "node:crypto";
import { distFolder } from "../../files/shipped.ts";
import type { HeldLock } from "../../processes/lock.ts";
import { controlsBy, type ControlName, type RunControls } from "../../protocol/controls.ts";
import { startingRecord, type RunEngineEvents, type RunRequest } from "../../protocol/engine.ts";
import { EngineError, toUserError, type UserError } from "../../protocol/errors.ts";
import type { RunRecord, RunState } from "../../protocol/run.ts";
import type { RunPlace, Target } from "../../protocol/target.ts";
import { Machine } from "../../remote/machine.ts";
import type { Send } from "../host/ipc.ts";
import { LOST_RUN } from "../reporting/ownership.ts";
import { RunDirectory } from "../reporting/runDirectory.ts";
import { recordToResume } from "../resume/trainingFile.ts";
import type { StopReason } from "../training/control.ts";
import { machineOfRun, rememberRun } from "./knownRuns.ts";
import { Line } from "./line.ts";
import { Mirror } from "./mirror.ts";
import { startThere } from "./startThere.ts";

export interface RemoteSurroundings {
  send: Send<RunEngineEvents>;
  /** Of the run's directory here. */
  lock: HeldLock;
  /** Called after the last word. */
  onEnd: (failed: boolean) => void;
}

/**
 * A run on another machine, as its supervisor sees one that runs here: the same events, controls and files. The run does
 * not depend on this process: when that ends, it continues there.
 */
export class RemoteRun {
  readonly controls: RunControls;
  readonly control = { stop: (reason: StopReason): void => this.#stop(reason) };
  readonly #request: RunRequest;
  readonly #send: Send<RunEngineEvents>;
  readonly #lock: HeldLock;
  readonly #onEnd: (failed: boolean) => void;
  readonly #aborted = new AbortController();
  readonly #dist: string;
  #target: Target | undefined;
  #machine: Machine | undefined;
  #directory: RunDirectory | undefined;
  #mirror: Mirror | undefined;
  #line: Line | undefined;
  #ended = false;
  /** The run there is to end, once there is a line to it. */
  #stopping = false;
  /** This process is to end, and the run there to continue. */
  #leaving = false;

  constructor(request: RunRequest, { send, lock, onEnd }: RemoteSurroundings) {
    this.#request = request;
    this.#send = send;
    this.#lock = lock;
    this.#onEnd = onEnd;
    const dist = distFolder();
    if (dist === undefined)
      throw new EngineError({ code: "internal", message: "internal: runs on other machines need a build" });
    this.#dist = dist;
    this.controls = controlsBy((name, args) => this.#control(name, args));
  }

  /** Connects to the machine. Nothing is written before: a machine that can't be reached leaves no run behind. */
  async open(): Promise<void> {
    const { resume = false, on, inspect } = this.#request;
    if (inspect === true)
      throw new EngineError({
        code: "remote",
        message: "A run on another machine can't be debugged from here.",
      });
    const record = resume ? recordToResume(this.#request) : recordOf(this.#request);
    if (resume && record.on === undefined)
      throw new EngineError({ code: "remote", message: `Run ${record.id} was not on another machine.` });
    const target = on?.target ?? (record.on === undefined ? undefined : await machineOfRun(record.on));
    if (target === undefined)
      throw new EngineError({ code: "internal", message: "internal: no machine was named" });
    this.#target = target;
    this.#say("info", `Connecting to ${target.name} …`);
    this.#machine = await Machine.connect(target, this.#dist, this.#aborted.signal).catch(
      (error: unknown) => {
        throw this.#aborted.signal.aborted ? new EngineError(CANCELLED) : error;
      },
    );
    const place: RunPlace = { name: target.name, run: record.on?.run ?? newName(record.id) };
    await rememberRun(place.run, target);
    this.#directory = new RunDirectory(
      this.#request.directory,
      { ...record, on: place, pid: process.pid },
      (text) => this.#say("warning", text),
    );
  }

  /** Runs to the end, or until this process leaves it. Never rejects. */
  async live(): Promise<void> {
    const [target, machine, directory] = [this.#target!, this.#machine!, this.#directory!];
    this.#send("record", directory.record);
    try {
      const there = await startThere(machine, this.#request, directory, {
        dist: this.#dist,
        signal: this.#aborted.signal,
        say: (text) => this.#say("info", text),
      });
      this.#mirror = new Mirror(directory, there);
      this.#line = new Line(machine, this.#mirror, {
        dist: this.#dist,
        run: directory.record.on!.run,
        send: this.#send,
        say: (level, text) => this.#say(level, text),
        resumed: this.#request.resume === true,
      });
      if (this.#leaving) this.#line.leave();
      else if (this.#stopping) this.#line.stop();
      await this.#line.untilEnd();
      const { latest } = this.#mirror;
      if (latest === undefined)
        throw new EngineError({ code: "killed", message: `The run on ${target.name} left no record.` });
      this.#end(this.#mirror.record(latest));
    } catch (error) {
      if (this.#ended) return;
      const attaching = this.#leaving && this.#request.on?.attach === true;
      if (this.#line?.left === true || attaching) return this.#leave();
      this.#machine?.close();
      this.#line?.close();
      const cancelled = this.#line === undefined && this.#aborted.signal.aborted;
      this.#finish(cancelled ? "stopped" : "failed", cancelled ? undefined : this.#explain(error));
    }
  }

  /** Another process follows the run from here on. */
  lose(): void {
    this.#directory?.leave();
    this.#line?.close();
    this.#finish("failed", LOST_RUN);
  }

  failWith(error: unknown): void {
    this.#line?.close();
    this.#finish("failed", toUserError(error));
  }

  dispose(): void {
    this.#line?.close();
  }

  /** What a failed line means for the run. */
  #explain(thrown: unknown): UserError {
    const error = toUserError(thrown);
    // It may have been cut after the run was told to begin.
    const begun = this.#line !== undefined ? error.code === "remote-protocol" : error.code === "line";
    if (!begun) return error;
    return {
      ...error,
      hint: `The run may still be at work there. "layerwise attach ${this.#directory!.record.id}" tries again.`,
    };
  }

  #stop(reason: StopReason): void {
    // The window is closed, or this machine is shut down: what has begun there continues.
    const leaves = reason === "channel" || reason === "signal";
    if (leaves) this.#leaving = true;
    else this.#stopping = true;
    if (this.#line !== undefined) return leaves ? this.#line.leave() : this.#line.stop();
    // A run that has begun there is to end there, also if it is only now followed again.
    if (this.#request.on?.attach !== true) this.#aborted.abort();
    else if (leaves) this.#machine?.close();
  }

  async #control(name: ControlName, args: unknown[]): Promise<unknown> {
    if (name === "stop") return this.#stop("request");
    if (this.#line === undefined)
      throw new EngineError({ code: "not-running", message: "The run has not begun there." });
    return name === "checkpoint" ? this.#line.checkpoint() : this.#line.control(name, args);
  }

  #say(level: "info" | "warning" | "error", text: string): void {
    this.#send("log", level, text);
  }

  #finish(state: RunState, error?: UserError): void {
    const directory = this.#directory;
    if (this.#ended || directory === undefined) return;
    this.#end(
      directory.update({
        state,
        endedAt: new Date().toISOString(),
        ...(error === undefined ? {} : { error }),
      }),
    );
  }

  /** Ends this process's part; the run continues there. */
  #leave(): void {
    if (!this.#ended) this.#end(this.#directory!.record);
  }

  #end(record: RunRecord): void {
    this.#ended = true;
    this.#line?.close();
    this.#machine?.close();
    this.#directory?.close();
    this.#lock.release();
    this.#send("ended", record);
    setImmediate(() => this.#onEnd(record.state === "failed"));
  }
}

/** The first record of a new run. The weights that it begins with are a file of this machine. */
function recordOf(request: RunRequest): RunRecord {
  const { checkpoint } = request;
  return { ...startingRecord(request), settings: checkpoint === undefined ? {} : { checkpoint } };
}

const CANCELLED: UserError = { code: "cancelled", message: "Cancelled before the run began." };

/** The run's name there: the one here and random digits, since several folders and users may have the same. */
function newName(id: string): string {
  const word = id
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .slice(0, 150)
    .replace(/^-+/, "");
  return `${word || "run"}-${randomBytes(6).toString("hex")}`;
}
