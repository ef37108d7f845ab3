import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  bernoulli,
  bernoulliTensor,
  type Draw,
  dropout,
  exponential,
  featureNoiseShape,
  multinomial,
  normal,
  type NumberArray,
  randint,
  randperm,
  truncNormal,
  uniform,
} from "../../../extension/tensor/random/operations.ts";
import { Generator } from "../../../extension/tensor/random/generator.ts";
import { type RngOp, runRngOps } from "../../parity/kinds/rng.ts";

interface FuzzItem {
  ops: RngOp[];
  results: ({ sha256: string; first: number[] } | null)[];
  state: { sha256: string; normal: number };
}

const fuzz = JSON.parse(
  readFileSync(new URL("../../fixtures/random/draws.json", import.meta.url), "utf8"),
) as { items: FuzzItem[] };

const fresh = (): Generator => new Generator();

const sha256 = (...parts: Uint8Array[]): string => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
};

test.each(fuzz.items.map((item, i) => [i, item] as const))(
  "sequence %i equals PyTorch's, bit for bit",
  (_, item) => {
    const generator = new Generator();
    const results = runRngOps(item.ops, generator);
    for (const [i, expected] of item.results.entries()) {
      if (expected === null) continue;
      const result = results[i] as ArrayLike<number> | number[][][];
      const flat = Float64Array.from(Array.isArray(result) ? result.flat(3) : result);
      expect([...flat.subarray(0, 4)], JSON.stringify(item.ops[i])).toEqual(expected.first);
      expect(sha256(new Uint8Array(flat.buffer)), JSON.stringify(item.ops[i])).toBe(expected.sha256);
    }
    const state = generator.getState();
    const kept = new DataView(state.buffer).getFloat64(5024, true);
    expect(sha256(state.subarray(0, 5024), state.subarray(5032))).toBe(item.state.sha256);
    // Sine and logarithm of the two C libraries may differ in the last bit of a double.
    expect(Math.abs(kept - item.state.normal)).toBeLessThanOrEqual(4e-16 * Math.abs(item.state.normal));
  },
);

/** A draw together with the array it fills. */
interface Job {
  kind: string;
  fill: (generator: Generator) => void;
  skip: (generator: Generator) => void;
}

const job = <Out extends NumberArray, Input>(draw: Draw<Out, Input>, out: Out, input: Input): Job => ({
  kind: draw.kind,
  fill: (generator) => draw.fill(generator, out, input),
  skip: (generator) => draw.skip(generator, input),
});
const floats = (draw: Draw): Job => job(draw, new Float32Array(draw.size), undefined);
const integers = (draw: Draw<NumberArray>): Job => job(draw, new Float64Array(draw.size), undefined);
const halves = (n: number): Float32Array => new Float32Array(n).fill(0.5);

const size = fc.oneof(fc.nat(40), fc.nat(9000));
const small = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
const probability = fc.double({ min: 0, max: 1, noNaN: true });
const anyJob = fc.oneof(
  size.map((n) => floats(uniform(n))),
  size.map((n) => floats(normal(n))),
  size.map((n) => floats(exponential(n))),
  fc.tuple(small(300), probability).map(([n, a]) => floats(truncNormal(n, 0, 1, 4 * a - 3, 4 * a - 2))),
  fc.tuple(size, probability).map(([n, p]) => floats(bernoulli(n, p))),
  fc.tuple(size, probability).map(([n, p]) => floats(dropout(n, p))),
  fc.constantFrom(0, 1).map((p) => floats(dropout(20, p))),
  size.map((n) => job(bernoulliTensor(n), new Float32Array(n), halves(n))),
  fc.tuple(size, small(2 ** 40)).map(([n, high]) => integers(randint(n, 0, high))),
  size.map((n) => integers(randperm(n))),
  fc.tuple(small(3), small(50), small(5), fc.boolean()).map(([rows, categories, samples, again]) => {
    const draw = multinomial(rows, categories + 4, samples, again);
    return job(draw, new Int32Array(draw.size), halves(rows * (categories + 4)));
  }),
);

test("few samples without replacement are the first of many", () => {
  const [rows, categories] = [3, 200];
  // Equal weights of 0 lose in the order of their places.
  const weights = Float32Array.from({ length: rows * categories }, (_, i) => (i % 3 === 0 ? i % 7 : 0));
  const sampled = (samples: number): number[][] => {
    const out = new Int32Array(rows * samples);
    multinomial(rows, categories, samples).fill(new Generator().manualSeed(3), out, weights);
    return Array.from({ length: rows }, (_, row) => [...out.subarray(row * samples, (row + 1) * samples)]);
  };
  for (const samples of [2, 5, 12])
    expect(sampled(samples)).toEqual(sampled(categories).map((row) => row.slice(0, samples)));
});

test("skipping a draw leaves the generator as filling does", () => {
  fc.assert(
    fc.property(fc.array(anyJob, { maxLength: 5 }), fc.nat(), (jobs, seed) => {
      const filled = new Generator().manualSeed(seed);
      const skipped = new Generator().manualSeed(seed);
      for (const { fill, skip } of jobs) {
        fill(filled);
        skip(skipped);
      }
      expect(skipped.getState()).toEqual(filled.getState());
    }),
    { numRuns: 60 },
  );
});

test("a draw writes its own places only", () => {
  for (const draw of [
    uniform(20),
    normal(20),
    normal(3),
    bernoulli(20, 0.5),
    dropout(20, 0),
    dropout(20, 0.5),
  ]) {
    const out = new Float32Array(draw.size + 1).fill(7);
    draw.fill(fresh(), out);
    expect(out[draw.size], draw.kind).toBe(7);
  }
});

test("integers up to 2^53 are exact", () => {
  const out = new Float64Array(1000);
  randint(1000, -(2 ** 52), 2 ** 52 - 1).fill(fresh(), out);
  expect(out.every((x) => Number.isSafeInteger(x) && x >= -(2 ** 52) && x < 2 ** 52)).toBe(true);
  expect(out.some((x) => x % 2 !== 0)).toBe(true);
  expect(() => randint(1, 0, 2 ** 32).fill(fresh(), new Int32Array(1))).toThrow(/^internal: /);
});

test("a permutation holds every number once", () => {
  const out = new Int32Array(5000);
  randperm(5000).fill(fresh(), out);
  expect([...out].sort((a, b) => a - b)).toEqual(Array.from({ length: 5000 }, (_, i) => i));
});

test("channel-wise noise has one factor a channel", () => {
  expect(featureNoiseShape([2, 3, 4, 5])).toEqual([2, 3, 1, 1]);
  expect(() => featureNoiseShape([4])).toThrow("Feature dropout requires at least 2 dimensions in the input");
});

describe("wrong arguments are refused in PyTorch's words", () => {
  const weigh =
    (weights: number[], samples: number, again = false) =>
    (): void =>
      multinomial(1, weights.length, samples, again).fill(
        fresh(),
        new Int32Array(9),
        Float32Array.from(weights),
      );
  test.each<[() => unknown, string]>([
    [() => uniform(3, 2, 1), "uniform_ expects to return a [from, to) range, but found from=2 > to=1"],
    [() => uniform(3, 0, 1e39), "to is out of bounds for float"],
    [() => uniform(3, Number.NaN, 1), "from is out of bounds for float"],
    [
      () => uniform(3, -3e38, 3e38),
      "uniform_ expects to-from <= std::numeric_limits<Float>::max(), but found to=3e+38 and from=-3e+38 which result in to-from to exceed the limit",
    ],
    [() => normal(3, 0, -1), "normal expects std >= 0.0, but found std -1"],
    [() => exponential(3, 0), "exponential_ expects lambda > 0.0, but found lambda=0"],
    [() => bernoulli(3, 1.5), "bernoulli_ expects p to be in [0, 1], but got p=1.5"],
    [() => dropout(3, 1.5), "dropout probability has to be between 0 and 1, but got 1.5"],
    [() => randint(3, 5, 5), "random_ expects 'from' to be less than 'to', but got from=5 >= to=5"],
    [
      () => randint(3, 0, 1.5),
      "randint expects integers within ±2^53 and a range below 2^53, but got low=0, high=1.5",
    ],
    [() => randperm(-1), "Trying to create tensor with negative dimension -1: [-1]"],
    [() => randperm(1e9), "randperm expects an integer up to 214748364, but got 1000000000"],
    [() => truncNormal(3, 0, 0), "trunc_normal_ expects std > 0.0, but found std 0"],
    [
      () => truncNormal(3, 0, 1, 2, -2),
      "uniform_ expects to return a [from, to) range, but found from=2 > to=-2",
    ],
    [weigh([0.1, 0.2], 3), "cannot sample n_sample > prob_dist.size(-1) samples without replacement"],
    [weigh([0.1, 0.2], 0), "cannot sample n_sample <= 0 samples"],
    [weigh([-0.1, 0.2], 1), "probability tensor contains either `inf`, `nan` or element < 0"],
    [weigh([-0.1, 0.2], 2, true), "invalid multinomial distribution (encountering probability entry < 0)"],
    [
      weigh([Infinity, 0.2], 2, true),
      "invalid multinomial distribution (encountering probability entry = infinity or NaN)",
    ],
    [weigh([0, 0], 2, true), "invalid multinomial distribution (sum of probabilities <= 0)"],
    [weigh([0, 0], 2), "invalid multinomial distribution (sum of probabilities <= 0)"],
    [
      () => bernoulliTensor(1).fill(fresh(), new Float32Array(1), Float32Array.of(2)),
      "bernoulli expects all probabilities to be in [0, 1], but got p=2",
    ],
  ])("%#: %s", (run, message) => {
    expect(run).toThrow(expect.objectContaining({ name: "TensorError", message }));
  });
});

describe("decisions", () => {
  // A pair of words may lie across two blocks of the generator, and its first word may leave the matter open.
  test.each([0, 1, 623])("are those of doubles, %i words into a block", (offset) => {
    const doubles = new Generator();
    doubles.manualSeed(7);
    doubles.skip(offset);
    const drawn = Array.from({ length: 1000 }, () => doubles.nextDouble());
    for (const p of [0.3, drawn[500]!, drawn[500]! + 2 ** -53]) {
      const generator = new Generator();
      generator.manualSeed(7);
      generator.skip(offset);
      const out = new Float32Array(1000);
      const { fill } = job(bernoulli(1000, p), out, undefined);
      fill(generator);
      expect([...out]).toEqual(drawn.map((x) => (x < p ? 1 : 0)));
      expect(generator.getState()).toEqual(doubles.getState());
    }
  });
});
