// F's activations with an underscore write what the others return.
import { expect, test } from "vitest";
import { F, torch, type Tensor } from "../../../extension/nn/index.ts";
import { useEngine } from "../../engines.ts";

useEngine("cpu");

const pairs: readonly [string, (x: Tensor) => Tensor, (x: Tensor) => Tensor][] = [
  ["relu_", (x) => F.relu_(x), (x) => F.relu(x)],
  ["selu_", (x) => F.selu_(x), (x) => F.selu(x)],
  ["leakyRelu_ by default", (x) => F.leakyRelu_(x), (x) => F.leakyRelu(x)],
  ["leakyRelu_", (x) => F.leakyRelu_(x, 0.3), (x) => F.leakyRelu(x, 0.3)],
  ["leakyRelu_ by name", (x) => F.leakyRelu_(x, { negativeSlope: 0.3 }), (x) => F.leakyRelu(x, 0.3)],
  ["elu_", (x) => F.elu_(x, 0.5), (x) => F.elu(x, 0.5)],
  ["celu_", (x) => F.celu_(x, { alpha: 0.5 }), (x) => F.celu(x, 0.5)],
  ["hardtanh_", (x) => F.hardtanh_(x), (x) => F.hardtanh(x)],
  ["hardtanh_ with bounds", (x) => F.hardtanh_(x, -0.5, 2), (x) => F.hardtanh(x, -0.5, 2)],
  ["threshold_", (x) => F.threshold_(x, 0.5, 7), (x) => F.threshold(x, 0.5, 7)],
  ["rrelu_", (x) => F.rrelu_(x, 0.1, 0.3), (x) => F.rrelu(x, 0.1, 0.3)],
  [
    "rrelu_ in training",
    (x) => (torch.manualSeed(3), F.rrelu_(x, 0.1, 0.3, true)),
    (x) => (torch.manualSeed(3), F.rrelu(x, 0.1, 0.3, true)),
  ],
];

test.each(pairs)("%s", (_, inPlace, copying) => {
  const x = torch.tensor([-3, -0.75, 0.25, 0.75, 4]);
  const wanted = copying(x).tolist();
  const view = x.view(5);
  expect(inPlace(x)).toBe(x);
  expect(x.tolist()).toEqual(wanted);
  expect(view.tolist()).toEqual(wanted);
  expect(wanted).not.toEqual([-3, -0.75, 0.25, 0.75, 4]);
});
