// Copies of modules: what they share, what they don't.
import { expect, test } from "vitest";
import { copy, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { useEngine } from "../../engines.ts";

useEngine("cpu");

const weight = (model: nn.Module): number[] => [...model.stateDict().get("weight")!.toTypedArray()];

class Tied extends nn.Module {
  first = new nn.Linear(2, 2);
  again = this.first;
  parts = new nn.ModuleDict(
    new Map<string, nn.Module>([
      ["10", new nn.ReLU()],
      ["2", new nn.Linear(2, 1)],
    ]),
  );
  others = [new nn.Linear(1, 1)];
  options = { scale: torch.tensor([2.5]), act: torch.relu };
  constructor() {
    super();
    this.registerBuffer("mean", torch.zeros(2), { persistent: false });
  }
  forward(x: Tensor): Tensor {
    return this.options.act(this.again(this.first(x))).mul(this.options.scale);
  }
}

test("a copy computes the same, prints the same, and is of the same class", () => {
  torch.manualSeed(0);
  const model = new Tied().eval();
  const twin = copy.deepcopy(model);
  expect(twin).toBeInstanceOf(Tied);
  expect(twin.toString()).toBe(model.toString());
  expect(twin.training).toBe(false);
  expect([...twin.stateDict().keys()]).toEqual([...model.stateDict().keys()]);
  expect(twin.namedBuffers().map(([name]) => name)).toEqual(["mean"]);
  const x = torch.randn(3, 2);
  expect(twin(x).tolist()).toEqual(model(x).tolist());
});

test("what was one thing twice is one thing twice", () => {
  const twin = copy.deepcopy(new Tied());
  expect(twin.again).toBe(twin.first);
  expect(twin.parts.keys()).toEqual(["10", "2"]);
  expect(twin.others[0]).toBeInstanceOf(nn.Linear);
});

test("nothing written to a copy reaches the original", () => {
  torch.manualSeed(1);
  const model = new nn.Linear(3, 2);
  const twin = copy.deepcopy(model);
  expect(Object.is(twin.weight, model.weight)).toBe(false);
  nn.init.zeros_(twin.weight);
  expect(weight(twin)).toEqual([0, 0, 0, 0, 0, 0]);
  torch.manualSeed(1);
  expect(weight(model)).toEqual(weight(new nn.Linear(3, 2)));
});

test("first weights are drawn once, whichever copy is written over, and are right when all but one are", () => {
  torch.manualSeed(2);
  const expected = weight(new nn.Linear(3, 2));
  const following = [...torch.rand(2).toTypedArray()];
  torch.manualSeed(2);
  const model = new nn.Linear(3, 2);
  const [a, b] = [copy.deepcopy(model), copy.deepcopy(model)];
  nn.init.zeros_(model.weight);
  nn.init.ones_(b.weight);
  expect([...torch.rand(2).toTypedArray()]).toEqual(following);
  expect(weight(a)).toEqual(expected);
});

test("a trained model's copy has the trained weights, its gradients stay with it", () => {
  const model = new nn.Linear(2, 1);
  const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
  const step = (): void => {
    optimizer.zeroGrad();
    model(torch.ones(1, 2)).sum().backward();
    optimizer.step();
  };
  step();
  const twin = copy.deepcopy(model);
  const before = weight(model);
  expect(twin.weight.grad).toBeNull();
  step();
  expect(weight(twin)).toEqual(before);
  expect(weight(model)).not.toEqual(before);
});

test("the copy of a state dict keeps its values over steps", () => {
  torch.manualSeed(0);
  const model = new nn.Linear(2, 1);
  const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
  const step = (): void => {
    optimizer.zeroGrad();
    model(torch.ones(3, 2)).sum().backward();
    optimizer.step();
  };
  step();
  const before = weight(model);
  const best = copy.deepcopy(model.stateDict());
  step();
  step();
  expect([...best.get("weight")!.toTypedArray()]).toEqual(before);
  expect(weight(model)).not.toEqual(before);
  model.loadStateDict(best);
  expect(weight(model)).toEqual(before);
});

test("the copy of a value within the graph can be read after the step", () => {
  const p = new nn.Parameter(torch.ones(2));
  const optimizer = new optim.SGD([p], { lr: 1 });
  const kept = copy.deepcopy([p.detach().mul(3)]);
  p.sum().backward();
  optimizer.step();
  expect(kept[0]!.tolist()).toEqual([3, 3]);
});

test("a shallow copy shares what is in it", () => {
  const model = new nn.Linear(2, 1);
  const list = [model, torch.zeros(2)] as const;
  expect(copy.copy(list)[0]).toBe(model);
  expect(copy.copy(new Map([["a", model]])).get("a")).toBe(model);
  expect(copy.copy(model).weight).toBe(model.weight);
  const twin = copy.copy(list[1]);
  twin.add_(1);
  expect(list[1].tolist()).toEqual([1, 1]);
});

test("an optimizer's copy trains the copied parameters, from the same state", () => {
  torch.manualSeed(0);
  const model = new nn.Linear(2, 1);
  const optimizer = new optim.Adam([
    { params: [model.weight], lr: 0.1 },
    { params: [model.bias!], lr: 0.2 },
  ]);
  const train = (net: nn.Linear, o: optim.Optimizer): number[] => {
    o.zeroGrad();
    net(torch.ones(3, 2)).square().sum().backward();
    o.step();
    return [...net.weight.toTypedArray(), ...net.bias!.toTypedArray()];
  };
  train(model, optimizer);
  const [twin, other] = copy.deepcopy([model, optimizer] as const);
  expect(other).toBeInstanceOf(optim.Adam);
  expect(Object.is(other, optimizer)).toBe(false);
  expect(other.paramGroups[0]!.params[0]).toBe(twin.weight);
  expect(other.paramGroups[1]!.params[0]).toBe(twin.bias);
  expect(other.toString()).toBe(optimizer.toString());
  const before = [...model.weight.toTypedArray()];
  const after = train(twin, other);
  expect([...model.weight.toTypedArray()]).toEqual(before);
  expect(train(model, optimizer)).toEqual(after);
});

test("a program's own optimizer is copied, too", () => {
  class Descent extends optim.Optimizer {
    constructor(params: Iterable<Tensor>) {
      super(params, { lr: 0.5 });
    }
    override step(): undefined {
      torch.noGrad(() => {
        for (const { params, lr } of this.paramGroups) for (const p of params) p.sub_(p.grad!, { alpha: lr });
      });
    }
  }
  const p = new nn.Parameter(torch.ones(1));
  const [twin, optimizer] = copy.deepcopy([p, new Descent([p])] as const);
  twin.sum().backward();
  optimizer.step();
  expect([p.item(), twin.item()]).toEqual([1, 0.5]);
});
