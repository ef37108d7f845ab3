// Layers whose state is more than weights: running statistics, padding rows, rows that are shortened in place.
import { describe, expect, test } from "vitest";
import { copy, F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { setWarningSink } from "../../../extension/nn/warnings.ts";
import { useEngine } from "../../engines.ts";

useEngine("cpu");

const numbers = (t: Tensor): number[] => [...t.toTypedArray()];

describe("running statistics", () => {
  test("are buffers in PyTorch's order, and survive a round trip", () => {
    torch.manualSeed(0);
    const [a, b] = [new nn.BatchNorm1d(3), new nn.BatchNorm1d(3)];
    a(torch.randn(5, 3));
    expect([...a.stateDict().keys()]).toEqual([
      "weight",
      "bias",
      "running_mean",
      "running_var",
      "num_batches_tracked",
    ]);
    expect(b.loadStateDict(a.stateDict()).toString()).toBe("<All keys matched successfully>");
    expect(numbers(b.runningMean!)).toEqual(numbers(a.runningMean!));
    expect(numbers(b.runningVar!)).toEqual(numbers(a.runningVar!));
    expect(b.numBatchesTracked!.item()).toBe(1);
    expect(b.numBatchesTracked!.dtype).toBe("int64");
  });

  test("load from state dicts older than the count of batches", () => {
    const model = new nn.Sequential(new nn.BatchNorm1d(2));
    const state = model.stateDict();
    state.delete("0.num_batches_tracked");
    expect(model.loadStateDict(state).missingKeys).toEqual([]);
    state.delete("0.running_var");
    expect(() => model.loadStateDict(state)).toThrow('Missing key(s) in state_dict: "0.running_var". ');
  });

  test("don't require gradients, and don't keep the graph they came from", () => {
    const layer = new nn.BatchNorm1d(2);
    const x = torch.randn(4, 2).requiresGrad_();
    layer(x).sum().backward();
    expect(layer.runningMean!.requiresGrad).toBe(false);
    layer.eval();
    const y = layer(x);
    x.grad = null;
    y.sum().backward();
    const slope = numbers(layer.runningVar!).map((v) => 1 / Math.sqrt(v + 1e-5));
    numbers(x.grad!).forEach((g, i) => expect(g).toBeCloseTo(slope[i % 2]!, 5));
  });

  test("of a copy are its own", () => {
    const layer = new nn.BatchNorm1d(2);
    layer(torch.randn(4, 2));
    const twin = copy.deepcopy(layer);
    const before = numbers(layer.runningMean!);
    twin(torch.randn(4, 2));
    expect(numbers(layer.runningMean!)).toEqual(before);
    expect(numbers(twin.runningMean!)).not.toEqual(before);
    expect([layer, twin].map((l) => l.numBatchesTracked!.item())).toEqual([1, 2]);
    expect([...twin.stateDict().keys()]).toEqual([...layer.stateDict().keys()]);
  });

  test("start again", () => {
    const layer = new nn.BatchNorm2d(2);
    layer(torch.randn(3, 2, 2, 2));
    layer.resetRunningStats();
    expect(numbers(layer.runningMean!)).toEqual([0, 0]);
    expect(numbers(layer.runningVar!)).toEqual([1, 1]);
    expect(layer.numBatchesTracked!.item()).toBe(0);
  });

  test("of plain tensors move in place", () => {
    const [mean, variance] = [torch.zeros(2), torch.ones(2)];
    const x = torch.tensor([1, 10, 3, 30]).float().view(2, 2);
    F.batchNorm(x, mean, variance, { training: true, momentum: 0.5 });
    expect(numbers(mean)).toEqual([1, 10]);
    expect(numbers(variance)).toEqual([1.5, 100.5]);
  });

  test("follow every batch of a step with several", () => {
    const layer = new nn.BatchNorm1d(1, { momentum: null });
    const optimizer = new optim.SGD(layer.parameters(), { lr: 0.1 });
    for (const middle of [1, 2, 6]) {
      const x = torch.tensor([[middle - 1], [middle + 1]]).float();
      layer(x).pow(2).sum().backward();
    }
    optimizer.step();
    expect(layer.runningMean!.item()).toBeCloseTo(3, 5);
    expect(layer.runningVar!.item()).toBeCloseTo(2, 5);
  });

  test("of instance norm warn of a number of channels that isn't used", () => {
    const told: string[] = [];
    const before = setWarningSink((message) => told.push(message));
    new nn.InstanceNorm1d(5)(torch.randn(2, 3, 4));
    setWarningSink(before);
    expect(told).toEqual([
      "input's size at dim=1 does not match num_features. You can silence this warning by not passing in num_features, which is not used because affine=False",
    ]);
  });
});

describe("lookup tables", () => {
  test("the padding row doesn't change", () => {
    torch.manualSeed(1);
    const table = new nn.Embedding(4, 2, { paddingIdx: 1 });
    const optimizer = new optim.SGD(table.parameters(), { lr: 1 });
    table(torch.tensor([1, 2]))
      .sum()
      .backward();
    const before = numbers(table.weight);
    optimizer.step();
    const after = numbers(table.weight);
    expect(after.slice(0, 4)).toEqual([...before.slice(0, 2), 0, 0]);
    expect(after[4]).toBeCloseTo(before[4]! - 1, 6);
  });

  test("an initial value that is loaded over is not drawn", () => {
    const make = (): nn.Embedding => new nn.Embedding(50, 4, { paddingIdx: 3 });
    torch.manualSeed(2);
    const first = make();
    const following = torch.rand(1).item();
    expect(numbers(first.weight).slice(12, 16)).toEqual([0, 0, 0, 0]);
    torch.manualSeed(2);
    const loaded = make();
    loaded.loadStateDict({ weight: torch.ones(50, 4) });
    expect(torch.rand(1).item()).toBe(following);
    expect(loaded.weight.sum().item()).toBe(200);
  });

  test("rows that are too long are shortened in the weight itself, the others not", () => {
    const table = nn.Embedding.fromPretrained(
      torch.tensor([
        [3, 4],
        [0.3, 0.4],
        [6, 8],
      ]),
      { maxNorm: 1 },
    );
    const y = table(torch.tensor([0, 1, 0]));
    numbers(y).forEach((v, i) => expect(v).toBeCloseTo([0.6, 0.8, 0.3, 0.4, 0.6, 0.8][i]!, 5));
    numbers(table.weight).forEach((v, i) => expect(v).toBeCloseTo([0.6, 0.8, 0.3, 0.4, 6, 8][i]!, 5));
  });

  test("made of given rows draw nothing and are frozen unless told otherwise", () => {
    const rows = torch.tensor([
      [1, 2.5],
      [4, 5],
    ]);
    torch.manualSeed(4);
    const expected = torch.rand(1).item();
    torch.manualSeed(4);
    const table = nn.Embedding.fromPretrained(rows);
    const bag = nn.EmbeddingBag.fromPretrained(rows, { freeze: false, mode: "max" });
    expect(torch.rand(1).item()).toBe(expected);
    expect([table.weight.requiresGrad, bag.weight.requiresGrad]).toEqual([false, true]);
    expect(numbers(table(torch.tensor([1])))).toEqual([4, 5]);
    expect(numbers(bag(torch.tensor([[0, 1]])))).toEqual([4, 5]);
    expect(() => nn.Embedding.fromPretrained(torch.ones(3))).toThrow(
      "Embeddings parameter is expected to be 2-dimensional",
    );
  });

  test("an index that is out of range is refused also where it is computed", () => {
    const table = new nn.Embedding(5, 2);
    const y = table(torch.tensor([3, 4]).add(1));
    expect(() => y.toTypedArray()).toThrow("index out of range in self");
  });

  test("differentiates twice", () => {
    const weight = torch.tensor([1, 2, 3, 4]).float().view(2, 2).requiresGrad_();
    const y = F.embedding(torch.tensor([1, 1, 0]), weight);
    const [first] = torch.autograd.grad(y.pow(3).sum(), weight, { createGraph: true });
    first!.sum().backward();
    expect(numbers(weight.grad!)).toEqual([6, 12, 36, 48]);
  });
});
