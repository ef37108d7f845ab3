// Calls by name that the compiler must accept, or refuse; they only check shapes.
import { expect, test } from "vitest";
import { torch } from "../../../extension/nn/index.ts";

const x = torch.zeros(2, 3);
const index = torch.zeros([2, 3], { dtype: torch.int64 });

test("methods of several signatures take their arguments by name", () => {
  expect(x.scatter({ dim: 0, index, value: 1 }).shape).toEqual([2, 3]);
  expect(x.scatter({ dim: 0, index, src: x }).shape).toEqual([2, 3]);
  expect(x.scatter(0, { index, src: x }).shape).toEqual([2, 3]);
  expect(x.clone().scatter_({ dim: 0, index, value: 1 }).shape).toEqual([2, 3]);
  // @ts-expect-error Neither a source nor a value.
  expect(() => x.scatter({ dim: 0, index })).toThrow();
});

test("a parameter whose line gives its type has its own name", () => {
  expect(x.topk({ k: 2, dim: 1 })[0].shape).toEqual([2, 2]);
  expect(torch.topk(x, { k: 2 })[0].shape).toEqual([2, 2]);
  expect(x.kthvalue({ k: 1, dim: 1 })[0].shape).toEqual([2]);
  expect(x.rot90({ k: 1, dims: [0, 1] }).shape).toEqual([3, 2]);
  // @ts-expect-error k is missing.
  expect(() => x.topk({ dim: 1 })).toThrow();
});
