import { describe, expect, test } from "vitest";
import type { SweepRecord } from "../../../extension/protocol/sweeps/sweep.ts";
import type { ShownTrial } from "../../../extension/protocol/sweeps/views.ts";
import { axesOf, isSelected, levelsOf } from "../../../webview/sweep/axes.ts";
import { checkedUi, defaultUi, sortedTrials } from "../../../webview/sweep/state.ts";

const space: SweepRecord["space"] = {
  lr: { kind: "float", low: 1e-4, high: 1e-2, log: true, default: 1e-3 },
  width: { kind: "choice", values: [32, 64, 128], default: 32 },
};

const trial = (number: number, more: Partial<ShownTrial> = {}): ShownTrial => ({
  number,
  state: "complete",
  settings: { lr: 1e-3, width: 64 },
  run: "r",
  startedAt: "2026-01-01T00:00:00.000Z",
  ...more,
});

const snapshot = (trials: ShownTrial[]): Parameters<typeof axesOf>[0] => ({
  sweep: { space } as SweepRecord,
  trials,
  importances: [],
  live: false,
  stoppable: false,
});

describe("a sweep's axes", () => {
  test("place rates by their logarithms, choices by their order, and the metric between its ends", () => {
    const trials = [
      trial(0, { value: 1 }),
      trial(1, { value: 3, settings: { lr: 1e-2, width: 128 } }),
      trial(2),
    ];
    const [lr, width, metric] = axesOf(snapshot(trials), "val_loss");
    expect(trials.map((one) => lr!.position(one))).toEqual([expect.closeTo(0.5), 1, expect.closeTo(0.5)]);
    expect(trials.map((one) => width!.position(one))).toEqual([0.5, 1, 0.5]);
    expect(trials.map((one) => metric!.position(one))).toEqual([0, 1, undefined]);
    expect(lr!.ticks.map(({ label }) => label)).toEqual(["0.0001", "0.001", "0.01"]);
    expect(lr!.ticks.map(({ at }) => at)).toEqual([0, 0.5, 1]);
    expect(width!.ticks.map(({ label }) => label)).toEqual(["32", "64", "128"]);
    expect(metric!.label).toBe("val_loss");
  });

  test("leave out what a changed file doesn't have any more, and take running trials' newest value", () => {
    const odd = trial(0, { settings: { lr: 5, width: 7 }, live: { epoch: 1, epochs: 2, value: 4 } });
    const [lr, width, metric] = axesOf(snapshot([odd]), "loss");
    expect([lr!.position(odd), width!.position(odd), metric!.position(odd)]).toEqual([
      undefined,
      undefined,
      0.5,
    ]);
  });

  test("select trials by ranges of several axes", () => {
    const trials = [
      trial(0, { value: 1 }),
      trial(1, { value: 2, settings: { lr: 1e-4, width: 32 } }),
      trial(2),
    ];
    const axes = axesOf(snapshot(trials), "loss");
    const chosen = (brushes: Parameters<typeof isSelected>[2]): number[] =>
      trials.filter((one) => isSelected(one, axes, brushes)).map(({ number }) => number);
    expect(chosen({})).toEqual([0, 1, 2]);
    expect(chosen({ width: [0.5, 1] })).toEqual([0, 2]);
    expect(chosen({ width: [0.5, 1], "": [0, 1] })).toEqual([0]);
    expect(chosen({ gone: [0, 0.1] })).toEqual([0, 1, 2]);
  });
});

test("ticks of a range are at its ends, also where logarithms round, and whole for integers", () => {
  const ticks = (spec: SweepRecord["space"][string]): object[] =>
    axesOf({ ...snapshot([]), sweep: { space: { x: spec } as object } as SweepRecord }, "loss")[0]!.ticks;
  expect(ticks({ kind: "float", low: 1e-4, high: 1e-1, log: true, default: 0.1 })).toEqual([
    { at: 0, label: "0.0001" },
    { at: 0.5, label: "0.00316" },
    { at: 1, label: "0.1" },
  ]);
  expect(ticks({ kind: "int", low: 1, high: 4, step: 1, log: false, default: 1 })).toEqual([
    { at: 0, label: "1" },
    { at: 2 / 3, label: "3" },
    { at: 1, label: "4" },
  ]);
});

test("levels follow the rank, the best first", () => {
  const trials = Array.from({ length: 10 }, (_, n) => trial(n, { value: n }));
  expect([...levelsOf(trials, "min").values()]).toEqual([0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
  expect(levelsOf(trials, "max").get(9)).toBe(0);
  expect(levelsOf([trial(0)], "min").size).toBe(0);
});

test("trials sort by any column; those without a value come last", () => {
  const trials = [
    trial(0),
    trial(1, { value: 2 }),
    trial(2, { value: 1, settings: { lr: 1e-4, width: 128 } }),
  ];
  const order = (sort: string, descending = false): number[] =>
    sortedTrials(trials, { ...defaultUi, sort, descending }).map(({ number }) => number);
  expect(order("number", true)).toEqual([2, 1, 0]);
  expect(order("value")).toEqual([2, 1, 0]);
  expect(order("value", true)).toEqual([1, 2, 0]);
  expect(order("setting:width", true)).toEqual([2, 0, 1]);
});

test("what another version has saved doesn't break the panel", () => {
  const brushes = { a: [0, 1], b: "x", c: [1], d: null } as never;
  expect(checkedUi({ ...defaultUi, brushes }).brushes).toEqual({ a: [0, 1] });
});
