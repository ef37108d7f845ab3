// An index that was expanded to whole rows is scattered by rows: the results are those of the same index, written out.
import { describe, expect, it } from "vitest";
import { torch, type Tensor } from "../../../extension/nn/index.ts";
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
