import { describe, expect, test } from "vitest";
import type { MetricRow, RunRecord } from "../../../extension/protocol/run.ts";
import { Watch } from "../../../webview/training/telling/notable.ts";
import { defaultUi, fromSnapshot, type TrainingState } from "../../../webview/training/state.ts";

const RUN: RunRecord = {
  version: 1,
  id: "20260131-142501-digits",
  kind: "train",
  state: "running",
  file: "/net.nn.ts",
  exportName: "default",
  model: "Net",
  createdAt: "2026-01-31T14:25:01.000Z",
  epochs: 10,
  epoch: 0,
  step: 0,
  stepsPerEpoch: 100,
  settings: {},
  metrics: { loss: 0.5 },
  checkpoints: [],
  outlive: false,
};

const shown = (run: Partial<RunRecord> = {}, rows: MetricRow[] = [], live = true): TrainingState =>
  fromSnapshot({ run: { ...RUN, ...run }, rows, live }, defaultUi);

const step = (at: number, values: Record<string, number | null>): MetricRow =>
  ({ kind: "step", step: at, epoch: 1, time: at, values }) as MetricRow;

/** A loss around 1. */
const calm = (from: number, to: number): MetricRow[] =>
  Array.from({ length: to - from + 1 }, (_none, i) =>
    step(from + i, { loss: 1 + 0.05 * Math.sin(from + i) }),
  );

/** The announcements for rows that arrive after a snapshot. */
function told(before: MetricRow[], rows: MetricRow[]) {
  const state = shown({}, before);
  const watch = new Watch(state);
  return rows.flatMap((row) => {
    state.curves.append([row]);
    return watch.rows([row], state.curves);
  });
}

describe("rows", () => {
  test("tell of a spike once, with what was usual before", () => {
    const rows = [...calm(101, 119), step(120, { loss: 6 }), step(121, { loss: 5 }), ...calm(122, 200)];
    expect(told(calm(1, 100), rows)).toEqual([
      {
        kind: "spike",
        text: expect.stringMatching(/^Spike at step 120: loss 6\.0000, (?:0\.9|1\.0)\d+ before\.$/),
      },
    ]);
  });

  test("tell of no spike of a metric of which more is better, or that a snapshot had", () => {
    const accuracy = [...calm(1, 100), step(101, { loss: 1 })].map((row) => ({
      ...row,
      values: { accuracy: row.values["loss"]! + (row.step === 101 ? 9 : 0) },
    }));
    expect(told([], accuracy)).toEqual([]);
    expect(told([...calm(1, 100), step(101, { loss: 6 })], calm(101, 150))).toEqual([]);
  });

  test("tell where a metric stops being finite, also as JSON has it, and again after it was", () => {
    const rows = [
      step(101, { loss: Number.NaN }),
      step(102, { loss: null }),
      step(103, { loss: 1 }),
      step(104, { loss: Infinity }),
      { ...step(104, { loss: null, val_loss: null }), kind: "epoch" as const },
    ];
    expect(told(calm(1, 100), rows)).toEqual([
      { kind: "nonFinite", text: "loss is nan at step 101." },
      { kind: "nonFinite", text: "loss is inf at step 104." },
      { kind: "nonFinite", text: "val_loss is nan at step 104." },
    ]);
  });

  test("tell of events, and look for spikes after a rollback again", () => {
    const event = (at: number, text: string, rollback?: number): MetricRow => ({
      ...step(at, {}),
      kind: "event",
      text,
      ...(rollback === undefined ? {} : { rollback }),
    });
    const rows = [
      event(100, "lr changed by hand from 0.1 to 0.01."),
      event(100, "The loss is NaN. Back to step 60.", 60),
      ...calm(61, 70),
      step(71, { loss: 6 }),
    ];
    expect(told(calm(1, 100), rows).map(({ kind }) => kind)).toEqual(["event", "rollback", "spike"]);
    const again = { ...rows[1]!, time: 200 };
    expect(told(calm(1, 100), [rows[1]!, ...calm(61, 100), again]).map(({ kind }) => kind)).toEqual([
      "rollback",
      "rollback",
    ]);
  });
});

describe("a snapshot of the same run", () => {
  test("tells what came since, once", () => {
    const event = (at: number, text: string): MetricRow => ({ ...step(at, {}), kind: "event", text });
    const before = [...calm(1, 100), step(101, { loss: 6 }), event(101, "Slower from here.")];
    const since = [
      ...calm(102, 149),
      step(150, { loss: 60 }),
      step(151, { loss: Number.NaN }),
      event(151, "Ended after epoch 2."),
    ];
    const watch = new Watch(shown({}, before));
    const later = shown({}, [...before, ...since]);
    expect(
      watch
        .replaced(later.curves)
        .map(({ kind }) => kind)
        .toSorted(),
    ).toEqual(["event", "nonFinite", "spike"]);
    expect(watch.replaced(later.curves)).toEqual([]);
    expect(watch.rows([since.at(-1)!], later.curves)).toEqual([]);
  });
});

describe("states", () => {
  const next = (watch: Watch, run: Partial<RunRecord>, live = true) => watch.state(shown(run, [], live));

  test("tell of ends of epochs, and of twentieths of the run within long ones", () => {
    const watch = new Watch(shown());
    expect(next(watch, {})).toEqual([]);
    expect(next(watch, { step: 40 })).toEqual([]);
    const state = shown({ epochs: 2 });
    const long = new Watch(state);
    const at = (stepInEpoch: number) =>
      long.state({ ...state, progress: { ...PROGRESS, stepInEpoch } }).map(({ text }) => text);
    expect(at(9)).toEqual([]);
    expect(at(31)).toEqual(["15 % done. loss 0.5000"]);
    expect(at(32)).toEqual([]);
    expect(next(watch, { epoch: 1, step: 100 })).toEqual([
      { kind: "progress", text: "Epoch 1 of 10. loss 0.5000" },
    ]);
  });

  test("tell of each other state once: ends, failures and the rest", () => {
    const kinds: [Partial<RunRecord>, boolean, string, string][] = [
      [{ state: "paused" }, true, "state", "Paused"],
      [{ state: "finished" }, true, "end", "Finished"],
      [{ state: "finished" }, false, "end", "Finished"],
      [{ state: "stopped" }, false, "end", "Stopped"],
      [{ state: "failed" }, false, "failure", "Failed"],
      [{ state: "killed" }, false, "failure", "Process ended"],
      [{ state: "running" }, false, "state", "No sign of life"],
    ];
    for (const [run, live, kind, text] of kinds) {
      const watch = new Watch(shown());
      expect(next(watch, run, live)).toEqual([{ kind, text: `${text}. loss 0.5000` }]);
      expect(next(watch, run, live)).toEqual([]);
    }
    const state = shown();
    const watch = new Watch(state);
    expect(watch.state({ ...state, unanswered: true })[0]?.kind).toBe("state");
  });
});

const PROGRESS = {
  epoch: 1,
  epochs: 2,
  stepInEpoch: 0,
  stepsPerEpoch: 100,
  samplesPerSecond: 1,
  eta: 1,
  metrics: {},
};
