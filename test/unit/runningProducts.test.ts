import { expect, test } from "vitest";
import { torch, type Tensor } from "../../extension/nn/index.ts";
import { useEngine } from "../engines.ts";

useEngine("cpu");

test("gradients of running products, first and second, with no, one and several zeros in a row", () => {
  const x = torch
    .tensor([
      [1.5, -2, 3, 0.5],
      [2, 0, 3, -1],
      [2, 0, 3, 0],
      [0, 0, 1, 2],
    ])
    .requiresGrad_();
  const weights = torch.tensor([
    [1, 2, 3, 4],
    [-1, 2, 0.5, 3],
    [2, 1, 3, 1],
    [1, 2, 3, 4],
  ]);
  const loss = (): Tensor => x.cumprod(1).mul(weights).sum();
  // PyTorch's.
  const expected = [
    [-33, 25.5, -15, -36],
    [-1, -11, 0, 0],
    [2, 20, 0, 0],
    [1, 0, 0, 0],
  ];
  const plain = (given: Tensor): unknown => given.add(0).tolist();
  expect(plain(torch.autograd.grad([loss()], [x])[0]!)).toEqual(expected);
  const [first] = torch.autograd.grad([loss()], [x], { createGraph: true });
  expect(plain(first!)).toEqual(expected);
  const [second] = torch.autograd.grad([first!.mul(weights).sum()], [x]);
  expect(plain(second!)).toEqual([
    [-92, 111.5, -43, -24],
    [-11, 57, -10, 36],
    [10, 44, 6, 6],
    [26, 13, 0, 0],
  ]);
});
