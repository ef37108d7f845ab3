// vmap together with what changes how functions are recorded: modes, hooks, checkpoints, random numbers, views.
import { describe, expect, it } from "vitest";
import { nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { onEachEngine } from "../../engines.ts";
import { filled, wave } from "../gradients/secondCases.ts";
import { energy, expectEqual, looped } from "./mapped.ts";

const { func } = torch;
const { grad, vmap } = func;
const x = (): Tensor => wave([4, 3], 1);

function modes(): void {
  it("without gradients, and with anomalies detected", () => {
    const leaf = x().requiresGrad_();
    const plain = torch.noGrad(() => vmap((v: Tensor) => v.exp().sum())(leaf));
    expect(plain.requiresGrad).toBe(false);
    expectEqual(plain, x().exp().sum(1));
    expectEqual(
      torch.noGrad(() => vmap(grad(energy))(leaf)),
      looped(grad(energy))(x()),
    );
    torch.autograd.setDetectAnomaly(true);
    try {
      expectEqual(vmap(grad(energy))(x()), looped(grad(energy))(x()));
      expectEqual(
        func.jacrev((v: Tensor) => v.sin())(wave([3], 1)),
        func.jacfwd((v: Tensor) => v.sin())(wave([3], 1)),
      );
    } finally {
      torch.autograd.setDetectAnomaly(false);
    }
  });

  it("no samples", () => {
    const none = torch.zeros(0, 3).requiresGrad_();
    const found = vmap((v: Tensor) => [v.exp(), v.sum(), torch.ones(2), v.argmax()])(none);
    expect(found.map((y) => [y.dtype, [...y.shape], y.requiresGrad])).toEqual([
      ["float32", [0, 3], true],
      ["float32", [0], true],
      ["float32", [0, 2], false],
      ["int64", [0], false],
    ]);
    expect(vmap(grad(energy))(none.detach()).shape).toEqual([0, 3]);
    expect(vmap((v: Tensor) => v.cumsum(0), { inDims: 1, outDims: -1 })(torch.zeros(3, 0)).shape).toEqual([
      3, 0,
    ]);
    expect(vmap((v: Tensor) => v.exp(), { chunkSize: 2 })(none).tolist()).toEqual([]);
    expect(vmap((v: Tensor) => v.exp())(none.select(1, 0)).requiresGrad).toBe(true);
    expect(vmap((v: Tensor) => v.logicalNot())(torch.zeros(0, { dtype: torch.bool })).dtype).toBe("bool");
    vmap((v: Tensor) => v.exp())(none)
      .sum()
      .backward();
    expect(none.grad!.shape).toEqual([0, 3]);
  });

  it("a result without a dimension of samples", () => {
    const alone = vmap((_: Tensor, w: Tensor) => w.mul(2), { inDims: [0, null], outDims: null });
    expect(alone(x(), torch.ones(3)).tolist()).toEqual([2, 2, 2]);
  });

  it("a function that turns gradients off, or detaches, for a part of it", () => {
    const f = (v: Tensor): Tensor => {
      const factor = torch.noGrad(() => v.mul(3).cos());
      return v.sin().mul(factor).add(v.detach().mul(v)).sum();
    };
    expectEqual(vmap(grad(f))(x()), looped(grad(f))(x()));
    const [a, b] = [x().requiresGrad_(), x().requiresGrad_()];
    vmap(f)(a).sum().backward();
    looped(f)(b).sum().backward();
    expectEqual(a.grad!, b.grad!);
  });

  it("leaves that the function makes of its argument", () => {
    const f = (v: Tensor): Tensor => {
      const own = v.detach().requiresGrad_();
      const [g] = torch.autograd.grad(own.pow(3).sum(), [own]);
      return g!.mul(v).sum();
    };
    const [a, b] = [x().requiresGrad_(), x().requiresGrad_()];
    vmap(f)(a).sum().backward();
    looped(f)(b).sum().backward();
    expectEqual(a.grad!, b.grad!);
  });

  it("checkpoints, inside and under an outer gradient", () => {
    const net = filled(new nn.Sequential(new nn.Linear(3, 4), new nn.Tanh()));
    const f = (v: Tensor): Tensor =>
      torch.utils.checkpoint
        .checkpoint((u: Tensor) => net(u), v, { useReentrant: false })
        .square()
        .sum();
    expectEqual(vmap(grad(f))(x()), looped(grad(f))(x()));
    const [a, b] = [x().requiresGrad_(), x().requiresGrad_()];
    vmap(f)(a).sum().backward();
    looped(f)(b).sum().backward();
    expectEqual(a.grad!, b.grad!);
  });

  it("hooks of tensors and modules see the gradients of single samples", () => {
    const seen: number[][] = [];
    const f = (v: Tensor): Tensor => {
      const y = v.mul(2);
      y.registerHook((g) => {
        seen.push([...g.shape]);
        return g.mul(10);
      });
      return y.square().sum();
    };
    const [a, b] = [x().requiresGrad_(), x().requiresGrad_()];
    vmap(f)(a).sum().backward();
    expect(seen).toEqual([[3], [3], [3], [3]]);
    looped(f)(b).sum().backward();
    expectEqual(a.grad!, b.grad!);
    const net = filled(new nn.Linear(3, 2));
    net.registerFullBackwardHook((_, [g]) => [g!.mul(2)]);
    const loss = (v: Tensor): Tensor => net(v.unsqueeze(0)).sum();
    expectEqual(vmap(grad(loss))(x()), looped(grad(loss))(x()));
  });

  it("dropout inside a gradient, with numbers of its own for each sample", () => {
    const net = filled(new nn.Sequential(new nn.Linear(3, 20), new nn.Dropout(0.4), new nn.Linear(20, 1)));
    const loss = (v: Tensor): Tensor => net(v).sum();
    for (const chunkSize of [null, 3]) {
      torch.manualSeed(11);
      const found = vmap(grad(loss), { randomness: "different", chunkSize })(x());
      torch.manualSeed(11);
      expectEqual(found, looped(grad(loss))(x()));
    }
    torch.manualSeed(11);
    const same = vmap(grad(loss), { randomness: "same" })(x());
    torch.manualSeed(11);
    expectEqual(same.select(0, 0), grad(loss)(x().select(0, 0)));
    torch.manualSeed(11);
    expectEqual(vmap(grad(loss), { randomness: "same", chunkSize: 3 })(x()), same);
  });

  it("vmap inside vmap draws in the order of the calls", () => {
    const inner = vmap((v: Tensor) => v.add(torch.rand(2).sum()), { randomness: "different" });
    const f = (v: Tensor): Tensor => inner(v).add(torch.rand(1));
    torch.manualSeed(2);
    const found = vmap(f, { randomness: "different" })(x());
    torch.manualSeed(2);
    expectEqual(found, looped(f)(x()));
  });

  it("draws once, where calls one by one turn out to be needed", () => {
    const net = filled(new nn.Sequential(new nn.Linear(3, 3), new nn.Dropout(0.5)));
    const f = (v: Tensor): Tensor =>
      torch.utils.checkpoint.checkpoint((u: Tensor) => net(u), v, { useReentrant: false }).sum();
    const run = (mapped: (v: Tensor) => Tensor): Tensor[] => {
      torch.manualSeed(3);
      return [mapped(x().requiresGrad_()).detach(), torch.rand(1)];
    };
    const expected = run(looped(f));
    run(vmap(f, { randomness: "different" })).forEach((y, i) => expectEqual(y, expected[i]!));
  });

  it("generators that are seeded inside are seeded for each sample", () => {
    const f = (v: Tensor): Tensor => {
      torch.manualSeed(1);
      return v.add(torch.rand(3));
    };
    expectEqual(vmap(f, { randomness: "different" })(x()), looped(f)(x()));
  });

  it("views of samples that aren't laid out row by row", () => {
    const y = wave([3, 2, 4], 1);
    const f = (v: Tensor): Tensor => v.view(6);
    expect(() => vmap(f, 2)(y)).not.toThrow();
    expect(() => f(y.select(2, 0).t())).toThrow("view size is not compatible");
    expect(() => vmap((v: Tensor) => v.t().view(6), 2)(y)).toThrow("view size is not compatible");
  });

  it("modules that are made inside, and tensors that become parameters", () => {
    const f = (v: Tensor): Tensor => {
      const layer = new nn.Linear(3, 2, { bias: false });
      torch.noGrad(() => layer.weight.fill_(0.5));
      return layer(v).add(new nn.Parameter(v.sum()));
    };
    expectEqual(vmap(f, { randomness: "different" })(x()).detach(), looped(f)(x()).detach());
  });

  it("trains with a step that maps a gradient", () => {
    const net = filled(new nn.Linear(3, 1));
    const losses: number[] = [];
    const parameters = Object.fromEntries(net.namedParameters());
    const adam = new optim.Adam(net.parameters(), { lr: 0.1 });
    for (let step = 0; step < 6; step++) {
      const each = vmap(
        (p: Record<string, Tensor>, v: Tensor) => func.functionalCall(net, p, [v]).square().sum(),
        [null, 0],
      )(parameters, x());
      adam.zeroGrad();
      const loss = each.mean();
      loss.backward();
      adam.step();
      losses.push(loss.item());
    }
    const again = filled(new nn.Linear(3, 1));
    const other = new optim.Adam(again.parameters(), { lr: 0.1 });
    for (const expected of losses) {
      other.zeroGrad();
      const loss = again(x()).square().mean();
      loss.backward();
      other.step();
      expect(loss.item()).toBeCloseTo(expected, 5);
    }
  });
}

onEachEngine(() => {
  describe("vmap and modes", modes);
});
