import type { Settings, SweepRecord, TrialRow } from "../../protocol/sweeps/sweep.ts";
import { Asha } from "./asha.ts";
import type { OptunaStudy } from "./optuna.ts";
import { gridSettings, gridSize, randomSettings } from "./samplers.ts";

/** Whether a sweep needs Optuna, and so Python. */
export function needsOptuna({ search, pruner }: Pick<SweepRecord, "search" | "pruner">): boolean {
  return search === "tpe" || pruner === "median" || pruner === "hyperband";
}

/** Decides which settings trials have, and which trials end early. */
export class Search {
  readonly #record: SweepRecord;
  readonly #asha: Asha | undefined;
  readonly #study: OptunaStudy | undefined;
  /** Trials of a sweep. */
  readonly size: number;

  /** @param trials those of the sweep so far */
  constructor(record: SweepRecord, trials: readonly TrialRow[], study?: OptunaStudy) {
    this.#record = record;
    this.#study = study;
    const { search, pruner, mode, gracePeriod, reductionFactor, epochs: maxEpochs } = record;
    this.size = search === "grid" ? Math.min(record.trials, gridSize(record.space)) : record.trials;
    if (pruner === "asha") this.#asha = new Asha({ mode, gracePeriod, reductionFactor, maxEpochs });
    for (const { number, state, rungs = {} } of trials) {
      // The values of an interrupted trial are reported again.
      if (state === "running" || state === "interrupted") continue;
      for (const [rung, value] of Object.entries(rungs)) this.#asha?.restore(number, Number(rung), value);
    }
  }

  /** Settings of a new trial. */
  async ask(number: number): Promise<Settings> {
    const { search, space, seed } = this.#record;
    if (search === "tpe" && this.#study !== undefined) return this.#study.ask(number);
    const settings = search === "grid" ? gridSettings(space, number) : randomSettings(space, seed, number);
    await this.#study?.ask(number, settings);
    return settings;
  }

  /**
   * Takes a trial's value after an epoch.
   * @returns whether the trial should end, and the rungs of ASHA that it has reached
   */
  async report(number: number, epoch: number, value: number): Promise<{ prune: boolean; reached: number[] }> {
    if (this.#asha !== undefined) return this.#asha.report(number, epoch, value);
    if (this.#study === undefined || this.#record.pruner === "none") return { prune: false, reached: [] };
    return { prune: await this.#study.report(number, epoch, value), reached: [] };
  }

  /** Takes the end of a trial. */
  async tell(trial: TrialRow): Promise<void> {
    await this.#study?.tell(trial);
  }
}
