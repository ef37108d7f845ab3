// torch.autograd.Function, checkpoints and torch.func, with PyTorch's numbers: test/fixtures/gradients/make.py.
import { readFileSync } from "node:fs";
import { describe, expect, expectTypeOf, it } from "vitest";
import { F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { numel } from "../../../extension/tensor/core/shape.ts";
import { fromHost } from "../../../extension/tensor/core/tensor.ts";
import { onEachEngine } from "../../engines.ts";

const { cases } = JSON.parse(
  readFileSync(new URL("../../fixtures/gradients/second.json", import.meta.url), "utf8"),
) as { cases: Record<string, number[]> };

function wave(shape: readonly number[], seed: number, scale = 1): Tensor {
  const values = Float32Array.from(
    { length: numel(shape) },
    (_, i) => Math.fround(Math.sin(1.7 * i + seed)) * scale,
  );
  return fromHost(values, shape, "float32");
}

function expectCase(name: string, tensors: readonly Tensor[], tolerance = 2e-5): void {
  const expected = cases[name]!;
  const found = tensors.flatMap((t) => [...t.toTypedArray()]);
  expect(found.length, `${name}: how many numbers`).toBe(expected.length);
  const scale = Math.max(1, ...expected.map(Math.abs));
  const wrong = found.findIndex((v, i) => !(Math.abs(v - expected[i]!) <= tolerance * scale));
  expect(wrong, `${name}: ${found[wrong]} is not ${expected[wrong]}`).toBe(-1);
}

function filled<M extends nn.Module>(module: M): M {
  torch.noGrad(() => [...module.parameters()].forEach((p, i) => void p.copy_(wave(p.shape, i + 1, 0.4))));
  return module;
}

class Exp extends torch.autograd.Function {
  static forward(ctx: torch.FunctionCtx, x: Tensor, scale: number): Tensor {
    const y = x.mul(scale).exp();
    ctx.saveForBackward(y);
    ctx.scale = scale;
    return y;
  }

  static backward(ctx: torch.FunctionCtx, grad: Tensor): [Tensor, null] {
    const [y] = ctx.savedTensors;
    return [grad.mul(y!).mul(ctx.scale as number), null];
  }
}

class Rounded extends torch.autograd.Function {
  static forward(ctx: torch.FunctionCtx, x: Tensor): [rounded: Tensor, signs: Tensor] {
    ctx.saveForBackward(x);
    return [x.round(), x.sign()];
  }

  static backward(ctx: torch.FunctionCtx, grad: Tensor, signs: Tensor): Tensor {
    const [x] = ctx.savedTensors;
    return torch.where(x!.abs().le(1), grad, 0).add(signs);
  }
}

/** A function of one argument whose backward returns what it is given. */
function returning(result: (grad: Tensor) => unknown): (x: Tensor, k?: number) => Tensor {
  class Scaled extends torch.autograd.Function {
    static forward(_: torch.FunctionCtx, x: Tensor, k = 2): Tensor {
      return x.mul(k);
    }
    static backward(_: torch.FunctionCtx, grad: Tensor): unknown {
      return result(grad);
    }
  }
  return (x, k = 2) => Scaled.apply(x, k);
}

function gradientOf(f: (x: Tensor) => Tensor): number[] {
  const x = torch.tensor([0.5, 1, 2]).requiresGrad_();
  f(x).sum().backward();
  return x.grad!.tolist() as number[];
}

function functions(): void {
  it("differentiates through backward", () => {
    const x = wave([2, 3], 1).requiresGrad_();
    const y = Exp.apply(x, 0.5);
    expectTypeOf(y).toEqualTypeOf<Tensor>();
    expectTypeOf<Parameters<typeof Exp.forward>>().toEqualTypeOf<[torch.FunctionCtx, Tensor, number]>();
    // @ts-expect-error the second argument is a number
    expectTypeOf(() => Exp.apply(x, "half")).toBeFunction();
    const [first] = torch.autograd.grad(y.mul(y).sum(), x, { createGraph: true });
    const [second] = torch.autograd.grad(first!.mul(wave([2, 3], 2)).sum(), x);
    expectCase("Function, twice", [y, first!, second!]);
  });

  it("gives backward the gradients of all outputs", () => {
    const x = wave([5], 1, 1.5).requiresGrad_();
    const [r, signs] = Rounded.apply(x);
    const loss = r
      .mul(wave([5], 2))
      .sum()
      .add(signs.mul(wave([5], 3)).sum());
    expectCase("Function of two outputs", [r, signs, torch.autograd.grad(loss, x)[0]!]);
  });

  it("gives zeros for outputs without a gradient, or null when asked to", () => {
    const seen: unknown[] = [];
    class Pair extends torch.autograd.Function {
      static forward(ctx: torch.FunctionCtx, x: Tensor, materialize: boolean): [Tensor, Tensor, Tensor] {
        ctx.setMaterializeGrads(materialize);
        const constant = x.mul(3);
        ctx.markNonDifferentiable(constant);
        return [x.mul(2), x.mul(4), constant];
      }
      static backward(ctx: torch.FunctionCtx, a: Tensor, b: Tensor | null): [Tensor, null] {
        seen.push(b === null ? null : b.tolist(), ctx.needsInputGrad);
        return [a.mul(2), null];
      }
    }
    for (const materialize of [true, false]) {
      const [y, , constant] = Pair.apply(torch.tensor([0.5, 1]).requiresGrad_(), materialize);
      expect([y.requiresGrad, constant.requiresGrad]).toEqual([true, false]);
      y.sum().backward();
    }
    expect(seen).toEqual([[0, 0], [true, false], null, [true, false]]);
  });

  it("sums gradients of a broadcast shape to the argument's", () => {
    expect(gradientOf(returning(() => [torch.ones(4, 3), null]))).toEqual([4, 4, 4]);
  });

  it.each<[string, unknown, string]>([
    [
      "too few",
      torch.ones(3),
      "function ScaledBackward returned an incorrect number of gradients (expected 2, got 1)",
    ],
    [
      "too many",
      [torch.ones(3), null, torch.ones(3)],
      "function ScaledBackward returned an incorrect number of gradients (expected 2, got 3)",
    ],
    [
      "one for a number",
      [torch.ones(3), torch.ones(3)],
      "function ScaledBackward returned a gradient different than None at position 2, but the corresponding forward input was not a Variable",
    ],
    [
      "a wrong shape",
      [torch.ones(5), null],
      "Function ScaledBackward returned an invalid gradient at index 0 - got [5] but expected shape compatible with [3]",
    ],
    ["a number", [3, null], "expected Variable or None (got float)"],
  ])("refuses gradients: %s", (_, result, message) => {
    expect(() => gradientOf(returning(() => result))).toThrow(message);
  });

  it("accepts further gradients that are null", () => {
    expect(gradientOf(returning((g) => [g, null, null]))).toEqual([1, 1, 1]);
  });

  it("has forward and backward, and takes the context from setupContext", () => {
    class Nothing extends torch.autograd.Function {}
    const call = (definition: unknown): Tensor =>
      (definition as { apply(x: Tensor): Tensor }).apply(torch.ones(2).requiresGrad_());
    expect(() => call(Nothing)).toThrow(
      "You must implement the forward function for custom autograd.Function.",
    );
    class Forward extends torch.autograd.Function {
      static forward(_: torch.FunctionCtx, x: Tensor): Tensor {
        return x.mul(2);
      }
    }
    expect(() => call(Forward).sum().backward()).toThrow(
      "You must implement either the backward or vjp method",
    );
    class Split extends torch.autograd.Function {
      static forward(x: Tensor): Tensor {
        return x.square();
      }
      static setupContext(ctx: torch.FunctionCtx, [x]: [Tensor]): void {
        ctx.saveForBackward(x);
      }
      static backward(ctx: torch.FunctionCtx, grad: Tensor): Tensor {
        return grad.mul(ctx.savedTensors[0]!).mul(2);
      }
    }
    expect(gradientOf((x) => Split.apply(x))).toEqual([1, 2, 4]);
  });

  it("records nothing under noGrad", () => {
    const x = torch.ones(2).requiresGrad_();
    expect(torch.noGrad(() => Exp.apply(x, 1)).requiresGrad).toBe(false);
    expect(Exp.apply(torch.ones(2), 1).requiresGrad).toBe(false);
  });

  it("is the user's own identity when forward returns its argument", () => {
    class Reversed extends torch.autograd.Function {
      static forward(_: torch.FunctionCtx, x: Tensor): Tensor {
        return x;
      }
      static backward(_: torch.FunctionCtx, grad: Tensor): Tensor {
        return grad.neg();
      }
    }
    expect(gradientOf((x) => Reversed.apply(x).mul(2))).toEqual([-2, -2, -2]);
  });
}

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
    const doubled = scale.mul(2);
    const found = [false, true].map((recompute) => {
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
    expect(() => func.functionalCall(net, {}, x, null, { strict: true })).toThrow("Missing key(s)");
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

function suite(): void {
  describe("torch.autograd.Function", functions);
  describe("torch.utils.checkpoint", checkpoints);
  describe("torch.func", transforms);
}

onEachEngine((name, executor) => {
  suite();

  it.skipIf(name !== "native")("compiles a training with a Function once", () => {
    const weight = new nn.Parameter(torch.ones(3));
    const sgd = new optim.SGD([weight], { lr: 0.1 });
    const before = executor().counters();
    for (let step = 0; step < 8; step++) {
      sgd.zeroGrad();
      Exp.apply(weight.mul(wave([3], step)), 1)
        .sum()
        .backward();
      sgd.step();
    }
    const { compiled, compiledRuns } = executor().counters();
    expect(compiled! - before["compiled"]!).toBe(1);
    expect(compiledRuns! - before["compiledRuns"]!).toBeGreaterThanOrEqual(6);
  });
});
