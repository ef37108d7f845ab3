// A step that is refused while it is computed leaves everything as it was: weights, the optimizer's numbers, gradients.
import { expect, it } from "vitest";
import { F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { onEachEngine } from "../../engines.ts";

type Made = optim.Optimizer;
const OPTIMIZERS: Record<string, (params: Tensor[]) => Made> = {
  SGD: (p) => new optim.SGD(p, { lr: 0.1, momentum: 0.9, dampening: 0.5 }),
  Adam: (p) => new optim.Adam(p, { lr: 0.1 }),
  amsgrad: (p) => new optim.Adam(p, { lr: 0.1, amsgrad: true }),
  NAdam: (p) => new optim.NAdam(p, { lr: 0.1 }),
  RAdam: (p) => new optim.RAdam(p, { lr: 0.1 }),
  Adamax: (p) => new optim.Adamax(p, { lr: 0.1 }),
  Adagrad: (p) => new optim.Adagrad(p, { lr: 0.1, lrDecay: 0.1 }),
  Adadelta: (p) => new optim.Adadelta(p),
  RMSprop: (p) => new optim.RMSprop(p, { lr: 0.01, momentum: 0.9 }),
  Rprop: (p) => new optim.Rprop(p),
  ASGD: (p) => new optim.ASGD(p, { lr: 0.1, t0: 2 }),
  LBFGS: (p) => new optim.LBFGS(p, { maxIter: 3 }),
};

onEachEngine(() => {
  /** Trains on labels, a list a step; steps with labels that don't exist throw. */
  function trained(make: (params: Tensor[]) => Made, steps: readonly number[][]): unknown {
    torch.manualSeed(3);
    const model = new nn.Linear(4, 3);
    const optimizer = make(model.parameters());
    const x = torch.randn(2, 4);
    for (const labels of steps) {
      // Known only when it is computed.
      const target = torch.tensor(labels).add(0);
      const closure = (): Tensor => {
        optimizer.zeroGrad();
        const loss = F.crossEntropy(model(x), target);
        loss.backward();
        return loss;
      };
      const step = (): unknown => optimizer.step(closure);
      if (labels.includes(7)) expect(step).toThrow("Target 7 is out of bounds.");
      else step();
    }
    const { state } = optimizer.stateDict();
    const plain = (value: unknown): unknown =>
      value !== null && typeof value === "object" && "data" in value
        ? [...(value as Tensor).toTypedArray()]
        : value;
    return {
      stepped: optimizer.stepped,
      weights: model.parameters().map((p) => [...p.toTypedArray()]),
      state: Object.entries(state).map(([i, own]) => [
        i,
        Object.entries(own).map(([name, value]) => [
          name,
          Array.isArray(value) ? value.map(plain) : plain(value),
        ]),
      ]),
    };
  }

  it.each(Object.entries(OPTIMIZERS))("%s is as before the refused step", (_, make) => {
    const good = [0, 2];
    const bad = [0, 7];
    expect(trained(make, [bad])).toEqual(trained(make, []));
    expect(trained(make, [bad, good, good])).toEqual(trained(make, [good, good]));
    expect(trained(make, [good, good, good, bad, good, good])).toEqual(
      trained(make, [good, good, good, good, good]),
    );
    expect(trained(make, [good, good, good, bad])).toEqual(trained(make, [good, good, good]));
  });

  it("an update that throws while it is recorded changes nothing", () => {
    const [a, b] = [1, 2].map((x) => new nn.Parameter(torch.full([2], x).float()));
    const optimizer = new optim.Adam([a!, b!], { lr: 0.1, amsgrad: true });
    a!.grad = torch.ones(2);
    b!.grad = torch.ones(2);
    // No update can be recorded with it.
    Object.defineProperty(b, "grad", { value: torch.ones(3), configurable: true });
    expect(() => optimizer.step()).toThrow();
    Reflect.deleteProperty(b!, "grad");
    expect([a!.tolist(), b!.tolist(), optimizer.state.size]).toEqual([[1, 1], [2, 2], 0]);
    optimizer.step();
    expect(a!.toTypedArray()[0]).toBeCloseTo(0.9, 5);
  });

  it("gradients of a refused step can be read, repeated steps included", () => {
    torch.manualSeed(4);
    const layer = new nn.Linear(2, 2);
    layer.registerBuffer("row", torch.zeros(2));
    const { row } = layer as unknown as { row: Tensor };
    const optimizer = new optim.SGD(layer.parameters(), { lr: 0.1 });
    const [x, table] = [torch.ones(1, 2), torch.ones(3, 2)];
    const step = (index: number): void => {
      optimizer.zeroGrad();
      layer(x).sum().backward();
      torch.noGrad(() => row.copy_(F.embedding(torch.tensor([index]), table).reshape(2)));
      optimizer.step();
    };
    for (let i = 0; i < 5; i++) step(1);
    expect(() => step(9)).toThrow("index out of range in self");
    expect(layer.weight.grad!.tolist()).toEqual([
      [1, 1],
      [1, 1],
    ]);
    const before = layer.weight.tolist();
    step(2);
    expect(layer.weight.tolist()).not.toEqual(before);
  });

  it("gradients are added up over steps without zeroGrad", () => {
    torch.manualSeed(4);
    const layer = new nn.Linear(3, 3);
    const [weight, x] = [layer.weight.detach().clone(), torch.ones(2, 3)];
    const optimizer = new optim.SGD(layer.parameters(), { lr: 0.1 });
    for (let i = 0; i < 6; i++) {
      layer(x).sum().backward();
      optimizer.step();
    }
    // Each gradient is 2: they were 2, 4, … 12.
    expect(layer.weight.grad!.tolist()).toEqual(Array.from({ length: 3 }, () => [12, 12, 12]));
    weight
      .sub(layer.weight)
      .toTypedArray()
      .forEach((x) => expect(x).toBeCloseTo(4.2, 4));
  });

  it("values of a step that an error has ended can be read after the next one", () => {
    torch.manualSeed(4);
    const layer = new nn.Linear(2, 2);
    const fails = new (class extends nn.Module {
      forward(x: Tensor): Tensor {
        return x.matmul(torch.ones(3, 3));
      }
    })();
    const optimizer = new optim.SGD(layer.parameters(), { lr: 0.1 });
    const x = torch.ones(1, 2);
    const expected = layer(x).tolist();
    const y = layer(x);
    expect(() => fails(y)).toThrow("mat1 and mat2 shapes cannot be multiplied");
    for (let i = 0; i < 3; i++) {
      optimizer.zeroGrad();
      layer(x).sum().backward();
      optimizer.step();
    }
    expect(y.tolist()).toEqual(expected);
  });
});
