// Indices, as between PyTorch's brackets, against PyTorch.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { slice, torch } from "layerwise";
import type { IndexSpec } from "../../extension/tensor/functions/indexing/places.ts";
import { setExecutor } from "../../extension/tensor/planning/barrier.ts";
import { useEngine } from "../engines.ts";

interface Case {
  places: unknown[];
  shape?: number[];
  values?: number[];
  written?: number[];
  error?: string;
}

const { cases } = JSON.parse(
  readFileSync(new URL("../fixtures/indexing/indexing.json", import.meta.url), "utf8"),
) as { cases: Case[] };

const decoded = (place: unknown): IndexSpec =>
  typeof place === "object" && place !== null && "tensor" in place
    ? torch.tensor(place.tensor as number)
    : (place as IndexSpec);

useEngine("cpu");

const numbers = (): ReturnType<typeof torch.arange> => torch.arange(24).reshape(4, 3, 2);

test.each(cases.map((c) => [JSON.stringify(c.places).slice(1, -1), c] as const))("x[%s]", (_, c) => {
  const places = c.places.map(decoded);
  if (c.error !== undefined) {
    expect(() => numbers().index(...places)).toThrow(c.error);
    return;
  }
  const part = numbers().index(...places);
  expect([part.shape, part.flatten().tolist()]).toEqual([c.shape, c.values]);
  if (c.written === undefined) return;
  const x = numbers();
  x.indexPut_(places, torch.arange(part.numel()).neg().reshape(part.shape));
  expect(x.flatten().tolist()).toEqual(c.written);
});

describe("slices", () => {
  test("slice(start, stop, step) is the slice of the same text", () => {
    const x = torch.arange(10);
    expect(x.index(slice(3)).tolist()).toEqual(x.index(":3").tolist());
    expect(x.index(slice(1, 8, 3)).tolist()).toEqual(x.index("1:8:3").tolist());
    expect(x.index(slice(-2, null)).tolist()).toEqual([8, 9]);
    expect(x.index(slice(null, null)).shape).toEqual([10]);
  });

  test("a list with null, once a slice, is an error that says how to write one", () => {
    for (const places of [[[1, null]], [[null, 3]], [[undefined, 2]]]) {
      expect(() => numbers().index(...(places as never[]))).toThrow(
        "a list as an index gathers its elements",
      );
    }
  });

  test("indexPut_ takes its places as one list", () => {
    const x = torch.arange(6);
    expect(x.indexPut_([[3, 5]], 0).tolist()).toEqual([0, 1, 2, 0, 4, 0]);
    expect(() => x.indexPut_(torch.tensor([1]) as never, 0)).toThrow("must be a list");
  });

  test("indexPut_ drops leading dimensions of size 1, as PyTorch's x[0] = values does", () => {
    const x = torch.zeros(2, 3);
    x.indexPut_([0], torch.tensor([[1, 2, 3]]));
    x.indexPut_([1, 2], torch.tensor([[7]]));
    expect(x.tolist()).toEqual([
      [1, 2, 3],
      [0, 0, 7],
    ]);
    x.indexPut_([[0, 1]], torch.tensor([[[4, 5, 6]]]));
    expect(x.tolist()).toEqual([
      [4, 5, 6],
      [4, 5, 6],
    ]);
    expect(() => x.indexPut_([0], torch.zeros(2, 3))).toThrow("size=[3]): the number of sizes provided (1)");
  });
});

test("fillDiagonal_ fills the main diagonal, again below itself with wrap", () => {
  const filled = (size: number[], wrap = false): unknown =>
    torch.zeros(size).fillDiagonal_(1, { wrap }).flatten().nonzero().flatten().tolist();
  expect(filled([3, 3])).toEqual([0, 4, 8]);
  expect(filled([2, 4])).toEqual([0, 5]);
  expect(filled([7, 2])).toEqual([0, 3]);
  expect(filled([7, 2], true)).toEqual([0, 3, 6, 9, 12]);
  expect(filled([2, 2, 2])).toEqual([0, 7]);
  expect(() => filled([3])).toThrow("dimensions must larger than 1");
  expect(() => filled([2, 3, 2])).toThrow("all dimensions of input must be of equal length");
});

describe("an integer tensor without dimensions that is still to be computed", () => {
  const at = (): ReturnType<typeof torch.tensor> => torch.tensor([0.1, 0.9]).argmax();

  test("selects as a number does, beside lists and slices", () => {
    const x = numbers();
    expect(x.index(at()).tolist()).toEqual(x.index(1).tolist());
    expect(x.index(at(), ":", [0, 1, 0]).tolist()).toEqual(x.index(1, ":", [0, 1, 0]).tolist());
    expect(x.index(":", at(), [0, 1, 0]).tolist()).toEqual(x.index(":", 1, [0, 1, 0]).tolist());
    expect(x.index("...", at().neg()).tolist()).toEqual(x.index("...", -1).tolist());
    expect(x.index([3, 0], at(), at()).tolist()).toEqual(x.index([3, 0], 1, 1).tolist());
  });

  test("gives a view", () => {
    const [x, y] = [numbers(), numbers()];
    x.index(at(), "1:", at()).mul_(10);
    y.index(1, "1:", 1).mul_(10);
    x.index(":", at()).index(2).zero_();
    y.index(":", 1).index(2).zero_();
    x.indexPut_([0, at()], torch.tensor([7, 8]));
    y.indexPut_([0, 1], torch.tensor([7, 8]));
    expect(x.tolist()).toEqual(y.tolist());
  });

  test("passes gradients", () => {
    const w = torch.ones(2, 3).requiresGrad_();
    const v = w.mul(2);
    v.index(at(), 0).mul_(5);
    v.sum().backward();
    expect(w.grad?.tolist()).toEqual([
      [2, 2, 2],
      [10, 2, 2],
    ]);
    expect(String(w.index(at()))).toBe("tensor([1., 1., 1.], grad_fn=<SelectBackward0>)");
  });
});

test("the preview knows the shape under a list of booleans", () => {
  setExecutor(undefined);
  expect(numbers().index([true, false, true, true]).shape).toEqual([3, 3, 2]);
  expect(numbers().index(":", [2, 0, 0]).shape).toEqual([4, 3, 2]);
});
