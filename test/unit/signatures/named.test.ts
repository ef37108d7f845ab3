// Calls by name that the compiler must accept, or refuse; they only check shapes.
import { expect, test } from "vitest";
import { F, nn, optim, torch } from "../../../extension/nn/index.ts";

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

test("options that are undefined are none", () => {
  const none = undefined;
  const model = new nn.Linear(2, 3, none);
  const sgd = new optim.SGD(model.parameters(), none);
  const texts = [
    [new nn.LeakyReLU(none), new nn.LeakyReLU()],
    [new nn.LeakyReLU(0.5, none), new nn.LeakyReLU(0.5)],
    [new nn.MaxPool2d(2, none), new nn.MaxPool2d(2)],
    [
      new nn.EmbeddingBag(5, 3, none, none, none, "sum", none, none, true, none),
      new nn.EmbeddingBag(5, 3, { mode: "sum", includeLastOffset: true }),
    ],
    [sgd, new optim.SGD(model.parameters())],
  ];
  for (const [ours, plain] of texts) expect(String(ours)).toBe(String(plain));
  expect([F.celu(x, none).shape, torch.sum(x, none, none).shape]).toEqual([[2, 3], []]);
  expect(new optim.lrScheduler.CyclicLR(sgd, 0.1, 0.2, none, none, "triangular2").mode).toBe("triangular2");
});
