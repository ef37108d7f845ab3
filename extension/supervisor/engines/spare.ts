import { freemem } from "node:os";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Device, RunRequest } from "../../protocol/engine.ts";
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
  /** The key of one that is being started. */
  #starting: string | undefined;
  #idle: NodeJS.Timeout | undefined;
  #disposed = false;

  constructor(engine: () => EngineOptions, options: SpareOptions = {}) {
    this.#engine = engine;
    this.#options = options;
  }

  /** Of the one that waits. */
  get pid(): number | undefined {
    return this.#spare?.process.engine.pid;
  }

  /** Has one ready for runs on `device` from soon on, and for a while. */
  async keep(device: Device): Promise<void> {
    if (this.#disposed) return;
    const options = this.#engine();
    const key = keyOf(options, device);
    if (this.#starting === key) return;
    if (this.#spare?.key === key) return this.#wait();
    await this.drop();
    this.#starting = key;
    // Dropped or replaced meanwhile, it isn't wanted any more.
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
      // One that doesn't start is gone; the run that would have had it tells why.
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

  /** The process for a run, if there is one that fits. From then on it is the run's. */
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

function keyOf({ dist, env, execPath }: EngineOptions, device: Device): string {
  return JSON.stringify([dist, env, execPath, device]);
}

/** Bytes: what a process with TensorFlow takes, and as much again for everything else. */
const MEMORY = 2 ** 30;
const SUPPLIES = "/sys/class/power_supply";

/** Not while memory is short, and, where that is told by a file, not on a battery. */
export async function canAfford(): Promise<boolean> {
  if (freemem() < MEMORY) return false;
  const names = await readdir(SUPPLIES).catch((): string[] => []);
  const states = await Promise.all(
    names.map((name) => readFile(join(SUPPLIES, name, "status"), "utf8").catch(() => "")),
  );
  return !states.some((state) => state.trim() === "Discharging");
}
