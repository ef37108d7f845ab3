import { describe, expect, test } from "vitest";
import { type Spike, SpikeFinder } from "../../../extension/protocol/curves/spikes.ts";

/** Uniform in (0, 1), the same each time (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
}

const NOISES: Record<string, (uniform: () => number) => number> = {
  uniform: (uniform) => uniform(),
  normal: (uniform) => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()),
  exponential: (uniform) => -Math.log(uniform()),
  "log-normal": (uniform) => Math.exp(NOISES["normal"]!(uniform)),
  // Half of its values are 0, as of a hinge loss.
  rectified: (uniform) => Math.max(0, NOISES["normal"]!(uniform)),
  binary: (uniform) => Number(uniform() < 0.05),
};

const LEVELS: Record<string, (step: number) => number> = {
  flat: () => 1,
  falling: (step) => 2.3 * Math.exp(-step / 500) + 0.2,
  rising: (step) => 1 + step / 1000,
};

function find(length: number, curve: (step: number) => number): Spike[] {
  const finder = new SpikeFinder();
  return Array.from({ length }, (_none, step) => finder.add(step, curve(step)) ?? []).flat();
}

/** A noisy, falling loss, to which `extra` is added. */
function loss(extra: (step: number) => number, unit = 1): (step: number) => number {
  const uniform = random(1);
  return (step) => unit * (0.3 + 2 * Math.exp(-step / 150) + 0.02 * NOISES["normal"]!(uniform) + extra(step));
}

describe("false spikes", () => {
  const RUNS = 20;
  for (const [level, at] of Object.entries(LEVELS))
    for (const [noise, draw] of Object.entries(NOISES))
      test(`are rare in ${noise} noise of a ${level} curve`, () => {
        let found = 0;
        for (let seed = 0; seed < RUNS; seed++) {
          const uniform = random(seed);
          found += find(2000, (step) => at(step) * (1 + 0.3 * draw(uniform))).length;
        }
        // Of values that recur, the first few can't be told from spikes.
        expect(found / RUNS).toBeLessThan(noise === "binary" ? 4 : 1);
      });

  test("are none in curves without noise: constant, oscillating, slowly rising", () => {
    expect(find(2000, () => 1)).toEqual([]);
    expect(find(2000, (step) => 1 + (step % 2) * 1e-7)).toEqual([]);
    expect(find(2000, (step) => 1 + 0.5 * Math.sin(step / 7) * Math.exp(step / 5000))).toEqual([]);
    expect(find(2000, (step) => 1 / (1 + step) + 1e-5 * step)).toEqual([]);
  });
});

describe("a spike", () => {
  const once = (step: number): number => (step === 600 ? 0.5 : 0);

  test("is found in the step in which it is clear, whatever the curve's unit and offset", () => {
    for (const unit of [1e-6, 1, 1e9]) expect(find(1000, loss(once, unit))).toMatchObject([{ step: 600 }]);
    const negative = loss(once);
    expect(find(1000, (step) => negative(step) - 100)).toMatchObject([{ step: 600 }]);
  });

  test("of several points is one, and is found while it rises", () => {
    const hump = (step: number): number => (step < 600 ? 0 : 0.3 * Math.exp(-(((step - 605) / 3) ** 2)));
    const found = find(1000, loss(hump));
    expect(found).toHaveLength(1);
    expect(found[0]!.step).toBeLessThanOrEqual(605);
  });

  test("is found again when it recurs, and a curve that stays up has one", () => {
    const three = (step: number): number => ([400, 500, 600].includes(step) ? 0.8 : 0);
    expect(find(1000, loss(three)).map(({ step }) => step)).toEqual([400, 500, 600]);
    expect(
      find(
        2000,
        loss((step) => (step >= 600 ? 1 : 0)),
      ),
    ).toHaveLength(1);
  });

  test("has earlier steps and values that aren't finite left out", () => {
    const finder = new SpikeFinder();
    const curve = loss(() => 0);
    for (let step = 0; step < 100; step++) finder.add(step, curve(step));
    expect(finder.add(99, 50)).toBeUndefined();
    expect(finder.add(100, Number.NaN)).toBeUndefined();
    expect(finder.add(101, Infinity)).toBeUndefined();
    expect(finder.add(102, 50)).toMatchObject({ step: 102, value: 50 });
  });
});
