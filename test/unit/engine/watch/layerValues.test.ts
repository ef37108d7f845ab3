// Histograms of a layer's values: a sample that stands for all, in bins that outliers don't stretch.
import { describe, expect, test } from "vitest";
import {
  histogramOf,
  meanSize,
  sampleOf,
  sampleOfTensor,
} from "../../../../extension/engine/findings/layerValues.ts";
import { torch } from "../../../../extension/nn/index.ts";
import { useEngine } from "../../../engines.ts";

useEngine("cpu");

const total = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);

describe("a histogram", () => {
  test("has bins of equal width from the least value to the largest", () => {
    const values = Float32Array.from({ length: 320 }, (_, i) => i / 10);
    const { counts, ...numbers } = histogramOf(values)!;
    expect(counts).toEqual(Array.from({ length: 32 }, () => 10));
    expect(numbers).toEqual({ low: 0, high: 31.9, mean: 15.95, std: expect.closeTo(9.2376, 3) });
  });

  test("counts an outlier in the outermost bin, and leaves out what isn't finite", () => {
    const values = Float32Array.from({ length: 1000 }, (_, i) => Math.sin(i));
    values.set([1e6, NaN, Infinity, -Infinity]);
    const { high, mean, std, counts } = histogramOf(values)!;
    expect(high).toBeCloseTo(mean + 4 * std, -2);
    expect(counts.at(-1)).toBe(1);
    expect(total(counts)).toBe(997);
    expect(histogramOf(Float32Array.of(NaN, Infinity))).toBeUndefined();
  });

  test("of one value has one bin", () => {
    expect(histogramOf(new Float32Array(5).fill(2))).toEqual({
      low: 2,
      high: 2,
      mean: 2,
      std: 0,
      counts: [5],
    });
  });
});

describe("a sample", () => {
  test("is all of a small layer", () => {
    expect([...sampleOf([Float32Array.of(1, 2, 3), Float32Array.of(4)])]).toEqual([1, 2, 3, 4]);
  });

  test("of a large one takes each row and each column", () => {
    const [rows, columns] = [512, 512];
    const all = Float32Array.from({ length: rows * columns }, (_, i) => i);
    const sample = sampleOf([all, new Float32Array(columns)]);
    expect(sample.length).toBeGreaterThan(2000);
    expect(sample.length).toBeLessThan(5000);
    const places = [...sample].filter((x) => x > 0);
    expect(new Set(places.map((x) => x % columns)).size).toBe(columns);
    expect(new Set(places.map((x) => Math.floor(x / columns))).size).toBe(rows);
  });

  test("of a tensor is of its first samples, and of all channels", () => {
    const small = torch.arange(24).to(torch.float32).reshape(2, 3, 4);
    expect([...sampleOfTensor(small).toTypedArray()]).toEqual(Array.from({ length: 24 }, (_, i) => i));
    const images = torch.zeros(8, 16, 64, 64);
    const size = sampleOfTensor(images).numel();
    expect(size).toBeGreaterThan(2000);
    expect(size).toBeLessThan(5000);
    const rows = torch.zeros(1000, 10);
    expect(sampleOfTensor(rows).numel()).toBe(4100);
    expect(sampleOfTensor(torch.tensor(3)).numel()).toBe(1);
  });

  test("has a mean size without its sign", () => {
    expect(meanSize(Float32Array.of(-2, 4))).toBe(3);
  });
});
