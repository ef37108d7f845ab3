import { describe, expect, test } from "vitest";
import { Asha } from "../../../../extension/supervisor/sweeps/asha.ts";

const options = { mode: "min", gracePeriod: 1, reductionFactor: 3, maxEpochs: 27 } as const;

/** Reports a trial's values, from epoch 1 on; answers the epoch after which it was pruned. */
function train(asha: Asha, trial: number, values: readonly number[]): number | undefined {
  for (const [i, value] of values.entries()) if (asha.report(trial, i + 1, value).prune) return i + 1;
  return undefined;
}

describe("ASHA", () => {
  test("has rungs at the grace period times powers of the reduction factor, below the last epoch", () => {
    expect(new Asha(options).rungs).toEqual([1, 3, 9]);
    expect(new Asha({ ...options, maxEpochs: 28 }).rungs).toEqual([1, 3, 9, 27]);
    expect(new Asha({ ...options, gracePeriod: 2, reductionFactor: 4, maxEpochs: 100 }).rungs).toEqual([
      2, 8, 32,
    ]);
    expect(new Asha({ ...options, maxEpochs: 1 }).rungs).toEqual([]);
  });

  test("keeps the best third of each rung, or the best alone while there are fewer", () => {
    const asha = new Asha(options);
    const decisions = [0.5, 0.6, 0.4, 0.45, 0.44, 0.43, 0.42].map(
      (value, trial) => asha.report(trial, 1, value).prune,
    );
    // Of six, two stay: 0.4 and 0.43; 0.42 is then among the best two of seven.
    expect(decisions).toEqual([false, true, false, true, true, false, false]);
  });

  test("decides at each rung once, and not between rungs", () => {
    const asha = new Asha(options);
    expect(asha.report(0, 1, 0.1)).toEqual({ prune: false, reached: [1] });
    expect(asha.report(0, 2, 9)).toEqual({ prune: false, reached: [] });
    expect(asha.report(0, 3, 0.1)).toEqual({ prune: false, reached: [3] });
    expect(train(asha, 1, [0.05, 9, 0.2])).toBe(3);
    expect(train(asha, 2, [0.2])).toBe(1);
  });

  test("counts one value for all rungs that a trial has passed since", () => {
    const asha = new Asha(options);
    expect(asha.report(0, 5, 0.3)).toEqual({ prune: false, reached: [1, 3] });
    expect(asha.report(1, 4, 0.4)).toEqual({ prune: true, reached: [1, 3] });
  });

  test("maximizes, keeps equal values, and prunes NaN", () => {
    const asha = new Asha({ ...options, mode: "max" });
    expect(asha.report(0, 1, 0.5).prune).toBe(false);
    expect(asha.report(1, 1, 0.5).prune).toBe(false);
    expect(asha.report(2, 1, 0.4).prune).toBe(true);
    expect(asha.report(3, 1, 0.6).prune).toBe(false);
    expect(asha.report(4, 1, Number.NaN).prune).toBe(true);
  });

  test("decides after an interruption as before", () => {
    const [whole, resumed] = [new Asha(options), new Asha(options)];
    const values = [0.5, 0.6, 0.4, 0.45, 0.44];
    for (const [trial, value] of values.entries()) {
      whole.report(trial, 1, value);
      resumed.restore(trial, 1, value);
    }
    for (const value of [0.43, 0.5, 0.39])
      expect(resumed.report(value * 100, 1, value)).toEqual(whole.report(value * 100, 1, value));
    expect(resumed.report(0, 1, 0.9)).toEqual({ prune: false, reached: [] });
  });

  test("spends most epochs on good settings", () => {
    const asha = new Asha({ ...options, maxEpochs: 81 });
    // The value of a trial's settings is known from the start, and falls in every epoch.
    const quality = (trial: number): number => ((trial * 7919) % 81) / 81;
    const epochs = Array.from({ length: 81 }, (_, trial) => {
      const curve = Array.from({ length: 81 }, (_, i) => quality(trial) + 1 / (i + 1));
      return train(asha, trial, curve) ?? 81;
    });
    const best = epochs.findIndex((_, trial) => quality(trial) === 0);
    expect(epochs[best]).toBe(81);
    expect(epochs.reduce((sum, one) => sum + one, 0)).toBeLessThan((81 * 81) / 5);
  });
});
