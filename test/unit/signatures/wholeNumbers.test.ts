// JavaScript's 7 / 2 is 3.5, where Python's 7 // 2 is 3: ported sizes often have fractions, and NaN where one is missing.
import { expect, test } from "vitest";
import { F, nn, slice, torch } from "layerwise";
import { TensorError } from "../../../extension/tensor/core/errors.ts";
import { useEngine } from "../../engines.ts";

useEngine("cpu");

const x = torch.zeros(4, 6);
const images = torch.zeros(2, 4, 6, 6);

const CALLS: readonly (readonly [name: string, call: () => unknown])[] = [
  ["Linear", () => new nn.Linear(2.5, 3)],
  ["Linear of NaN", () => new nn.Linear(NaN, 3)],
  ["Conv2d", () => new nn.Conv2d(4, 2, 3, { stride: 1.5 })],
  ["LSTMCell", () => new nn.LSTMCell(3, 2.5)],
  ["Embedding", () => new nn.Embedding(2.5, 3)],
  ["LayerNorm", () => new nn.LayerNorm([4, 2.5])],
  ["MultiheadAttention", () => new nn.MultiheadAttention(5, 2.5)],
  ["F.conv2d", () => F.conv2d(images, torch.zeros(2, 4, 3, 3), { padding: 1.5 })],
  ["F.maxPool2d", () => F.maxPool2d(images, 1.5)],
  ["F.pad", () => F.pad(x, [1.5, 1])],
  ["F.oneHot", () => F.oneHot(torch.tensor([0, 1]), 2.5)],
  ["view", () => x.view(4, 1.5, 4)],
  ["reshape", () => torch.reshape(x, [4, 1.5, 4])],
  ["chunk", () => x.chunk(1.5)],
  ["split", () => x.split([1.5, 2.5])],
  ["narrow", () => x.narrow(0, 0.5, 1)],
  ["a slice", () => x.index(slice(0.5, 2))],
  ["repeat", () => x.repeat(1.5, 1)],
  ["expand", () => x.unsqueeze(0).expand(2.5, 4, 6)],
  ["eye", () => torch.eye(2.5)],
  ["roll", () => x.roll(1.5, 0)],
];

test.each(CALLS)("%s refuses a fraction, and says how to write a quotient", (_, call) => {
  const error = caught(call);
  expect(error).toBeInstanceOf(TensorError);
  expect((error as TensorError).hint).toBe("Python's a // b is Math.floor(a / b)");
});

const three = torch.tensor(3) as unknown as number;
const line = torch.arange(6);

test.each<[name: string, result: () => torch.Tensor, shape: number[]]>([
  ["zeros", () => torch.zeros(three, 2), [3, 2]],
  ["ones", () => torch.ones(three), [3]],
  ["empty of a list", () => torch.empty([2, three]), [2, 3]],
  ["rand", () => torch.rand(three), [3]],
  ["randn by name", () => torch.randn({ size: [three, 1] }), [3, 1]],
  ["full", () => torch.full([three], 1), [3]],
  ["newZeros", () => line.newZeros(three), [3]],
  ["eye", () => torch.eye(three), [3, 3]],
  ["linspace", () => torch.linspace(0, 1, three), [3]],
  ["randint", () => torch.randint(three, [2]), [2]],
  ["randperm", () => torch.randperm(three), [3]],
  ["topk", () => line.topk(three).values, [3]],
  ["narrow", () => line.narrow(0, three, three), [3]],
  ["select", () => line.select(0, three), []],
  ["view", () => line.view(three, -1), [3, 2]],
  ["reshape", () => line.reshape([-1, three]), [2, 3]],
  ["expand", () => torch.ones(1).expand(three), [3]],
  ["repeat", () => torch.ones(1).repeat(three), [3]],
  ["unflatten", () => line.unflatten(0, [three, 2]), [3, 2]],
  ["split", () => line.split(three)[1]!, [3]],
  ["roll", () => line.roll(three), [6]],
  ["multinomial", () => torch.multinomial(torch.ones(5), three), [3]],
])("%s takes a tensor without dimensions for a whole number, as PyTorch does", (_, result, shape) => {
  expect([...result().shape]).toEqual(shape);
});

function caught(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return error;
  }
}
