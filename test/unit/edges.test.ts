// PyTorch 2.15's results for empty tensors, numbers without dimensions and types that functions seldom get.
import { expect, test } from "vitest";
import { F, torch, type Tensor } from "layerwise";
import { useEngine } from "../engines.ts";

useEngine("cpu");

test("a number is its own transpose, and has no dimension to roll along", () => {
  expect(torch.tensor(2.5).mT.item()).toBe(2.5);
  expect(torch.tensor(2.5).roll(1).item()).toBe(2.5);
  expect(() => torch.tensor(2.5).roll(1, 0)).toThrow("Dimension specified as 0 but tensor has no dimensions");
});

test("integrals and medians of nothing", () => {
  expect(torch.trapezoid(torch.zeros(2, 0)).tolist()).toEqual([0, 0]);
  expect(torch.trapezoid(torch.zeros(0), torch.zeros(0)).item()).toBe(0);
  expect(torch.cumulativeTrapezoid(torch.zeros(2, 0)).shape).toEqual([2, 0]);
  expect(torch.cumulativeTrapezoid(torch.ones(2, 1)).shape).toEqual([2, 0]);
  expect(torch.zeros(0, 2).median().item()).toBeNaN();
  expect(torch.zeros(0, 2).nanmedian().item()).toBeNaN();
});

test("covariances of whole numbers", () => {
  const x = torch.tensor([
    [1, 2, 4],
    [3, 1, 7],
  ]);
  const close = (matrix: unknown): number[] =>
    (matrix as number[][]).flat().map((v) => Math.round(v * 1e4) / 1e4);
  expect(close(x.long().cov().tolist())).toEqual([2.3333, 3.6667, 3.6667, 9.3333]);
  expect(close(x.long().corrcoef().tolist())).toEqual([1, 0.7857, 0.7857, 1]);
  expect(() => x.bool().cov()).toThrow("cov(): bool dtype is not supported for input");
});

test("tensordot takes a dimension of length 1 with all of the other", () => {
  const x = torch.arange(6).float().reshape(3, 2).requiresGrad_();
  const y = torch
    .tensor([[2, 3]])
    .float()
    .requiresGrad_();
  const expected = [
    [12, 18],
    [18, 27],
  ];
  expect(torch.tensordot(x, y, [[0], [0]]).tolist()).toEqual(expected);
  expect(
    torch
      .tensordot(y, x, [[0], [0]])
      .t()
      .tolist(),
  ).toEqual(expected);
  expect(torch.tensordot(torch.ones(1, 2), torch.ones(0, 2), [[0], [0]]).tolist()).toEqual([
    [0, 0],
    [0, 0],
  ]);
  torch
    .tensordot(x, y, [[0], [0]])
    .sum()
    .backward();
  expect(x.grad!.tolist()).toEqual([
    [5, 5],
    [5, 5],
    [5, 5],
  ]);
  expect(y.grad!.tolist()).toEqual([[15, 15]]);
  expect(() =>
    torch.tensordot(torch.ones(1, 2), torch.ones(3, 4), [
      [0, 1],
      [0, 1],
    ]),
  ).toThrow(
    "contracted dimensions need to match, but first has size 2 in dim 1 and second has size 4 in dim 1",
  );
});

test("l1Loss of whole numbers is whole, and has no mean", () => {
  const [x, y] = [torch.tensor([1, 2]).long(), torch.tensor([3, 5]).long()];
  const each = F.l1Loss(x, y, { reduction: "none" });
  expect([each.dtype, each.tolist()]).toEqual(["int64", [2, 3]]);
  expect(F.l1Loss(x, y, { reduction: "sum" }).item()).toBe(5);
  expect(() => F.l1Loss(x, y)).toThrow("mean(): could not infer output dtype");
  expect(() => F.mseLoss(x, y)).toThrow("\"mse_cpu\" not implemented for 'Long'");
});

test("a grid of matrices is refused", () => {
  expect(() => torch.meshgrid(torch.ones(2, 2), torch.ones(2), { indexing: "ij" })).toThrow(
    "torch.meshgrid: Expected 0D or 1D tensor in the tensor list",
  );
});

test.each<[string, (x: Tensor, wrong: never) => unknown]>([
  ["torch.meshgrid: indexing must be one of", (x, indexing) => torch.meshgrid([x.index(0)], { indexing })],
  ["side can only be 'left' or 'right' but got foo", (x, side) => torch.searchsorted(x, x, { side })],
  [
    "side and right can't be set to opposites, got side of left while right was True",
    (x) => torch.searchsorted(x, x, { side: "left", right: true }),
  ],
  [
    "boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and input value tensor must match, but we got boundaries tensor [2, 3] and input value tensor [3, 2]",
    (x) => torch.searchsorted(x, torch.ones(3, 2)),
  ],
  ["must match, but we got boundaries tensor [2, 3] and input", (x) => torch.searchsorted(x, torch.ones(2))],
  [
    "input value can be a scalar only when boundaries tensor dimension is 1, but we got boundaries tensor dim(2) and input value's dim(0) numel(1)",
    (x) => torch.searchsorted(x, 1),
  ],
  ["boundaries tensor must be 1 dimension, but got dim(2)", (x) => torch.bucketize(x, x)],
])("%s", (message, call) => {
  expect(() => call(torch.ones(2, 3), "foo" as never)).toThrow(message);
});

test("what is written over gets a gradient of zeros", () => {
  const w = torch.ones(3).requiresGrad_();
  w.sliceScatter(torch.zeros(3)).sum().backward();
  expect(w.grad!.tolist()).toEqual([0, 0, 0]);
  const v = torch.ones(1, 2).requiresGrad_();
  v.selectScatter(torch.zeros(2), 0, 0).sum().backward();
  expect(v.grad!.tolist()).toEqual([[0, 0]]);
});
