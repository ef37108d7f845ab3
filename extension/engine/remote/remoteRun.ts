import { distFolder } from "../../files/shipped.ts";
import { cacheDirectory } from "../../native/cache.ts";
import type { HeldLock } from "../../processes/lock.ts";
import { controlsBy, type ControlName, type RunControls } from "../../protocol/controls.ts";
import { startingRecord, type RunEngineEvents, type RunRequest } from "../../protocol/engine.ts";
import { EngineError, toUserError, type UserError } from "../../protocol/errors.ts";
import type { RunRecord, RunState } from "../../protocol/run.ts";
import type { Target } from "../../protocol/target.ts";
import { plainText } from "../../protocol/text/plain.ts";
import { connect } from "../../remote/connect.ts";
import { machineOfRun, newPlace, rememberRun } from "../../remote/knownRuns.ts";
import type { Machine } from "../../remote/machine.ts";
import type { Send } from "../host/ipc.ts";
import { LOST_RUN } from "../reporting/ownership.ts";
import { RunDirectory } from "../reporting/runDirectory.ts";
import { recordToResume } from "../resume/trainingFile.ts";
import type { StopReason } from "../training/control.ts";
import { RunConnection } from "./runConnection.ts";
import { Mirror } from "./mirror.ts";
import { startThere } from "./startThere.ts";

export interface RemoteSurroundings {
  send: Send<RunEngineEvents>;
  /** Of the local run directory. */
  lock: HeldLock;
  /** Called after the last event. */
  onEnd: (failed: boolean) => void;
}

/**
 * Presents a run on another machine to its supervisor like a local run: with the same events, controls and files. The run
 * doesn't depend on this process and outlives it.
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
  #connection: RunConnection | undefined;
  #ended = false;
  /** The run is to be stopped as soon as there is a connection. */
  #stopping = false;
  /** This process is to end while the run continues. */
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

  /** Connects to the machine before anything is written: a failed connection leaves no run directory behind. */
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
    const cache = cacheDirectory();
    const known = on?.beside ?? record.on;
    const target = on?.target ?? (known === undefined ? undefined : await machineOfRun(known, cache));
    if (target === undefined)
      throw new EngineError({ code: "internal", message: "internal: no machine was named" });
    this.#target = target;
    this.#say("info", `Connecting to ${target.name} …`);
    this.#machine = await this.#connect(this.#aborted.signal).catch((error: unknown) => {
      throw this.#aborted.signal.aborted ? new EngineError(CANCELLED) : error;
    });
    const place = {
      ...newPlace(record.id, target),
      ...(record.on === undefined ? {} : { run: record.on.run }),
    };
    await rememberRun(place, target, cache);
    this.#directory = new RunDirectory(
      this.#request.directory,
      { ...record, on: place, pid: process.pid },
      (text) => this.#say("warning", text),
    );
  }

  /** Follows the run until it ends or this process leaves it. Never rejects. */
  async execute(): Promise<void> {
    const [target, machine, directory] = [this.#target!, this.#machine!, this.#directory!];
    this.#send("record", directory.record);
    try {
      const there = await startThere(machine, this.#request, directory, {
        dist: this.#dist,
        signal: this.#aborted.signal,
        say: (text) => this.#say("info", text),
      });
      this.#send("arrived");
      this.#mirror = new Mirror(directory, there);
      this.#connection = new RunConnection(machine, this.#mirror, {
        connect: () => this.#connect(),
        run: directory.record.on!.run,
        send: this.#send,
        say: (level, text) => this.#say(level, text),
        resumed: this.#request.resume === true,
      });
      if (this.#leaving) this.#connection.leave();
      else if (this.#stopping) this.#connection.stop();
      await this.#connection.untilEnd();
      const { latest } = this.#mirror;
      if (latest === undefined)
        throw new EngineError({ code: "killed", message: `The run on ${target.name} left no record.` });
      this.#end(this.#mirror.record(latest));
    } catch (error) {
      if (this.#ended) return;
      const attaching = this.#leaving && this.#request.on?.attach === true;
      if (this.#connection?.left === true || attaching) return this.#leave();
      this.#machine?.close();
      this.#connection?.close();
      const cancelled =
        (this.#connection === undefined && this.#aborted.signal.aborted) ||
        (this.#stopping && toUserError(error).code === "job-stopped");
      this.#finish(cancelled ? "stopped" : "failed", cancelled ? undefined : this.#explain(error));
    }
  }

  /** Called when another process has taken over the run. */
  lose(): void {
    this.#directory?.leave();
    this.#connection?.close();
    this.#finish("failed", LOST_RUN);
  }

  failWith(error: unknown): void {
    this.#connection?.close();
    this.#finish("failed", toUserError(error));
  }

  dispose(): void {
    this.#connection?.close();
  }

  #connect(signal?: AbortSignal): Promise<Machine> {
    const { tokens, maxRestarts, openNetwork } = this.#request.on ?? {};
    return connect(this.#target!, { dist: this.#dist, tokens, maxRestarts, openNetwork, signal });
  }

  /** Explains what a failed connection means for the run. */
  #explain(thrown: unknown): UserError {
    const error = toUserError(thrown);
    // The connection may have been lost after the request to start.
    const begun = this.#connection !== undefined ? error.code === "remote-protocol" : error.code === "line";
    if (!begun) return error;
    return {
      ...error,
      hint: `The run may still be running there. "layerwise attach ${this.#directory!.record.id}" tries again.`,
    };
  }

  #stop(reason: StopReason): void {
    // The window was closed, or this machine is shutting down: a run that has started continues.
    const leaves = (reason === "channel" || reason === "signal") && this.#target?.kind !== "hosts";
    if (leaves) this.#leaving = true;
    else this.#stopping = true;
    if (this.#connection !== undefined) return leaves ? this.#connection.leave() : this.#connection.stop();
    // Stopping while attaching stops the run there, once the connection is up.
    if (this.#request.on?.attach !== true) this.#aborted.abort();
    else if (leaves) this.#machine?.close();
  }

  async #control(name: ControlName, args: unknown[]): Promise<unknown> {
    if (name === "stop") return this.#stop("request");
    if (this.#connection === undefined)
      throw new EngineError({ code: "not-running", message: "The run has not started there yet." });
    return name === "checkpoint" ? this.#connection.checkpoint() : this.#connection.control(name, args);
  }

  #say(level: "info" | "warning" | "error", text: string): void {
    this.#send("log", level, plainText(text));
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

  /** Ends this process; the run continues there. */
  #leave(): void {
    if (!this.#ended) this.#end(this.#directory!.record);
  }

  #end(record: RunRecord): void {
    this.#ended = true;
    this.#connection?.close();
    this.#machine?.close();
    this.#directory?.close();
    this.#lock.release();
    this.#send("ended", record);
    setImmediate(() => this.#onEnd(record.state === "failed"));
  }
}

/** The first record of a new run. Its initial weights are a file of this machine. */
function recordOf(request: RunRequest): RunRecord {
  const { checkpoint } = request;
  return { ...startingRecord(request), settings: checkpoint === undefined ? {} : { checkpoint } };
}

const CANCELLED: UserError = { code: "cancelled", message: "Cancelled before the run began." };
