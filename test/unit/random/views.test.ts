// Draws into tensors that aren't contiguous, with the numbers of PyTorch 2.15 after manual_seed(0).
import { describe, expect, test } from "vitest";
import { nn, torch, type Tensor } from "../../../extension/nn/index.ts";
import { useEngine } from "../../engines.ts";

useEngine("cpu");

const views: Record<string, () => Tensor> = {
  contiguous: () => torch.zeros(3, 8),
  columns: () => torch.zeros(3, 16).index(":", ":8"),
  transposed: () => torch.zeros(8, 3).t(),
};

/** The first numbers of the tensor, and the one that the generator gives next. */
const drawn: [name: string, draw: (x: Tensor) => Tensor, wanted: Record<keyof typeof views, number[]>][] = [
  [
    "normal_",
    (x) => x.normal_(),
    {
      contiguous: [-1.1258, -1.1524, -0.2506, -0.4339, 0.5263],
      columns: [1.541, -0.2934, -2.1788, 0.5684, 0.2783],
      transposed: [1.541, 0.5684, 0.4033, -0.4033, 0.2783],
    },
  ],
  [
    "uniform_",
    (x) => x.uniform_(),
    {
      contiguous: [0.4963, 0.7682, 0.0885, 0.132, 0.4194],
      columns: [0.4963, 0.7682, 0.0885, 0.132, 0.4194],
      transposed: [0.4963, 0.132, 0.4901, 0.6323, 0.4194],
    },
  ],
  [
    "bernoulli_",
    (x) => x.bernoulli_(0.5),
    {
      contiguous: [0, 0, 1, 0, 0.2783],
      columns: [0, 0, 1, 0, 0.2783],
      transposed: [0, 0, 1, 1, 0.2783],
    },
  ],
  [
    "init.truncNormal_",
    (x) => nn.init.truncNormal_(x),
    {
      contiguous: [-1.1258, -1.1524, -0.2506, -0.4339, 0.034],
      transposed: [1.541, 0.5684, 0.4033, -0.4033, 0.7497],
    },
  ],
];

describe.each(drawn)("%s", (_, draw, wanted) => {
  test.each(Object.entries(wanted))("%s", (view, numbers) => {
    torch.manualSeed(0);
    const x = views[view]!();
    draw(x);
    const found = [...(x.flatten().index(":4").tolist() as number[]), torch.rand(1).item()];
    found.forEach((value, i) => expect(value).toBeCloseTo(numbers[i]!, 4));
  });
});
