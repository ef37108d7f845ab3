// Gradients of draws by their parameters: 0 as in PyTorch, not none, so that momentum and weight decay still move the parameters.
import { expect, test } from "vitest";
import { torch, type Tensor } from "../../../extension/nn/index.ts";
import { onEachEngine } from "../../engines.ts";

onEachEngine(() => {
  test.each<[string, (x: Tensor) => Tensor]>([
    ["NormalBackward1", (x) => torch.normal(x, 1)],
    ["NormalBackward2", (x) => torch.normal(0, x)],
    ["NormalBackward3", (x) => torch.normal(x, x)],
    ["BernoulliBackward0", (x) => torch.bernoulli(x)],
    ["PoissonBackward0", (x) => torch.poisson(x)],
    ["BernoulliBackward1", (x) => torch.zeros(3, 2).bernoulli_(x)],
  ])("%s", (name, draw) => {
    torch.manualSeed(5);
    const plain = draw(torch.tensor([0.3, 0.8])).tolist();
    torch.manualSeed(5);
    const x = torch.tensor([0.3, 0.8], { requiresGrad: true });
    const y = draw(x);
    expect(y.gradFn!.name()).toBe(name);
    y.square().sum().backward();
    expect(y.tolist()).toEqual(plain);
    expect(x.grad!.tolist()).toEqual([0, 0]);
    expect(torch.noGrad(() => draw(x)).requiresGrad).toBe(false);
  });

  test("bernoulli_ takes a probability for each place", () => {
    torch.manualSeed(0);
    const p = torch.tensor([0.3, 0.5, 0.9]);
    expect(torch.zeros(2, 3).bernoulli_(p).tolist()).toEqual([
      [0, 0, 1],
      [1, 1, 1],
    ]);
    expect(torch.zeros(3, { dtype: torch.int64 }).bernoulli_(p).tolist()).toEqual([0, 0, 1]);
    torch.manualSeed(0);
    const half = torch.zeros(6).bernoulli_({ p: torch.tensor(0.5) });
    expect(half.tolist()).toEqual([1, 0, 1, 1, 1, 0]);
    expect(() => torch.zeros(2).bernoulli_(torch.ones(3))).toThrow(
      "The expanded size of the tensor (2) must match the existing size (3) at non-singleton dimension 0.  Target sizes: [2].  Tensor sizes: [3]",
    );
  });
});
