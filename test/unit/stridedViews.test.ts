// asStrided sees the memory that a tensor shares.
import { expect, test } from "vitest";
import { torch, type Tensor } from "layerwise";
import { useEngine } from "../engines.ts";

useEngine("cpu");

test("a strided view of a view begins where that begins, and reaches the memory around it", () => {
  const x = torch.arange(6, { dtype: torch.float32 }).reshape(2, 3);
  const row = x.select(0, 1);
  expect(row.asStrided([2], [1]).tolist()).toEqual([3, 4]);
  expect(row.asStrided([2], [1], 0).tolist()).toEqual([0, 1]);
  expect(x.t().asStrided([2, 2], [3, 1], 1).tolist()).toEqual([
    [1, 2],
    [4, 5],
  ]);
  expect(x.asStrided([3, 2], [1, 3]).stride()).toEqual([1, 3]);
});

test("an inserted dimension steps over the dimension that follows it, as in PyTorch", () => {
  const x = torch.arange(24).view(2, 3, 4);
  const strides: [Tensor, number[]][] = [
    [x.unsqueeze(0), [24, 12, 4, 1]],
    [x.unsqueeze(1), [12, 12, 4, 1]],
    [x.unsqueeze(-1), [12, 4, 1, 1]],
    [x.unsqueeze(0).transpose(1, 2), [24, 4, 12, 1]],
    [x.mT.unsqueeze(2), [12, 1, 12, 4]],
    [x.index(null, null), [24, 24, 12, 4, 1]],
    [x.index(null, ":", "::2"), [24, 12, 8, 1]],
    [x.index(":", "1:", null, "::3"), [12, 4, 4, 3]],
    [x.index(0, ":", null), [4, 4, 1]],
    [torch.tensor(3).index(null, null), [1, 1]],
  ];
  for (const [y, expected] of strides) expect(y.stride()).toEqual(expected);
});

test("writes through a strided view reach the tensor, and the other way", () => {
  const x = torch.zeros(2, 3);
  const diagonal = x.asStrided([2], [4]);
  diagonal.add_(1);
  expect(x.tolist()).toEqual([
    [1, 0, 0],
    [0, 1, 0],
  ]);
  x.mul_(5);
  expect(diagonal.tolist()).toEqual([5, 5]);
});

test("windows are a view: they follow their tensor, and can be written to where they don't overlap", () => {
  const x = torch.arange(10).float().reshape(2, 5);
  const windows = x.unfold(1, 2, 2);
  expect(windows.stride()).toEqual([5, 2, 1]);
  x.add_(1);
  expect(windows.select(1, 1).tolist()).toEqual([
    [3, 4],
    [8, 9],
  ]);
  windows.select(2, 0).zero_();
  expect(x.tolist()).toEqual([
    [0, 2, 0, 4, 5],
    [0, 7, 0, 9, 10],
  ]);
  const w = torch.ones(4).requiresGrad_();
  const y = w.mul(2);
  y.unfold(0, 2, 2).mul_(torch.tensor([[1], [3]]));
  y.pow(2).sum().backward();
  expect(w.grad!.tolist()).toEqual([8, 8, 72, 72]);
  const one = torch.tensor(2.5);
  expect(one.unfold(0, 1, 1).add_(1).shape).toEqual([1]);
  expect(one.item()).toBe(3.5);
});

test("a refused write changes nothing", () => {
  const x = torch.arange(5).float();
  const refused = "more than one element of the written-to tensor refers to a single memory location";
  for (const view of [x.unfold(0, 3, 1), x.asStrided([2, 2], [1, 1])]) {
    const before = view.tolist();
    expect(() => view.add_(1)).toThrow(refused);
    expect(() => view.select(0, 0).add_(1)).toThrow(refused);
    expect(view.tolist()).toEqual(before);
  }
  expect(x.tolist()).toEqual([0, 1, 2, 3, 4]);
});

test("overlapping windows add up their gradients", () => {
  const x = torch.ones(5).requiresGrad_();
  x.asStrided([3, 3], [1, 1]).sum().backward();
  expect(x.grad!.tolist()).toEqual([1, 2, 3, 2, 1]);
  expect(() => torch.ones(3).asStrided([2, 2], [1, 1]).add_(1)).toThrow(
    "more than one element of the written-to tensor refers to a single memory location",
  );
});

test("broadcastShapes names the shape that doesn't fit", () => {
  expect(String(torch.broadcastShapes([2], [3, 1], [1, 1, 1]))).toBe("torch.Size([1, 3, 2])");
  expect([...torch.broadcastShapes(3, [2, 1])]).toEqual([2, 3]);
  // The [-1] of a tensor's own size is its last dimension, not one that it lacks.
  expect(torch.ones(2, 3).add(torch.ones(3)).shape).toEqual(torch.Size([2, 3]));
  expect(torch.ones(3).add(torch.ones(2, 3)).shape).toEqual(torch.Size([2, 3]));
  expect([...torch.broadcastShapes()]).toEqual([]);
  expect(() => torch.broadcastShapes([2], [3])).toThrow(
    "Attempting to broadcast a dimension of length 3 at -1! Mismatching argument at index 1 had (3,); but expected shape should be broadcastable to [2]",
  );
  expect(() => torch.broadcastShapes([-1])).toThrow("broadcast a dimension with negative length");
});

test("histograms print as PyTorch's", () => {
  expect(String(torch.histogram(torch.tensor([1, 2, 2, 5.5]), 2))).toBe(
    "torch.return_types.histogram(\nhist=tensor([3., 1.]),\nbin_edges=tensor([1.0000, 3.2500, 5.5000]))",
  );
});

test("low-rank decompositions give back a matrix of that rank", () => {
  torch.manualSeed(1);
  const a = torch.randn(8, 2).matmul(torch.randn(2, 5));
  for (const matrix of [a, a.t()]) {
    const [U, S, V] = torch.svdLowrank(matrix, 3);
    expect([U.shape, S.shape, V.shape].map((s) => [...s])).toEqual([
      [matrix.size(0), 3],
      [3],
      [matrix.size(1), 3],
    ]);
    expect(U.mul(S).matmul(V.t()).sub(matrix).abs().max().item()).toBeLessThan(1e-4);
  }
  const [U, S, V] = torch.pcaLowrank(a, 2);
  const centred = a.sub(a.mean(0));
  expect(U.mul(S).matmul(V.t()).sub(centred).abs().max().item()).toBeLessThan(1e-4);
});

test("the inverse, factor and solution of a singular matrix are NaN, and info says where", () => {
  const both = torch
    .tensor([
      [
        [1, 2],
        [2, 4],
      ],
      [
        [2, 0],
        [0, 4],
      ],
    ])
    .float();
  const { inverse, info } = torch.linalg.invEx(both);
  expect(info.tolist()).toEqual([2, 0]);
  expect(inverse.isnan().tolist()).toEqual([
    [
      [true, true],
      [true, true],
    ],
    [
      [false, false],
      [false, false],
    ],
  ]);
  expect(torch.linalg.choleskyEx(both).info.tolist()).toEqual([2, 0]);
  const solved = torch.linalg.solveEx(both, torch.ones(2, 2, 1));
  expect(solved.info.tolist()).toEqual([2, 0]);
  expect(solved.result.select(0, 1).flatten().tolist()).toEqual([0.5, 0.25]);
});

test("an expanded tensor is written to only where one place in memory gets one value, which all its places then have", () => {
  const refused = "more than one element of the written-to tensor refers to a single memory location";
  const e = torch.zeros(2, 1).expand(2, 3);
  const ones = torch.ones(2, 3);
  const first = torch.zeros(1, 3).long();
  for (const write of [
    () => e.add_(1),
    () => e.t().mul_(2),
    () => e.neg_(),
    () => e.copy_(ones),
    () => e.fill_(torch.tensor(1)),
    () => e.uniform_(),
    () => e.clamp_({ min: 1 }),
    () => e.cumsum_(0),
    () => e.logicalNot_(),
    () => e.scatter_(0, first, 1),
    () => e.indexAdd_(0, torch.tensor([0]), torch.ones(1, 3)),
    () => e.indexPut_([0], torch.ones(3)),
    () => e.data.add_(1),
  ])
    expect(write).toThrow(refused);
  expect(e.tolist()).toEqual([
    [0, 0, 0],
    [0, 0, 0],
  ]);

  const both = [
    [1, 1, 1],
    [1, 1, 1],
  ];
  const upper = [
    [1, 1, 1],
    [0, 0, 0],
  ];
  const written = (write: (e: Tensor) => void): unknown => {
    const base = torch.zeros(2, 1);
    const view = base.expand(2, 3);
    write(view);
    expect(base.squeeze(1).tolist()).toEqual((view.tolist() as number[][]).map((row) => row[2]));
    return view.tolist();
  };
  expect(written((e) => e.fill_(1))).toEqual(both);
  expect(written((e) => e.maskedFill_(e.eq(0), 1))).toEqual(both);
  expect(written((e) => e.indexPut_([":", 1], 1))).toEqual(both);
  expect(written((e) => e.indexPut_([":", 2], torch.ones(2)))).toEqual(both);
  expect(written((e) => e.indexPut_([e.eq(0)], 1))).toEqual(both);
  expect(written((e) => e.select(1, 1).add_(1))).toEqual(both);
  expect(written((e) => e.narrow(1, 2, 1).add_(1))).toEqual(both);
  expect(written((e) => e.indexFill_(1, torch.tensor([1]), 1))).toEqual(both);
  expect(written((e) => e.indexPut_([0, 1], 1))).toEqual(upper);
  expect(written((e) => e.indexPut_([[0]], torch.ones(3)))).toEqual(upper);
  expect(written((e) => e.fill_(1).tril_())).toEqual([
    [0, 0, 0],
    [0, 0, 0],
  ]);
  expect(written((e) => e.fill_(NaN).indexPut_([":", 1], 1))).toEqual(both);

  expect(torch.zeros(0, 1).expand(0, 3).add_(1).shape).toEqual([0, 3]);
  const w = torch.ones(2, 1).requiresGrad_();
  const y = w.mul(1).expand(2, 3);
  y.indexPut_([0, 1], 5);
  y.mul(torch.tensor([1, 2, 3]))
    .sum()
    .backward();
  expect(w.grad!.tolist()).toEqual([[0], [6]]);
});

test("a write to a tensor that repeats its memory no times changes nothing", () => {
  const base = torch.tensor([[1.5], [2]]);
  base.expand(0, 2, 3).maskedScatter_(torch.ones(3, { dtype: torch.bool }), torch.ones(1));
  base.expand(2, 0).add_(1);
  expect(base.tolist()).toEqual([[1.5], [2]]);
  expect(torch.zeros(0, 1).expand(0, 3).mul_(torch.ones(3).requiresGrad_()).requiresGrad).toBe(true);

  const w = torch.ones(2, 1).requiresGrad_();
  const y = w.mul(2);
  y.expand(2, 0).mul_(5);
  y.sum().backward();
  expect(w.grad!.tolist()).toEqual([[2], [2]]);
});

test("topk of a number is that number, for k = 0, too", () => {
  for (const k of [0, 1]) {
    const [values, indices] = torch.tensor(7).topk(k);
    expect([values.tolist(), indices.tolist(), values.shape]).toEqual([7, 0, []]);
  }
  expect(() => torch.tensor(7).topk(2)).toThrow("selected index k out of range");
});

test("values at the places of an index lose nothing, and one that fills a mask is converted", () => {
  const values = torch.tensor([2.5, 3]);
  const mask = torch.tensor([true, false, true]);
  const zeros = (): Tensor => torch.zeros(3, { dtype: torch.int64 });
  const refused =
    "Index put requires the source and destination dtypes match, got Long for the destination and Float for the source.";
  for (const at of [torch.tensor([0, 2]), mask, [0, 2]]) {
    for (const accumulate of [false, true])
      expect(() => zeros().indexPut_([at], values, accumulate)).toThrow(refused);
  }
  expect(() => zeros().indexPut_([mask], values.index(0), true)).toThrow(refused);
  expect(() => zeros().indexPut_([[0, 2]], values.index(0))).toThrow(refused);
  expect(zeros().indexPut_([mask], values.index(0)).tolist()).toEqual([2, 0, 2]);
  expect(zeros().indexPut_([mask], values.index("0:1")).tolist()).toEqual([2, 0, 2]);
  expect(zeros().indexPut_(["0:2"], values).tolist()).toEqual([2, 3, 0]);
  expect(zeros().indexPut_([0], values.index(0)).tolist()).toEqual([2, 0, 0]);
  expect(
    zeros()
      .indexPut_([[0, 2]], 2.5)
      .tolist(),
  ).toEqual([2, 0, 2]);
  expect(
    torch
      .zeros(3)
      .indexPut_([[0, 2]], torch.tensor([2, 3]))
      .tolist(),
  ).toEqual([2, 0, 3]);
});

test("diagonals have PyTorch's strides, and are viewed as such", () => {
  const x = torch.arange(24).view(2, 3, 4);
  expect([...x.diagonal().stride()]).toEqual([1, 16]);
  expect([...x.diagonal(1, 0, 2).stride()]).toEqual([4, 13]);
  expect([...x.transpose(0, 2).diagonal().stride()]).toEqual([12, 5]);
  expect(() => x.diagonal().view(-1)).toThrow("view size is not compatible");
  expect(x.diagonal().asStrided([2], [16]).tolist()).toEqual([0, 16]);
});
