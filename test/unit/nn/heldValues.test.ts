// Values that are read after the parameters they depend on have changed.
import { expect, test } from "vitest";
import { nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { useEngine } from "../../engines.ts";

useEngine("cpu");

test("a value that waits since another was read outlives a write of host numbers to its parameter", () => {
  const weight = new nn.Parameter(torch.tensor([3, 4], { dtype: torch.float32 }));
  weight.sum().backward();
  new optim.SGD([weight], { lr: 0 }).step();
  const norm = weight.norm();
  const inside = nn.functional.relu(weight.mul(2)).sum();
  expect(weight.sum().item()).toBe(7);
  torch.noGrad(() => weight.copy_(torch.ones(2)));
  expect(weight.sum().item()).toBe(2);
  expect(norm.item()).toBe(5);
  expect(inside.item()).toBe(14);
});

test("LBFGS after steps of another optimizer: what its closure made can be read", () => {
  const model = new nn.Linear(2, 1, { bias: false });
  torch.noGrad(() => model.weight.fill_(1));
  const norms: Tensor[] = [];
  const evaluate = (optimizer: optim.Optimizer): Tensor => {
    optimizer.zeroGrad();
    norms.push(model.weight.norm(1));
    const loss = model(torch.ones(1, 2)).square().sum();
    loss.backward();
    return loss;
  };
  const sgd = new optim.SGD(model.parameters(), { lr: 0.125 });
  for (let i = 0; i < 3; i++) {
    evaluate(sgd);
    sgd.step();
  }
  const lbfgs = new optim.LBFGS(model.parameters(), { lr: 0.125, maxIter: 2 });
  lbfgs.step(() => evaluate(lbfgs));
  const values = norms.map((x) => x.item());
  expect(values.slice(0, 4)).toEqual([2, 1, 0.5, 0.25]);
  expect(values[4]).toBeLessThan(0.25);
});
