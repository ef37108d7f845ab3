import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { encodePth, memoryStorage, PthTensor, wholeTensor } from "../../../extension/formats/pth/pth.ts";
import { encodeSafetensors } from "../../../extension/formats/safetensors/safetensors.ts";
import { differenceOf, statisticsOf } from "../../../extension/formats/statistics.ts";
import type { StoredDtype } from "../../../extension/formats/tensorData.ts";
import type { TensorParts } from "../../../extension/formats/sourceTensor.ts";
import { openTensors } from "../../../extension/formats/tensorSource.ts";
import { useFolder } from "../../folders.ts";

const folder = useFolder("all");

/** The same values as the tensor "a.b" of both formats. */
function written(values: Float32Array): TensorParts[] {
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

test("a transposed tensor is read in memory order, in chunks, and compared in its own order", () => {
  const [rows, columns] = [3, 700_000];
  const storage = memoryStorage(
    "F32",
    new Uint8Array(Float32Array.from({ length: rows * columns }, (_, i) => i).buffer),
  );
  const view = (shape: number[], strides: number[]): PthTensor =>
    new PthTensor({ dtype: "F32", shape, strides, offset: 0, storage, requiresGrad: false });
  writeFileSync(
    join(folder, "turned.pth"),
    encodePth(
      new Map([
        ["plain", view([rows, columns], [columns, 1])],
        ["turned", view([columns, rows], [1, columns])],
        ["third", view([1, columns], [columns, rows])],
      ]),
    ),
  );
  const { tensors } = openTensors(join(folder, "turned.pth"));
  const [plain, turned, third] = tensors as readonly TensorParts[] as [TensorParts, TensorParts, TensorParts];
  expect(statisticsOf(turned)).toEqual(statisticsOf(plain));
  expect([...turned.parts(true)].length).toBeGreaterThan(1);
  expect(statisticsOf(third)).toMatchObject({ count: columns, min: 0, max: 3 * (columns - 1) });
  expect(differenceOf(turned, plain)).toMatchObject({ changed: rows * columns - 2 });
});

test("differences", () => {
  const stored = (
    dtype: StoredDtype,
    parts: (ArrayLike<number> & { buffer: ArrayBufferLike })[],
  ): TensorParts => ({
    name: "x",
    dtype,
    shape: [],
    byteLength: 0,
    parts: () => parts.map(({ buffer }) => new Uint8Array(buffer)),
    finish: function* () {},
  });
  // In parts that are cut elsewhere than those of another.
  const tensor = (...values: number[]): TensorParts =>
    stored(
      "F32",
      values.map((value) => Float32Array.of(value)),
    );
  const { NaN: nan } = Number;
  expect(differenceOf(tensor(1, nan, -0), tensor(1, nan, 0))).toEqual({ largest: 0, changed: 0 });
  expect(differenceOf(tensor(1, 2, 3), tensor(1, 2.5, 1))).toEqual({ largest: 2, changed: 2 });
  expect(differenceOf(tensor(1, nan), tensor(1, 0))).toEqual({ largest: Infinity, changed: 1 });
  const whole = stored("F64", [Float64Array.of(1, 2.5), Float64Array.of(nan)]);
  expect(differenceOf(tensor(1, 2, nan), whole)).toEqual({ largest: 0.5, changed: 1 });
  // Beyond what a double tells apart, and what has no distance.
  const big = (...values: bigint[]): TensorParts =>
    stored("I64", [BigInt64Array.from(values) as unknown as Float64Array<ArrayBuffer>]);
  expect(differenceOf(big(1n, 2n ** 60n), big(1n, 2n ** 60n + 1n))).toMatchObject({ changed: 1 });
  expect(differenceOf(big(1n, 2n), tensor(1, 2))).toEqual({ largest: 0, changed: 0 });
  const complex = (...values: number[]): TensorParts => stored("C64", [Float32Array.from(values)]);
  expect(differenceOf(complex(1, 2, 3, 4), complex(1, 2, 4, 3))).toEqual({ changed: 1 });
  const wide = (...values: number[]): TensorParts => stored("C128", [Float64Array.from(values)]);
  expect(differenceOf(wide(1, 2, 3, 4), wide(2, 1, 3, 4))).toEqual({ changed: 1 });
});

test("a damaged record is found while values are read, for any tensors in any order", () => {
  const numbers = Float32Array.from({ length: 3_000_000 }, (_, i) => i);
  const storage = memoryStorage("F32", new Uint8Array(numbers.buffer));
  const view = (offset: number, length: number): PthTensor =>
    new PthTensor({ dtype: "F32", shape: [length], strides: [1], offset, storage, requiresGrad: false });
  const file = join(folder, "damaged.pth");
  const open = (bytes: Uint8Array): readonly TensorParts[] => {
    writeFileSync(file, bytes);
    return openTensors(file).tensors;
  };
  const good = encodePth(
    new Map([
      ["end", view(2_999_990, 10)],
      ["begin", view(0, 10)],
    ]),
  );
  for (const tensor of open(good)) expect(statisticsOf(tensor)).toMatchObject({ count: 10 });
  const bad = Buffer.from(good);
  // Where no tensor is.
  const middle = Math.floor(bad.length / 2);
  bad[middle] = bad[middle]! ^ 1;
  for (const tensor of open(bad)) expect(() => statisticsOf(tensor)).toThrow("checksum differs");
  const [a] = open(good);
  expect(() => differenceOf(a!, open(bad)[0]!)).toThrow("checksum differs");
});

test("types without real numbers are listed, not read", () => {
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
