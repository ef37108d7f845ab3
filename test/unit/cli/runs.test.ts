import { expect, test } from "vitest";
import { runRows } from "../../../extension/cli/runs/list.ts";
import type { StoredRun } from "../../../extension/supervisor/runs/runDirectory.ts";

const record = {
  id: "20260131-142501-digits",
  kind: "train",
  state: "finished",
  model: "DigitsCNN",
  exportName: "default",
  epoch: 20,
  epochs: 20,
  metrics: { loss: 0.0311 },
  settings: {},
  checkpoints: [{ kind: "best" }, { kind: "last" }],
  createdAt: "2026-01-31T14:25:01.000Z",
  endedAt: "2026-01-31T14:26:06.000Z",
};

test("runs lists a run in one row below the header", () => {
  const run = { directory: "/runs/20260131-142501-digits", record } as unknown as StoredRun;
  expect(runRows([run])).toEqual([
    ["run", "kind", "state", "model", "epochs", "metrics", "weights"],
    ["20260131-142501-digits", "train", "finished", "DigitsCNN", "20/20", "Loss: 0.0311", "best last"],
  ]);
});
