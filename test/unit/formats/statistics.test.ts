import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { encodePth, memoryStorage, wholeTensor } from "../../../extension/formats/pth.ts";
import { encodeSafetensors } from "../../../extension/formats/safetensors.ts";
import { differenceOf, statisticsOf } from "../../../extension/formats/statistics.ts";
import { openTensors, type SourceTensor } from "../../../extension/formats/tensorSource.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "layerwise-statistics-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The same values as the tensor "a.b" of both formats. */
function written(values: Float32Array): SourceTensor[] {
  const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const shape = [values.length];
  const files: [string, Uint8Array][] = [
    ["x.safetensors", encodeSafetensors([{ name: "a.b", dtype: "F32", shape, data }])],
    [
      "x.pth",
      encodePth(new Map([["a", new Map([["b", wholeTensor(memoryStorage("F32", data), "F32", shape)]])]])),
    ],
  ];
  return files.map(([name, bytes]) => {
    writeFileSync(join(folder, name), bytes);
    const [tensor] = openTensors(join(folder, name)).tensors;
    expect(tensor).toMatchObject({ name: "a.b", dtype: "F32", shape, byteLength: data.length });
    return tensor!;
  });
}

test("range, moments, zeros, what is no number, histogram", () => {
  for (const tensor of written(Float32Array.of(0, 1, 2, 3, 4, Number.NaN, Infinity, 0)))
    expect(statisticsOf(tensor)).toEqual({
      count: 6,
      min: 0,
      max: 4,
      mean: expect.closeTo(10 / 6, 12),
      std: expect.closeTo(Math.sqrt(30 / 6 - (10 / 6) ** 2), 12),
      zeros: 2,
      nans: 1,
      infinities: 1,
      histogram: [2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 1],
    });
});

test("values that are all the same, and none at all", () => {
  for (const tensor of written(new Float32Array(5).fill(7)))
    expect(statisticsOf(tensor)).toMatchObject({ min: 7, max: 7, mean: 7, std: 0, count: 5 });
  for (const tensor of written(new Float32Array()))
    expect(statisticsOf(tensor)).toMatchObject({ count: 0, min: Number.NaN, std: Number.NaN });
});

test("a tensor of many parts is read part by part", () => {
  const values = Float32Array.from({ length: 2_500_000 }, (_, i) => i % 1000);
  for (const tensor of written(values)) {
    const lengths = [...tensor.parts()].map(({ length }) => length);
    expect(lengths).toEqual([2 ** 22, 2 ** 22, 10_000_000 - 2 ** 23]);
    expect(statisticsOf(tensor)).toMatchObject({
      count: 2_500_000,
      zeros: 2500,
      max: 999,
      mean: expect.closeTo(499.5, 9),
    });
  }
});

test("differences", () => {
  const tensor = (...values: number[]): SourceTensor => ({
    name: "x",
    dtype: "F32",
    shape: [values.length],
    byteLength: 4 * values.length,
    // In parts that are cut elsewhere than those of another.
    parts: () => values.map((value) => new Uint8Array(Float32Array.of(value).buffer)),
  });
  const { NaN: nan } = Number;
  expect(differenceOf(tensor(1, nan, -0), tensor(1, nan, 0))).toEqual({ largest: 0, changed: 0 });
  expect(differenceOf(tensor(1, 2, 3), tensor(1, 2.5, 1))).toEqual({ largest: 2, changed: 2 });
  expect(differenceOf(tensor(1, nan), tensor(1, 0))).toEqual({ largest: Infinity, changed: 1 });
});

test("types without real numbers are listed, not looked at", () => {
  const path = fileURLToPath(new URL("../../fixtures/formats/everything.pth", import.meta.url));
  const source = openTensors(path);
  const { tensors } = source;
  const looked = tensors.filter((tensor) => statisticsOf(tensor) !== undefined);
  expect(tensors.filter((tensor) => !looked.includes(tensor)).map(({ name }) => name)).toEqual([
    "types.complex64",
    "types.complex128",
    "views.complex",
  ]);
  expect(looked.find(({ name }) => name === "views.transposed")!.shape).toEqual([4, 2, 3]);
  source.close();
});
