import { describe, expect, test } from "vitest";
import { nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import type { Gradients } from "../../../extension/nn/module/hooks.ts";
import { useEngine } from "../../engines.ts";

useEngine("cpu");

const floats = (...values: number[]): Tensor => torch.tensor(values, { dtype: torch.float32 });
const list = (grads: Gradients): unknown[] => grads.map((g) => g?.tolist() ?? null);

class Scale extends nn.Module {
  factor = new nn.Parameter(floats(2, 3));
  forward(x: Tensor, y: Tensor): Tensor[] {
    return [x.mul(this.factor), y.mul(this.factor), x];
  }
}

describe("forward hooks", () => {
  test("run in order, those that are prepended first; what they return takes the place of input and output", () => {
    const model = new nn.Identity();
    const order: string[] = [];
    const handle = model.registerForwardPreHook(() => void order.push("a"));
    model.registerForwardPreHook(
      (_, [x]) => {
        order.push("b");
        return (x as Tensor).add(1);
      },
      { prepend: true },
    );
    model.registerForwardHook((_, [x], y) => {
      order.push("c");
      expect((x as Tensor).tolist()).toEqual([2]);
      return (y as Tensor).mul(10);
    });
    expect(model(floats(1)).tolist()).toEqual([20]);
    expect(order).toEqual(["b", "a", "c"]);
    handle.remove();
    model(floats(1));
    expect(order.slice(3)).toEqual(["b", "c"]);
  });
});

describe("backward hooks of modules", () => {
  test("see the gradients of results and arguments", () => {
    const model = new Scale();
    const seen: unknown[] = [];
    model.registerFullBackwardPreHook((_, out) => void seen.push(["pre", list(out)]));
    model.registerFullBackwardHook((m, grads, out) => {
      expect(m).toBe(model);
      seen.push([list(grads), list(out)]);
    });
    const x = floats(1, 2).requiresGrad_();
    const y = floats(5, 6);
    const [a, b] = model(x, y) as [Tensor, Tensor];
    a.mul(floats(1, 10)).sum().add(b.sum()).backward();
    // The third result was not used: its gradient is 0.
    const out = [
      [1, 10],
      [1, 1],
      [0, 0],
    ];
    expect(seen).toEqual([
      ["pre", out],
      [[[2, 30], null], out],
    ]);
    expect(x.grad!.tolist()).toEqual([2, 30]);
    expect(model.factor.grad!.tolist()).toEqual([1 + 5, 20 + 6]);
  });

  test("replace gradients", () => {
    const model = new nn.Linear(2, 1, { bias: false });
    model.registerFullBackwardPreHook((_, [g]) => [g!.mul(2)]);
    model.registerFullBackwardHook((_, [g]) => g!.mul(100));
    const x = torch.ones(1, 2).requiresGrad_();
    model(x).sum().backward();
    expect(model.weight.grad!.tolist()).toEqual([[2, 2]]);
    const weight = model.weight.tolist() as number[][];
    expect(x.grad!.tolist()).toEqual([weight[0]!.map((w) => Math.fround(Math.fround(w * 2) * 100))]);
  });

  test("run though no argument wants a gradient; removed ones don't", () => {
    const model = new nn.Linear(2, 1);
    const seen: unknown[] = [];
    const handle = model.registerFullBackwardHook(
      (_, grads, out) => void seen.push([list(grads), list(out)]),
    );
    model(torch.ones(1, 2)).sum().backward();
    expect(seen).toEqual([[[null], [[[1]]]]]);
    handle.remove();
    model(torch.ones(1, 2)).sum().backward();
    expect(seen.length).toBe(1);
  });
});

describe("what hooks of modules make", () => {
  test("can be read after the step: of arguments, results, weights and gradients", () => {
    const model = new nn.Linear(2, 1, { bias: false });
    torch.noGrad(() => model.weight.fill_(2));
    const net = new nn.Sequential(new nn.Identity(), model);
    const made: Tensor[] = [];
    model.registerForwardPreHook((m: nn.Linear, [x]: [Tensor]) => void made.push(x.sum(), m.weight.sum()));
    model.registerForwardHook((m: nn.Linear, _, y: Tensor) => void made.push(m.weight.norm(1), y.mul(3)));
    model.registerFullBackwardPreHook((_, [g]) => void made.push(g!, g!.mul(2)));
    model.registerFullBackwardHook((_, [gx], [gy]) => void made.push(gx!, gx!.mul(5), gy!.mul(7)));
    const optimizer = new optim.SGD(net.parameters(), { lr: 0.5 });
    const wanted = [
      [2, 4, 4, [[12]], [[1]], [[2]], [[2, 2]], [[10, 10]], [[7]]],
      [2, 3, 3, [[9]], [[1]], [[2]], [[1.5, 1.5]], [[7.5, 7.5]], [[7]]],
    ];
    for (const values of wanted) {
      made.length = 0;
      optimizer.zeroGrad();
      net(torch.ones(1, 2).requiresGrad_()).sum().backward();
      optimizer.step();
      expect(made.map((x) => x.tolist())).toEqual(values);
    }
  });
});

describe("hooks of tensors", () => {
  test("a tensor on the way: hooks in order, each may replace the gradient", () => {
    const x = floats(1, 2).requiresGrad_();
    const y = x.mul(3);
    y.retainGrad();
    const seen: unknown[] = [];
    y.registerHook((g) => g.mul(2));
    const handle = y.registerHook((g) => void seen.push(g.tolist()));
    y.sum().backward(undefined, { retainGraph: true });
    expect(seen).toEqual([[2, 2]]);
    expect(y.grad!.tolist()).toEqual([2, 2]);
    expect(x.grad!.tolist()).toEqual([6, 6]);
    handle.remove();
    y.sum().backward();
    expect(seen.length).toBe(1);
    expect(x.grad!.tolist()).toEqual([12, 12]);
  });

  test("a leaf: the whole gradient of one backward, then what was added up", () => {
    const w = new nn.Parameter(floats(1, 2));
    const order: unknown[] = [];
    w.registerHook((g) => {
      order.push(g.tolist());
      return g.neg();
    });
    w.registerPostAccumulateGradHook((p) => void order.push(p.grad!.tolist()));
    w.mul(2).add(w).sum().backward();
    w.sum().backward();
    expect(order).toEqual([
      [3, 3],
      [-3, -3],
      [1, 1],
      [-4, -4],
    ]);
  });

  test("what a hook keeps can be read after the step", () => {
    const model = new nn.Linear(2, 1);
    const sgd = new optim.SGD(model.parameters(), { lr: 0.1 });
    const kept: Tensor[] = [];
    const y = model(torch.ones(1, 2));
    y.registerHook((g) => void kept.push(g.mul(3)));
    y.sum().backward();
    sgd.step();
    expect(kept[0]!.tolist()).toEqual([[3]]);
  });

  test("refuse tensors without gradients", () => {
    const message = "cannot register a hook on a tensor that doesn't require gradient";
    expect(() => floats(1).registerHook(() => undefined)).toThrow(message);
    const y = floats(1).requiresGrad_().mul(2);
    expect(() => y.registerPostAccumulateGradHook(() => undefined)).toThrow(
      "post accumulate grad hooks cannot be registered on non-leaf tensors",
    );
    expect(() => floats(1).retainGrad()).toThrow("can't retain_grad on Tensor that has requires_grad=False");
  });
});
