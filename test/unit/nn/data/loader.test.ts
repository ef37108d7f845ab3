// Samplers, loaders and splits against PyTorch's (test/fixtures/loader/make.py): orders, and how much is drawn.
import fs from "node:fs";
import { describe, expect, expectTypeOf, test } from "vitest";
import { data, torch, type Tensor } from "../../../../extension/nn/index.ts";
import type { RandomStream } from "../../../../extension/tensor/random/stream.ts";
import { useEngine } from "../../../engines.ts";

interface Case {
  name: string;
  own: boolean;
  length: number;
  epochs: unknown[][];
  next: number;
}

const file = new URL("../../../fixtures/loader/loader.json", import.meta.url);
const { samplers, loaders, splits } = JSON.parse(fs.readFileSync(file, "utf8")) as {
  samplers: Case[];
  loaders: Case[];
  splits: { n: number; lengths: number[]; parts: number[][]; own: number[][] }[];
};

useEngine("cpu");

type Options = { generator?: RandomStream };
const seven = { length: 7 };

const SAMPLERS: Record<string, (g: Options) => Iterable<unknown> & { length: number }> = {
  sequential: () => new data.SequentialSampler(seven),
  random: (g) => new data.RandomSampler(seven, g),
  more: (g) => new data.RandomSampler(seven, { numSamples: 17, ...g }),
  fewer: (g) => new data.RandomSampler(seven, { numSamples: 3, ...g }),
  replacement: (g) => new data.RandomSampler(seven, { replacement: true, numSamples: 40, ...g }),
  replacement32: (g) => new data.RandomSampler(seven, { replacement: true, numSamples: 32, ...g }),
  subset: (g) => new data.SubsetRandomSampler([3, 1, 4, 15], g),
  weighted: (g) => new data.WeightedRandomSampler([0.1, 0.5, 0.2, 0.9], 6, g),
  weightedOnce: (g) => new data.WeightedRandomSampler([0.1, 0.5, 0.2, 0.9], 4, { replacement: false, ...g }),
  batches: (g) => new data.BatchSampler(new data.RandomSampler(seven, g), 3, false),
  wholeBatches: (g) => new data.BatchSampler(new data.RandomSampler(seven, g), 3, true),
};

class Stream extends data.IterableDataset<number> {
  readonly #from: number;
  readonly #to: number;

  constructor(from: number, to: number) {
    super();
    this.#from = from;
    this.#to = to;
  }

  *[Symbol.iterator](): Iterator<number> {
    for (let i = this.#from; i < this.#to; i++) yield i;
  }
}

const numbers = (): data.TensorDataset<[Tensor]> => new data.TensorDataset(torch.arange(7));

const LOADERS: Record<string, (g: Options) => Iterable<unknown>> = {
  shuffle: (g) => new data.DataLoader(numbers(), { batchSize: 3, shuffle: true, ...g }),
  dropLast: (g) => new data.DataLoader(numbers(), { batchSize: 3, shuffle: true, dropLast: true, ...g }),
  sampler: (g) =>
    new data.DataLoader(numbers(), {
      batchSize: 2,
      sampler: new data.SubsetRandomSampler([6, 2, 4], g),
      ...g,
    }),
  batchSampler: (g) =>
    new data.DataLoader(numbers(), {
      batchSampler: new data.BatchSampler(new data.RandomSampler(seven, g), 2, false),
      ...g,
    }),
  unbatched: (g) => new data.DataLoader(numbers(), { batchSize: null, shuffle: true, ...g }),
  stream: (g) => new data.DataLoader(new Stream(0, 5), { batchSize: 2, ...g }),
  streamDropLast: (g) => new data.DataLoader(new Stream(0, 5), { batchSize: 2, dropLast: true, ...g }),
  chain: (g) =>
    new data.DataLoader(new data.ChainDataset([new Stream(0, 2), new Stream(5, 8)]), { batchSize: 2, ...g }),
  streamUnbatched: (g) => new data.DataLoader(new Stream(0, 3), { batchSize: null, ...g }),
};

/** Numbers of a batch, whatever it is. */
function flat(batch: unknown): unknown {
  const first: unknown = Array.isArray(batch) && typeof batch[0] === "object" ? batch[0] : batch;
  return typeof first === "object" && "tolist" in first! ? (first as Tensor).tolist() : first;
}

function drawn(own: boolean): { options: Options; next: () => number } {
  torch.manualSeed(5);
  if (!own) return { options: {}, next: () => torch.rand(1).item() };
  const generator = new torch.Generator().manualSeed(6);
  return { options: { generator }, next: () => torch.rand(1, { generator }).item() };
}

test.each(samplers)("$name, own generator: $own", ({ name, own, length, epochs, next }) => {
  const { options, next: after } = drawn(own);
  const sampler = SAMPLERS[name]!(options);
  expect(sampler.length).toBe(length);
  expect([[...sampler], [...sampler]]).toEqual(epochs);
  expect(after()).toBeCloseTo(next, 7);
});

test.each(loaders)("loader: $name, own generator: $own", ({ name, own, epochs, next }) => {
  const { options, next: after } = drawn(own);
  const loader = LOADERS[name]!(options);
  expect([[...loader].map(flat), [...loader].map(flat)]).toEqual(epochs);
  expect(after()).toBeCloseTo(next, 7);
});

test.each(splits)("randomSplit of $n into $lengths", ({ n, lengths, parts, own }) => {
  const set = new data.TensorDataset(torch.arange(n));
  torch.manualSeed(5);
  expect(data.randomSplit(set, lengths).map(({ indices }) => indices)).toEqual(parts);
  const generator = new torch.Generator().manualSeed(42);
  expect(data.randomSplit(set, lengths, { generator }).map(({ indices }) => indices)).toEqual(own);
});

describe("DataLoader", () => {
  test("nested samples are collated member by member", () => {
    class Nested extends data.Dataset<{ image: Tensor; meta: [number, string]; ok: boolean }> {
      length = 2;
      get(i: number): { image: Tensor; meta: [number, string]; ok: boolean } {
        return { image: torch.full([2], i), meta: [i / 2, `n${i}`], ok: i === 1 };
      }
    }
    const [batch] = [...new data.DataLoader(new Nested(), { batchSize: 2 })];
    expectTypeOf(batch!.meta).toEqualTypeOf<[Tensor, string[]]>();
    expect(batch!.image.tolist()).toEqual([
      [0, 0],
      [1, 1],
    ]);
    expect([batch!.meta[0].tolist(), batch!.meta[1], batch!.ok.dtype]).toEqual([
      [0, 0.5],
      ["n0", "n1"],
      "bool",
    ]);
  });

  test("StackDataset puts sets side by side, as lists or by name", () => {
    const [a, b] = [numbers(), new data.TensorDataset(torch.arange(7).mul(2))];
    const pair = new data.StackDataset(a, b);
    expectTypeOf(pair.get(0)).toEqualTypeOf<[[Tensor], [Tensor]]>();
    expect(pair.get(3).map(([x]) => x.item())).toEqual([3, 6]);
    const named = new data.StackDataset({ a, b });
    expect(named.get(-1).b[0].item()).toBe(12);
    const [batch] = [...new data.DataLoader(named, { batchSize: 7 })];
    expect(batch!.a[0].tolist()).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(() => new data.StackDataset(a, new data.TensorDataset(torch.arange(3)))).toThrow(
      "Size mismatch between datasets",
    );
    // Plain lists, as in PyTorch.
    const listed = new data.StackDataset({ a, label: [5, 6, 7, 8, 9, 10, 11].slice(0, a.length) });
    expect(listed.get(1).label).toBe(6);
    expect(new data.StackDataset(["x", "y"], [1, 2]).get(1)).toEqual(["y", 2]);
    expect(() => new data.StackDataset()).toThrow("At least one dataset should be passed");
  });

  test("collateFn is given the samples, or without batches each sample", () => {
    const sums = new data.DataLoader(numbers(), {
      batchSize: 4,
      collateFn: (samples) => samples.reduce((sum, [x]) => sum + x.item(), 0),
    });
    expect([...sums]).toEqual([6, 15]);
    const single = new data.DataLoader(new Stream(0, 2), {
      batchSize: null,
      collateFn: (sample) => [sample],
    });
    expect([...single]).toEqual([[0], [1]]);
  });

  test("lengths", () => {
    const length = (options: object): number => new data.DataLoader(numbers(), options).length;
    expect([length({}), length({ batchSize: 3 }), length({ batchSize: 3, dropLast: true })]).toEqual([
      7, 3, 2,
    ]);
    expect(length({ batchSize: null })).toBe(7);
    expect(length({ batchSampler: [[1], [2, 3]] })).toBe(2);
    expect(() => new data.DataLoader(new Stream(0, 3)).length).toThrow(
      "object of type 'Stream' has no length",
    );
    expect(new data.ChainDataset([new Stream(0, 1)]).length).toBeUndefined();
  });

  test.each<[string, () => unknown]>([
    [
      "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last",
      () => new data.DataLoader(numbers(), { batchSampler: [[0]], batchSize: 2 }),
    ],
    [
      "batch_size=None option disables auto-batching and is mutually exclusive with drop_last",
      () => new data.DataLoader(numbers(), { batchSize: null, dropLast: true }),
    ],
    [
      "sampler option is mutually exclusive with shuffle",
      () => new data.DataLoader(numbers(), { sampler: [0, 1], shuffle: true }),
    ],
    [
      "DataLoader with IterableDataset: expected unspecified shuffle option, but got shuffle=True",
      () => new data.DataLoader(new Stream(0, 1), { shuffle: true }),
    ],
    [
      "DataLoader with IterableDataset: expected unspecified batch_sampler option",
      () => new data.DataLoader(new Stream(0, 1), { batchSampler: [[0]] }),
    ],
    [
      "batch_size should be a positive integer value, but got batch_size=0",
      () => new data.DataLoader(new Stream(0, 1), { batchSize: 0 }),
    ],
    [
      "num_samples should be a positive integer value, but got num_samples=0",
      () => new data.DataLoader(new data.TensorDataset(torch.zeros(0)), { shuffle: true }),
    ],
    ["ChainDataset only supports IterableDataset", () => new data.ChainDataset([numbers() as never])],
    [
      "ConcatDataset does not support IterableDataset",
      () => new data.ConcatDataset([new Stream(0, 1) as never]),
    ],
  ])("refuses: %s", (message, body) => {
    expect(body).toThrow(message);
  });
});

test("a list of samples is a data set, for a loader and a random split", () => {
  const words = ["a", "b", "c", "d", "e"];
  const loader = new data.DataLoader(words, { batchSize: 2 });
  expectTypeOf(loader).toExtend<Iterable<string[]>>();
  expect([...loader]).toEqual([["a", "b"], ["c", "d"], ["e"]]);
  expect([loader.length, loader.dataset.length]).toEqual([3, 5]);
  const pairs: [string, number][] = [
    ["x", 1],
    ["y", 2],
  ];
  const collateFn = (batch: [string, number][]): string => batch.map(([word, n]) => word.repeat(n)).join();
  expect([...new data.DataLoader(pairs, { batchSize: 2, collateFn })]).toEqual(["x,yy"]);
  const parts = data.randomSplit(words, [3, 2]);
  expect(parts.flatMap((part) => [...part]).sort()).toEqual(words);
});
