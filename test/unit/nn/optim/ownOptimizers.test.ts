// Optimizers and schedules that a program defines, as PyTorch's programs do.
import { expect, test } from "vitest";
import { copy, nn, torch, type Tensor } from "../../../../extension/nn/index.ts";
import { useEngine } from "../../../engines.ts";

useEngine("cpu");

/** Descent with momentum, whose state has names in snake_case. */
class Momentum extends torch.optim.Optimizer {
  constructor(params: Iterable<Tensor>, { lr = 0.5, mu = 0.5 } = {}) {
    super(params, { lr, mu });
  }
  override step(closure?: () => Tensor): Tensor | null {
    const loss = closure === undefined ? null : torch.enableGrad(closure);
    torch.noGrad(() => {
      for (const group of this.paramGroups) {
        for (const p of group.params) {
          if (p.grad === null) continue;
          const state = this.state.get(p);
          if (Object.keys(state).length === 0)
            Object.assign(state, { step: 0, moving_mean: torch.zerosLike(p) });
          state["step"] += 1;
          state["moving_mean"].mul_(group["mu"]).add_(p.grad);
          p.add_(state["moving_mean"], { alpha: -group.lr });
        }
      }
    });
    return loss;
  }
}

class WarmUp extends torch.optim.lrScheduler.LRScheduler {
  steps: number;
  constructor(optimizer: torch.optim.Optimizer, steps: number, lastEpoch = -1) {
    super(optimizer, lastEpoch);
    this.steps = steps;
  }
  override getLr(): number[] {
    return this.baseLrs.map((lr) => lr * Math.min(1, (this.lastEpoch + 1) / this.steps));
  }
}

test("an optimizer with its own step updates, and continues from its state dict", () => {
  const p = new nn.Parameter(torch.zeros(2));
  const optimizer = new Momentum([p]);
  const step = (own: Momentum, parameter: Tensor): void => {
    own.zeroGrad();
    parameter.sum().backward();
    own.step();
  };
  step(optimizer, p);
  step(optimizer, p);
  expect(p.tolist()).toEqual([-1.25, -1.25]);
  const saved = copy.deepcopy(optimizer.stateDict());
  expect(Object.keys(saved.state["0"]!)).toEqual(["step", "moving_mean"]);
  expect(saved.state["0"]!["step"]).toBe(2);
  const twin = new nn.Parameter(p.detach().clone());
  const again = new Momentum([twin], { lr: 9 });
  again.loadStateDict(saved);
  step(optimizer, p);
  step(again, twin);
  expect(twin.tolist()).toEqual(p.tolist());
  expect(again.state.get(twin)["step"]).toBe(3);
  expect(again.toString()).toBe("Momentum (\nParameter Group 0\n    lr: 0.5\n    mu: 0.5\n)");
});

test("an optimizer's closure has gradients; a class without a step says so", () => {
  const p = new nn.Parameter(torch.ones(1));
  const loss = new Momentum([p]).step(() => {
    const squared = p.square().sum();
    squared.backward();
    return squared;
  });
  expect(loss?.item()).toBe(1);
  expect(p.item()).toBe(0);
  p.sum().backward();
  class Nothing extends torch.optim.Optimizer {}
  expect(() => new Nothing([p], { lr: 1 }).step()).toThrow('missing the required "step" function');
});

test("a schedule's initial step comes before the optimizer's first, also with fields set after super", () => {
  const p = new nn.Parameter(torch.zeros(1));
  const optimizer = new Momentum([p], { lr: 0.5, mu: 0 });
  const scheduler = new WarmUp(optimizer, 2);
  p.sum().backward();
  optimizer.step();
  expect(p.item()).toBe(-0.25);
  expect(scheduler.getLastLr()).toEqual([0.25]);
  scheduler.step();
  expect(optimizer.paramGroups[0]!.lr).toBe(0.5);
  const other = new WarmUp(new torch.optim.SGD([p], { lr: 1 }), 4);
  expect(other.getLastLr()).toEqual([0.25]);
  expect(Object.keys(other.stateDict())).toContain("steps");
});
