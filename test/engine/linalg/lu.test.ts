// LU decompositions of matrices larger than the samples of the op table, by each way that computes them.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { torch, type Tensor } from "../../../extension/nn/index.ts";
import { pivotOrder } from "../../../extension/tensor/ops/matrix/lu.ts";
import { apply } from "../../../extension/tensor/recording/apply.ts";
import { changePolicy } from "../../../extension/tensor/recording/runtime.ts";
import { ENGINES, hasNative, useEngine } from "../../engines.ts";

/** The largest difference of two tensors. */
const difference = (x: Tensor, y: Tensor): number => x.sub(y).abs().max().item();

function suite(): void {
  it.each([
    [33, 33],
    [70, 33],
    [33, 70],
    [120, 100],
    [100, 130],
    [1, 40],
    [40, 1],
  ])("factors %i x %i matrices", (m, n) => {
    torch.manualSeed(m);
    for (const batch of [[], [2]]) {
      const a = torch.randn(...batch, m, n);
      const { P, L, U } = torch.linalg.lu(a);
      expect(difference(P.matmul(L).matmul(U), a)).toBeLessThan(1e-4);
      expect(L.abs().max().item()).toBe(1);
      expect([difference(L, L.tril()), difference(U, U.triu())]).toEqual([0, 0]);
    }
  });

  it("leaves rows without a pivot as they are", () => {
    const zeros = torch.zeros(3, 3);
    const { LU, pivots } = torch.linalg.luFactor(zeros);
    expect([LU.tolist(), pivots.tolist()]).toEqual([zeros.tolist(), [1, 2, 3]]);
    const a = torch
      .tensor([
        [1, 2, 3],
        [2, 4, 7],
        [1, 2, 4],
      ])
      .float();
    const { P, L, U } = torch.linalg.lu(a);
    expect(difference(P.matmul(L).matmul(U), a)).toBe(0);
  });

  it("factors without exchanges", () => {
    const a = torch
      .tensor([
        [1, 2],
        [3, 4],
      ])
      .float();
    const { LU, pivots } = torch.linalg.luFactor(a, { pivot: false });
    expect([LU.tolist(), pivots.tolist()]).toEqual([[[1, 2], [3, -2]], [1, 2]]); // prettier-ignore
  });

  it("refuses pivots of other matrices", () => {
    const { LU } = torch.linalg.luFactor(torch.eye(2));
    const unpacked = (...pivots: number[]) => torch.luUnpack(LU, torch.tensor(pivots)).P.tolist();
    expect(() => unpacked(1, 2, 1, 2, 1)).toThrow(
      "Expected LU_pivots to have shape [2] but got [5] instead.",
    );
    expect(() => unpacked(1)).toThrow("Expected LU_pivots to have shape [2] but got [1] instead.");
    expect(() => unpacked(1, 3)).toThrow("index 2 is out of bounds for dimension with size 2");
    expect(() => torch.linalg.luSolve(LU, torch.tensor([1, 2, 1]), torch.ones(2, 1))).toThrow(
      "Number of pivots per batch should be same as the dimension of the matrix",
    );
    const batch = torch.tensor([[1, 2], [1, 2]]); // prettier-ignore
    expect(() => torch.linalg.luSolve(LU, batch, torch.ones(2, 1))).toThrow(
      "but got pivots with shape [2, 2]",
    );
    expect(() => apply(pivotOrder, [torch.tensor([1, 1, 1])], { rows: 2 })).toThrow("can't have 3 exchanges");
  });

  it("takes nothing from matrices without rows or columns", () => {
    for (const shape of [
      [0, 3],
      [3, 0],
      [2, 0, 0],
    ]) {
      const { LU, pivots } = torch.linalg.luFactor(torch.zeros(...shape));
      expect([LU.shape, pivots.shape].map((s) => [...s])).toEqual([shape, [...shape.slice(0, -2), 0]]);
      expect(pivots.tolist()).toEqual(shape.length > 2 ? [[], []] : []);
    }
  });
}

describe.each(ENGINES)("on %s", (device) => {
  useEngine(device);
  suite();
});

describe.skipIf(!hasNative)("by TensorFlow's nodes", () => {
  useEngine("native");
  beforeAll(() => changePolicy({ smallPlans: false }));
  afterAll(() => changePolicy({ smallPlans: true }));
  suite();
});
