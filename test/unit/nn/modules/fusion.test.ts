// nn.utils.fusion and skipInit.
import { describe, expect, test } from "vitest";
import { nn, torch, type Tensor } from "../../../../extension/nn/index.ts";
import { useEngine } from "../../../engines.ts";

useEngine("cpu");

/** A normalization in evaluation with statistics and weights that change something. */
function seen(bn: nn.BatchNorm1d | nn.BatchNorm2d): void {
  torch.noGrad(() => {
    bn.runningMean!.normal_();
    bn.runningVar!.uniform_(0.5, 2);
    bn.weight?.normal_();
    bn.bias?.normal_();
  });
  bn.eval();
}

const close = (a: Tensor, b: Tensor): boolean => torch.allclose(a, b, { rtol: 1e-4, atol: 1e-5 });

describe("a fused layer computes what the layer and its normalization do", () => {
  const x = torch.randn(2, 4, 6, 6);
  test.each([
    ["Conv2d", new nn.Conv2d(4, 8, 3), new nn.BatchNorm2d(8), false],
    [
      "Conv2d without bias, in groups",
      new nn.Conv2d(4, 8, 3, { bias: false, groups: 2 }),
      new nn.BatchNorm2d(8),
      false,
    ],
    [
      "Conv2d, normalized without weights",
      new nn.Conv2d(4, 8, 3),
      new nn.BatchNorm2d(8, { affine: false }),
      false,
    ],
    ["ConvTranspose2d", new nn.ConvTranspose2d(4, 5, 3), new nn.BatchNorm2d(5), true],
  ] as const)("%s", (_, conv, bn, transpose) => {
    conv.eval();
    seen(bn);
    const fused = nn.utils.fuseConvBnEval<nn.Conv2d>(conv as nn.Conv2d, bn, transpose);
    expect(fused).not.toBe(conv);
    expect(fused.constructor).toBe(conv.constructor);
    expect(close(fused(x), bn(conv(x)))).toBe(true);
    expect(close(conv(x), fused(x))).toBe(false);
  });

  test.each([true, false])("Linear with bias %s", (bias) => {
    const linear = new nn.Linear(4, 3, { bias }).eval();
    const bn = new nn.BatchNorm1d(3);
    seen(bn);
    const input = torch.randn(5, 4);
    const fused = nn.utils.fuseLinearBnEval(linear, bn);
    expect(close(fused(input), bn(linear(input)))).toBe(true);
    expect([fused.weight.requiresGrad, fused.bias!.requiresGrad]).toEqual([true, bias]);
  });

  test("refuses what PyTorch refuses", () => {
    const { fuseConvBnEval, fuseLinearBnEval } = nn.utils;
    expect(() => fuseConvBnEval(new nn.Conv2d(4, 8, 3), new nn.BatchNorm2d(8).eval())).toThrow(
      "Fusion only for eval!",
    );
    expect(() =>
      fuseConvBnEval(
        new nn.Conv2d(4, 8, 3).eval(),
        new nn.BatchNorm2d(8, { trackRunningStats: false }).eval(),
      ),
    ).toThrow("bn.running_mean and bn.running_var must not be None");
    expect(() => fuseLinearBnEval(new nn.Linear(4, 3).eval(), new nn.BatchNorm1d(2).eval())).toThrow(
      "To fuse, linear.out_features == bn.num_features or bn.num_features == 1, got linear.out_features=3 and bn.num_features=2",
    );
  });
});

test("skipInit draws nothing, and leaves what was drawn before", () => {
  torch.manualSeed(3);
  const before = new nn.Linear(2, 2);
  const layer = nn.utils.skipInit(nn.Linear, 5, 3, { bias: false });
  const after = torch.rand(2);
  expect(layer.weight.shape).toEqual([3, 5]);
  expect(layer.weight.requiresGrad).toBe(true);
  torch.manualSeed(3);
  expect(before.weight.tolist()).toEqual(new nn.Linear(2, 2).weight.tolist());
  expect(after.tolist()).toEqual(torch.rand(2).tolist());
  expect(() => nn.utils.skipInit(Map as never)).toThrow("Expected a Module; got");
});
