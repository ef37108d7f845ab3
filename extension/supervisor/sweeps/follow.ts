import { stat } from "node:fs/promises";
import { join } from "node:path";
import { ReadBudget } from "../../files/budget.ts";
import { inLanes } from "../../files/lanes.ts";
import { RECORD_LIMIT, rootOfRun, runPath } from "../../files/runFiles.ts";
import { RUN_FILE, type RunRecord } from "../../protocol/run.ts";
import { SWEEP_FILE, TRIALS_FILE, type TrialRow } from "../../protocol/sweeps/sweep.ts";
import type { ShownTrial, SweepSnapshot } from "../../protocol/sweeps/views.ts";
import { readRecord, runsRoot } from "../runs/runDirectory.ts";
import { importances } from "./importance.ts";
import { bestTrial } from "./sweep.ts";
import { readSweep, type StoredSweep } from "./sweepDirectory.ts";
import { isSweepOwned } from "./sweepLock.ts";

/** Bytes of the records of running trials, at most: there are as many as trials run at a time. */
const RECORDS_AT_ONCE = 64 * 2 ** 20;

/** Follows a sweep on disk, whichever process runs it. */
export class SweepFollower {
  readonly directory: string;
  #stored: (StoredSweep & Pick<SweepSnapshot, "best" | "importances">) | undefined;
  #stamp = "";

  constructor(directory: string) {
    this.directory = directory;
  }

  /** The sweep as it is now. @throws EngineError when it can't be read */
  async look(): Promise<Omit<SweepSnapshot, "stoppable">> {
    // Asked first: a sweep that ends meanwhile has said so in its record.
    const live = await isSweepOwned(this.directory);
    const stamp = await this.#stampNow();
    if (this.#stored === undefined || stamp !== this.#stamp) {
      const stored = await readSweep(this.directory);
      const best = bestTrial(stored.record, stored.trials)?.number;
      this.#stored = {
        ...stored,
        ...(best === undefined ? {} : { best }),
        importances: importances(stored.record.space, stored.trials),
      };
    }
    this.#stamp = stamp;
    const { record: sweep, trials, best, importances: found } = this.#stored;
    return {
      sweep,
      trials: await this.#shown(trials, live),
      ...(best === undefined ? {} : { best }),
      importances: found,
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

  async #shown(trials: readonly TrialRow[], live: boolean): Promise<ShownTrial[]> {
    const isRunning = ({ state, run }: TrialRow): boolean => state === "running" && run !== "";
    // A stranger's sweep may have ten thousand, all of one run.
    const names = live ? [...new Set(trials.filter(isRunning).map(({ run }) => run))] : [];
    const root = runsRoot(rootOfRun(this.directory));
    const budget = new ReadBudget(RECORDS_AT_ONCE);
    const read = async (name: string): Promise<RunRecord | undefined> => {
      const directory = join(root, name);
      if (!(await budget.allows(join(directory, RUN_FILE), RECORD_LIMIT))) return undefined;
      return readRecord(directory).catch(() => undefined);
    };
    const records = new Map(await inLanes(names, async (name) => [name, await read(name)] as const));
    return trials.map((trial) => {
      if (!isRunning(trial)) return trial;
      // Its process was killed with that of the sweep.
      if (!live) return { ...trial, state: "interrupted" };
      return this.#withProgress(trial, records.get(trial.run));
    });
  }

  #withProgress(trial: TrialRow, record: RunRecord | undefined): ShownTrial {
    if (record === undefined) return trial;
    const { epoch, epochs, metrics, objective } = record;
    const metric = this.#stored?.record.metric ?? objective?.metric;
    const value = metric === undefined ? undefined : metrics[metric];
    const shown = value === undefined || !Number.isFinite(value) ? {} : { value };
    return { ...trial, ...(metric === undefined ? {} : { metric }), live: { epoch, epochs, ...shown } };
  }
}
