import { expect, test } from "vitest";
import { rasterize, type Ink } from "../../../webview/evaluation/rasterize.ts";
import { sortedClasses } from "../../../webview/evaluation/confusion.ts";
import { ticksBetween } from "../../../webview/evaluation/ticks.ts";
import { defaultUi, firstPage, queryOf } from "../../../webview/evaluation/state.ts";

/** A pad of 40 × 40 with ink in a rectangle. */
function pad(left: number, top: number, right: number, bottom: number): Ink {
  const values = Float32Array.from({ length: 1600 }, (_, i) => {
    const [x, y] = [i % 40, Math.floor(i / 40)];
    return x >= left && x < right && y >= top && y < bottom ? 1 : 0;
  });
  return { width: 40, height: 40, values };
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

test("without a size to follow, a drawing's pixels are means of the pad's", () => {
  const pixels = rasterize(pad(0, 0, 10, 15), { width: 4, height: 4 });
  expect(pixels).toEqual([1, 0, 0, 0, 0.5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  expect(rasterize(pad(0, 0, 0, 0), { width: 2, height: 2 })).toEqual([0, 0, 0, 0]);
});

test("a drawing anywhere on the pad gets the size and the place of the data's ink", () => {
  const ink = { extent: 0.5, x: 0.5, y: 0.5 };
  const small = rasterize(pad(2, 3, 6, 7), { width: 8, height: 8, ink });
  const large = rasterize(pad(4, 8, 36, 40), { width: 8, height: 8, ink });
  expect(small).toEqual(large);
  // Four of eight pixels a side, in the middle.
  expect(sum(small)).toBeCloseTo(16, 6);
  for (const [x, y] of [
    [2, 2],
    [5, 5],
  ] as const)
    expect(small[8 * y + x]).toBe(1);
  expect(small[0]).toBe(0);
});

test("the proportions of a drawing stay", () => {
  const pixels = rasterize(pad(18, 0, 22, 40), {
    width: 10,
    height: 10,
    ink: { extent: 1, x: 0.5, y: 0.5 },
  });
  expect(sum(pixels)).toBeCloseTo(10, 6);
  expect(pixels[4]).toBe(0.5);
  expect(pixels[5]).toBe(0.5);
});

test("classes are sorted by any measure, equal ones by their number", () => {
  const measure = (recall: number) => ({ precision: 1, recall, f1: recall, support: 3 });
  const classes = [measure(0.5), measure(0.25), measure(0.5)];
  expect(sortedClasses(classes, { sort: "recall", descending: false })).toEqual([1, 0, 2]);
  expect(sortedClasses(classes, { sort: "recall", descending: true })).toEqual([0, 2, 1]);
  expect(sortedClasses(classes, { sort: "class", descending: true })).toEqual([2, 1, 0]);
});

test("ticks are round numbers", () => {
  expect(ticksBetween(-2.3, 2.9)).toEqual([-2, 0, 2]);
  expect(ticksBetween(0, 0.5)).toEqual([0, 0.1, 0.2, 0.3, 0.4, 0.5]);
  expect(ticksBetween(3, 3)).toEqual([3]);
});

test("a query says what is chosen, and nothing else", () => {
  expect(queryOf(defaultUi, 24, 24)).toEqual({ order: "hardest", offset: 24, count: 24 });
  expect(queryOf({ ...defaultUi, order: "wrong", actual: 3, predicted: 0 }, 0, 24)).toEqual({
    order: "hardest",
    wrong: true,
    actual: 3,
    predicted: 0,
    offset: 0,
    count: 24,
  });
  expect(firstPage({}, defaultUi)).toBeUndefined();
});
