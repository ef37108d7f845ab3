import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { normal, uniform } from "../../../extension/tensor/random/operations.ts";
import { DEFAULT_SEED, Generator, STATE_BYTES } from "../../../extension/tensor/random/generator.ts";
import { Mt19937 } from "../../../extension/tensor/random/mt19937.ts";

test("the engine is MT19937: the 10,000th word of seed 5489 is that of the C++ standard", () => {
  const engine = new Mt19937(5489);
  engine.skip(9999);
  expect(engine.nextU32()).toBe(4123659995);
});

test("words one by one, in bulk and skipped are the same stream", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(1500), { maxLength: 6 }), fc.nat(), (counts, seed) => {
      const single = new Mt19937(seed);
      const bulk = new Mt19937(seed);
      const skipped = new Mt19937(seed);
      for (const count of counts) {
        const out = new Uint32Array(count + 1).fill(7);
        bulk.fillU32(out, count);
        expect([...out.subarray(0, count)]).toEqual(Array.from({ length: count }, () => single.nextU32()));
        expect(out[count]).toBe(7);
        skipped.skip(count);
      }
      expect(bulk.getState()).toEqual(single.getState());
      expect(skipped.getState()).toEqual(single.getState());
    }),
    { numRuns: 30 },
  );
});

test("64 bits are two words, the first one high", () => {
  const [words, wide] = [new Generator(), new Generator()];
  const [first, second] = [words.nextU32(), words.nextU32()];
  expect(wide.nextU64()).toBe(BigInt(first) * 2n ** 32n + BigInt(second));
});

describe("seeds", () => {
  test("the default is PyTorch's", () => {
    expect(new Generator().initialSeed()).toBe(67280421310721n);
    expect(new Generator().getState()).toEqual(new Generator().manualSeed(DEFAULT_SEED).getState());
  });

  test("negative ones wrap, and the low 32 bits make the stream", () => {
    expect(new Generator().manualSeed(-1).initialSeed()).toBe(2n ** 64n - 1n);
    const word = (seed: number | bigint): number => new Generator().manualSeed(seed).nextU32();
    expect(word(2n ** 40n + 5n)).toBe(word(5));
    expect(word(-1)).toBe(word(0xffffffff));
  });

  test.each([1.5, Number.NaN, Infinity, 2n ** 64n, -(2n ** 63n) - 1n])("%s is refused", (seed) => {
    expect(() => new Generator().manualSeed(seed)).toThrow(/^manual_seed expected /);
  });

  test("a random seed is returned and repeatable", () => {
    const generator = new Generator();
    const seed = generator.seed();
    expect(generator.initialSeed()).toBe(seed);
    expect(generator.nextU64()).toBe(new Generator().manualSeed(seed).nextU64());
    expect(new Generator().seed()).not.toBe(seed);
  });
});

describe("state", () => {
  const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex").slice(0, 16);

  // SHA-256 of bytes(torch.Generator().manual_seed(5) ... .get_state().tolist()), PyTorch 2.15.0.
  test("has the bytes of torch.get_rng_state()", () => {
    const generator = new Generator().manualSeed(5);
    expect(digest(generator.getState())).toBe("f4ef6f460154679c");
    const draw = (n: number): void => uniform(n).skip(generator);
    draw(1);
    expect(digest(generator.getState())).toBe("109eba13af6bcf27");
    draw(623);
    expect(digest(generator.getState())).toBe("7447755f70b7c178");
    draw(1000);
    expect(digest(generator.getState())).toBe("b59c734abf830094");
  });

  test("holds the kept normal value", () => {
    const generator = new Generator().manualSeed(1);
    normal(1).skip(generator);
    const copy = generator.clone();
    const values = [generator, copy].map((g) => {
      const out = new Float32Array(4);
      normal(4).fill(g, out);
      return [...out];
    });
    expect(values[0]).toEqual(values[1]);
    expect(values[0]![0]).toBe(Math.fround(0.2669241));
    expect(new Generator().setState(copy.getState()).getState()).toEqual(generator.getState());
  });

  test("a float32 normal value that PyTorch put there is kept", () => {
    const state = new Generator().getState();
    const view = new DataView(state.buffer);
    view.setFloat32(5048, 0.5, true);
    view.setUint8(5052, 1);
    expect(new Generator().setState(state).getState()).toEqual(state);
  });

  test("is a copy", () => {
    const generator = new Generator();
    const state = generator.getState();
    generator.nextU32();
    expect(generator.getState()).not.toEqual(state);
    expect(generator.setState(state).getState()).toEqual(state);
  });

  test.each<[string, (view: DataView) => void]>([
    ["not seeded", (view) => view.setInt32(12, 0, true)],
    ["no words left", (view) => view.setInt32(8, 0, true)],
    ["too many words left", (view) => view.setInt32(8, 625, true)],
    ["next word and words left disagree", (view) => view.setUint32(16, 3, true)],
    ["next word out of the block", (view) => view.setUint32(16, 700, true)],
  ])("is refused when %s", (_, spoil) => {
    const state = new Generator().getState();
    spoil(new DataView(state.buffer));
    const generator = new Generator().manualSeed(3);
    const before = generator.getState();
    expect(() => generator.setState(state)).toThrow(/^Invalid mt19937 state/);
    expect(generator.getState()).toEqual(before);
  });

  test("of another size is refused", () => {
    expect(() => new Generator().setState(new Uint8Array(10))).toThrow(
      `RNG state is wrong size: expected ${STATE_BYTES} bytes, got 10`,
    );
  });
});
