// Checkpoints and torch.func, with PyTorch's numbers: test/fixtures/gradients/make.py.
import { describe, expect, it } from "vitest";
import { F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { onEachEngine } from "../../engines.ts";
import { Exp, expectCase, filled, wave } from "./secondCases.ts";

function checkpoints(): void {
  it("trains as PyTorch does, with the same random numbers", () => {
    const net = filled(
      new nn.Sequential(new nn.Linear(3, 6), new nn.Tanh(), new nn.Dropout(0.5), new nn.Linear(6, 2)),
    );
    const adam = new optim.Adam(net.parameters(), { lr: 0.05 });
    torch.manualSeed(7);
    const losses: Tensor[] = [];
    for (let step = 0; step < 5; step++) {
      const y = torch.utils.checkpoint.checkpoint(net, wave([4, 3], step), { useReentrant: false });
      const h = Exp.apply(y, 0.3 + 0.1 * step);
      const loss = h
        .sub(wave([4, 2], 3))
        .square()
        .mean();
      adam.zeroGrad();
      loss.backward();
      adam.step();
      losses.push(loss.detach());
    }
    expectCase(
      "trained with a Function and a checkpoint",
      [...losses, ...net.parameters(), torch.rand(2)],
      1e-4,
    );
  });

  it("has the gradients of a plain call, of arguments, of what it closes over, and of their gradients", () => {
    const scale = torch.tensor([0.5, 1, 2]).requiresGrad_();
    const found = [false, true].map((recompute) => {
      const doubled = scale.mul(2);
      const x = wave([4, 3], 1).requiresGrad_();
      const block = (a: Tensor, b: Tensor): [Tensor, Tensor] => [a.mul(doubled).sin(), b.mul(a).sum()];
      const again = torch.utils.checkpoint.checkpoint<[Tensor, Tensor], [Tensor, Tensor]>;
      const [y, z] = recompute ? again(block, x, x.mul(3)) : block(x, x.mul(3));
      const loss = y.square().sum().add(z);
      const first = torch.autograd.grad(loss, [x, scale], { createGraph: true });
      const second = torch.autograd.grad(first[0]!.square().sum().add(first[1]!.square().sum()), [x, scale]);
      return [...first, ...second].flatMap((t) => [...t.toTypedArray()]);
    });
    found[1]!.forEach((v, i) => expect(v).toBeCloseTo(found[0]![i]!, 3));
  });

  it("divides a Sequential into segments", () => {
    const layers = [
      new nn.Linear(3, 4),
      new nn.Tanh(),
      new nn.Linear(4, 4),
      new nn.Tanh(),
      new nn.Linear(4, 2),
    ];
    const net = filled(new nn.Sequential(...layers));
    const found = [1, 2, 3].map((segments) => {
      const x = wave([5, 3], 1).requiresGrad_();
      net.zeroGrad();
      torch.utils.checkpoint
        .checkpointSequential(net, segments, x, { useReentrant: false })
        .square()
        .sum()
        .backward();
      return [x.grad!, ...net.parameters().map((p) => p.grad!)].flatMap((t) => [...t.toTypedArray()]);
    });
    for (const other of found.slice(1)) other.forEach((v, i) => expect(v).toBeCloseTo(found[0]![i]!, 5));
  });

  it("is a plain call under noGrad", () => {
    const x = torch.ones(2).requiresGrad_();
    const y = torch.noGrad(() => torch.utils.checkpoint.checkpoint((a: Tensor) => a.mul(2), x));
    expect([y.requiresGrad, y.tolist()]).toEqual([false, [2, 2]]);
  });
}

function transforms(): void {
  const { func } = torch;
  const f = (a: Tensor, b: Tensor): [Tensor, Tensor] => [a.sin().mul(b.sum()), a.matmul(b).exp()];
  const inputs = (): [Tensor, Tensor] => [wave([2, 3], 1), wave([3], 2)];

  it("vmap of grad: gradients of single samples", () => {
    const net = filled(new nn.Sequential(new nn.Linear(3, 4), new nn.Tanh(), new nn.Linear(4, 2)));
    const parameters = Object.fromEntries(net.namedParameters().map(([name, p]) => [name, p.detach()]));
    const lossOf = (p: Record<string, Tensor>, x: Tensor, y: Tensor): Tensor =>
      F.crossEntropy(func.functionalCall(net, p, [x.unsqueeze(0)]), y.unsqueeze(0));
    const y = torch.tensor([0, 1, 1, 0, 1]);
    const each = func.vmap(func.grad(lossOf), [null, 0, 0])(parameters, wave([5, 3], 1), y);
    expectCase("gradients of single samples", Object.values(each));
    expect(net.parameters().every((p) => p.grad === null)).toBe(true);
  });

  it("jacrev and jacfwd of several arguments and results", () => {
    for (const name of ["jacrev", "jacfwd"] as const)
      expectCase(name, func[name](f, [0, 1] as const)(...inputs()).flat());
  });

  it("hessian", () => {
    const h = func.hessian((v: Tensor) => v.sin().prod().add(v.pow(3).sum()));
    expectCase("hessian", [h(wave([3], 2))]);
  });

  it("vjp and jvp", () => {
    const [value, pull] = func.vjp(f, ...inputs());
    expectCase("vjp", [...value, ...pull([wave([2, 3], 4), wave([2], 5)])]);
    const [same, product] = func.jvp(f, inputs(), [wave([2, 3], 4), wave([3], 5)]);
    expectCase("jvp", [...same, ...product]);
  });

  it("vmap over other dimensions", () => {
    const mapped = func.vmap(f, { inDims: [2, 0], outDims: [1, 0] });
    expectCase("vmap", mapped(wave([2, 3, 4], 1), wave([4, 3], 2)));
  });

  it("grad of grad, and of grad through an outer backward", () => {
    const cube = (x: Tensor): Tensor => x.pow(3);
    expect(func.grad(func.grad(cube))(torch.tensor(2).float()).item()).toBeCloseTo(12, 4);
    const x = torch.tensor(2.5).requiresGrad_();
    func.grad(cube)(x).backward();
    expect(x.grad!.item()).toBeCloseTo(15, 4);
    expect(func.grad(cube)(torch.tensor(2.5)).requiresGrad).toBe(false);
    const [gradients, [value, aux]] = func.gradAndValue(
      (a: Tensor, b: Tensor): [Tensor, string] => [a.mul(b).sum(), "more"],
      { argnums: [1], hasAux: true },
    )(torch.tensor([1.5, 2]), torch.tensor([3, 4.5]));
    expect([gradients[0].tolist(), value.item(), aux]).toEqual([[1.5, 2], 13.5, "more"]);
  });

  it("vmap: random numbers are refused, the same, or different", () => {
    const noisy = (x: Tensor): Tensor => x.add(torch.rand(2));
    const zeros = torch.zeros(3, 2);
    expect(() => func.vmap(noisy)(zeros)).toThrow(
      "vmap: called random operation while in randomness error mode.",
    );
    const same = func.vmap(noisy, { randomness: "same" })(zeros).tolist() as number[][];
    expect(same[1]).toEqual(same[0]);
    torch.manualSeed(3);
    const different = func.vmap(noisy, { randomness: "different" })(zeros).tolist();
    torch.manualSeed(3);
    expect(different).toEqual(torch.rand(3, 2).tolist());
  });

  it.each<[string, () => unknown, string]>([
    [
      "no scalar",
      () => func.grad((x: Tensor) => x)(torch.ones(2)),
      "Expected f(*args) to return a scalar tensor",
    ],
    [
      "sizes that differ",
      () => func.vmap((x: Tensor, y: Tensor) => x.add(y))(torch.ones(2), torch.ones(3)),
      "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes [2, 3] for the mapped dimension",
    ],
    [
      "whole numbers",
      () => func.grad((x: Tensor) => x.sum())(torch.tensor([1, 2])),
      "only Tensors of floating point dtype can require gradients",
    ],
    [
      "no argument",
      () => func.grad((x: Tensor) => x, 3)(torch.ones(2)),
      "Got argnum=3, but only 1 positional inputs",
    ],
  ])("refuses: %s", (_, call, message) => expect(call).toThrow(message));

  it("functionalCall replaces tied weights under all names, and buffers", () => {
    class Tied extends nn.Module {
      a = new nn.Linear(2, 2, { bias: false });
      b = new nn.Linear(2, 2, { bias: false });
      constructor() {
        super();
        this.b.weight = this.a.weight;
        this.registerBuffer("offset", torch.zeros(2));
      }
      forward(x: Tensor): Tensor {
        return this.b(this.a(x)).add((this as unknown as { offset: Tensor }).offset);
      }
    }
    const [net, x] = [new Tied(), torch.ones(1, 2)];
    const before = net(x).tolist();
    const ones = torch.ones(2, 2);
    const y = func.functionalCall(net, [{ "a.weight": ones }, { offset: torch.ones(2) }], x);
    expect(y.tolist()).toEqual([[5, 5]]);
    expect(net(x).tolist()).toEqual(before);
    expect(() => func.functionalCall(net, { "a.weight": ones, "b.weight": torch.zeros(2, 2) }, x)).toThrow(
      "functional_call got multiple values for keys ['a.weight', 'b.weight'], which are tied.",
    );
    expect(() => func.functionalCall(net, { "a.wait": ones }, x)).toThrow("Linear has no attribute `wait`");
    const few = { offset: torch.ones(2), "c.wait": ones };
    for (const call of [
      () => func.functionalCall(net, few, x, null, { strict: true }),
      () => func.functionalCall(net, few, x, { strict: true }),
    ])
      expect(call).toThrow(
        "Error(s) in reparametrizing for Tied:\n\tUnexpected key(s): 'c.wait'.\n\tMissing key(s): 'a.weight', 'b.weight'.",
      );
  });

  it("stackModuleState runs an ensemble with vmap", () => {
    const models = [0, 1, 2].map(() => new nn.Linear(2, 2));
    const [parameters, buffers] = func.stackModuleState(models);
    const x = wave([4, 2], 1);
    const run = (p: Record<string, Tensor>, b: Record<string, Tensor>, v: Tensor): Tensor =>
      func.functionalCall(models[0]!, [p, b], v);
    const y = func.vmap(run, [0, 0, null])(parameters, buffers, x);
    models.forEach((m, i) => {
      const [own, expected] = [y.select(0, i).toTypedArray(), m(x).toTypedArray()];
      own.forEach((v, k) => expect(v).toBeCloseTo(expected[k]!, 5));
    });
  });
}

onEachEngine(() => {
  describe("torch.utils.checkpoint", checkpoints);
  describe("torch.func", transforms);
});
