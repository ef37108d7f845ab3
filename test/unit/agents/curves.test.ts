import { describe, expect, test } from "vitest";
import { pageOf, bounded, cleaned } from "../../../extension/mcp/answers.ts";
import {
  describeCurves,
  generalisationLoss,
  noiseOf,
  pointRows,
  spikesOf,
  summarize,
  trendOf,
} from "../../../extension/mcp/curves.ts";
import type { MetricRow } from "../../../extension/protocol/run.ts";

const epochs = (values: readonly Record<string, number>[]): MetricRow[] =>
  values.map((one, i) => ({ kind: "epoch", step: 10 * (i + 1), epoch: i + 1, time: i, values: one }));
const losses = (values: readonly number[]): MetricRow[] => epochs(values.map((loss) => ({ loss })));
const count = (n: number, of: (i: number) => number): number[] => Array.from({ length: n }, (_, i) => of(i));

/** Numbers that look random, always the same. */
const noise = (i: number): number =>
  ((Math.sin(i * 12.9898) * 43758.5453) % 1) - 0.5 * Math.sign(Math.sin(i * 12.9898));

describe("a curve in words", () => {
  test.each([
    ["falling", count(20, (i) => 1 / (i + 1))],
    ["rising", count(20, (i) => i)],
    ["flat", count(40, (i) => 1 + 0.1 * noise(i))],
    ["flat", count(20, () => 1)],
    ["too few points", [3, 2, 1]],
  ])("is %s by the sign of its pairs, as far as that is significant", (trend, values) => {
    expect(trendOf(values)).toBe(trend);
  });

  test("is of steps where a run has no epochs", () => {
    const rows = Array.from({ length: 12 }, (_, i): MetricRow => ({
      kind: "step",
      step: 5 * i,
      epoch: 0,
      time: i,
      values: { loss: 12 - i, val_loss: i < 6 ? 12 - i : i },
    }));
    const curves = ["loss", "val_loss"].flatMap((name) => summarize(name, pointRows(rows)) ?? []);
    expect(describeCurves(curves, pointRows(rows), [])).toEqual([
      "The model overfits: since step 30 val_loss rose by 83.3 % while loss fell.",
      "loss: 12 to 1, best 1 at step 55, falling at the end.",
      "val_loss: 12 to 11, best 6 at step 30, rising at the end.",
    ]);
    expect(pointRows([...rows, ...losses([1])])).toEqual(losses([1]));
  });

  test("noise is that of neighbours: a slow change has none", () => {
    expect(noiseOf(count(50, (i) => 3 * i))).toBeCloseTo(0, 9);
    expect(noiseOf(count(50, (i) => (i % 2 === 0 ? 0 : 1)))).toBeCloseTo(Math.SQRT1_2, 1);
  });

  test("its best value is the largest of an accuracy, the smallest of a loss", () => {
    const rows = epochs([
      { loss: 3, val_accuracy: 0.2 },
      { loss: 1, val_accuracy: 0.9 },
      { loss: 2, val_accuracy: 0.5 },
    ]);
    expect(summarize("loss", rows)).toMatchObject({ best: 1, bestEpoch: 2, first: 3, last: 2 });
    expect(summarize("val_accuracy", rows)).toMatchObject({ best: 0.9, bestEpoch: 2 });
    expect(summarize("none", rows)).toBeUndefined();
  });

  test("is on a plateau once ten epochs brought nothing, and not before", () => {
    const falling = count(10, (i) => 1 / (i + 1));
    expect(summarize("loss", losses([...falling, ...count(9, () => 0.1)]))?.plateau).toBe(false);
    expect(summarize("loss", losses([...falling, ...count(10, () => 0.1)]))?.plateau).toBe(true);
  });

  test("diverges if it rises beyond its noise, or is no number", () => {
    expect(summarize("loss", losses(count(20, (i) => 1 + i)))?.diverged).toBe(true);
    expect(summarize("loss", losses([...count(10, () => 1), Number.NaN]))?.diverged).toBe(true);
    expect(summarize("loss", losses(count(20, (i) => 20 - i)))?.diverged).toBe(false);
    expect(
      summarize("accuracy", epochs(count(20, (i) => i).map((accuracy) => ({ accuracy }))))?.diverged,
    ).toBe(false);
  });

  test("overfits by Prechelt's measure: validation rises while training falls", () => {
    const rows = epochs(
      count(20, (i) => i).map((i) => ({
        loss: 1 / (i + 1),
        val_loss: i < 10 ? 2 - i / 10 : 1 + (i - 9) / 10,
      })),
    );
    const found = generalisationLoss(rows)!;
    expect(found.bestEpoch).toBe(10);
    expect(found.percent).toBeCloseTo(100 * (2 / 1.1 - 1), 6);
    expect(describeCurves([], rows, [])[0]).toMatch(
      /^The model overfits: since epoch 10 val_loss rose by 81\.8 %/,
    );
    const both = epochs(count(20, (i) => i).map((i) => ({ loss: 1 + i, val_loss: 1 + i })));
    expect(generalisationLoss(both)?.percent).toBe(0);
  });

  test("has spikes where it jumps up, and none where it is merely noisy", () => {
    const points = count(200, (i) => i).map((i) => ({
      step: i,
      value: 1 + 0.01 * noise(i) + (i === 120 ? 5 : 0),
    }));
    expect(spikesOf(points)).toEqual([120]);
    expect(spikesOf(points.map(({ step }) => ({ step, value: 1 })))).toEqual([]);
  });
});

describe("an answer", () => {
  test("has no numbers that JSON doesn't know, nothing undefined, and texts of a bounded length", () => {
    expect(cleaned({ a: Number.NaN, b: [Infinity, 1], c: undefined, d: "\u001b[2J" })).toEqual({
      a: null,
      b: [null, 1],
      d: "\\x1b[2J",
    });
    expect(bounded("x".repeat(10_000))).toHaveLength(4000);
    expect(bounded("x".repeat(10_000))).toMatch(/… \(cut\)$/);
  });

  test("says where the rest of a list is, until there is none", () => {
    expect(pageOf([1, 2, 3], 0, 2)).toEqual({ items: [1, 2], total: 3, next: 2 });
    expect(pageOf([1, 2, 3], 2, 2)).toEqual({ items: [3], total: 3 });
    expect(pageOf([1, 2, 3], 9, 2)).toEqual({ items: [], total: 3 });
  });
});
