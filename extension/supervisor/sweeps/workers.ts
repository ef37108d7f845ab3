import * as v from "valibot";
import type { Device } from "../../protocol/device.ts";
import { EngineError, type UserError } from "../../protocol/errors.ts";
import { ExperimentDescription, type DescribeRequest } from "../../protocol/sweeps/sweep.ts";
import { describeExit, type EngineOptions } from "../engines/process.ts";
import { forkRunProcess, type RunProcess } from "../engines/runProcess.ts";
import { deferred } from "../../processes/deferred.ts";
import { toUserError } from "../errors.ts";

/**
 * Processes of the run engine for the trials of a sweep. Each serves one trial after the other, so that TensorFlow is
 * loaded once a process. A process that ended, such as after a failed trial, is replaced.
 */
export class Workers {
  readonly #engine: EngineOptions;
  readonly #device: Device | undefined;
  readonly #waiting: Promise<RunProcess>[] = [];
  /** Processes that describe an experiment. */
  readonly #describing = new Set<RunProcess>();
  /** Whether a process has ended with its trial: others may do so, too. */
  #lost = false;
  #disposed = false;

  /** @param device that trials compute on; undefined if they do so on another machine */
  constructor(engine: EngineOptions, device: Device | undefined) {
    this.#engine = engine;
    this.#device = device;
  }

  /** Starts processes ahead of their runs. */
  prepare(count = 1): void {
    for (let i = 0; i < count && !this.#disposed; i++) {
      const process = this.#start();
      // The run that takes it reports the reason.
      process.catch(() => undefined);
      this.#waiting.push(process);
    }
  }

  /**
   * Starts a process in place of one that ended with its trial. From the first one on, one more waits: so a trial after such an
   * end need not wait until TensorFlow is loaded.
   */
  replace(): void {
    this.prepare(this.#lost ? 1 : 2);
    this.#lost = true;
  }

  /** A process that waits for a run. @throws EngineError when it can't be started */
  async take(): Promise<RunProcess> {
    for (let waiting = this.#waiting.shift(); waiting !== undefined; waiting = this.#waiting.shift()) {
      const process = await waiting;
      if (process.engine.child.connected) return process;
    }
    return this.#start();
  }

  /** Takes a process back after its run. */
  give(process: RunProcess): void {
    if (this.#disposed) void process.engine.kill();
    else this.#waiting.unshift(Promise.resolve(process));
  }

  async #start(): Promise<RunProcess> {
    const process = await forkRunProcess(this.#engine);
    if (this.#disposed) {
      await process.engine.kill();
      throw new EngineError({ code: "cancelled", message: "The sweep is over." });
    }
    await process.ready;
    // A run says why what it needs can't be loaded.
    if (this.#device !== undefined) await process.remote.warmUp(this.#device).catch(() => undefined);
    return process;
  }

  /**
   * Describes an experiment, in a process that then waits for a run.
   * @throws EngineError of the file
   */
  async describe(request: DescribeRequest): Promise<ExperimentDescription> {
    const process = await this.take();
    const { engine, remote } = process;
    const hung = deferred<UserError>();
    const idle = deferred<true>();
    process.events = { failed: (error) => hung.resolve(error), idle: () => idle.resolve(true) };
    this.#describing.add(process);
    let description: ExperimentDescription;
    try {
      description = await Promise.race([
        remote.describe(request).then((answer) => v.parse(ExperimentDescription, answer)),
        hung.promise.then((error): never => {
          throw new EngineError(error);
        }),
        engine.exited.then((exit): never => {
          throw new EngineError({ code: "killed", message: `The process ended: ${describeExit(exit)}.` });
        }),
      ]);
    } catch (error) {
      await engine.kill();
      throw new EngineError(toUserError(error));
    } finally {
      this.#describing.delete(process);
    }
    // A process whose file has left something running ends.
    const reusable = await Promise.race([idle.promise, engine.exited.then(() => false)]);
    process.events = {};
    if (reusable) this.give(process);
    return description;
  }

  /** Ends the processes that wait, or describe an experiment. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    for (const { engine } of this.#describing) void engine.kill();
    const end = async (waiting: Promise<RunProcess>): Promise<void> => {
      await (await waiting).engine.kill();
    };
    // One that could not be started needs no end.
    await Promise.allSettled(this.#waiting.splice(0).map(end));
  }
}
