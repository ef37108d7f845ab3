import { afterEach, describe, expect, expectTypeOf, test } from "vitest";
import { data, nn, torch, type Tensor } from "../../../../extension/nn/index.ts";
import { setBundledSets } from "../../../../extension/nn/data/bundled.ts";
import { setWarningSink } from "../../../../extension/nn/warnings.ts";
import { useEngine } from "../../../engines.ts";

useEngine("cpu");

const numbers = (n: number): data.TensorDataset<[Tensor, Tensor]> =>
  new data.TensorDataset(torch.arange(n), torch.arange(n).float().reshape(n, 1).mul(10));

const rows = (t: Tensor): number[] => [...t.toTypedArray()];

describe("data sets", () => {
  test("TensorDataset: rows of each tensor by slice, list or tensor", () => {
    const of = ([x, y]: [Tensor, Tensor]): unknown[] => [x.tolist(), y.flatten().tolist()];
    const set = numbers(5);
    expect(of(set.get("1:3"))).toEqual([
      [1, 2],
      [10, 20],
    ]);
    for (const chosen of [[3, 0], torch.tensor([3, 0])]) {
      expect(of(set.get(chosen))).toEqual([
        [3, 0],
        [30, 0],
      ]);
    }
    const both = new data.ConcatDataset([set, set, numbers(2)]);
    expect(both.cumulativeSizes).toEqual([5, 10, 12]);
  });

  test("TensorDataset: samples, batches, sizes", () => {
    const set = numbers(4);
    expectTypeOf(set.get(0)).toEqualTypeOf<[Tensor, Tensor]>();
    const [x, y] = set.get(-1);
    expect([x.shape, x.item(), y.shape, y.item()]).toEqual([[], 3, [1], 30]);
    expect(() => set.get(4)).toThrow("index 4 is out of range for 4 samples");
    expect(() => new data.TensorDataset(torch.zeros(3), torch.zeros(4))).toThrow(
      "Size mismatch between tensors",
    );
    expect(set.getBatch([3, 1, 1]).map(rows)).toEqual([
      [3, 1, 1],
      [30, 10, 10],
    ]);
    expect(set.getBatch([1, 2]).map(rows)).toEqual([
      [1, 2],
      [10, 20],
    ]);
  });

  test("a whole batch in order shares the tensor's values, not its memory", () => {
    const x = torch.rand(3, 2);
    const [batch] = new data.TensorDataset(x).getBatch([0, 1, 2]);
    expect(batch!.tolist()).toEqual(x.tolist());
    expect(batch!.value.data).toBe(x.value.data);
    batch!.zero_();
    expect(x.sum().item()).toBeGreaterThan(0);
  });

  test("Subset and ConcatDataset renumber their samples", () => {
    const joined = new data.ConcatDataset([numbers(2), new data.Subset(numbers(5), [4, 3])]);
    expect([...joined].map(([x]) => x.item())).toEqual([0, 1, 4, 3]);
    expect(() => joined.get(4)).toThrow("index 4 is out of range");
    const [batch] = [...new data.DataLoader(joined, { batchSize: 4 })];
    expect(rows(batch![0])).toEqual([0, 1, 4, 3]);
  });

  test("randomSplit deals out every sample once, as PyTorch's torch.manual_seed(0) does", () => {
    torch.manualSeed(0);
    const parts = data.randomSplit(numbers(10), [0.7, 0.3]);
    expect(parts.map((p) => p.indices)).toEqual([
      [4, 1, 7, 5, 3, 9, 0],
      [8, 6, 2],
    ]);
    expect(() => data.randomSplit(numbers(3), [1, 1])).toThrow("Sum of input lengths does not equal");
  });

  test("bundled sets come from the registered source of files", () => {
    const before = setBundledSets(undefined);
    expect(() => data.digits()).toThrow("the bundled data sets are not at hand here");
    setBundledSets({
      samples: (name) => ({
        features: Float32Array.of(0, 8, 16, 4),
        shape: [2, 2],
        targets: Int32Array.of(1, 0),
        classes: [name, "b"],
      }),
      text: () => "",
    });
    try {
      const digits = data.digits();
      expect([rows(digits.inputs), rows(digits.targets), digits.classes]).toEqual([
        [0, 0.5, 1, 0.25],
        [1, 0],
        ["digits", "b"],
      ]);
      expect(rows(data.iris().inputs)).toEqual([0, 8, 16, 4]);
    } finally {
      setBundledSets(before);
    }
  });
});

describe("DataLoader", () => {
  test("batches, the last one smaller or dropped", () => {
    const sizes = (options: object): number[] =>
      [...new data.DataLoader(numbers(5), options)].map(([x]) => x.size(0));
    expect(sizes({ batchSize: 2 })).toEqual([2, 2, 1]);
    expect(sizes({ batchSize: 2, dropLast: true })).toEqual([2, 2]);
    expect(sizes({})).toEqual([1, 1, 1, 1, 1]);
    expect(new data.DataLoader(numbers(5), { batchSize: 2, dropLast: true }).length).toBe(2);
    expect(new data.DataLoader(numbers(5), 2).length).toBe(3);
  });

  test("members of a batch are typed like those of a sample", () => {
    for (const [x, y] of new data.DataLoader(numbers(2))) {
      expectTypeOf(x).toEqualTypeOf<Tensor>();
      expect([x.dtype, y.shape]).toEqual(["int64", [1, 1]]);
    }
  });

  test("reshuffles each epoch with the global generator", () => {
    const loader = new data.DataLoader(numbers(6), { batchSize: 6, shuffle: true });
    const epoch = (): number[] => rows([...loader][0]![0]);
    torch.manualSeed(1);
    const [a, b] = [epoch(), epoch()];
    torch.manualSeed(1);
    expect([epoch(), epoch()]).toEqual([a, b]);
    expect(a).not.toEqual(b);
    expect(a.toSorted((x, y) => x - y)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test("the base seed is drawn when the loop begins", () => {
    torch.manualSeed(5);
    torch.rand(2);
    const expected = torch.rand(1).item();
    torch.manualSeed(5);
    new data.DataLoader(numbers(3))[Symbol.iterator]();
    expect(torch.rand(1).item()).toBe(expected);
  });

  test("samples of any form: numbers, tensors, strings, objects", () => {
    class Words extends data.Dataset<{
      word: string;
      length: number;
      code: Tensor;
      pair: [number, boolean];
    }> {
      length = 2;
      get(i: number): { word: string; length: number; code: Tensor; pair: [number, boolean] } {
        const word = ["ab", "cde"][i]!;
        return { word, length: word.length, code: torch.tensor([i, i]), pair: [i / 2, i > 0] };
      }
    }
    const [batch] = [...new data.DataLoader(new Words(), { batchSize: 2 })];
    expectTypeOf(batch!.word).toEqualTypeOf<string[]>();
    expectTypeOf(batch!.code).toEqualTypeOf<Tensor>();
    expect(batch!.word).toEqual(["ab", "cde"]);
    expect([rows(batch!.length), batch!.length.dtype]).toEqual([[2, 3], "int64"]);
    expect([batch!.code.shape, rows(batch!.code)]).toEqual([
      [2, 2],
      [0, 0, 1, 1],
    ]);
    expect([rows(batch!.pair[0]), rows(batch!.pair[1])]).toEqual([
      [0, 0.5],
      [0, 1],
    ]);
  });

  test("samples of unequal size are refused", () => {
    class Ragged extends data.Dataset<Tensor> {
      length = 2;
      get(i: number): Tensor {
        return torch.zeros(i + 1);
      }
    }
    expect(() => [...new data.DataLoader(new Ragged(), { batchSize: 2 })]).toThrow(
      "stack expects each tensor to be equal size, but got [1] at entry 0 and [2] at entry 1",
    );
  });

  test("a collate function and a sampler of one's own", () => {
    const loader = new data.DataLoader(numbers(4), {
      batchSize: 3,
      sampler: new data.SequentialSampler({ length: 3 }),
      collateFn: (samples) => samples.map(([x]) => x.item()).join(),
    });
    expect([...loader]).toEqual(["0,1,2"]);
    expect(loader.length).toBe(1);
    expect(
      () =>
        new data.DataLoader(numbers(4), { shuffle: true, sampler: new data.RandomSampler({ length: 4 }) }),
    ).toThrow("sampler option is mutually exclusive with shuffle");
    expect(() => new data.DataLoader(numbers(4), { batchSize: 0 })).toThrow(
      "batch_size should be a positive integer value",
    );
  });
});

test("accuracy", () => {
  const scores = torch.tensor([
    [1, 2],
    [3, 0],
    [0, 0],
  ]);
  expect(data.accuracy(scores, torch.tensor([1, 1, 0]))).toBeCloseTo(2 / 3, 12);
  expect(() => data.accuracy(scores, torch.tensor([1]))).toThrow("got [3, 2] and [1]");
});

describe("warnings are said once", () => {
  const said: string[] = [];
  let before: ReturnType<typeof setWarningSink> | undefined;
  afterEach(() => {
    setWarningSink(before!);
    said.length = 0;
  });

  test("of a target that broadcasts, and of softmax without a dimension", () => {
    before = setWarningSink((message) => said.push(message));
    const loss = new nn.MSELoss();
    for (let i = 0; i < 2; i++) loss(torch.zeros(4, 1), torch.zeros(4));
    new nn.Softmax()(torch.zeros(2, 3));
    expect(said).toEqual([
      "Using a target size (torch.Size([4])) that is different to the input size (torch.Size([4, 1])). This will likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
      "Implicit dimension choice for softmax has been deprecated. Change the call to include dim=X as an argument.",
    ]);
  });
});

describe("numbers of samples that a sampler gives", () => {
  const set = new data.TensorDataset(torch.tensor([10, 20, 30]));
  const sets: [name: string, of: data.Dataset][] = [
    ["a tensor data set", set],
    ["a subset", new data.Subset(set, [0, 1, 2])],
    ["a subset of negative numbers", new data.Subset(set, [-3, -2, -1])],
  ];
  const batches = (of: data.Dataset, sampler: number[]): unknown[] =>
    [...new data.DataLoader(of, { sampler, batchSize: 3 })].flatMap((batch) =>
      (batch as Tensor[]).map((x) => x.tolist()),
    );

  test.each(sets)("may be negative: %s", (_, of) => {
    expect(batches(of, [0, -1])).toEqual([[10, 30]]);
    expect(batches(of, [-3, -2, -1])).toEqual([[10, 20, 30]]);
  });

  test.each(sets)("must be there: %s", (_, of) => {
    for (const sampler of [[0, 5, 2], [1, 2, 3], [0, -4], [0.5]])
      expect(() => batches(of, sampler)).toThrow("is out of range for 3 samples");
  });

  test("in a subset must be there", () => {
    expect(() => batches(new data.Subset(set, [0, 7]), [0, 1])).toThrow("index 7 is out of range");
  });
});
