import { freemem } from "node:os";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Device } from "../../protocol/device.ts";
import type { RunRequest } from "../../protocol/engine.ts";
import type { EngineOptions } from "./process.ts";
import { forkRunProcess, type RunProcess } from "./runProcess.ts";

export interface SpareOptions {
  /** Milliseconds after the last {@link SpareEngine.keep} in which it waits for a run. Default 5 minutes. */
  idle?: number;
  /** Whether the machine can do without what a spare takes. Default: {@link canAfford}. */
  affordable?: () => Promise<boolean>;
}

interface Spare {
  /** How it was started; a run that is to be started otherwise can't have it. */
  readonly key: string;
  readonly process: RunProcess;
}

/**
 * A process of the run engine that has TensorFlow and the library loaded before anybody asks for a run, so that
 * training begins at the click. It knows no file, runs no user code, and ends after some idle time, or with
 * this process.
 */
export class SpareEngine {
  readonly #engine: () => EngineOptions;
  readonly #options: SpareOptions;
  #spare: Spare | undefined;
  /** The key of the spare that is starting. */
  #starting: string | undefined;
  #idle: NodeJS.Timeout | undefined;
  #disposed = false;

  constructor(engine: () => EngineOptions, options: SpareOptions = {}) {
    this.#engine = engine;
    this.#options = options;
  }

  /** Process id of the waiting spare. */
  get pid(): number | undefined {
    return this.#spare?.process.engine.pid;
  }

  /** Prepares a spare for runs on `device` and keeps it for a while. */
  async keep(device: Device): Promise<void> {
    if (this.#disposed) return;
    const options = this.#engine();
    const key = keyOf(options, device);
    if (this.#starting === key) return;
    if (this.#spare?.key === key) return this.#wait();
    await this.drop();
    this.#starting = key;
    // False once it was dropped or replaced.
    const wanted = (): boolean => this.#starting === key && !this.#disposed;
    try {
      if (!(await (this.#options.affordable ?? canAfford)()) || !wanted()) return;
      const process = await forkRunProcess(options);
      if (!wanted()) {
        await process.engine.kill();
        return;
      }
      this.#spare = { key, process };
      this.#starting = undefined;
      void this.#forgetDead(process);
      // A spare that fails to start has ended; the next run reports the reason.
      await process.ready.then(() => process.remote.warmUp(device)).catch(() => undefined);
      this.#wait();
    } finally {
      if (this.#starting === key) this.#starting = undefined;
    }
  }

  async #forgetDead(process: RunProcess): Promise<void> {
    await process.engine.exited;
    if (this.#spare?.process === process) this.#spare = undefined;
  }

  #wait(): void {
    clearTimeout(this.#idle);
    if (this.#spare === undefined) return;
    this.#idle = setTimeout(() => void this.drop(), this.#options.idle ?? 300_000);
    this.#idle.unref();
  }

  /** Hands a matching process over to a run; undefined if none fits. */
  take(request: RunRequest): RunProcess | undefined {
    // The output of a run that outlives this process goes to a file from the start, and a debugger wants to see all.
    if (request.outlive || request.inspect === true) return undefined;
    const spare = this.#spare;
    if (spare === undefined || spare.key !== keyOf(this.#engine(), request.device)) return undefined;
    clearTimeout(this.#idle);
    this.#spare = undefined;
    return spare.process.engine.child.connected ? spare.process : undefined;
  }

  /** Ends it. */
  async drop(): Promise<void> {
    clearTimeout(this.#idle);
    const spare = this.#spare;
    this.#spare = undefined;
    this.#starting = undefined;
    await spare?.process.engine.kill();
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    await this.drop();
  }
}

function keyOf({ dist, env, folders, execPath }: EngineOptions, device: Device): string {
  return JSON.stringify([dist, env, folders, execPath, device]);
}

/** Bytes: twice the memory of a process with TensorFlow. */
const MEMORY = 2 ** 30;
const SUPPLIES = "/sys/class/power_supply";

/** Whether memory is free and, as far as the system reports it, no battery is in use. */
export async function canAfford(): Promise<boolean> {
  if (freemem() < MEMORY) return false;
  const names = await readdir(SUPPLIES).catch((): string[] => []);
  const states = await Promise.all(
    names.map((name) => readFile(join(SUPPLIES, name, "status"), "utf8").catch(() => "")),
  );
  return !states.some((state) => state.trim() === "Discharging");
}
