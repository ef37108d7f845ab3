import { expect, test } from "vitest";
import { sweep } from "../../../../extension/nn/experiment/searchSpace.ts";
import { importances, ranks } from "../../../../extension/supervisor/sweeps/importance.ts";
import type { Settings, TrialRow } from "../../../../extension/protocol/sweeps/sweep.ts";

const trial = (number: number, settings: Settings, value?: number): TrialRow => ({
  number,
  state: "complete",
  settings,
  run: "",
  startedAt: "",
  ...(value === undefined ? {} : { value }),
});

test("shares ranks among equal values", () => {
  expect(ranks([3, 1, 3, 2])).toEqual([3.5, 1, 3.5, 2]);
});

test("is 1 for what decides the metric alone, in any monotonic way, and small for noise", () => {
  const space = {
    lr: sweep.logUniform(1e-4, 1).spec,
    noise: sweep.uniform(0, 1).spec,
    kind: sweep.choice("a", "b").spec,
  };
  const noise = [0.5, 0.1, 0.9, 0.3, 0.6, 0.2, 0.8, 0.4];
  const trials = noise.map((one, i) =>
    trial(i, { lr: 10 ** (i / 2 - 4), noise: one, kind: i < 4 ? "a" : "b" }, -(i ** 3)),
  );
  const [first, second, third] = importances(space, trials);
  expect(first).toEqual({ name: "lr", value: 1 });
  // Ranks 1 to 4 and 5 to 8: 32 of 42 lie between the groups.
  expect(second).toEqual({ name: "kind", value: Math.sqrt(32 / 42) });
  expect(third!.name).toBe("noise");
  expect(third!.value).toBeLessThan(0.3);
});

test("leaves out trials without a value, and says nothing of a few", () => {
  const space = { lr: sweep.uniform(0, 1).spec };
  const few = [1, 2, 3, 4].map((n) => trial(n, { lr: n }, n));
  expect(importances(space, [...few, trial(5, { lr: 5 })])).toEqual([]);
  expect(importances(space, [...few, trial(5, { lr: 5 }, 5)])).toEqual([{ name: "lr", value: 1 }]);
  expect(
    importances(
      space,
      [1, 2, 3, 4, 5].map((n) => trial(n, { lr: 1 }, n)),
    ),
  ).toEqual([{ name: "lr", value: 0 }]);
});
