// Random numbers that the binding draws, against those that JavaScript draws.
import { afterEach, describe, expect, test } from "vitest";
import { allocate, type DType } from "../../../extension/tensor/core/dtype.ts";
import { loadNative } from "../../../extension/native/load.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import {
  bernoulli,
  dropout,
  exponential,
  normal,
  randint,
  uniform,
} from "../../../extension/tensor/random/operations.ts";
import type { Draw, NumberArray } from "../../../extension/tensor/random/draw.ts";
import { Generator } from "../../../extension/tensor/random/generator.ts";
import { drawBy } from "../../../extension/tensor/random/mt19937.ts";

const available = nativeStatus().state === "installed";

/** Below and above what a call is worth; even and odd numbers of words, so that pairs lie across blocks. */
const SIZES = [1, 17, 311, 512, 624, 1023, 1248, 5000, 40_007];

const DRAWS: Record<string, (size: number) => Draw> = {
  dropout: (size) => dropout(size, 0.1),
  "dropout of almost everything": (size) => dropout(size, 1 - 2 ** -40),
  uniform: (size) => uniform(size, -3, 0.5),
  normal: (size) => normal(size, 0.25, 3),
  exponential: (size) => exponential(size),
  randint: (size) => randint(size, -5, 1000),
  "randint of one number": (size) => randint(size, 3, 4),
  "randint of the widest range of one word": (size) => randint(size, -(2 ** 31), 2 ** 28 - 1 - 2 ** 31),
};

describe.skipIf(!available)("draws by the binding", () => {
  afterEach(() => drawBy(undefined));

  /** All draws one after the other, every third of them passed over. */
  function drawn(make: (size: number) => Draw): { values: NumberArray[]; state: Uint8Array } {
    const generator = new Generator().manualSeed(7);
    const values = SIZES.map((size, i) => {
      const draw = make(size);
      const out = draw.kind === "randint" ? new Int32Array(size) : new Float32Array(size);
      if (i % 3 === 2) draw.skip(generator);
      else draw.fill(generator, out as Float32Array);
      return out;
    });
    return { values, state: generator.getState() };
  }

  test.each(Object.keys(DRAWS))("%s", (name) => {
    drawBy(undefined);
    const expected = drawn(DRAWS[name]!);
    let calls = 0;
    const binding = loadNative();
    drawBy({
      drawRandom: (...args) => {
        calls++;
        return binding.drawRandom(...args);
      },
    });
    const actual = drawn(DRAWS[name]!);
    expect(calls).toBeGreaterThan(3);
    actual.values.forEach((values, i) => expect(values, `${SIZES[i]} numbers`).toEqual(expected.values[i]));
    expect(actual.state).toEqual(expected.state);
  });

  test("of integers and truth values are drawn in JavaScript: the same numbers", () => {
    const wide = (dtype: DType): number[] => {
      const generator = new Generator().manualSeed(7);
      const out = allocate(dtype, 600);
      bernoulli(600, 0.3).fill(generator, out as Float32Array);
      return Array.from(out);
    };
    drawBy(loadNative());
    const expected = wide("float32");
    expect(expected.some((x) => x === 1)).toBe(true);
    expect(wide("int64")).toEqual(expected);
    expect(wide("bool")).toEqual(expected);
  });

  test("refuses a state, a size or an array that isn't one", () => {
    const binding = loadNative();
    const parameters = new Float64Array(3);
    const words = new Int32Array(624);
    const out = new Float32Array(16);
    const message = "Random numbers can't be drawn so";
    expect(() => binding.drawRandom(3, new Int32Array(600), 600, out, 16, parameters)).toThrow(message);
    expect(() => binding.drawRandom(3, words, 625, out, 16, parameters)).toThrow(message);
    expect(() => binding.drawRandom(3, words, 0, out, 17, parameters)).toThrow(message);
    expect(() => binding.drawRandom(4, words, 0, out, 8, parameters)).toThrow(message);
    expect(() => binding.drawRandom(1, words, 0, out, 16, parameters)).toThrow(message);
    expect(() => binding.drawRandom(5, words, 0, out, 16, parameters)).toThrow(message);
    expect(() => binding.drawRandom(9, words, 0, out, 16, parameters)).toThrow(message);
    expect(() => binding.drawRandom(3, words, 0, out, 16, new Float64Array(2))).toThrow(message);
  });
});
