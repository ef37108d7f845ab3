// The viewer of one tensor: slices, scrolling of any number of rows, keys.
import * as fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { Blocks } from "../../../webview/tensor/blocks.ts";
import { contentSize, firstAt, revealed, scrollTo } from "../../../webview/tensor/scroll.ts";
import {
  columnsOf,
  firstSlice,
  fittingSlice,
  placeOf,
  rowsOf,
  withAxis,
} from "../../../webview/tensor/slice.ts";
import { fittingCell, moved, selectionOf } from "../../../webview/tensor/state.ts";
import { PATIENT } from "../../patience.ts";

describe("a slice", () => {
  test("shows the last two dimensions, a vector as rows, a scalar as one cell", () => {
    const sizes = (shape: number[]): [number, number] => {
      const slice = firstSlice(shape);
      return [rowsOf(shape, slice), columnsOf(shape, slice)];
    };
    expect(sizes([32, 16, 3, 5])).toEqual([3, 5]);
    expect(sizes([7])).toEqual([7, 1]);
    expect(sizes([])).toEqual([1, 1]);
    expect(placeOf({ ...firstSlice([4, 5, 6]), at: [2, 0, 0] }, 1, 3)).toEqual([2, 1, 3]);
  });

  test("takes other rows and columns; choosing one's dimension for the other swaps them", () => {
    const slice = firstSlice([2, 3, 4]);
    expect(withAxis(slice, "rowAxis", 0)).toMatchObject({ rowAxis: 0, columnAxis: 2 });
    expect(withAxis(slice, "rowAxis", 2)).toMatchObject({ rowAxis: 2, columnAxis: 1 });
  });

  test("is restored only if the tensor still has it", () => {
    const slice = { rowAxis: 0, columnAxis: 2, at: [0, 1, 0] };
    expect(fittingSlice(slice, [2, 3, 4])).toEqual(slice);
    for (const other of [
      undefined,
      { ...slice, at: [0, 3, 0] },
      { ...slice, columnAxis: 0 },
      { ...slice, rowAxis: 9 },
    ])
      expect(fittingSlice(other, [2, 3, 4])).toEqual(firstSlice([2, 3, 4]));
    expect(fittingSlice(slice, [2, 3])).toEqual(firstSlice([2, 3]));
    expect(fittingCell({ row: 9, column: -4 }, [2, 3], firstSlice([2, 3]))).toEqual({ row: 1, column: 0 });
  });
});

test("scrolling reaches every row of any number of them, and no element is too high", () => {
  const viewport = 600;
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2e9 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (count, share) => {
        expect(contentSize(count, 22)).toBeLessThanOrEqual(8_000_000);
        const item = Math.floor(share * (count - 1));
        const first = revealed(item, 0, count, 22, viewport);
        const seen = firstAt(scrollTo(first, count, 22, viewport), count, 22, viewport);
        expect(seen).toBeLessThanOrEqual(item + 1e-3);
        expect(seen + viewport / 22).toBeGreaterThanOrEqual(item + 1 - 1e-3);
      },
    ),
  );
});

test("keys move the focus within the slice", () => {
  const size = { rows: 100, columns: 8, page: 20 };
  const key = (name: string, ctrlKey = false) =>
    moved({ key: name, ctrlKey, metaKey: false }, { row: 50, column: 3 }, size);
  expect(key("ArrowDown")).toEqual({ row: 51, column: 3 });
  expect(key("ArrowDown", true)).toEqual({ row: 99, column: 3 });
  expect(key("PageUp")).toEqual({ row: 30, column: 3 });
  expect(key("Home")).toEqual({ row: 50, column: 0 });
  expect(key("End", true)).toEqual({ row: 99, column: 7 });
  expect(key("x")).toBeUndefined();
  expect(selectionOf({ cell: { row: 2, column: 5 }, anchor: { row: 4, column: 1 } })).toEqual({
    top: 2,
    left: 1,
    rows: 3,
    columns: 5,
  });
});

test("a block that failed is loaded again on request, and not before", async () => {
  let broken = true;
  const load = vi.fn(() =>
    broken ? Promise.reject(new Error("gone")) : Promise.resolve({ rows: 1, columns: 1, values: [7] }),
  );
  const [changed, failed] = [vi.fn(), vi.fn()];
  const blocks = new Blocks(load, changed, failed);
  blocks.show(firstSlice([1]));
  expect(blocks.value(0, 0)).toBeUndefined();
  await vi.waitFor(() => expect(failed).toHaveBeenCalledOnce(), PATIENT);
  expect(blocks.value(0, 0)).toBeUndefined();
  expect(load).toHaveBeenCalledOnce();
  broken = false;
  blocks.retry();
  expect(blocks.value(0, 0)).toBeUndefined();
  await vi.waitFor(() => expect(changed).toHaveBeenCalledOnce(), PATIENT);
  expect(blocks.value(0, 0)).toBe(7);
});
