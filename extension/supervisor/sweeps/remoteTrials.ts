// Trials of a sweep on another machine. Each is a run there that a process here follows.
import { isLive } from "../../protocol/run.ts";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { deferred, type Deferred } from "../../processes/deferred.ts";
import type { RunRequest } from "../../protocol/engine.ts";
import { EngineError } from "../../protocol/errors.ts";
import { isCut, isOfMachine } from "../../remote/machine.ts";
import type { EngineOptions } from "../engines/process.ts";
import { spawnRun, type RunOutcome } from "../runs/run.ts";
import { demandTrust } from "../trust.ts";

/** Milliseconds before the first attempt to reach a machine again, and at most between later ones. */
const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;

/**
 * How to continue after a machine, not the settings, has ended a trial: retry it, restart it since its state is gone,
 * or end the sweep since the next trial would fail the same way.
 */
export type Remedy = "again" | "restart" | "end";

/** The machine of a sweep, as its trials have found it. */
export class TrialMachine {
  #reached = false;
  #wait = FIRST_WAIT;
  #supplied = false;
  #supplying: Deferred<void> | undefined;

  /** Called when a trial has connected. */
  reached(): void {
    this.#reached = true;
    this.#wait = FIRST_WAIT;
  }

  /** Whether the files that all trials need are there. */
  get supplied(): boolean {
    return this.#supplied;
  }

  /** Called when a trial has started there. */
  supply(): void {
    this.#supplied = true;
    this.#supplying?.resolve();
  }

  /**
   * Waits until a trial may connect: the first one alone, so that the files of all are sent once.
   * @returns a function that ends the turn
   */
  async turn(): Promise<() => void> {
    while (!this.#supplied && this.#supplying !== undefined) await this.#supplying.promise;
    if (this.#supplied) return () => undefined;
    const turn = deferred<void>();
    this.#supplying = turn;
    return () => {
      if (this.#supplying === turn) this.#supplying = undefined;
      turn.resolve();
    };
  }

  /** @returns undefined if the trial itself has ended */
  remedy({ resume = false }: RunRequest, { record, error }: RunOutcome): Remedy | undefined {
    // A request to stop it may not have arrived.
    if (record !== undefined && isLive(record)) return "again";
    if (error === undefined) return undefined;
    if (isCut(error.code)) return this.#reached ? "again" : "end";
    if (error.code === "remote-gone" && resume) return "restart";
    return isOfMachine(error.code) ? "end" : undefined;
  }

  /** Waits before another attempt, longer each time. */
  async pause(signal: AbortSignal): Promise<void> {
    const wait = this.#wait;
    this.#wait = Math.min(2 * wait, LONGEST_WAIT);
    await delay(wait, undefined, { signal }).catch(() => undefined);
  }
}

/**
 * Trains one step on the machine, in a run that isn't kept here, to find a mistake that every trial would repeat.
 * @param request with the default settings
 * @throws EngineError of the file
 */
export async function tryThere(
  request: Omit<RunRequest, "directory">,
  engine: EngineOptions,
  signal: AbortSignal,
): Promise<void> {
  demandTrust();
  const scratch = await mkdtemp(join(tmpdir(), "layerwise-trial-"));
  try {
    let stepped = false;
    const end = (): void => void handle.stop();
    const handle = spawnRun(
      { ...request, directory: join(scratch, "run") },
      {
        metrics: () => {
          stepped = true;
          end();
        },
      },
      engine,
    );
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
    const { error } = await handle.ended;
    signal.removeEventListener("abort", end);
    if (error === undefined || stepped || isOfMachine(error.code)) return;
    throw new EngineError(error);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
