import { expect, test, vi } from "vitest";
import { secondsLeft, secondsOf } from "../../../extension/protocol/runs/duration.ts";
import { startingRecord, type Progress } from "../../../extension/protocol/engine.ts";
import type { RunRecord } from "../../../extension/protocol/run.ts";
import { RunSession } from "../../../extension/supervisor/runs/session.ts";
import { defaultUi, elapsed, fromSnapshot, progressAge, setState } from "../../../webview/training/state.ts";

const record: RunRecord = {
  ...startingRecord({
    kind: "train",
    file: "/w/net.nn.ts",
    exportName: "default",
    directory: "/w/.layerwise/runs/one",
    device: "auto",
    outlive: false,
  }),
  state: "running",
  createdAt: "2026-01-01T00:00:00.000Z",
};
const progress: Progress = {
  epoch: 1,
  epochs: 100,
  stepInEpoch: 1,
  stepsPerEpoch: 1,
  samplesPerSecond: 1,
  seconds: 0.5,
  eta: 50,
  metrics: {},
};

test("the time passes in a long step, and not in a pause", () => {
  const now = vi.spyOn(performance, "now").mockReturnValue(0);
  try {
    const session = new RunSession("/w/.layerwise/runs/one", record, true);
    session.setProgress(progress);
    now.mockReturnValue(20_000);
    const state = fromSnapshot(session.snapshot(), defaultUi);
    expect(elapsed(state)).toBeCloseTo(20.5);
    // Steps of half a second and of 20 seconds are not as fast as those of half a second.
    expect(secondsLeft(progress, progressAge(state))).toBeCloseTo(2050);
    setState(state, { ...record, state: "paused" }, true, []);
    now.mockReturnValue(90_000);
    expect(elapsed(state)).toBe(0.5);
    setState(state, record, true, []);
    now.mockReturnValue(91_000);
    expect(elapsed(state)).toBeCloseTo(1.5);
  } finally {
    now.mockRestore();
  }
});

test("the time of a resumed run is that of its sessions, without what lies between", () => {
  const ended = { ...record, state: "stopped" as const, seconds: 20, endedAt: "2026-01-01T00:18:40.000Z" };
  const state = fromSnapshot({ run: ended, live: false, rows: [] }, defaultUi);
  expect(elapsed(state)).toBe(20);
  expect(secondsOf(ended)).toBe(20);
  const { seconds: _, ...old } = ended;
  const row = { kind: "step", step: 1, epoch: 1, time: 19, values: { loss: 1 } } as const;
  expect(elapsed(fromSnapshot({ run: old, live: false, rows: [row] }, defaultUi))).toBe(19);
});

test("the rest is said once the pace means something", () => {
  expect(secondsLeft({ ...progress, seconds: 0 })).toBeUndefined();
  expect(secondsLeft({ ...progress, seconds: 0.2 })).toBeUndefined();
  expect(secondsLeft({ ...progress, seconds: 10 })).toBe(50);
  const { seconds: _, ...evaluation } = progress;
  expect(secondsLeft(evaluation)).toBe(50);
});
