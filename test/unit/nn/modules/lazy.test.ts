// Modules that find their sizes at the first call; the texts are PyTorch's.
import { describe, expect, test } from "vitest";
import { copy, F, nn, optim, torch, type Tensor } from "../../../../extension/nn/index.ts";
import { useEngine } from "../../../engines.ts";

useEngine("cpu");

const net = (): nn.Sequential =>
  new nn.Sequential(
    new nn.LazyConv2d(4, 3),
    new nn.LazyBatchNorm2d(),
    new nn.Flatten(),
    new nn.LazyLinear(2),
  );
const images = (): Tensor => torch.randn(3, 1, 6, 6);

describe("a lazy module", () => {
  test("prints as PyTorch's, before and after its first call", () => {
    const model = net();
    expect(String(model)).toBe(
      "Sequential(\n  (0): LazyConv2d(0, 4, kernel_size=(3, 3), stride=(1, 1))\n  (1): LazyBatchNorm2d(0, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)\n  (2): Flatten(start_dim=1, end_dim=-1)\n  (3): LazyLinear(in_features=0, out_features=2, bias=True)\n)",
    );
    model(images());
    expect(String(model)).toBe(
      "Sequential(\n  (0): Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1))\n  (1): BatchNorm2d(4, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)\n  (2): Flatten(start_dim=1, end_dim=-1)\n  (3): Linear(in_features=64, out_features=2, bias=True)\n)",
    );
    expect(model[0]).toBeInstanceOf(nn.Conv2d);
    expect(model[0]).not.toBeInstanceOf(nn.LazyConv2d);
  });

  test("draws the weights that its usual class draws", () => {
    torch.manualSeed(4);
    const lazy = new nn.LazyLinear(3);
    expect(lazy.hasUninitializedParams()).toBe(true);
    lazy.initializeParameters(torch.zeros(2, 5));
    expect(lazy.hasUninitializedParams()).toBe(false);
    torch.manualSeed(4);
    const usual = new nn.Linear(5, 3);
    expect(lazy.weight.tolist()).toEqual(usual.weight.tolist());
    expect(lazy.bias!.tolist()).toEqual(usual.bias!.tolist());
  });

  test("keeps its parameters: an optimizer made before the first call trains them", () => {
    torch.manualSeed(0);
    const model = net();
    const parameters = model.parameters();
    const optimizer = new optim.Adam(parameters, { lr: 0.05 });
    const [x, y] = [images(), torch.tensor([0, 1, 1])];
    const losses = Array.from({ length: 10 }, () => {
      optimizer.zeroGrad();
      const loss = F.crossEntropy(model(x), y);
      loss.backward();
      optimizer.step();
      return loss.item();
    });
    expect(losses.at(-1)!).toBeLessThan(losses[0]! / 4);
    expect(model.parameters().every((p, i) => p === parameters[i])).toBe(true);
    expect(optimizer.state.get(parameters[0]!)["expAvg"].shape).toEqual([4, 1, 3, 3]);
  });

  test("takes its sizes from a state dict", () => {
    const [model, other] = [net(), net()];
    const x = images();
    const expected = model.eval()(x).tolist();
    other.loadStateDict(model.stateDict());
    expect(other.eval()(x).tolist()).toEqual(expected);
    expect(String(other)).toBe(String(model));
  });

  test("refuses a state dict of other sizes at its first call", () => {
    const lazy = new nn.LazyLinear(3);
    lazy.loadStateDict(new nn.Linear(4, 3).stateDict());
    expect(() => lazy(torch.zeros(1, 5))).toThrow(
      "The in_features inferred from input: 5 is not equal to in_features from self.weight: 4",
    );
  });

  test("is copied before its first call", () => {
    const model = net();
    const twin = copy.deepcopy(model);
    model(images());
    expect(twin[3]).toBeInstanceOf(nn.LazyLinear);
    twin(torch.randn(2, 3, 8, 8));
    expect(twin[0].toString()).toContain("Conv2d(3, 4");
    expect(model[0].toString()).toContain("Conv2d(1, 4");
  });

  test("freezes before its first call", () => {
    const lazy = new nn.LazyLinear(3);
    lazy.requiresGrad_(false);
    lazy(torch.zeros(1, 5));
    expect([lazy.weight.requiresGrad, lazy.bias!.requiresGrad]).toEqual([false, false]);
  });
});

describe("an uninitialized parameter", () => {
  test.each([
    ["its shape", (w: nn.Parameter) => w.shape],
    ["its value", (w: nn.Parameter) => w.tolist()],
    ["a sum", (w: nn.Parameter) => w.sum()],
    ["an initializer", (w: nn.Parameter) => nn.init.xavierUniform_(w)],
  ])("refuses %s", (_, read) => {
    expect(() => read(new nn.LazyLinear(2).weight)).toThrow(
      /^(Can't access the shape of an uninitialized parameter or buffer|Attempted to use an uninitialized parameter)/,
    );
  });

  test("prints its class", () => {
    expect(String(new nn.LazyLinear(2).weight)).toBe("<UninitializedParameter>");
  });
});
