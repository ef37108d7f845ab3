import { expect, test } from "vitest";
import { WatchCost } from "../../../../extension/engine/findings/watchCost.ts";

interface Costs {
  step: number;
  /** Of a check, and of the step after it. */
  check: (n: number) => number;
  after?: number;
  begin?: number;
  always?: number;
}

/** Trains with a check of each 100th step if it is affordable; answers the checked steps and the share of their time. */
function trained(steps: number, costs: Costs): { checked: number[]; share: number } {
  const { step: usual, check, after = 0, begin = 0, always } = costs;
  let now = 0;
  let watching = begin;
  const cost = new WatchCost(always, () => now);
  cost.once(() => (now += begin));
  const checked: number[] = [];
  const watch = (time: number): void => {
    now += time;
    watching += time;
  };
  for (let step = 1; step <= steps; step++) {
    cost.step(step);
    const due = step % 100 === 0 && cost.affordable;
    if (due) cost.check(step);
    now += usual;
    if (checked.at(-1) === step - 1) watch(after);
    if (!due) continue;
    watch(check(checked.length));
    checked.push(step);
  }
  return { checked, share: watching / (now - watching) };
}

test("checks that cost little are all made", () => {
  const { checked, share } = trained(5000, { step: 1, check: () => 0.5, after: 0.5 });
  expect(checked).toHaveLength(50);
  expect(share).toBeCloseTo(0.01, 3);
});

test("checks that cost more are spaced, evenly, to 1.5 % of the time, with what they cost afterwards", () => {
  const costs = { step: 0.3, check: (n: number) => (n < 2 ? 80 : 5), after: 4, begin: 200 };
  const { checked, share } = trained(200_000, costs);
  expect(share).toBeLessThan(0.016);
  expect(share).toBeGreaterThan(0.012);
  const gaps = checked.slice(20).map((at, i) => at - checked[19 + i]!);
  expect(Math.max(...gaps)).toBeLessThanOrEqual(2 * Math.min(...gaps));
});

test("the first checks are made whatever they cost", () => {
  expect(trained(1000, { step: 1, check: () => 500 }).checked).toEqual([100, 200]);
  expect(trained(1000, { step: 1, check: () => 500, always: 7 }).checked).toHaveLength(7);
});
