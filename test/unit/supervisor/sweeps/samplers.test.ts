import { describe, expect, test } from "vitest";
import { sweep, type Domain } from "../../../../extension/nn/experiment/searchSpace.ts";
import {
  gridSettings,
  gridSize,
  randomSettings,
  trialSeed,
  valueAt,
} from "../../../../extension/supervisor/sweeps/samplers.ts";
import type { SearchSpace } from "../../../../extension/protocol/sweeps/sweep.ts";

const specs = (space: Readonly<Record<string, Domain>>): SearchSpace =>
  Object.fromEntries(Object.entries(space).map(([name, { spec }]) => [name, spec]));

const COUNT = 4000;

/** Values of a parameter in many trials. */
function draws(domain: Domain, seed = 1): (number | string | boolean)[] {
  return Array.from({ length: COUNT }, (_, n) => randomSettings(specs({ x: domain }), seed, n)["x"]!);
}

/** Largest distance of the empirical distribution from the uniform one (Kolmogorov and Smirnov). */
function distance(quantiles: readonly number[]): number {
  const sorted = quantiles.toSorted((a, b) => a - b);
  return Math.max(
    ...sorted.map((q, i) => Math.max(Math.abs(q - i / sorted.length), Math.abs(q - (i + 1) / sorted.length))),
  );
}

/** Exceeded by one uniform sample in a thousand. */
const KS_LIMIT = 1.95 / Math.sqrt(COUNT);

describe("random search", () => {
  test("gives a trial the same settings at any time, and whatever else is in the space", () => {
    const lr = sweep.logUniform(1e-4, 1e-1);
    const width = sweep.choice(32, 64, 128);
    const both = randomSettings(specs({ lr, width }), 7, 3);
    expect(randomSettings(specs({ width, lr }), 7, 3)).toEqual(both);
    expect(randomSettings(specs({ lr }), 7, 3)).toEqual({ lr: both["lr"] });
    expect(randomSettings(specs({ lr, width }), 8, 3)["lr"]).not.toBe(both["lr"]);
    expect(randomSettings(specs({ lr, width }), 7, 4)["lr"]).not.toBe(both["lr"]);
  });

  test("draws uniform and log-uniform values uniformly", () => {
    const uniform = draws(sweep.uniform(-1, 3)) as number[];
    expect(distance(uniform.map((x) => (x + 1) / 4))).toBeLessThan(KS_LIMIT);
    const logs = draws(sweep.logUniform(1e-4, 1e-1)) as number[];
    expect(Math.min(...logs)).toBeGreaterThanOrEqual(1e-4);
    expect(Math.max(...logs)).toBeLessThanOrEqual(1e-1);
    expect(distance(logs.map((x) => (Math.log10(x) + 4) / 3))).toBeLessThan(KS_LIMIT);
  });

  test.each([
    ["int", sweep.int(1, 4), [1, 2, 3, 4]],
    ["int with a step", sweep.int(2, 11, { step: 4 }), [2, 6, 10]],
    ["uniform with a step", sweep.uniform(0, 0.5, { step: 0.1 }), [0, 0.1, 0.2, 0.3, 0.4, 0.5]],
    ["choice", sweep.choice("relu", "gelu", true), ["relu", "gelu", true]],
  ] as [string, Domain, (number | string | boolean)[]][])(
    "draws each value of %s as often",
    (_, domain, values) => {
      const found = draws(domain);
      expect(new Set(found)).toEqual(new Set(values));
      const expected = COUNT / values.length;
      const chi = values.reduce<number>(
        (sum, value) => sum + (found.filter((one) => one === value).length - expected) ** 2 / expected,
        0,
      );
      // Above the quantile 0.999 of chi-square with five degrees of freedom, and so of fewer.
      expect(chi).toBeLessThan(20.6);
    },
  );

  test("draws integers of a logarithmic range by the width of their cells", () => {
    const domain = sweep.int(1, 8, { log: true });
    const found = draws(domain);
    const share = (n: number): number => found.filter((one) => one === n).length / COUNT;
    const width = (n: number): number => Math.log((n + 0.5) / (n - 0.5)) / Math.log(8.5 / 0.5);
    // Four standard deviations of a share.
    for (const n of [1, 2, 8])
      expect(Math.abs(share(n) - width(n))).toBeLessThan(4 * Math.sqrt((width(n) * (1 - width(n))) / COUNT));
  });

  test("has exact values at quantiles", () => {
    expect(valueAt(sweep.uniform(0, 10).spec, 0.25)).toBe(2.5);
    expect(valueAt(sweep.logUniform(1, 100).spec, 0.5)).toBeCloseTo(10, 12);
    expect(valueAt(sweep.int(1, 4).spec, 0.99)).toBe(4);
    expect(valueAt(sweep.choice("a", "b").spec, 0.5)).toBe("b");
    expect(valueAt(sweep.uniform(3, 3).spec, 0.7)).toBe(3);
  });

  test("gives trials without a seed of their own different ones", () => {
    const seeds = Array.from({ length: 1000 }, (_, n) => trialSeed(0, n));
    expect(new Set(seeds).size).toBe(1000);
    expect(seeds.every((seed) => Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32)).toBe(true);
    expect(trialSeed(0, 5)).toBe(seeds[5]);
  });
});

describe("grid search", () => {
  const space = specs({
    a: sweep.choice("x", "y"),
    b: sweep.int(1, 3),
    c: sweep.uniform(0, 0.3, { step: 0.1 }),
  });

  test("visits every combination once, the last parameter fastest", () => {
    expect(gridSize(space)).toBe(24);
    const all = Array.from({ length: 24 }, (_, n) => gridSettings(space, n));
    expect(all[0]).toEqual({ a: "x", b: 1, c: 0 });
    expect(all[1]).toEqual({ a: "x", b: 1, c: 0.1 });
    expect(all[3]).toEqual({ a: "x", b: 1, c: 0.3 });
    expect(all[4]).toEqual({ a: "x", b: 2, c: 0 });
    expect(all[23]).toEqual({ a: "y", b: 3, c: 0.3 });
    expect(new Set(all.map((one) => JSON.stringify(one))).size).toBe(24);
  });

  test("refuses a continuous parameter, and too many trials", () => {
    expect(() => gridSize(specs({ lr: sweep.logUniform(1e-4, 1) }))).toThrow(
      "A grid needs parameters with a finite number of values: lr has none.",
    );
    expect(() => gridSize(specs({ a: sweep.int(1, 200), b: sweep.int(1, 200) }))).toThrow("40,000 trials");
  });
});
