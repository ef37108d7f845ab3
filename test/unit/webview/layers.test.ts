// A page's view of a training's layers: numbers, colours, pictures.
import { describe, expect, test } from "vitest";
import type { LayerColumns, ShownHistogram } from "../../../extension/protocol/layers/history.ts";
import {
  checksOverTime,
  density,
  placeOf,
  rangeOf,
  ridgeColumns,
} from "../../../webview/shared/layers/drawing.ts";
import { formatValue, LayerHistory, shareOf } from "../../../webview/shared/layers/layerColumns.ts";
import { valuesCsv } from "../../../webview/shared/layers/valuesCsv.ts";

function columns(steps: number[], change: Partial<LayerColumns> = {}): LayerColumns {
  const layer = (path: string, gradNorm: (number | null)[], units: number | null = null) => ({
    path,
    gradNorm,
    updateRatio: gradNorm.map((x) => (x === null ? null : x / 100)),
    meanActivation: gradNorm,
    deadUnits: gradNorm.map(() => (units === null ? null : units / 4)),
    units: gradNorm.map(() => units),
  });
  return {
    generation: 1,
    kept: steps.length,
    from: 0,
    steps,
    epochs: steps.map((step) => Math.ceil(step / 100)),
    layers: [
      layer(
        "block.fc1",
        steps.map(() => 3),
      ),
      layer(
        "block.fc2",
        steps.map((step) => (step === 300 ? null : 4)),
        8,
      ),
    ],
    omitted: 0,
    advice: [],
    ...change,
  };
}

describe("a layer history", () => {
  test("appends columns, and replaces those of another sample", () => {
    const history = new LayerHistory();
    expect(history.add(columns([100, 200], { kept: 1 }))).toBe(true);
    expect(history.known).toEqual({ generation: 1, kept: 1 });
    const next = columns([200, 300]);
    expect(history.add({ ...next, from: 1, kept: 3 })).toBe(true);
    expect(history.steps).toEqual([100, 200, 300]);
    expect(history.value("block.fc2", "gradNorm", 1)).toBe(4);
    expect(history.value("block.fc2", "gradNorm", 2)).toBeUndefined();
    expect(history.add({ ...columns([]), from: 3, kept: 3 })).toBe(false);
    history.add(columns([100, 300], { generation: 2 }));
    expect(history.steps).toEqual([100, 300]);
  });

  test("finds the check of a step, and follows the end", () => {
    const history = new LayerHistory();
    history.add(columns([100, 200, 400]));
    expect([undefined, 50, 100, 399, 400, 1e9].map((step) => history.columnAt(step))).toEqual([
      2, 0, 0, 1, 2, 2,
    ]);
  });

  test("combines a module's layers by the rule of each measure", () => {
    const history = new LayerHistory();
    history.add(columns([100]));
    const of = (path: string) =>
      (["gradNorm", "updateRatio", "meanActivation", "deadUnits"] as const).map((one) =>
        history.total(path, one, 0),
      );
    expect(of("block")).toEqual([5, 0.04, 3.5, 0.25]);
    expect(of("block.fc1")).toEqual([3, 0.03, 3, undefined]);
    expect(of("")).toEqual(of("block"));
    expect(of("block.fc")).toEqual([undefined, undefined, undefined, undefined]);
    expect(history.has("deadUnits")).toBe(true);
  });

  test("colours by a scale of all steps, logarithmic except for shares", () => {
    const history = new LayerHistory();
    const [first, second] = columns([1, 2]).layers;
    history.add(
      columns([1, 2], {
        layers: [
          { ...first!, gradNorm: [1e-4, 1] },
          { ...second!, gradNorm: [0, 1e-2] },
        ],
      }),
    );
    const scale = history.scale("gradNorm");
    expect(scale).toEqual({ low: 1e-4, high: 1, logarithmic: true });
    expect([1e-4, 1e-2, 1, 0, 10].map((x) => shareOf(x, scale))).toEqual([0, expect.closeTo(0.5), 1, 0, 1]);
    expect(shareOf(undefined, scale)).toBeUndefined();
    expect(history.scale("deadUnits")).toEqual({ low: 0, high: 1, logarithmic: false });
    expect(shareOf(0.25, history.scale("deadUnits"))).toBe(0.25);
    // All equal.
    history.add(columns([1], { generation: 3, layers: [{ ...first!, gradNorm: [2] }] }));
    expect(shareOf(2, history.scale("gradNorm"))).toBe(1);
  });

  test("formats a share in percent and tiny numbers with an exponent", () => {
    expect(formatValue(0.251, "deadUnits")).toBe("25 %");
    expect(formatValue(1.234e-5, "updateRatio")).toBe("1.2e-5");
    expect(formatValue(12_345, "gradNorm")).toBe("1.2e4");
    expect(formatValue(0.1234, "gradNorm")).toBe("0.123");
    expect(formatValue(undefined, "gradNorm")).toBe("–");
  });
});

const histogram = (low: number, high: number, bins: number[]): ShownHistogram => ({
  low,
  high,
  mean: 0,
  std: 1,
  bins,
});

describe("a picture of histograms", () => {
  test("spans all of them, with room around a single value", () => {
    expect(rangeOf([histogram(-1, 2, [1]), null, histogram(0, 5, [1])])).toEqual({ low: -1, high: 5 });
    expect(rangeOf([histogram(2, 2, [255])])).toEqual({ low: 1, high: 3 });
    expect(rangeOf([null])).toBeUndefined();
  });

  test("shows the most frequent of the values that share a place", () => {
    const one = histogram(0, 4, [0, 51, 255, 102]);
    expect(density(one, 1.1, 1.9)).toBe(0.2);
    expect(density(one, 0, 4)).toBe(1);
    expect(density(one, 5, 6)).toBe(0);
    expect(density(one, -2, -1)).toBe(0);
    expect(density(histogram(1, 1, [255]), 0.5, 1.5)).toBe(1);
    expect(density(histogram(1, 1, [255]), 2, 3)).toBe(0);
  });

  test("has ridges from the first check to the last, and always the chosen one", () => {
    const even = (length: number): number[] => Array.from({ length }, (_, i) => 10 * i);
    expect(ridgeColumns(even(5), 20, 4)).toEqual([0, 1, 2, 3, 4]);
    expect(ridgeColumns(even(101), 5, 100)).toEqual([0, 25, 50, 75, 100]);
    expect(ridgeColumns(even(101), 5, 31)).toEqual([0, 31, 50, 75, 100]);
    expect(ridgeColumns([7], 5, 0)).toEqual([0]);
    expect(ridgeColumns([], 5, -1)).toEqual([]);
  });

  test("has time to the right, whichever steps were checked", () => {
    const steps = [10, 20, 30, 40, 80, 160];
    expect(checksOverTime(steps, 6)).toEqual([0, 3, 4, 4, 5, 5]);
    expect(checksOverTime([5], 3)).toEqual([0, 0, 0]);
    expect([10, 85, 160, undefined].map((step) => placeOf(steps, step))).toEqual([0, 0.5, 1, 1]);
    expect(placeOf([5], 5)).toBe(1);
  });
});

test("a layer's histograms are lines of CSV, and its name no formula", () => {
  const csv = valuesCsv({
    generation: 1,
    kept: 2,
    path: "=HYPERLINK(1)",
    steps: [100, 200],
    histograms: {
      weights: [histogram(-1, 1, [51, 255]), null],
      gradients: [null, null],
      activations: [null, histogram(0, 2, [255, 0])],
    },
  });
  expect(csv.split("\n")).toEqual([
    "layer,values,step,mean,std,low,high,bin 1,bin 2",
    "'=HYPERLINK(1),weights,100,0,1,-1,1,0.2,1",
    "'=HYPERLINK(1),activations,200,0,1,0,2,1,0",
    "",
  ]);
});
