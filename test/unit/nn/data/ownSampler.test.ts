// Samplers that a program defines, as subclasses of data.Sampler.
import { expect, test } from "vitest";
import { data, torch, type Tensor } from "../../../../extension/nn/index.ts";
import { useEngine } from "../../../engines.ts";

useEngine("cpu");

const dataset = new data.TensorDataset(torch.arange(6).float());
const batches = (loader: Iterable<unknown>): unknown[] =>
  [...loader].map((batch) => (batch as Tensor[])[0]!.tolist());

class Backwards extends data.Sampler {
  get length(): number {
    return dataset.length;
  }

  *[Symbol.iterator](): Generator<number> {
    for (let i = this.length - 1; i >= 0; i--) yield i;
  }
}

class Pairs extends data.Sampler<number[]> {
  readonly length = 2;

  *[Symbol.iterator](): Generator<number[]> {
    yield [0, 5];
    yield [1, 2, 4];
  }
}

test("a loader takes its samples from a program's sampler", () => {
  const loader = new data.DataLoader(dataset, { batchSize: 4, sampler: new Backwards() });
  expect(batches(loader)).toEqual([
    [5, 4, 3, 2],
    [1, 0],
  ]);
  expect(loader.length).toBe(2);
});

test("a loader takes its batches from a program's batch sampler", () => {
  const loader = new data.DataLoader(dataset, { batchSampler: new Pairs() });
  expect(batches(loader)).toEqual([
    [0, 5],
    [1, 2, 4],
  ]);
});

test("PyTorch's samplers are kinds of Sampler", () => {
  const random = new data.RandomSampler(dataset);
  for (const sampler of [
    random,
    new data.SequentialSampler(dataset),
    new data.SubsetRandomSampler([1, 2]),
    new data.WeightedRandomSampler([1, 2], 3),
    new data.BatchSampler(random, 2, false),
    new data.DistributedSampler(dataset, { numReplicas: 2, rank: 0 }),
  ])
    expect(sampler).toBeInstanceOf(data.Sampler);
});

test("a batch sampler may give tensors", () => {
  const batchSampler = {
    length: 2,
    *[Symbol.iterator](): Generator<Tensor> {
      yield torch.tensor([0, 5]);
      yield torch.tensor([3]);
    },
  };
  expect(batches(new data.DataLoader(dataset, { batchSampler }))).toEqual([[0, 5], [3]]);
});

test("a data set may be given by its name, with the options", () => {
  const loader = new data.DataLoader({ dataset, batchSize: 4 });
  expect(batches(loader)).toEqual([
    [0, 1, 2, 3],
    [4, 5],
  ]);
  expect(loader.dataset).toBe(dataset);
  const own = { length: 2, get: (i: number) => torch.tensor(i), dataset: [1] };
  expect(new data.DataLoader(own).length).toBe(2);
});
