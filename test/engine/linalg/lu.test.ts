// LU decompositions of matrices larger than the samples of the op table, by each way that computes them.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { torch, type Tensor } from "../../../extension/nn/index.ts";
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
