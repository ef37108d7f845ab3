import { expect, test } from "vitest";
import type { MetricRow } from "../../../extension/protocol/run.ts";
import { Curves } from "../../../webview/training/curves.ts";

const STEPS = 10;

/** Epochs of ten steps in 2 s, of which 0.5 s are validation and 0.25 s saving; the first one takes 9.5 s longer. */
function rows(epochs: number, spent?: MetricRow["spent"]): MetricRow[] {
  return Array.from({ length: epochs }, (_none, i): MetricRow[] => {
    const row = { step: STEPS * (i + 1), epoch: i + 1, values: { loss: 1 } };
    const time = 11.5 + 2 * i;
    return [
      { ...row, kind: "step", time: time - 1 },
      { ...row, kind: "epoch", time, ...(spent ? { spent } : {}) },
    ];
  }).flat();
}

const SPENT = { validation: 0.5, checkpoints: 0.25 };
const timing = (all: readonly MetricRow[], batchSize?: number) => new Curves(all, STEPS, batchSize).timing();

test("there is no timing before the first epoch is over", () => {
  expect(timing(rows(1).slice(0, 1))).toBeUndefined();
});

test("the first epoch counts only while it is the only one, and then the last five", () => {
  expect(timing(rows(1))).toMatchObject({ epochs: 1, secondsPerEpoch: 11.5 });
  expect(timing(rows(3))).toMatchObject({ epochs: 2, secondsPerEpoch: 2 });
  expect(timing(rows(9))).toMatchObject({ epochs: 5, secondsPerEpoch: 2 });
});

test("the speed is that of training alone, in samples if a batch's are known", () => {
  expect(timing(rows(4, SPENT), 32)).toMatchObject({
    shares: { validation: 0.25, checkpoints: 0.125 },
    speed: { value: (32 * STEPS) / 1.25, unit: "samples" },
  });
  expect(timing(rows(4, SPENT))).toMatchObject({ speed: { value: STEPS / 1.25, unit: "steps" } });
});

test("a run that doesn't say what it spent has no shares", () => {
  expect(timing(rows(4))).toMatchObject({ shares: undefined, speed: { value: STEPS / 2, unit: "steps" } });
});

test("left out rows and an epoch that ended early don't change the mean", () => {
  const sampled = rows(9, SPENT).filter(({ epoch }) => epoch % 2 === 1);
  expect(timing(sampled)).toMatchObject({ epochs: 6, secondsPerEpoch: 2, shares: { validation: 0.25 } });
  const early: MetricRow = { kind: "epoch", step: 93, epoch: 10, time: 28, values: {} };
  expect(timing([...rows(9), early])).toMatchObject({ epochs: 5, secondsPerEpoch: 2 });
});

test("rows that are sent again, and epochs that are rolled back, don't count", () => {
  const curves = new Curves(rows(4), STEPS);
  const before = curves.timing();
  curves.append(rows(4).slice(3));
  expect(curves.timing()).toEqual(before);
  const back = {
    kind: "event",
    step: 20,
    epoch: 2,
    time: 20,
    values: {},
    text: "Back.",
    rollback: 20,
  } as const;
  curves.append([back, { kind: "epoch", step: 30, epoch: 3, time: 90, values: {} }]);
  expect(curves.timing()).toMatchObject({ epochs: 1, secondsPerEpoch: 2 });
});
