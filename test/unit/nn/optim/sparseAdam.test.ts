// What the cases made with PyTorch don't show of SparseAdam: test/fixtures/modules/optimizers.py has its numbers.
import { expect, test } from "vitest";
import { F, nn, optim, torch } from "../../../../extension/nn/index.ts";
import { useEngine } from "../../../engines.ts";

useEngine("cpu");

test("changes only rows that were looked up", () => {
  const table = new nn.Embedding(5, 2, { sparse: true });
  const optimizer = new optim.SparseAdam(table.parameters(), { lr: 0.1 });
  const before = table.weight.tolist() as number[][];
  for (const words of [[1, 3], [3]]) {
    optimizer.zeroGrad();
    table(torch.tensor(words)).square().sum().backward();
    optimizer.step();
  }
  const after = table.weight.tolist() as number[][];
  expect(after.map((row, i) => row.every((x, j) => x === before[i]![j]))).toEqual([
    true,
    false,
    true,
    false,
    true,
  ]);
});

test("trains tables of bags and of functions", () => {
  const bag = new nn.EmbeddingBag(4, 2, { sparse: true, mode: "sum" });
  const weight = new nn.Parameter(torch.ones(4, 2));
  const optimizer = new optim.SparseAdam([...bag.parameters(), weight], 0.5);
  const looked = F.embedding(torch.tensor([2]), weight, { sparse: true });
  bag(torch.tensor([[0, 1]]))
    .sum()
    .add(looked.sum())
    .backward();
  optimizer.step();
  expect(weight.mean(1).tolist()).toEqual([1, 1, expect.closeTo(0.5, 5), 1]);
});

test("refuses what PyTorch refuses, in its words", () => {
  const linear = new nn.Linear(2, 1);
  const optimizer = new optim.SparseAdam(linear.parameters());
  linear(torch.ones(1, 2)).sum().backward();
  expect(() => optimizer.step()).toThrow(
    "SparseAdam does not support dense gradients, please consider Adam instead",
  );
  expect(() => new optim.SparseAdam(linear.parameters(), { lr: 0 })).toThrow("Invalid learning rate: 0.0");
  expect(() => new optim.SparseAdam(linear.parameters(), { betas: [0.5, 1] })).toThrow(
    "Invalid beta parameter at index 1: 1.0",
  );
});
