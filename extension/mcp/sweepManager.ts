import type { Device } from "../protocol/device.ts";
import { EngineError } from "../protocol/errors.ts";
import type { EngineOptions } from "../supervisor/engines/process.ts";
import { openSweep, type OpenSweep } from "../supervisor/sweeps/openSweep.ts";
import type { Plan } from "../supervisor/sweeps/plan.ts";
import { Workers } from "../supervisor/sweeps/workers.ts";

/** Seconds that the plan of a sweep may take: its file's own code runs. */
const LIMIT = 120;

interface Turn {
  readonly workers: Workers;
  readonly opening: Promise<OpenSweep>;
  /** Never rejects. */
  readonly ended: Promise<void>;
}

/** The sweeps of one client's session: one at a time. They end with the session, and can be resumed. */
export class SweepManager {
  readonly #engine: EngineOptions;
  #turn: Turn | undefined;

  constructor(engine: EngineOptions) {
    this.#engine = engine;
  }

  /**
   * Plans a sweep and starts it. Answers its directory, from then on it can be read.
   * @throws EngineError "busy" while another one runs; that of the plan
   */
  async start(
    device: Device,
    plan: (workers: Workers) => Promise<Plan>,
    signal: AbortSignal,
  ): Promise<string> {
    if (this.#turn !== undefined)
      throw new EngineError({
        code: "busy",
        message: "A sweep of this session is running already.",
        hint: "wait_for_sweep waits for it; stop_sweep ends it.",
      });
    const workers = new Workers(this.#engine, device);
    const opening = this.#open(workers, plan, signal);
    const run = async (): Promise<void> => {
      try {
        const { sweep, close } = await opening;
        await sweep.run().finally(close);
      } catch {
        // Its caller gets the reason.
        await workers.dispose();
      } finally {
        this.#turn = undefined;
      }
    };
    const ended = run();
    this.#turn = { workers, opening, ended };
    try {
      return (await opening).directory;
    } catch (error) {
      await ended;
      throw error;
    }
  }

  async #open(
    workers: Workers,
    plan: (workers: Workers) => Promise<Plan>,
    cancelled: AbortSignal,
  ): Promise<OpenSweep> {
    const signal = AbortSignal.any([cancelled, AbortSignal.timeout(1000 * LIMIT)]);
    const end = (): void => void workers.dispose();
    signal.addEventListener("abort", end, { once: true });
    try {
      return await openSweep(await plan(workers), { workers, engine: this.#engine });
    } catch (error) {
      if (!signal.aborted || cancelled.aborted) throw error;
      throw new EngineError({ code: "timeout", message: `The file took more than ${LIMIT} seconds.` });
    } finally {
      signal.removeEventListener("abort", end);
    }
  }

  /**
   * Ends a sweep of this session after the current steps of its trials.
   * @throws EngineError "not-here" if another process runs it
   */
  async stop(directory: string, live: () => Promise<boolean>): Promise<void> {
    const turn = this.#turn;
    const opened = await turn?.opening.catch(() => undefined);
    if (turn !== undefined && opened?.directory === directory) {
      opened.sweep.stop();
      await turn.ended;
    } else if (await live())
      throw new EngineError({
        code: "not-here",
        message: "Another process runs this sweep.",
        hint: "Stop it there: with Ctrl-C in its terminal, or in its panel.",
      });
  }

  async dispose(): Promise<void> {
    const turn = this.#turn;
    if (turn === undefined) return;
    // One that is planned would begin otherwise.
    await turn.workers.dispose();
    const opened = await turn.opening.catch(() => undefined);
    opened?.sweep.stop();
    await turn.ended;
  }
}
