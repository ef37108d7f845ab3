import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { LoopControl } from "../../../extension/engine/training/control.ts";
import { Means } from "../../../extension/engine/training/means.ts";
import { stepsPerRow } from "../../../extension/engine/reporting/recorder.ts";
import { Reporter } from "../../../extension/engine/reporting/reporter.ts";
import { Speed } from "../../../extension/engine/training/speed.ts";
import type { MetricRow } from "../../../extension/protocol/run.ts";

const row = (step: number): MetricRow => ({ kind: "step", step, epoch: 1, time: 0, values: {} });

describe("rows of the curves", () => {
  const rows = (steps: number, total: number): number[] =>
    Array.from({ length: steps }, (_, i) => i + 1).filter((step) => step % stepsPerRow(step, total) === 0);

  test("a run of known length writes evenly spaced ones, at most 20,000", () => {
    expect(rows(1000, 20_000)).toHaveLength(1000);
    expect(rows(400_000, 400_000)).toEqual(Array.from({ length: 12_500 }, (_, i) => 32 * (i + 1)));
  });

  test("a run of unknown length writes fewer and fewer", () => {
    expect(rows(20_000, 0)).toHaveLength(20_000);
    expect(rows(2_000_000, 0).length).toBeLessThan(110_000);
  });

  test("a run whose end is moved writes them where it did, or every other one", () => {
    for (const total of [20_000, 30_000, 10_000_000])
      for (const more of [1, 5, total]) {
        const before = stepsPerRow(1, total);
        const after = stepsPerRow(1, total + more);
        expect([before, 2 * before]).toContain(after);
      }
  });
});

describe("Reporter", () => {
  const sent: [string, ...unknown[]][] = [];
  let reporter: Reporter;
  beforeEach(() => {
    sent.length = 0;
    reporter = new Reporter((event, ...args) => sent.push([event, ...args]));
    vi.useFakeTimers({ toFake: ["performance"] });
  });
  afterEach(() => vi.useRealTimers());

  test("rows are sent together, ten times a second at most, and of progress only the newest", () => {
    reporter.flush();
    const progress = {
      epoch: 1,
      epochs: 2,
      stepInEpoch: 1,
      stepsPerEpoch: 2,
      samplesPerSecond: 1,
      eta: 1,
      metrics: {},
    };
    for (let step = 1; step <= 100; step++) {
      vi.advanceTimersByTime(5);
      reporter.row(row(step));
      reporter.progress({ ...progress, stepInEpoch: step });
      reporter.flushIfDue();
    }
    reporter.flush();
    const batches = sent.filter(([event]) => event === "metrics").map(([, rows]) => rows as MetricRow[]);
    expect(batches.map((batch) => batch.length)).toEqual([20, 20, 20, 20, 20]);
    expect(batches.flat().map(({ step }) => step)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
    expect(sent.filter(([event]) => event === "progress")).toHaveLength(5);
  });

  test("printed text keeps its order, is joined by level, and doesn't flood", () => {
    reporter.printed("info", "a\n");
    reporter.printed("info", "b\n");
    reporter.printed("warning", "c\n");
    reporter.log("info", "d");
    reporter.flush();
    expect(sent).toEqual([
      ["log", "info", "a\nb"],
      ["log", "warning", "c"],
      ["log", "info", "d"],
    ]);
    sent.length = 0;
    for (let i = 0; i < 1000; i++) reporter.printed("info", `${"x".repeat(999)}\n`);
    reporter.flush();
    expect(sent).toHaveLength(2);
    expect((sent[0]![2] as string).length).toBeLessThanOrEqual(200_000);
    expect(sent[1]).toEqual(["log", "warning", "… (output left out: too much at once)"]);
  });

  test("epochs keep their place among what is printed, as long as that is not too much", () => {
    const epoch = (step: number): MetricRow => ({ ...row(step), kind: "epoch" });
    reporter.row(row(1));
    reporter.printed("info", "a\n");
    reporter.row(row(2));
    reporter.row(epoch(2));
    reporter.printed("info", "b\n");
    reporter.flush();
    expect(sent).toEqual([
      ["metrics", [row(1), row(2)]],
      ["log", "info", "a"],
      ["metrics", [epoch(2)]],
      ["log", "info", "b"],
    ]);
    sent.length = 0;
    for (let step = 1; step <= 500; step++) {
      reporter.printed("info", `${step}\n`);
      reporter.row(epoch(step));
    }
    reporter.flush();
    expect(sent.length).toBeLessThanOrEqual(20);
    const rows = sent.flatMap(([event, value]) => (event === "metrics" ? (value as MetricRow[]) : []));
    expect(rows.map(({ step }) => step)).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
  });

  test("a warning is told once", () => {
    reporter.warnOnce("careful");
    reporter.warnOnce("careful");
    reporter.flush();
    expect(sent).toEqual([["log", "warning", "careful"]]);
  });
});

describe("LoopControl", () => {
  test("stays at a yield while paused, runs tasks there, then resumes", async () => {
    const control = new LoopControl();
    const states: boolean[] = [];
    control.onPause = (paused) => states.push(paused);
    control.pause();
    const through = vi.fn<() => void>();
    const yielded = control.yield().finally(through);
    expect(await control.atNextStep(() => "saved")).toBe("saved");
    expect(through).not.toHaveBeenCalled();
    await expect(
      control.atNextStep(() => {
        throw new Error("full");
      }),
    ).rejects.toThrow("full");
    control.resume();
    await yielded;
    expect(states).toEqual([true, false]);
    expect(control.pausedSeconds).toBeGreaterThan(0);
  });

  test("is shown as running again when it is resumed during a single step", async () => {
    const control = new LoopControl();
    const states: boolean[] = [];
    control.onPause = (paused) => states.push(paused);
    control.pause();
    const first = control.yield();
    await control.atNextStep(() => undefined);
    control.step();
    await first;
    control.resume();
    control.stepDone();
    await control.yield();
    expect(states).toEqual([true, false]);
  });

  test("a stop ends a pause, and the first reason counts", async () => {
    const control = new LoopControl();
    control.pause();
    const yielded = control.yield();
    await control.atNextStep(() => undefined);
    control.stop("signal");
    control.stop("request");
    await yielded;
    expect(control.stopping).toBe("signal");
  });

  test("asks for the event loop by time, not by steps", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    const control = new LoopControl();
    expect(control.due).toBe(false);
    vi.advanceTimersByTime(50);
    expect(control.due).toBe(true);
    await control.yield();
    expect(control.due).toBe(false);
    vi.useRealTimers();
  });
});

test("Means weigh by samples, and restart when taken", () => {
  const means = new Means();
  means.add({ loss: 1, accuracy: 0.5 }, 30);
  means.add({ loss: 5 }, 10);
  expect(means.get()).toEqual({ loss: 2, accuracy: 0.5 });
  expect(means.take()).toEqual({ loss: 2, accuracy: 0.5 });
  expect(means.get()).toEqual({});
});

test("Speed is that of the last seconds; the time left that of the whole run", () => {
  const speed = new Speed(100);
  let last = speed.measure(0, 0, 0);
  // Ten seconds at 100 samples a second, then three at 1000.
  for (let i = 1; i <= 40; i++) last = speed.measure(i / 4, i * 25, i);
  expect(last).toEqual({ samplesPerSecond: 100, eta: 15 });
  for (let i = 1; i <= 13; i++) last = speed.measure(10 + i / 4, 1000 + i * 250, 40 + i);
  expect(last.samplesPerSecond).toBeCloseTo(1000, -1);
  expect(last.eta).toBeCloseTo((13.25 / 53) * 47, 5);
});
