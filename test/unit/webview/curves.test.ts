import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { MetricRow } from "../../../extension/protocol/run.ts";
import { chartModel } from "../../../webview/training/chartModel.ts";
import { classMeasures, largestConfusions } from "../../../webview/evaluation/confusion.ts";
import { processorClock } from "../../bounds.ts";
import { bestIndex, Curves, direction, metricName } from "../../../webview/training/curves.ts";
import {
  type Grid,
  GridLine,
  gridOf,
  gridPlaces,
  lowerBound,
  nearest,
} from "../../../webview/training/decimate.ts";
import { PlotData } from "../../../webview/training/plotData.ts";
import { smooth } from "../../../webview/training/smoothing.ts";

const step = (step: number, values: Record<string, number>): MetricRow => ({
  kind: "step",
  step,
  epoch: 1,
  time: step / 10,
  values,
});
const epoch = (epoch: number, at: number, values: Record<string, number>): MetricRow => ({
  kind: "epoch",
  step: at,
  epoch,
  time: at / 10,
  values,
});

test("a training that went back is drawn from there on", () => {
  const curves = new Curves([1, 2, 3].map((at) => step(at, { loss: at })));
  curves.append([
    { kind: "event", step: 1, epoch: 1, time: 1, values: { lr: 0.1 }, text: "Back to step 1.", rollback: 1 },
    step(2, { loss: 9 }),
  ]);
  const { steps } = curves.metrics().find(({ name }) => name === "loss")!;
  expect([steps!.step, steps!.value]).toEqual([
    [1, 2],
    [1, 9],
  ]);
  expect(curves.events.map(({ label }) => label)).toEqual(["lr 0.1"]);
});

describe("smooth", () => {
  test("keeps a constant curve, from the first value on", () => {
    for (const value of smooth([3, 3, 3, 3], 0.9)) expect(value).toBeCloseTo(3, 12);
  });

  test("weighs the past as told", () => {
    const [first, second] = smooth([1, 2], 0.5);
    expect(first).toBe(1);
    // (1 · 0.5 · 0.5 + 2 · 0.5) / (1 - 0.5²)
    expect(second).toBeCloseTo(5 / 3, 12);
  });

  test("keeps values that aren't finite, and continues after them", () => {
    const [, gap, after] = smooth([1, Number.NaN, 1], 0.9);
    expect(gap).toBeNaN();
    expect(after).toBeCloseTo(1, 12);
  });

  test("stays within the values", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1 }),
        fc.double({ min: 0, max: 0.99, noNaN: true }),
        (values, weight) => {
          const low = Math.min(...values) - 1e-6;
          const high = Math.max(...values) + 1e-6;
          for (const value of smooth(values, weight)) expect(value >= low && value <= high).toBe(true);
        },
      ),
    );
  });
});

describe("grid", () => {
  const ascending = (length: number): number[] => Array.from({ length }, (_none, index) => index);
  const columnOf = (x: readonly number[], y: readonly number[], grid: Grid, positive = false) =>
    new GridLine(grid, positive).add(x, y).column;
  const defined = (column: readonly (number | null | undefined)[]): number[] =>
    column.filter((value) => typeof value === "number");

  test("has between so many pieces and twice as many, the same ones for a longer run", () => {
    expect(gridOf({ minimum: 1, maximum: 1000 }, 100)).toEqual({ width: 8, first: 0, pieces: 126 });
    expect(gridOf({ minimum: 1, maximum: 1010 }, 100)).toMatchObject({ width: 8, first: 0 });
    expect(gridPlaces({ width: 8, first: 2, pieces: 2 })).toEqual([18, 22, 26, 30]);
    // A clock too coarse for the steps gives all points one time.
    expect(gridOf({ minimum: 3, maximum: 3 }, 100)).toEqual({ width: 1, first: 3, pieces: 1 });
  });

  test("keeps every extreme value, no further than a piece from its place", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -1e3, max: 1e3, noNaN: true }), { minLength: 50, maxLength: 400 }),
        (values) => {
          const grid = gridOf({ minimum: 0, maximum: values.length - 1 }, 10);
          const column = columnOf(ascending(values.length), values, grid);
          const places = gridPlaces(grid);
          expect(column.length).toBe(places.length);
          expect(Math.max(...defined(column))).toBe(Math.max(...values));
          expect(Math.min(...defined(column))).toBe(Math.min(...values));
          column.forEach((value, i) => {
            if (typeof value !== "number") return;
            const near = values.slice(
              Math.floor(places[i]! - grid.width),
              Math.ceil(places[i]! + grid.width),
            );
            expect(near.length === 0 || near.includes(value) || grid.width < 1).toBe(true);
          });
        },
      ),
    );
  });

  test("points that are added one by one come to the same", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -5, max: 5 }), { minLength: 1, maxLength: 200 }), (values) => {
        const grid = gridOf({ minimum: 0, maximum: 199 }, 20);
        const x = ascending(values.length);
        const line = new GridLine(grid, true);
        for (let length = 1; length <= values.length; length++)
          line.add(x.slice(0, length), values.slice(0, length));
        expect(line.column).toEqual(columnOf(x, values, grid, true));
      }),
    );
  });

  test("what is not finite, or has no place on a logarithmic scale, is a gap", () => {
    const grid = { width: 2, first: 0, pieces: 3 };
    expect(columnOf(ascending(6), [1, Number.NaN, 2, 3, 0, 0], grid, true)).toEqual([
      1,
      null,
      2,
      3,
      null,
      null,
    ]);
  });

  test("a part is shown with each line's neighbours outside of it", () => {
    const dense = { style: "train", label: "", x: ascending(1000), y: ascending(1000) } as const;
    const sparse = { style: "validation", label: "", x: [0, 450, 999], y: [7, 8, 9] } as const;
    const model = {
      name: "loss",
      axis: "step",
      logarithmic: false,
      smoothing: 0,
      lines: [dense, sparse],
      events: [],
    } as const;
    const table = new PlotData().table({ ...model, lines: [...model.lines], events: [] }, 10, {
      minimum: 400,
      maximum: 500,
    });
    const [x, first, second] = table;
    expect(x[0]).toBe(0);
    expect(x.at(-1)).toBe(999);
    expect(defined([...second!])).toEqual([7, 8, 9]);
    expect(Math.min(...defined([...first!]))).toBe(399);
    const few = new PlotData().table({ ...model, lines: [sparse], events: [] }, 10, undefined);
    expect(few).toEqual([
      [0, 450, 999],
      [7, 8, 9],
    ]);
  });
});

test("lowerBound and nearest find their place", () => {
  expect([0, 1, 1.5, 5, 6].map((value) => lowerBound([1, 2, 5], value))).toEqual([0, 0, 1, 2, 3]);
  expect([-9, 1.4, 1.6, 99].map((value) => nearest([1, 2, 5], value))).toEqual([0, 0, 1, 2]);
  expect(nearest([], 1)).toBe(-1);
});

describe("Curves", () => {
  test("groups a metric's training and validation, losses first", () => {
    const curves = new Curves([
      epoch(1, 10, { accuracy: 0.5, val_accuracy: 0.4, loss: 1, val_loss: 1.1 }),
      step(11, { loss: 0.9, gradient_norm: 3 }),
    ]);
    const metrics = curves.metrics();
    expect(metrics.map(({ name }) => name)).toEqual(["loss", "accuracy", "gradient_norm"]);
    expect(metrics[0]?.validation?.value).toEqual([1.1]);
    expect(metrics[0]?.epochs?.value).toEqual([1]);
    expect(metrics[0]?.steps?.value).toEqual([0.9]);
    expect(metrics[1]?.steps).toBeUndefined();
  });

  test("takes a row once, however often it is sent", () => {
    const rows = [step(1, { loss: 3 }), step(2, { loss: 2 })];
    const curves = new Curves(rows);
    curves.append([...rows, step(3, { loss: 1 })]);
    expect(curves.metrics()[0]?.steps?.value).toEqual([3, 2, 1]);
  });

  test("puts steps between whole epochs as soon as it knows how long one is", () => {
    const curves = new Curves([step(5, { loss: 1 }), epoch(1, 10, { loss: 1 })]);
    curves.stepsPerEpoch = 10;
    curves.append([step(15, { loss: 1 })]);
    const [loss] = curves.metrics();
    expect(loss?.steps?.epoch).toEqual([0.5, 1.5]);
    expect(loss?.epochs?.epoch).toEqual([1]);
  });

  test("reads null, which JSON makes of nan, as nan, and says since when", () => {
    const row = JSON.parse(JSON.stringify(step(2, { loss: Number.NaN }))) as MetricRow;
    const curves = new Curves([step(1, { loss: 1 }), row]);
    const steps = curves.metrics()[0]?.steps;
    expect(steps?.latest).toBeNaN();
    expect(steps?.divergedAt()).toBe(1);
  });
});

describe("chartModel", () => {
  const options = { axis: "step", logScale: true, smoothing: 0.6 } as const;

  test("draws steps raw and smoothed, the epochs' means as marks, and validation", () => {
    const rows = Array.from({ length: 20 }, (_none, index) => step(index + 1, { loss: 1 }));
    const curves = new Curves([...rows, epoch(1, 20, { loss: 1, val_loss: 2 })], 20);
    const model = chartModel(curves.metrics()[0]!, options, { metric: "val_loss", epoch: 1 });
    expect(model.lines.map(({ style }) => style)).toEqual(["raw", "train", "mean", "validation"]);
    expect(model.best).toEqual({ x: 20, y: 2 });
    expect(model.logarithmic).toBe(true);
  });

  test("is smoothed from where a training rolled back to", () => {
    const rows = Array.from({ length: 10 }, (_, i) => step(i + 1, { loss: i < 5 ? 1 : Number.NaN }));
    const curves = new Curves(rows, 20);
    const smoothed = (): readonly number[] =>
      chartModel(curves.metrics()[0]!, options).lines.find(({ style }) => style === "train")!.y;
    expect(smoothed().at(-1)).toBeNaN();
    const rollback: MetricRow = {
      kind: "event",
      step: 4,
      epoch: 1,
      time: 2,
      text: "",
      rollback: 4,
      values: {},
    };
    curves.append([rollback, step(5, { loss: 1 }), step(6, { loss: 1 })]);
    expect(smoothed()).toEqual([1, 1, 1, 1, 1, 1].map((value) => expect.closeTo(value, 12)));
    for (let at = 7; at <= 12; at++) curves.append([step(at, { loss: 1 })]);
    expect(smoothed().every(Number.isFinite)).toBe(true);
  });

  test("one step an epoch is one line", () => {
    const rows = [1, 2, 3].flatMap((at) => [step(at, { loss: at }), epoch(at, at, { loss: at })]);
    const model = chartModel(new Curves(rows, 1).metrics()[0]!, options);
    expect(model.lines.map(({ style }) => style)).toEqual(["train"]);
  });

  test("an accuracy has no log scale", () => {
    const curves = new Curves([epoch(1, 1, { accuracy: 0.5 })]);
    expect(chartModel(curves.metrics()[0]!, options).logarithmic).toBe(false);
  });
});

test("the best value depends on the metric's direction", () => {
  expect(metricName("val_loss")).toBe("loss");
  expect(metricName("interval_x")).toBe("interval_x");
  expect([direction("val_loss"), direction("top5_accuracy"), direction("learning_rate")]).toEqual([
    "lower",
    "higher",
    undefined,
  ]);
  expect(bestIndex("loss", [3, Number.NaN, 1, 2])).toBe(2);
  expect(bestIndex("accuracy", [0.1, 0.9, 0.9])).toBe(1);
  expect(bestIndex("learning_rate", [1, 2])).toBeUndefined();
  expect(bestIndex("loss", [Number.NaN])).toBeUndefined();
});

test("the measures and largest confusions of a thousand classes take a moment", () => {
  const size = 1000;
  const confusion = Array.from({ length: size }, (_, i) =>
    Array.from({ length: size }, (_, j) => (i === j ? 10 : (i + 1) % size === j ? i : 0)),
  );
  const taken = processorClock();
  expect(classMeasures(confusion).average.support).toBe(10 * size + (size * (size - 1)) / 2);
  expect(largestConfusions(confusion, 2)).toEqual([
    { actual: 999, predicted: 0, count: 999 },
    { actual: 998, predicted: 999, count: 998 },
  ]);
  expect(taken()).toBeLessThan(1000);
});

test("precision, recall and F1 are those of scikit-learn", () => {
  // classification_report of y_true = [0,0,0,1,1,2], y_pred = [0,0,1,1,1,1]
  const { classes, average } = classMeasures([
    [2, 1, 0],
    [0, 2, 0],
    [0, 1, 0],
  ]);
  expect(classes.map(({ precision }) => precision)).toEqual([1, 0.5, 0]);
  expect(classes.map(({ recall }) => recall)).toEqual([2 / 3, 1, 0]);
  expect(classes.map(({ f1 }) => f1)).toEqual([0.8, 2 / 3, 0]);
  expect(classes.map(({ support }) => support)).toEqual([3, 2, 1]);
  expect(average.precision).toBeCloseTo(0.5, 12);
  expect(average.support).toBe(6);
});
