// vmap inside and around other derivatives, and functions that it has to call for each sample.
import { describe, expect, it } from "vitest";
import { F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { onEachEngine } from "../../engines.ts";
import { filled, wave } from "../gradients/secondCases.ts";
import { counted, energy, expectEqual, flat, looped } from "./mapped.ts";

const { func } = torch;
const { grad, vmap } = func;

function nestings(): void {
  it("vmap of grad, of hessian and of jacobians", () => {
    const x = wave([4, 3], 1);
    expectEqual(vmap(grad(energy))(x), looped(grad(energy))(x));
    expectEqual(vmap(func.hessian(energy))(x), looped(func.hessian(energy))(x));
    const f = (v: Tensor): Tensor => v.unsqueeze(0).mul(v.unsqueeze(1)).tanh();
    for (const jacobian of [func.jacrev(f), func.jacfwd(f)])
      expectEqual(vmap(jacobian)(x), looped(func.jacrev(f))(x));
  });

  it("grad of vmap, and backward through vmap of grad", () => {
    const x = wave([4, 3], 1);
    const total = (f: (x: Tensor) => Tensor) => (v: Tensor) => f(v).square().sum();
    expectEqual(grad(total(vmap(grad(energy))))(x), grad(total(looped(grad(energy))))(x));
    const [a, b] = [wave([4, 3], 1).requiresGrad_(), wave([4, 3], 1).requiresGrad_()];
    vmap(grad(energy))(a).square().sum().backward();
    looped(grad(energy))(b).square().sum().backward();
    expectEqual(a.grad!, b.grad!);
  });

  it("backward through vmap reaches arguments, shared ones and what the function closes over", () => {
    const net = filled(
      new nn.Sequential(new nn.Linear(3, 4), new nn.LayerNorm(4), new nn.Tanh(), new nn.Linear(4, 2)),
    );
    const shift = wave([2], 5).requiresGrad_();
    const f = (x: Tensor, s: Tensor): Tensor => net(x).mul(s).add(shift).cos().sum();
    const gradients = [vmap(f, [0, null]), (x: Tensor, s: Tensor) => looped((v) => f(v, s))(x)].map((map) => {
      net.zeroGrad();
      shift.grad = null;
      const [x, s] = [wave([5, 3], 1).requiresGrad_(), wave([2], 3).requiresGrad_()];
      map(x, s).square().sum().backward();
      return [x, s, shift, ...net.parameters()].map((t) => t.grad!);
    });
    gradients[0]!.forEach((g, i) => expectEqual(g, gradients[1]![i]!));
  });

  it("vmap of vmap over different dimensions, with results of other dimensions", () => {
    const [a, b] = [wave([3, 2, 4], 1), wave([5, 4], 2)];
    const f = (x: Tensor, y: Tensor): Tensor => x.dot(y).exp().mul(x.cumsum(0));
    const found = vmap(vmap(f, [1, null], 1), [null, 0], 2)(a.permute([0, 2, 1]).select(0, 1), b);
    const expected = torch.stack(
      [0, 1, 2, 3, 4].map((j) =>
        torch.stack(
          [0, 1].map((i) => f(a.select(0, 1).select(0, i), b.select(0, j))),
          1,
        ),
      ),
      2,
    );
    expectEqual(found, expected);
  });

  it("trees of arguments and results, dimensions from the end, what is not mapped", () => {
    const x = { a: wave([2, 3], 1), b: [wave([3, 4], 2), wave([2], 3)] as const };
    const f = ({ a, b: [c, d] }: typeof x): { sum: Tensor; parts: [Tensor, Tensor] } => ({
      sum: a.sum().add(c.sum()),
      parts: [c.mul(a.sum()), d],
    });
    const found = vmap(f, { inDims: [{ a: -1, b: [0, null] }], outDims: { sum: 0, parts: [-1, null] } })(x);
    for (const i of [0, 1, 2]) {
      const one = f({ a: x.a.select(1, i), b: [x.b[0].select(0, i), x.b[1]] });
      expectEqual(found.sum.select(0, i), one.sum);
      expectEqual(found.parts[0].select(1, i), one.parts[0]);
    }
    expectEqual(found.parts[1], x.b[1]);
  });

  it("chunks give what all at once gives", () => {
    const x = wave([7, 3], 1);
    const all = vmap(grad(energy))(x);
    for (const chunkSize of [1, 3, 7, 20]) expectEqual(vmap(grad(energy), { chunkSize })(x), all);
    const turned = vmap((v: Tensor) => v.exp(), { chunkSize: 3, outDims: 1 })(x);
    expectEqual(turned, x.exp().t());
    expect(() => vmap(energy, { chunkSize: 0 })).toThrow(
      "chunk_size should be None or greater than 0. (got 0)",
    );
  });

  it("an ensemble of convolutions, embeddings, norms and recurrent layers", () => {
    class Net extends nn.Module {
      table = new nn.Embedding(5, 6);
      conv = new nn.Conv1d(6, 4, 3, { padding: 1 });
      norm = new nn.GroupNorm(2, 4);
      lstm = new nn.LSTM(4, 3, { batchFirst: true });
      out = new nn.Linear(3, 2);
      forward(ids: Tensor): Tensor {
        const y = this.norm(this.conv(this.table(ids).transpose(1, 2))).relu();
        const [h] = this.lstm(y.transpose(1, 2));
        return this.out(h.select(1, -1));
      }
    }
    const nets = [1, 2, 3].map((k) => filled(new Net(), 0.2 * k));
    const [parameters, buffers] = func.stackModuleState(nets);
    const ids = torch.tensor([
      [0, 1, 2, 3],
      [4, 3, 1, 0],
    ]);
    const run = (p: Record<string, Tensor>, b: Record<string, Tensor>, x: Tensor): Tensor =>
      func.functionalCall(nets[0]!, [p, b], [x]);
    const { result, nodes } = counted(() => vmap(run, [0, 0, null])(parameters, buffers, ids));
    expectEqual(result, torch.stack(nets.map((net) => net(ids))));
    expect(nodes).toBeLessThan(250);
    result.square().sum().backward();
    nets.forEach((net, i) => {
      net(ids).square().sum().backward();
      for (const [name, p] of net.namedParameters())
        expectEqual(parameters[name]!.grad!.select(0, i), p.grad!);
    });
  });
}

function calledForEach(): void {
  const x = wave([4, 3], 1);
  const counter = (f: (v: Tensor) => Tensor): { calls: () => number; f: (v: Tensor) => Tensor } => {
    let calls = 0;
    return { calls: () => calls, f: (v) => (calls++, f(v)) };
  };

  it("calls a function once, or for each sample if it reads values", () => {
    const plain = counter((v) => v.exp().sum());
    vmap(plain.f)(x);
    expect(plain.calls()).toBe(1);
    const reading = counter((v) => (v.sum().item() > 0 ? v.mul(2) : v.neg()));
    expectEqual(vmap(reading.f)(x), torch.stack([0, 1, 2, 3].map((b) => reading.f(x.select(0, b)))));
    expect(reading.calls()).toBeGreaterThan(4);
  });

  it("reads what doesn't depend on the samples", () => {
    const scale = wave([3], 2);
    const f = counter((v) => v.mul(scale.sum().item()));
    expectEqual(vmap(f.f)(x), x.mul(scale.sum().item()));
    expect(f.calls()).toBe(1);
  });

  it("makes one-hot rows of a given number of classes without reading them", () => {
    const f = counter((v) => F.oneHot(v.long().remainder(3), 3).float().mul(v.sum()));
    const labels = torch.arange(12).reshape(4, 3).float();
    expectEqual(vmap(f.f)(labels), looped(f.f)(labels));
    expect(f.calls()).toBe(1 + 4);
  });

  it("sees a read in spite of a catch", () => {
    const f = (v: Tensor): Tensor => {
      try {
        return v.mul(Math.sign(v.sum().item()));
      } catch {
        return v;
      }
    };
    expectEqual(vmap(f)(x), looped(f)(x));
  });

  it("writes in place to a copy of its argument", () => {
    const changed = (v: Tensor): Tensor => v.clone().mul_(1.5).index("1:").sin();
    expectEqual(vmap(changed)(x), looped(changed)(x));
    expectEqual(vmap((v: Tensor) => changed(v.detach()))(x), looped(changed)(x));
    const put = (v: Tensor): Tensor => v.clone().indexPut_([0], 0.5);
    expectEqual(vmap(put, 1, 1)(x), looped(put)(x.t()).t());
  });

  it("writes to a tensor of outside once for each sample", () => {
    const total = torch.zeros(3);
    const y = vmap((v: Tensor) => {
      total.add_(v);
      return v.mul(2);
    })(x);
    expectEqual(total, x.sum(0));
    expectEqual(y, x.mul(2));
    const own = x.clone();
    vmap((v: Tensor) => v.mul_(3).sum())(own);
    expectEqual(own, x.mul(3));
  });

  it("updates running statistics for each sample", () => {
    const [ours, theirs] = [new nn.BatchNorm1d(3), new nn.BatchNorm1d(3)];
    const batches = wave([2, 4, 3], 1);
    expectEqual(vmap((v: Tensor) => ours(v))(batches), looped((v) => theirs(v))(batches));
    expectEqual(ours.runningMean!, theirs.runningMean!);
    expect(ours.numBatchesTracked!.item()).toBe(2);
  });

  it("writes in place to tensors that the function makes", () => {
    const f = counter((v) => {
      const y = v.mul(2);
      y.narrow(0, 1, 2).add_(v.sum());
      y.select(0, 0).mul_(3);
      return y;
    });
    expectEqual(vmap(f.f)(x), looped(f.f)(x));
    expect(f.calls()).toBe(1 + 4);
  });

  it("runs backward and steps of an optimizer for each sample", () => {
    const w = new nn.Parameter(torch.ones(3));
    const sgd = new optim.SGD([w], { lr: 0.1 });
    const losses = vmap((v: Tensor) => {
      sgd.zeroGrad();
      const loss = w.mul(v).sum();
      loss.backward();
      sgd.step();
      return loss.detach();
    })(x);
    const other = new nn.Parameter(torch.ones(3));
    const expected = [0, 1, 2, 3].map((b) => {
      const loss = other.mul(x.select(0, b)).sum().item();
      torch.noGrad(() => other.sub_(x.select(0, b).mul(0.1)));
      return loss;
    });
    expect(flat(losses)).toEqual(expected.map((v) => expect.closeTo(v, 4)));
    expectEqual(w.detach(), other.detach());
  });

  it("keeps a user's own gradient, inside and through the result", () => {
    class Twice extends torch.autograd.Function {
      static forward(ctx: torch.FunctionCtx, v: Tensor): Tensor {
        ctx.saveForBackward(v);
        return v.mul(v);
      }
      static backward(ctx: torch.FunctionCtx, g: Tensor): Tensor {
        return g.mul(ctx.savedTensors[0]!).mul(7);
      }
    }
    const f = (v: Tensor): Tensor => Twice.apply(v).sum();
    expectEqual(vmap(grad(f))(x), x.mul(7));
    const leaf = x.clone().requiresGrad_();
    vmap(f)(leaf).sum().backward();
    expectEqual(leaf.grad!, x.mul(7));
  });

  it("leaves the last sample's tensors where the function puts them", () => {
    let kept: Tensor | undefined;
    vmap((v: Tensor) => {
      kept = v.mul(5);
      return kept.sum();
    })(x);
    expectEqual(kept!, x.select(0, 3).mul(5));
    expectEqual(kept!.add(1), x.select(0, 3).mul(5).add(1));
  });

  it("draws the numbers of calls one after another", () => {
    const noisy = (v: Tensor): Tensor => v.add(torch.rand(3)).add(torch.randn(20).sum());
    torch.manualSeed(5);
    const f = counter(noisy);
    const found = vmap(f.f, { randomness: "different" })(x);
    const after = torch.rand(1).item();
    expect(f.calls()).toBe(1);
    torch.manualSeed(5);
    expectEqual(found, looped(noisy)(x));
    expect(torch.rand(1).item()).toBe(after);
    const reading = (v: Tensor): Tensor => noisy(v).mul(torch.rand(1).item());
    torch.manualSeed(5);
    const same = vmap(reading, { randomness: "same" })(x);
    torch.manualSeed(5);
    expectEqual(same.select(0, 0), reading(x.select(0, 0)));
  });

  it("says what is wrong with the shapes of one sample", () => {
    expect(() => vmap((v: Tensor) => v.matmul(torch.ones(4, 2)))(x)).toThrow("(1x3 and 4x2)");
    expect(() => vmap((v: Tensor) => v.ndim as unknown as Tensor)(x)).toThrow(
      "vmap: `f` must only return Tensors, got type number",
    );
  });

  it("returns arguments and constants as tensors of their own", () => {
    const given = x.clone();
    const [same, constant] = vmap((v: Tensor): [Tensor, Tensor] => [v, torch.ones(2)])(given);
    same.mul_(2);
    expectEqual(given, x);
    expectEqual(constant, torch.ones(4, 2));
  });
}

function jacobians(): void {
  it("of functions of many numbers record as many nodes as of few", () => {
    const f = (v: Tensor): Tensor => v.sin().cumsum(0).mul(v);
    const counts = [6, 12].map((n) => [
      counted(() => func.jacrev(f)(wave([n], 1))).nodes,
      counted(() => func.jacfwd(f)(wave([n], 1))).nodes,
      counted(() => func.hessian((v: Tensor) => f(v).sum())(wave([n], 1))).nodes,
      counted(() => torch.autograd.functional.jacobian(f, wave([n], 1))).nodes,
    ]);
    expect(counts[1]).toEqual(counts[0]);
    expectEqual(func.jacrev(f)(wave([6], 1)), func.jacfwd(f)(wave([6], 1)));
  });
}

onEachEngine(() => {
  describe("nestings", nestings);
  describe("functions that are called for each sample", calledForEach);
  describe("jacobians", jacobians);
});
