// Hooks around an optimizer's steps, and its arguments by position.
import { expect, test } from "vitest";
import { nn, optim, torch, type Tensor } from "../../../../extension/nn/index.ts";
import { useEngine } from "../../../engines.ts";

useEngine("cpu");

const weight = (): nn.Parameter => new nn.Parameter(torch.ones(1));

test("hooks run before and after each step, until they are removed", () => {
  const w = weight();
  const optimizer = new optim.SGD([w], 0.5);
  const seen: unknown[] = [];
  const before = optimizer.registerStepPreHook(
    (self, args) => void seen.push(self === optimizer, args.length, w.item()),
  );
  const after = optimizer.registerStepPostHook(() => void seen.push(w.item()));
  const step = (): void => {
    optimizer.zeroGrad();
    w.sum().backward();
    optimizer.step();
  };
  step();
  expect(seen.splice(0)).toEqual([true, 0, 1, 0.5]);
  before.remove();
  step();
  expect(seen.splice(0)).toEqual([0]);
  after.remove();
  step();
  expect(seen).toEqual([]);
  expect(w.item()).toBe(-0.5);
});

test("a hook may replace the closure of a step, also of an optimizer of one's own", () => {
  class Descent extends optim.Optimizer {
    // oxlint-disable-next-line typescript/no-explicit-any -- as a program writes it
    override step(closure?: () => Tensor): any {
      const loss = closure?.();
      torch.noGrad(() => void this.paramGroups[0]!.params[0]!.sub_(1));
      return loss;
    }
  }
  const optimizer = new Descent([weight()], { lr: 1 });
  optimizer.registerStepPreHook(() => [[() => torch.tensor(2)], {}]);
  expect((optimizer.step() as Tensor).item()).toBe(2);
});

test("arguments after the rate go by position, as PyTorch's", () => {
  const params = [weight()];
  // oxlint-disable-next-line typescript/no-explicit-any -- options of all kinds
  const group = (optimizer: optim.Optimizer<any>): unknown => {
    const { params: _, ...rest } = optimizer.paramGroups[0]!;
    return rest;
  };
  expect(group(new optim.Adam(params, 2e-3, [0, 0.9], 1e-6, 0.1, true))).toMatchObject({
    lr: 2e-3,
    betas: [0, 0.9],
    eps: 1e-6,
    weightDecay: 0.1,
    amsgrad: true,
  });
  expect(group(new optim.AdamW(params, 2e-3, [0, 0.9]))).toMatchObject({
    betas: [0, 0.9],
    weightDecay: 0.01,
  });
  expect(group(new optim.SGD(params, 0.1, 0.9, 0, 1e-4, true))).toMatchObject({
    momentum: 0.9,
    nesterov: true,
  });
  expect(group(new optim.RMSprop(params, 0.1, 0.9, 1e-6, 0, 0.5, true))).toMatchObject({
    alpha: 0.9,
    centered: true,
  });
  expect(group(new optim.Adamax(params, 0.1, [0.5, 0.6], { eps: 1 }))).toMatchObject({
    betas: [0.5, 0.6],
    eps: 1,
  });
  expect(group(new optim.Adadelta(params, 1, 0.8))).toMatchObject({ rho: 0.8 });
  expect(group(new optim.Adagrad(params, 1, 0.1, 0, 0.5))).toMatchObject({
    lrDecay: 0.1,
    initialAccumulatorValue: 0.5,
  });
  expect(group(new optim.NAdam(params, 1, [0.5, 0.6], 1e-8, 0, 0.1, true))).toMatchObject({
    momentumDecay: 0.1,
  });
  expect(group(new optim.RAdam(params, 1, [0.5, 0.6], 1e-8, 0, true))).toMatchObject({
    decoupledWeightDecay: true,
  });
  expect(group(new optim.ASGD(params, 1, 1e-3, 0.5, 10))).toMatchObject({ lambd: 1e-3, t0: 10 });
  expect(group(new optim.Rprop(params, 1, [0.4, 1.1], [1e-5, 10]))).toMatchObject({ stepSizes: [1e-5, 10] });
  expect(group(new optim.LBFGS(params, 1, 5, 6, 1e-5, 1e-8, 3))).toMatchObject({
    maxIter: 5,
    historySize: 3,
  });
});

test("lists of modules and parameters have `at`", () => {
  const list = new nn.ModuleList([new nn.Linear(1, 1), new nn.Linear(2, 2)]);
  expect(list.at(-1)).toBe(list.get(1));
  expect(new nn.Sequential(new nn.ReLU(), new nn.Tanh()).at(-1)).toBeInstanceOf(nn.Tanh);
  expect(new nn.ParameterList([weight()]).at(0).item()).toBe(1);
  expect(() => list.at(2)).toThrow("index 2 is out of range");
});
