import type { Mode } from "../../protocol/sweeps/sweep.ts";

export interface AshaOptions {
  mode: Mode;
  /** Epochs before the first decision: the lowest rung. */
  gracePeriod: number;
  /** Of each rung's trials, one in so many trains on. */
  reductionFactor: number;
  /** Epochs of a whole trial, which needs no decision. */
  maxEpochs: number;
}

/**
 * Asynchronous successive halving (Li et al., 2018, https://arxiv.org/abs/1810.05934). Rungs are at
 * gracePeriod · reductionFactorᵏ epochs. A trial that reaches a rung trains on if its value is among the best
 * 1 / reductionFactor of those that have reached the rung so far, its own included, or is the best; else it ends.
 * Decisions wait for no other trial. Unlike in the paper, a trial that was ended is never promoted later, as in Ray Tune
 * and Optuna: workers need no paused trials.
 */
export class Asha {
  readonly #options: AshaOptions;
  /** Values by trial, by epoch of the rung. */
  readonly #rungs = new Map<number, Map<number, number>>();

  constructor(options: AshaOptions) {
    this.#options = options;
    const { gracePeriod, reductionFactor, maxEpochs } = options;
    for (let epoch = gracePeriod; epoch < maxEpochs; epoch *= reductionFactor)
      this.#rungs.set(epoch, new Map());
  }

  /** Epochs of the rungs, ascending. */
  get rungs(): number[] {
    return [...this.#rungs.keys()];
  }

  /** Takes the value that a trial had at a rung before. */
  restore(trial: number, rung: number, value: number): void {
    this.#rungs.get(rung)?.set(trial, value);
  }

  /**
   * Takes a trial's value after an epoch. One value counts for every rung that the trial has passed since the last.
   * @returns whether the trial should end, and the rungs that it has reached
   */
  report(trial: number, epoch: number, value: number): { prune: boolean; reached: number[] } {
    const reached: number[] = [];
    let prune = false;
    for (const [rung, values] of this.#rungs) {
      if (epoch < rung || values.has(trial)) continue;
      values.set(trial, value);
      reached.push(rung);
      prune ||= !this.#isPromoted(value, values);
    }
    return { prune, reached };
  }

  #isPromoted(value: number, values: ReadonlyMap<number, number>): boolean {
    const { mode, reductionFactor } = this.#options;
    const sign = mode === "min" ? 1 : -1;
    const sorted = [...values.values()].map((one) => sign * one).sort((a, b) => a - b);
    const kept = Math.max(1, Math.floor(sorted.length / reductionFactor));
    // Not for NaN.
    return sign * value <= sorted[kept - 1]!;
  }
}
