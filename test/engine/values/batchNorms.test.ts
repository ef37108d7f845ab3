// Batch norm for all numbers of channels, which the binding's kernels put into registers in different ways, against TensorFlow's.
import { describe, expect, it } from "vitest";
import { nn, torch, type Tensor } from "../../../extension/nn/index.ts";
import { withPolicy } from "../../../extension/tensor/recording/runtime.ts";
import { hasNative, useEngine } from "../../engines.ts";

/** Result, statistics and gradients of images far from zero. */
function computed(channels: number, [images, height, width]: readonly [number, number, number]): number[][] {
  torch.manualSeed(channels);
  const norm = new nn.BatchNorm2d(channels);
  torch.noGrad(() => {
    norm.weight!.uniform_(0.5, 2);
    norm.bias!.normal_();
  });
  const x = torch.randn(images, channels, height, width).mul(3).add(20).requiresGrad_();
  const y = norm.forward(x);
  const g = torch.randn(images, channels, height, width);
  y.mul(g).sum().backward();
  const all: Tensor[] = [
    y,
    norm.runningMean!,
    norm.runningVar!,
    x.grad!,
    norm.weight!.grad!,
    norm.bias!.grad!,
  ];
  return all.map((t) => [...t.detach().toTypedArray()]);
}

describe.runIf(hasNative)("batch norm", () => {
  useEngine("native");
  const SIZES = [
    [2, 1, 1],
    [3, 1, 3],
    [1, 5, 7],
    [4, 9, 11],
    [7, 20, 33],
  ] as const;

  it.each([1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64])("of %i channels", (channels) => {
    for (const sizes of SIZES) {
      const own = computed(channels, sizes);
      const library = withPolicy({ smallPlans: false }, () => computed(channels, sizes));
      own.forEach((values, part) => {
        const scale = library[part]!.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
        values.forEach((value, i) => {
          if (!(Math.abs(value - library[part]![i]!) <= 3e-5 * scale))
            expect.fail(
              `${sizes.join("x")}, part ${part} at ${i}: ${value}, ${library[part]![i]} by TensorFlow`,
            );
        });
      });
    }
  });
});
