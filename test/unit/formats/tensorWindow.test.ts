// Parts of tensors as tables: of any dimensions, of files that are read in places, of values that JSON doesn't have.
import path from "node:path";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { statisticsOfValues, windowOfSource } from "../../../extension/formats/tensorWindow.ts";
import { writeSafetensors } from "../../../extension/formats/safetensors/safetensors.ts";
import { encodeElements } from "../../../extension/formats/tensorData.ts";
import { openTensors } from "../../../extension/formats/tensorSource.ts";
import { windowOf } from "../../../extension/protocol/tensorWindow.ts";
import { useFolder } from "../../folders.ts";

const folder = useFolder();

test("a window of any two dimensions has the values at its places", () => {
  const shapes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 2, maxLength: 4 });
  fc.assert(
    fc.property(shapes, fc.nat(), fc.nat(), fc.nat(), (shape, a, b, seed) => {
      const rowAxis = a % shape.length;
      const columnAxis = (rowAxis + 1 + (b % (shape.length - 1))) % shape.length;
      const at = shape.map((extent, i) => (seed + i) % extent);
      const values = Float32Array.from({ length: shape.reduce((x, y) => x * y) }, (_, i) => i);
      const found = windowOf(
        shape,
        { rowAxis, columnAxis, at, row: 0, rows: 9, column: 0, columns: 9 },
        (from, count) => values.subarray(from, from + count),
      );
      expect([found.rows, found.columns]).toEqual([shape[rowAxis], shape[columnAxis]]);
      found.values.forEach((value, n) => {
        const place = [...at];
        place[rowAxis] = Math.floor(n / found.columns);
        place[columnAxis] = n % found.columns;
        expect(value).toBe(place.reduce((sum, index, i) => sum * shape[i]! + index, 0));
      });
    }),
  );
});

test("vectors are rows, scalars one cell, and NaN, infinite and large numbers texts", () => {
  const read = (values: ArrayLike<number | bigint>) => (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => values[from + i]!);
  const all = { row: 0, rows: 10, column: 0, columns: 10 };
  expect(
    windowOf([4], { ...all, rowAxis: 0, columnAxis: -1, at: [0] }, read([1.5, NaN, Infinity, -Infinity])),
  ).toEqual({ rows: 4, columns: 1, values: [1.5, "nan", "inf", "-inf"] });
  expect(windowOf([], { ...all, rowAxis: -1, columnAxis: -1, at: [] }, read([2n ** 60n])).values).toEqual([
    "1152921504606846976",
  ]);
  for (const wrong of [
    { rowAxis: 1, columnAxis: -1, at: [0] },
    { rowAxis: 0, columnAxis: 0, at: [0] },
    { rowAxis: -1, columnAxis: -1, at: [4] },
  ])
    expect(() => windowOf([4], { ...all, ...wrong }, read([1, 2, 3, 4]))).toThrow("no such part");
});

test("of a file, only the part is read", () => {
  const file = path.join(folder, "wide.safetensors");
  const values = Float32Array.from({ length: 1_000_000 * 4 }, (_, i) => i);
  writeSafetensors(file, [
    { name: "w", dtype: "F32", shape: [1_000_000, 4], data: encodeElements(values, "F32") },
  ]);
  const source = openTensors(file);
  try {
    const [tensor] = source.tensors;
    const window = { rowAxis: 0, columnAxis: 1, at: [0, 0], row: 999_998, rows: 64, column: 1, columns: 2 };
    expect(windowOfSource(tensor!, window)).toEqual({
      rows: 2,
      columns: 2,
      values: [3_999_993, 3_999_994, 3_999_997, 3_999_998].map(Math.fround),
    });
  } finally {
    source.close();
  }
});

test("statistics of values in memory are those of a file", () => {
  expect(statisticsOfValues(Float32Array.of(1, 2, 3, NaN, -Infinity))).toMatchObject({
    count: 3,
    min: 1,
    max: 3,
    mean: 2,
    nans: 1,
    infinities: 1,
  });
  expect(statisticsOfValues(Int32Array.of(0, 5))).toMatchObject({ count: 2, zeros: 1, max: 5 });
});
