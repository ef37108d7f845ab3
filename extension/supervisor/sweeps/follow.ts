import { stat } from "node:fs/promises";
import { join } from "node:path";
import { rootOfRun, runPath } from "../../files/runFiles.ts";
import { SWEEP_FILE, TRIALS_FILE, type TrialRow } from "../../protocol/sweeps/sweep.ts";
import type { ShownTrial, SweepSnapshot } from "../../protocol/sweeps/views.ts";
import { readRecord, runsRoot } from "../runs/runDirectory.ts";
import { importances } from "./importance.ts";
import { bestTrial } from "./sweep.ts";
import { readSweep, type StoredSweep } from "./sweepDirectory.ts";
import { isSweepOwned } from "./sweepLock.ts";

/** Follows a sweep on disk, whoever runs it. */
export class SweepFollower {
  readonly directory: string;
  #stored: StoredSweep | undefined;
  #stamp = "";

  constructor(directory: string) {
    this.directory = directory;
  }

  /** The sweep as it is now. @throws EngineError when it can't be read */
  async look(): Promise<Omit<SweepSnapshot, "stoppable">> {
    // Asked first: a sweep that ends meanwhile has said so in its record.
    const live = await isSweepOwned(this.directory);
    const stamp = await this.#stampNow();
    if (this.#stored === undefined || stamp !== this.#stamp) this.#stored = await readSweep(this.directory);
    this.#stamp = stamp;
    const { record: sweep, trials } = this.#stored;
    const best = bestTrial(sweep, trials)?.number;
    return {
      sweep,
      trials: await Promise.all(trials.map((trial) => this.#shown(trial, live))),
      ...(best === undefined ? {} : { best }),
      importances: importances(sweep.space, trials),
      live,
    };
  }

  /** Files of trials are only read again when they have changed. */
  async #stampNow(): Promise<string> {
    const stamps = [SWEEP_FILE, TRIALS_FILE].map(async (name) => {
      const { size, mtimeMs } = await stat(await runPath(this.directory, name));
      return `${size} ${mtimeMs}`;
    });
    return (await Promise.all(stamps.map((one) => one.catch(() => "")))).join();
  }

  async #shown(trial: TrialRow, live: boolean): Promise<ShownTrial> {
    if (trial.state !== "running" || trial.run === "") return trial;
    // Its process was killed with that of the sweep.
    if (!live) return { ...trial, state: "interrupted" };
    const record = await readRecord(join(runsRoot(rootOfRun(this.directory)), trial.run)).catch(
      () => undefined,
    );
    if (record === undefined) return trial;
    const { epoch, epochs, metrics, objective } = record;
    const metric = this.#stored?.record.metric ?? objective?.metric;
    const value = metric === undefined ? undefined : metrics[metric];
    const shown = value === undefined || !Number.isFinite(value) ? {} : { value };
    return { ...trial, ...(metric === undefined ? {} : { metric }), live: { epoch, epochs, ...shown } };
  }
}
