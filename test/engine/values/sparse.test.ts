// Sparse tensors, with PyTorch's numbers and texts: test/fixtures/gradients/make.py.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { numel } from "../../../extension/tensor/core/shape.ts";
import { fromHost } from "../../../extension/tensor/core/tensor.ts";
import { onEachEngine } from "../../engines.ts";

const { cases, texts } = JSON.parse(
  readFileSync(new URL("../../fixtures/gradients/second.json", import.meta.url), "utf8"),
) as { cases: Record<string, number[]>; texts: string[] };

function wave(shape: readonly number[], seed: number): Tensor {
  const values = Float32Array.from({ length: numel(shape) }, (_, i) => Math.sin(1.7 * i + seed));
  return fromHost(values, shape, "float32");
}

function expectCase(name: string, tensors: readonly Tensor[]): void {
  const expected = cases[name]!;
  const found = tensors.flatMap((t) => [...t.toTypedArray()]);
  expect(found.length, `${name}: how many numbers`).toBe(expected.length);
  const wrong = found.findIndex((v, i) => !(Math.abs(v - expected[i]!) <= 1e-4));
  expect(wrong, `${name}: ${found[wrong]} is not ${expected[wrong]}`).toBe(-1);
}

const EDGES = [
  [0, 1, 2, 2, 3, 0, 2],
  [1, 2, 0, 3, 3, 1, 0],
];
const identity = (): torch.SparseTensor =>
  torch.sparseCooTensor(
    [
      [0, 1],
      [0, 1],
    ],
    [1.5, 2],
    [2, 2],
  );

function suite(): void {
  it("trains a graph convolution whose edges have weights, and prints as PyTorch", () => {
    const edges = torch.tensor(EDGES);
    const values = wave([7], 1).requiresGrad_();
    const weight = wave([3, 2], 2).requiresGrad_();
    const x = wave([4, 3], 3).requiresGrad_();
    const sgd = new optim.SGD([values, weight], { lr: 0.1 });
    let [a, loss, gradient] = [torch.sparseCooTensor(edges, values, [4, 4]), values.sum(), x];
    for (let step = 0; step < 3; step++) {
      a = torch.sparseCooTensor(edges, values, [4, 4]);
      const y = torch.sparse.mm(a, x.matmul(weight));
      const more = a.matmul(x.mm(weight)).tanh().sum();
      loss = y
        .sub(wave([4, 2], 5))
        .square()
        .sum()
        .add(more);
      sgd.zeroGrad();
      x.grad = null;
      loss.backward();
      gradient = torch.tensor(x.grad!.tolist());
      sgd.step();
    }
    const c = a.coalesce();
    const products = [torch.mv(a, wave([4], 6)), torch.mm(wave([2, 4], 7), a)];
    expectCase("sparse", [
      loss,
      values,
      weight,
      gradient,
      a.toDense(),
      c.values(),
      c.indices().float(),
      ...products,
    ]);

    const hybrid = torch.sparseCooTensor([[1, 0, 1]], wave([3, 2], 1), [3, 2]);
    expectCase("sparse with dense dimensions", [hybrid.toDense(), hybrid.coalesce().values()]);
    const plain = torch.sparseCooTensor(
      [
        [0, 1, 1, 0],
        [2, 0, 2, 2],
      ],
      [1, 2, 3, 4.5],
    );
    const whole = torch.sparseCooTensor([[0, 1]], torch.tensor([1, 2]));
    const empty = torch.sparseCooTensor(torch.zeros(2, 0, { dtype: torch.long }), torch.zeros(0), [2, 3]);
    const all = [plain, plain.coalesce(), a, c, hybrid, whole, empty];
    all.forEach((t, i) => expect(String(t)).toBe(texts[i]));
  });

  it("is made of a dense tensor and back", () => {
    const x = torch
      .tensor([
        [0, 1.5, 0],
        [2, 0, 3],
      ])
      .requiresGrad_();
    const s = x.toSparse();
    expect([s.nnz, s.isCoalesced(), s.indices().tolist()]).toEqual([
      3,
      true,
      [
        [0, 1, 1],
        [1, 0, 2],
      ],
    ]);
    expect(s.toDense().tolist()).toEqual(x.tolist());
    s.t()
      .matmul(torch.tensor([1.5, 2]))
      .mul(torch.tensor([1, 2, 3]))
      .sum()
      .backward();
    expect(x.grad!.tolist()).toEqual([
      [0, 3, 0],
      [2, 0, 6],
    ]);
  });

  it("adds a product to a matrix", () => {
    const y = torch.sparse.addmm(torch.ones(2, 2), identity(), torch.ones(2, 2), { beta: 2, alpha: 3 });
    expect(y.tolist()).toEqual([
      [6.5, 6.5],
      [8, 8],
    ]);
  });

  it.each<[string, () => unknown, string]>([
    [
      "an index beyond the size",
      () => torch.sparseCooTensor([[0, 5]], [1, 2], [2]),
      "size is inconsistent with indices: for dim 0, size is 2 but found index 5",
    ],
    [
      "a negative index",
      () => torch.sparseCooTensor([[0, -1]], [1, 2], [2]),
      "found negative index -1 for dim 0",
    ],
    [
      "a size of other dimensions",
      () => torch.sparseCooTensor([[0, 1]], [1, 2], [2, 3]),
      "'len(size) == sparse_dim + dense_dim' is not satisfied: len(size) = 2, sparse_dim = 1, dense_dim = 0",
    ],
    [
      "more values than indices",
      () => torch.sparseCooTensor([[0, 1]], [1, 2, 3], [2]),
      "indices and values must have same nnz, but got nnz from indices: 2, nnz from values: 3",
    ],
    [
      "values that aren't coalesced",
      () => identity().values(),
      "Cannot get values on an uncoalesced tensor, please call .coalesce() first",
    ],
    [
      "a matrix of other rows",
      () => torch.mm(identity(), torch.ones(3, 2)),
      "addmm: Argument #3 (dense): Expected dim 0 size 2, got 3",
    ],
    ["other functions", () => identity().relu(), "this function does not exist for the 'SparseCPU' backend"],
    [
      "other operands",
      () => torch.ones(2, 2).add(identity()),
      "this function does not exist for the 'SparseCPU' backend",
    ],
    [
      "two sparse matrices",
      () => identity().matmul(identity()),
      "the product of two sparse tensors is not supported",
    ],
    [
      "two dense ones",
      () => torch.spmm(torch.ones(2, 2), torch.ones(2, 2)),
      "expected one of the arguments to be a sparse tensor",
    ],
    [
      "a gradient of its own",
      () => identity().requiresGrad_(),
      "gradients of a sparse tensor are not supported",
    ],
  ])("refuses: %s", (_, call, message) => expect(call).toThrow(message));
}

describe("sparse tensors", () => onEachEngine(suite));
