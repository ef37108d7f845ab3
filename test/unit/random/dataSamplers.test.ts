import { describe, expect, test } from "vitest";
import { randint } from "../../../extension/tensor/random/operations.ts";
import { Generator } from "../../../extension/tensor/random/generator.ts";
import {
  batchCount,
  batchSampler,
  checkLoader,
  loaderBatches,
  randomSampler,
  randomSplit,
  sequentialSampler,
  splitLengths,
  subsetRandomSampler,
  weightedRandomSampler,
} from "../../../extension/tensor/random/dataSamplers.ts";

// Expected numbers: PyTorch 2.15.0, the calls named in each test.

interface Source {
  generator: Generator;
}

const seeded = (seed: number): Source => ({ generator: new Generator().manualSeed(seed) });

/** torch.randint(0, 100, (1,), generator=...).item() */
const percent = ({ generator }: Source): number => {
  const out = new Int32Array(1);
  randint(1, 0, 100).fill(generator, out);
  return out[0]!;
};

/** torch.rand(1, generator=...).item(), four decimals */
const rand = ({ generator }: Source): string => ((generator.nextU32() & 0xffffff) / 2 ** 24).toFixed(4);

describe("RandomSampler", () => {
  test("replacement=True, num_samples=40 after manual_seed(3)", () => {
    const global = seeded(3);
    expect([...randomSampler({ length: 7, replacement: true, samples: 40 }, global)]).toEqual([
      5, 6, 2, 4, 6, 6, 4, 0, 2, 6, 3, 3, 5, 4, 4, 2, 2, 0, 5, 3, 2, 1, 6, 6, 2, 0, 1, 1, 0, 1, 0, 3, 4, 2, 4,
      6, 0, 5, 6, 3,
    ]);
    expect(rand(global)).toBe("0.2858");
  });

  test("num_samples=12 of 5 deals several permutations", () => {
    const global = seeded(3);
    expect([...randomSampler({ length: 5, samples: 12 }, global)]).toEqual([
      2, 1, 0, 4, 3, 3, 0, 1, 2, 4, 3, 4,
    ]);
    expect(rand(global)).toBe("0.2858");
  });

  test("a generator of its own is used directly, and the global one not at all", () => {
    const [source, global] = [seeded(3), seeded(4)];
    expect([...randomSampler({ length: 5, samples: 12, source }, global)]).toEqual([
      1, 0, 3, 4, 2, 0, 1, 2, 4, 3, 1, 4,
    ]);
    expect(rand(source)).toBe("0.1498");
    expect(global.generator.getState()).toEqual(seeded(4).generator.getState());
  });

  test("nothing to draw from is refused", () => {
    expect(() => [...randomSampler({ length: 0, samples: 4 }, seeded(0))]).toThrow(
      "num_samples should be a positive integer value, but got num_samples=0",
    );
  });
});

test("SubsetRandomSampler([10, 20, 30, 40])", () => {
  expect([...subsetRandomSampler([10, 20, 30, 40], seeded(3))]).toEqual([30, 40, 20, 10]);
});

test("WeightedRandomSampler([.1, .5, .2, .9], 3, replacement=False)", () => {
  expect([...weightedRandomSampler([0.1, 0.5, 0.2, 0.9], 3, false, seeded(3))]).toEqual([3, 0, 1]);
  expect(() => [...weightedRandomSampler([1, 2], 0, true, seeded(3))]).toThrow(/^num_samples should be/);
});

describe("a generator shared by the loader and the loop body is drawn from in PyTorch's order", () => {
  const run = (length: number, dropLast: boolean): [[number[], number][], number] => {
    const source = seeded(9);
    const seen: [number[], number][] = [];
    for (const batch of loaderBatches({ length, batchSize: 3, shuffle: true, dropLast, source }, seeded(0))) {
      seen.push([batch, percent(source)]);
    }
    return [seen, percent(source)];
  };

  test("whole batches only", () => {
    expect(run(6, false)).toEqual([
      [
        [[0, 3, 4], 78],
        [[5, 1, 2], 93],
      ],
      26,
    ]);
  });

  test("a smaller last batch", () => {
    expect(run(7, false)).toEqual([
      [
        [[5, 6, 4], 93],
        [[3, 0, 2], 1],
        [[1], 64],
      ],
      89,
    ]);
  });

  test("the last batch dropped", () => {
    expect(run(7, true)).toEqual([
      [
        [[5, 6, 4], 93],
        [[3, 0, 2], 1],
      ],
      64,
    ]);
  });

  test("an epoch left early", () => {
    const source = seeded(9);
    const batches = loaderBatches({ length: 7, batchSize: 3, shuffle: true, source }, seeded(0));
    expect(batches.next().value).toEqual([5, 6, 4]);
    expect(percent(source)).toBe(93);
  });
});

test("the base seed is drawn when the epoch starts, the order with the first batch", () => {
  const global = seeded(9);
  const batches = loaderBatches({ length: 6, batchSize: 3, shuffle: true }, global);
  expect([percent(global), batches.next().value, percent(global)]).toEqual([74, [5, 3, 4], 68]);
});

test("the source is read for every draw", () => {
  let reads = 0;
  const { generator } = seeded(1);
  const source = {
    get generator(): Generator {
      reads++;
      return generator;
    },
  };
  expect([...loaderBatches({ length: 4, batchSize: 2, shuffle: true, source }, seeded(0))]).toHaveLength(2);
  expect(reads).toBe(3);
});

test("batches", () => {
  const batches = (length: number, batchSize: number, dropLast = false): number[][] => [
    ...batchSampler(sequentialSampler(length), batchSize, dropLast),
  ];
  expect(batches(5, 2)).toEqual([[0, 1], [2, 3], [4]]);
  expect(batches(5, 2, true)).toEqual([
    [0, 1],
    [2, 3],
  ]);
  expect(batches(0, 2)).toEqual([]);
  for (const dropLast of [false, true]) {
    for (const length of [0, 1, 4, 5]) {
      expect(batchCount({ length, batchSize: 2, dropLast })).toBe(batches(length, 2, dropLast).length);
    }
  }
});

test("a loader is refused for what DataLoader refuses", () => {
  const message = "batch_size should be a positive integer value, but got batch_size=";
  for (const batchSize of [0, -1, 1.5]) {
    expect(() => checkLoader({ length: 5, batchSize })).toThrow(message + batchSize);
  }
  expect(() => checkLoader({ length: 0, batchSize: 1, shuffle: true })).toThrow(/got num_samples=0$/);
  expect(checkLoader({ length: 0, batchSize: 1 })).toBeUndefined();
});

describe("random_split", () => {
  test("fractions are rounded down, the rest goes round", () => {
    expect(splitLengths(11, [0.5, 0.25, 0.25])).toEqual([6, 3, 2]);
    expect(splitLengths(5, [0.9, 0.1])).toEqual([5, 0]);
    expect(splitLengths(10, [0.7, 0.2, 0.1])).toEqual([7, 2, 1]);
  });

  test("every sample is in one part", () => {
    const parts = randomSplit(100, [60, 30, 10], seeded(1));
    expect(parts.map((part) => part.length)).toEqual([60, 30, 10]);
    expect(parts.flat().sort((a, b) => a - b)).toEqual([...sequentialSampler(100)]);
  });

  test("wrong parts are refused", () => {
    expect(() => splitLengths(5, [3, 3])).toThrow(
      "Sum of input lengths does not equal the length of the input dataset!",
    );
    expect(() => splitLengths(5, [0.5, 0.6])).toThrow(/^Sum of input lengths/);
    expect(() => splitLengths(5, [1.5, -0.5])).toThrow("Fraction at index 0 is not between 0 and 1");
  });
});
