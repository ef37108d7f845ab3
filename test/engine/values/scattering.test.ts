// Values put at places: by an index that was expanded to whole rows as by the same index, written out; of bools and whole
// numbers as in PyTorch; and results that share no memory with the input.
import { describe, expect, it } from "vitest";
import { F, torch, type Tensor } from "../../../extension/nn/index.ts";
import { ENGINES, useEngine } from "../../engines.ts";

/** Values and gradients of a sum by places. */
function summed(index: Tensor, dim: number, into: number[], from: number[]): number[][] {
  torch.manualSeed(3);
  const input = torch.randn(...into).requiresGrad_();
  const source = torch.randn(...from).requiresGrad_();
  const y = input.scatterAdd(dim, index, source);
  y.mul(torch.randn(...into))
    .sum()
    .backward();
  return [y, input.grad!, source.grad!].map((x) => Array.from(x.toTypedArray(), (v) => Number(v.toFixed(5))));
}

describe.each(ENGINES)("an expanded index on %s", (device) => {
  useEngine(device);

  it.each([
    ["of rows", [1, 0, 1, 1], [4, 1], [4, 3], 0, [2, 3], [4, 3]],
    ["of columns", [2, 0, 2], [3], [4, 3], 1, [4, 5], [4, 3]],
    ["of the middle of three dimensions", [1, 1, 0], [1, 3, 1], [2, 3, 2], 1, [2, 4, 2], [2, 3, 2]],
    ["that leaves columns out", [1, 0, 1, 1], [4, 1], [4, 2], 0, [2, 3], [4, 3]],
    ["that has fewer rows than the source", [1, 0], [2, 1], [2, 3], 0, [2, 3], [4, 3]],
    ["along its own dimension", [1], [1, 1], [4, 3], 0, [2, 3], [4, 3]],
    ["that varies across the dimension", [0, 1, 1], [1, 3], [4, 3], 0, [2, 3], [4, 3]],
  ])("%s", (_, values, given, shape, dim, into, from) => {
    const index = torch.tensor(values, { dtype: torch.int64 }).view(...given);
    const expanded = index.expand(...shape);
    const dense = torch
      .tensor([...expanded.toTypedArray()].map(Number), { dtype: torch.int64 })
      .view(...shape);
    expect(summed(index.expand(...shape), dim, into, from)).toEqual(summed(dense, dim, into, from));
  });
});

describe.each(ENGINES)("bools and whole numbers on %s", (device) => {
  useEngine(device);
  const at = torch.tensor([0, 0, 2]);
  const [yes, mixed] = [torch.tensor([true, true, false]), torch.tensor([true, false, true])];
  const data = (x: Tensor): number[] => Array.from(x.toTypedArray(), Number);

  it.each<[string, (x: Tensor) => Tensor, number[]]>([
    ["scatterAdd", (x) => x.scatterAdd(0, at, yes), [1, 0, 1]],
    ["indexAdd", (x) => x.indexAdd(0, at, yes), [1, 0, 1]],
    ["indexAdd with alpha", (x) => x.indexAdd(0, at, yes, { alpha: 2 }), [1, 0, 1]],
    ["indexPut_ with accumulate", (x) => x.clone().indexPut_([at], yes, true), [1, 0, 1]],
    ["indexPut_ of a mask, with accumulate", (x) => x.clone().indexPut_([mixed], true, true), [1, 0, 1]],
    ["put_ with accumulate", (x) => x.clone().put_(at, yes, true), [1, 0, 1]],
    ["scatter with multiply", (x) => x.scatter(0, at, yes, { reduce: "multiply" }), [1, 0, 0]],
    ["scatterReduce sum", (x) => x.scatterReduce(0, at, yes, "sum"), [1, 0, 1]],
    ["scatterReduce prod", (x) => x.scatterReduce(0, at, yes, "prod"), [1, 0, 0]],
    ["scatterReduce amax", (x) => x.scatterReduce(0, at, yes, "amax"), [1, 0, 1]],
    ["scatterReduce amin", (x) => x.scatterReduce(0, at, mixed, "amin"), [0, 0, 1]],
    ["diag", (x) => x.diag().sum(0), [1, 0, 1]],
  ])("%s takes bools for 0 and 1", (_, change, expected) => {
    expect(data(change(mixed))).toEqual(expected);
  });

  it("scatter adds and multiplies", () => {
    const [x, s] = [torch.tensor([1, 2, 3, 4, 5, 6]).view(2, 3), torch.tensor([[2, 3, 4]])];
    const rows = torch.tensor([[0, 1, 1]]);
    for (const of of [(t: Tensor) => t, (t: Tensor) => t.float()]) {
      const [a, b] = [of(x), of(s)];
      expect(data(a.scatter(0, rows, b, { reduce: "multiply" }))).toEqual([2, 2, 3, 4, 15, 24]);
      expect(data(a.scatter(0, rows, b, { reduce: "add" }))).toEqual([3, 2, 3, 4, 8, 10]);
      expect(data(a.scatter(0, rows, 2, { reduce: "multiply" }))).toEqual([2, 2, 3, 4, 10, 12]);
      expect(data(a.scatter(0, rows, 2, { reduce: "add" }))).toEqual([3, 2, 3, 4, 7, 8]);
      const columns = torch.tensor([
        [0, 0, 0],
        [0, 1, 0],
      ]);
      expect(data(torch.scatter(a, 0, columns, 3, { reduce: "multiply" }))).toEqual([9, 6, 27, 4, 15, 6]);
      expect(data(a.clone().scatter_(1, columns, 3, { reduce: "multiply" }))).toEqual([27, 2, 3, 36, 15, 6]);
    }
    for (const reduce of ["mul", "sum"]) {
      const wrong = { reduce: reduce as "add" };
      expect(() => x.scatter(0, rows, s, wrong)).toThrow("reduce argument must be either add or multiply.");
    }
  });

  it("a number is cut down to the dtype of the tensor that it is written to", () => {
    const bool = (): Tensor => torch.tensor([false, true]);
    const whole = (): Tensor => torch.tensor([5, 6]);
    const first = torch.tensor([0]);
    for (const number of [0.5, -2, 2]) {
      const written = [
        bool().fill_(number).index([0]),
        bool().indexPut_([0], number).index([0]),
        bool()
          .indexPut_([[0]], number)
          .index([0]),
        bool().indexFill_(0, first, number).index([0]),
        bool().scatter_(0, first, number).index([0]),
        bool()
          .maskedFill_(torch.tensor([true, false]), number)
          .index([0]),
        F.pad(bool(), [1, 0], "constant", number).index([0]),
        torch.full([1], number, { dtype: torch.bool }),
      ];
      expect(written.map(data)).toEqual(written.map(() => [1]));
    }
    const written = [
      whole().fill_(-1.5),
      whole().indexPut_([0], -1.5),
      whole().indexFill_(0, first, -1.5),
      whole().maskedFill_(torch.tensor([true, false]), -1.5),
    ];
    expect(written.map((x) => data(x)[0])).toEqual(written.map(() => -1));
    expect(() => whole().maskedFill_(torch.tensor([true, false]), Infinity)).toThrow("without overflow");
  });

  it.each<[string, (x: Tensor) => Tensor]>([
    ["cummax", (x) => x.cummax(0).values],
    ["cummin", (x) => x.cummin(0).values],
    ["max", (x) => x.max(0).values],
    ["min", (x) => x.min(0).values],
    ["mode", (x) => x.mode(0).values],
    ["nanmedian", (x) => x.nanmedian(0).values],
    ["logcumsumexp", (x) => x.logcumsumexp(0)],
    ["gather", (x) => x.gather(0, torch.tensor(0))],
    ["all", (x) => x.bool().all([])],
  ])("%s of one number is a copy", (_, call) => {
    for (const shape of [[], [1]]) {
      const x = torch.full(shape, 2.5);
      const y = call(x.ndim === 1 && _ === "gather" ? x.squeeze() : x);
      const before = y.tolist();
      x.zero_();
      expect(y.tolist()).toEqual(before);
    }
  });

  it("all and any of no dimensions change nothing; no dimension counts twice", () => {
    const x = torch.tensor([[true, false]]);
    expect([x.all([]).tolist(), x.any([]).tolist()]).toEqual([[[true, false]], [[true, false]]]);
    expect(() => torch.tensor(1.5).sum([0, -1])).toThrow("dim 0 appears multiple times in the list of dims");
  });

  it("linear takes the weight of one output as a vector", () => {
    const [x, w] = [torch.ones(2, 3), torch.tensor([1, 2, 3.5]).requiresGrad_()];
    const y = F.linear(x, w);
    expect(y.tolist()).toEqual([6.5, 6.5]);
    y.sum().backward();
    expect(w.grad!.tolist()).toEqual([2, 2, 2]);
    expect(F.linear(x.index(0), w, torch.tensor(0.5)).item()).toBe(7);
    expect(F.linear(torch.ones(0), torch.ones(2, 0)).tolist()).toEqual([0, 0]);
    expect(() => F.linear(x, w, torch.ones(2))).toThrow("addmm: mat2 must be a matrix, got 1-D tensor");
  });
});

// PyTorch 2.15's.
describe.each(ENGINES)("sums, products and powers of other types, on %s", (device) => {
  useEngine(device);
  const bool = { dtype: torch.bool };

  it("are whether any or all elements differ from 0", () => {
    const x = torch.tensor([
      [0.5, 0],
      [0, 0],
    ]);
    expect(x.sum(bool).item()).toBe(true);
    expect(x.sum({ dim: 1, keepdim: true, ...bool }).tolist()).toEqual([[true], [false]]);
    expect(torch.tensor([0.5, 2]).prod(bool).item()).toBe(true);
    expect(x.prod({ dim: 0, ...bool }).tolist()).toEqual([false, false]);
    expect(torch.tensor([NaN, 0]).nansum(bool).item()).toBe(false);
    expect(torch.tensor([true, true]).sum(bool).dtype).toBe("bool");
  });

  it("powers of matrices of whole numbers and truth values count and find paths", () => {
    const a = torch.tensor([
      [1, 1],
      [1, 0],
    ]);
    expect(a.matrixPower(5).tolist()).toEqual([
      [8, 5],
      [5, 3],
    ]);
    expect(torch.linalg.matrixPower(torch.stack([a, a]), 0).dtype).toBe("int64");
    expect(a.bool().matrixPower(1).tolist()).toEqual(a.bool().tolist());
    expect(() => a.matrixPower(-1)).toThrow(
      "linalg.inv: Expected a floating point or complex tensor as input. Got Long",
    );
    expect(() => torch.ones(2, 3).long().matrixPower(2)).toThrow(
      "linalg.matrix_power: A must be batches of square matrices, but they are 2 by 3 matrices",
    );
  });

  it("don't exist where PyTorch has none", () => {
    const x = torch.tensor([true, false]);
    expect(() => x.cumsum(0, bool)).toThrow("\"cumsum_out_cpu\" not implemented for 'Bool'");
    expect(() => x.cumprod(0, bool)).toThrow("\"cumprod_out_cpu\" not implemented for 'Bool'");
    expect(() => x.dot(x)).toThrow("\"dot\" not implemented for 'Bool'");
    expect(() => x.vdot(x)).toThrow("\"dot\" not implemented for 'Bool'");
    expect(() => x.float().mean({ dtype: torch.int64 })).toThrow(
      "mean(): could not infer output dtype. Optional dtype must be either a floating point or complex dtype. Got: Long",
    );
  });
});

// PyTorch 2.15's errors.
describe.each(ENGINES)("rows that don't fit, on %s", (device) => {
  useEngine(device);
  const rows = "source tensor shape must match self tensor shape, excluding the specified dimension. Got";
  const slices =
    "index_copy_(): Source/destination tensor must have same slice shapes. Destination slice shape:";
  const { ones, zeros } = torch;
  const at = (...values: number[]): Tensor => torch.tensor(values);

  it.each<[string, () => Tensor]>([
    [
      "index_add_(): Number of indices (2) should be equal to source.size(dim): (3), for dim: 0",
      () => zeros(3).indexAdd_(0, at(0, 1), ones(3)),
    ],
    [`${rows} self.shape = [3, 2] source.shape = [2]`, () => zeros(3, 2).indexAdd(0, at(0, 1), ones(2))],
    [
      `${rows} self.shape = [3, 2] source.shape = [2, 3]`,
      () => zeros(3, 2).indexAdd(0, at(0, 1), ones(2, 3)),
    ],
    [`${rows} self.shape = [3] source.shape = []`, () => zeros(3).indexAdd(0, at(0), ones([]))],
    [
      "index_add_(): Indexing dim 1 is out of bounds of the source tensor with dim 1",
      () => zeros(3, 2).indexAdd(1, at(0), ones(2)),
    ],
    ["index out of range in self", () => zeros(3).indexAdd(0, at(0, 5), ones(2))],
    [
      "index 5 is out of bounds for dimension 1 with size 2",
      () => zeros(3, 2).indexAdd(-1, at(0, 5), ones(3, 2)),
    ],
    [
      "index_add_(): Expected dtype int32/int64 for index but got: Float",
      () => zeros(3).indexAdd(0, at(0.5), ones(1)),
    ],
    [
      `${rows} self.shape = [3, 2] source.shape = [2, 3]`,
      () => zeros(3, 2).indexReduce(0, at(0, 1), ones(2, 3), "mean"),
    ],
    [
      "index_reduce_(): Indexing dim 1 is out of bounds of the source tensor with dim 1",
      () => zeros(3, 2).indexReduce(1, at(0), ones(2), "mean"),
    ],
    [
      "index_copy_(): Number of indices (1) should be equal to source.size(dim) (2)",
      () => zeros(3, 2, 4).indexCopy(1, at(0), ones(3, 2, 4)),
    ],
    [
      `${slices} 3 4 at dimension 1 and source slice shape: 3 5 at dimension 0.`,
      () => zeros(3, 2, 4).indexCopy(1, at(0), ones(3, 1, 5)),
    ],
    [
      "index_copy_(): When source and destination are not scalars, their dimensionality must match. Source dimensionality (1), destination dimensionality (2)",
      () => zeros(3, 2).indexCopy(1, at(0), ones(2)),
    ],
    [
      "index_copy_(): When source is scalar, index should have one element (got 2)",
      () => zeros(3).indexCopy(0, at(0, 1), ones([])),
    ],
    [
      "index_copy_(): self and source expected to have the same dtype, but got (self) Float and (source) Long",
      () => zeros(3, 2).indexCopy(0, at(0), ones(1, 2).long()),
    ],
    [
      "index_copy_(): Expected a long tensor for index, but got Float",
      () => zeros(3).indexCopy(0, at(0.5), ones(1)),
    ],
    [
      "index_copy_(): Index should have dimension 1 or 0 (got 2)",
      () => zeros(3).indexCopy(0, at(0).view(1, 1), ones(1)),
    ],
    [
      "index_copy_(): index 7 is out of bounds for dimension 1 with size 2",
      () => zeros(3, 2).indexCopy(-1, at(0, 7), ones(3, 2)),
    ],
    [
      "Expected index [1, 2] to be no larger than self [3, 2] apart from dimension 0 and to be no larger size than src [1, 1]",
      () => zeros(3, 2).scatter(0, at(0, 1).view(1, 2), ones(1, 1)),
    ],
    ...(["amax", "prod", "mean"] as const).map((reduce): [string, () => Tensor] => [
      "Expected index [2, 2] to be no larger than self [3, 2] apart from dimension 0 and to be no larger size than src [1, 2]",
      () => zeros(3, 2).scatterReduce(0, at(0, 1, 1, 2).view(2, 2), ones(1, 2), reduce),
    ]),
    [
      "Expected index [1, 3] to be no larger than self [3, 2] apart from dimension 0",
      () => zeros(3, 2).scatter(0, at(0, 1, 1).view(1, 3), 1),
    ],
    [
      "Index tensor must have the same number of dimensions as self tensor",
      () => zeros(3, 2).scatterAdd(0, at(0, 1), ones(2)),
    ],
    [
      "scatter(): Expected self.dtype to be equal to src.dtype",
      () => zeros(3, 2).scatterAdd(0, at(0, 1).view(1, 2), ones(1, 2).long()),
    ],
  ])("%s", (message, call) => {
    expect(call).toThrow(message);
  });

  it("a number stands for one row of a vector", () => {
    expect(zeros(3).indexCopy(0, at(1), ones([])).tolist()).toEqual([0, 1, 0]);
    expect(zeros([]).indexAdd(0, at(0), ones([])).item()).toBe(1);
    expect(zeros([]).indexCopy(0, at(0), ones(1)).item()).toBe(1);
  });
});

describe.each(ENGINES)("an index without places on %s", (device) => {
  useEngine(device);
  const empty = (...shape: number[]): Tensor => torch.empty(...shape, { dtype: torch.int64 });

  it.each<[string, (x: Tensor) => Tensor]>([
    ["scatter of a number", (x) => x.scatter(0, empty(0), 1)],
    ["scatter of a tensor", (x) => x.scatter(0, empty(0, 5), torch.zeros(1))],
    ["scatter with multiply", (x) => x.scatter(1, empty(0), torch.zeros(0), { reduce: "multiply" })],
    ["scatterAdd", (x) => x.scatterAdd(0, empty(0), torch.zeros(0))],
    ["scatterReduce", (x) => x.scatterReduce(0, empty(0), torch.zeros(0), "mean", { includeSelf: false })],
  ])("%s leaves a copy, whatever the index's shape", (_, change) => {
    const x = torch.arange(6, { dtype: torch.float32 }).view(2, 3).requiresGrad_();
    const y = change(x);
    y.sum().backward();
    expect([y.tolist(), x.grad!.tolist()]).toEqual([x.tolist(), torch.ones(2, 3).tolist()]);
    y.detach().fill_(9);
    expect(x.tolist()).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ]);
  });

  it("gather has the index's shape", () => {
    const x = torch.ones(2, 3).requiresGrad_();
    const y = x.gather(1, empty(0, 7));
    y.sum().backward();
    expect([y.shape, x.grad!.tolist()]).toEqual([[0, 7], torch.zeros(2, 3).tolist()]);
    expect(x.gather(0, empty(0)).shape).toEqual([0]);
  });
});
