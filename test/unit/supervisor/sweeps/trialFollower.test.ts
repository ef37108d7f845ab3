import { expect, test } from "vitest";
import type { RunRequest } from "../../../../extension/protocol/engine.ts";
import type { MetricRow, RunRecord } from "../../../../extension/protocol/run.ts";
import type { SweepRecord, TrialRow } from "../../../../extension/protocol/sweeps/sweep.ts";
import { TrialFollower } from "../../../../extension/supervisor/sweeps/trialFollower.ts";

const trial: TrialRow = {
  number: 0,
  state: "running",
  settings: {},
  run: "a",
  startedAt: "2026-01-01T00:00:00.000Z",
};
const record = { state: "running", objective: { metric: "val_loss", mode: "min" }, epoch: 2 } as RunRecord;
const row = (epoch: number, value: number): MetricRow => ({
  kind: "epoch",
  step: epoch,
  epoch,
  time: epoch,
  values: { val_loss: value },
});

test("rows that arrive before the metric's name count", async () => {
  const reported: number[] = [];
  const follower = new TrialFollower(trial, { mode: "min" } as SweepRecord, {
    report: (epoch) => {
      reported.push(epoch);
      return Promise.resolve({ prune: false, reached: [] });
    },
    prune: () => undefined,
  });
  follower.metrics([row(1, 0.5)]);
  follower.record(record, { directory: "" } as RunRequest);
  follower.metrics([row(2, 0.75)]);
  await follower.settled();
  expect(reported).toEqual([1, 2]);
  const { trial: done } = follower.conclude({ ...record, state: "finished" }, undefined, false);
  expect(done).toMatchObject({ state: "complete", metric: "val_loss", value: 0.5, epoch: 1 });
});
