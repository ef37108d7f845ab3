// Decompositions by random projections: what they promise, since their draws differ from PyTorch's.
import { expect, test } from "vitest";
import { torch } from "../../../extension/nn/index.ts";
import { useEngine } from "../../engines.ts";

useEngine("cpu");

test("a matrix of rank 3 is found again from 3 singular values, with orthonormal vectors", () => {
  torch.manualSeed(0);
  const matrix = torch.randn(20, 3).matmul(torch.randn(3, 12));
  const [u, s, v] = torch.svdLowrank(matrix, { q: 3 });
  expect([u.shape, s.shape, v.shape].map((shape) => [...shape])).toEqual([[20, 3], [3], [12, 3]]);
  const again = u.mul(s).matmul(v.T);
  expect(again.sub(matrix).abs().max().item()).toBeLessThan(1e-4);
  for (const vectors of [u, v])
    expect(vectors.T.matmul(vectors).sub(torch.eye(3)).abs().max().item()).toBeLessThan(1e-5);
  const largest = torch.linalg.svdvals(matrix).index(":3");
  expect(s.sub(largest).abs().max().item()).toBeLessThan(1e-3);
});
