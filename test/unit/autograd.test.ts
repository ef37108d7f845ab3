import { describe, expect, test } from "vitest";
import { torch, type Tensor } from "../../extension/nn/index.ts";
import type { TensorError } from "../../extension/tensor/core/errors.ts";
import { useEngine } from "../engines.ts";

useEngine("cpu");

const { functional, gradcheck, gradgradcheck } = torch.autograd;
const floats = (...values: number[]): Tensor => torch.tensor(values, { dtype: torch.float32 });

describe("derivatives of functions", () => {
  test("jacobian of one tensor, and of several", () => {
    expect(functional.jacobian((x: Tensor) => x.mul(x), floats(1, 2)).tolist()).toEqual([
      [2, 0],
      [0, 4],
    ]);
    const [a, b] = functional.jacobian((x: Tensor, y: Tensor) => x.sum().mul(y), [
      floats(1, 2),
      floats(3),
    ] as const);
    expect(a!.tolist()).toEqual([[3, 3]]);
    expect(b!.tolist()).toEqual([[3]]);
    const [first, second] = functional.jacobian((x: Tensor) => [x.mul(2), x.sum()], floats(1, 2));
    expect(first!.shape).toEqual([2, 2]);
    expect(second!.tolist()).toEqual([1, 1]);
    expect(functional.jacobian(() => floats(1), floats(1, 2)).tolist()).toEqual([[0, 0]]);
  });

  test("hessian: derivatives of derivatives", () => {
    expect(functional.hessian((x: Tensor) => x.pow(3).sum(), floats(1, 2)).tolist()).toEqual([
      [6, 0],
      [0, 12],
    ]);
    const [[xx, xy], [yx]] = functional.hessian((x: Tensor, y: Tensor) => x.mul(y).sum(), [
      floats(1),
      floats(5),
    ] as const) as [[Tensor, Tensor], [Tensor, Tensor]];
    expect([xx.tolist(), xy.tolist(), yx.tolist()]).toEqual([[[0]], [[1]], [[1]]]);
    expect(() => functional.hessian((x: Tensor) => x, floats(1, 2))).toThrow(
      "The Tensor returned by the function given to hessian should contain a single element",
    );
  });

  test("vjp, and a jacobian that can be differentiated", () => {
    const [value, product] = functional.vjp((x: Tensor) => x.mul(x), floats(1, 2), floats(1, 10));
    expect([value.tolist(), product.tolist()]).toEqual([
      [1, 4],
      [2, 40],
    ]);
    const x = floats(1, 2).requiresGrad_();
    functional
      .jacobian((y: Tensor) => y.pow(3), x, { createGraph: true })
      .sum()
      .backward();
    expect(x.grad!.tolist()).toEqual([6, 12]);
  });

  const pair = (a: Tensor, b: Tensor): Tensor[] => [a.mul(b), a.square().sum()];
  const cube = (a: Tensor, b: Tensor): Tensor => a.pow(3).mul(b).sum();
  const [x0, y0] = [floats(1, 2), floats(3, 4)];
  const lists = (xs: readonly Tensor[]): unknown[] => xs.map((x) => x.tolist());

  test("products with the jacobian from both sides, of several tensors", () => {
    const [values, forward] = functional.jvp(pair, [x0, y0], [floats(1, 1), floats(1, 0.5)]);
    expect(lists(values)).toEqual([[3, 8], 5]);
    expect(lists(forward)).toEqual([[4, 5], 6]);
    const [, backward] = functional.vjp(pair, [x0, y0], [floats(1, 1), torch.tensor(2.5).sub(0.5)]);
    expect(lists(backward)).toEqual([
      [7, 12],
      [1, 2],
    ]);
    expect(functional.jvp((x: Tensor) => x.square(), floats(3))[1].tolist()).toEqual([6]);
  });

  test.each(["hvp", "vhp"] as const)("%s: products with second derivatives", (name) => {
    const v = [floats(1, 1), floats(1, 0.5)];
    const [value, product] = functional[name](cube, [x0, y0], v);
    expect(value.item()).toBe(35);
    expect(lists(product)).toEqual([
      [21, 54],
      [3, 12],
    ]);
    const x = floats(1, 2).requiresGrad_();
    functional[name]((y: Tensor) => y.pow(3).sum(), x, floats(1, 1), true)[1]
      .sum()
      .backward();
    expect(x.grad!.tolist()).toEqual([6, 6]);
    expect(() => functional[name]((y: Tensor) => y.mul(2), x0, x0)).toThrow(
      `The Tensor returned by the function given to ${name} should contain a single element`,
    );
  });

  test("refuses vectors that don't fit, and in strict mode what doesn't depend on an input", () => {
    const double = (x: Tensor): Tensor => x.mul(2);
    expect(() => functional.jvp(double, x0)).toThrow(
      "The vector v can only be None if the input to the user-provided function is a single Tensor with a single element.",
    );
    expect(() => functional.vjp(double, x0)).toThrow(
      "The vector v can only be None if the user-provided function returns a single Tensor with a single element.",
    );
    expect(() => functional.jvp(double, x0, { v: floats(1, 1, 1) })).toThrow(
      "v has invalid size: should be torch.Size([2]) but got torch.Size([3]).",
    );
    expect(() => functional.jvp(pair, [x0, y0], [x0])).toThrow(
      "v is a tuple of invalid length: should be 2 but got 1.",
    );
    expect(() => functional.jvp(pair, [x0, y0], [x0, floats(1, 1, 1)])).toThrow(
      "Entry 1 in v has invalid size: should be torch.Size([2]) but got torch.Size([3]).",
    );
    expect(() => functional.vjp(() => floats(1, 1), x0, x0, { strict: true })).toThrow(
      "Output 0 of the user-provided function does not require gradients.",
    );
    expect(() =>
      functional.jacobian((a: Tensor, _b: Tensor) => a.mul(2), [x0, y0] as const, false, true),
    ).toThrow(
      "Output 0 of the user-provided function is independent of input 1. This is not allowed in strict mode.",
    );
  });

  test("torch.autograd.backward: several tensors, their gradients, and into which inputs", () => {
    const [a, b] = [floats(2).requiresGrad_(), floats(3).requiresGrad_()];
    torch.autograd.backward([a.mul(b).sum(), a.square()]);
    expect([a.grad!.tolist(), b.grad!.tolist()]).toEqual([[7], [2]]);
    torch.autograd.backward(a.mul(b), floats(10));
    expect([a.grad!.tolist(), b.grad!.tolist()]).toEqual([[37], [22]]);
    torch.autograd.backward(a.mul(b), { gradTensors: floats(1), inputs: [b] });
    a.mul(b).sum().backward({ inputs: b });
    expect([a.grad!.tolist(), b.grad!.tolist()]).toEqual([[37], [26]]);
    const middle = a.mul(2);
    torch.autograd.backward(middle.square(), { inputs: middle });
    expect([middle.grad!.tolist(), a.grad!.tolist()]).toEqual([[8], [37]]);
    expect(() => torch.autograd.backward(a.mul(b), { inputs: [] })).toThrow(
      "`inputs` argument to `backward()` cannot be empty.",
    );
  });

  test("grad twice through a network", () => {
    const x = floats(0.5).requiresGrad_();
    const [g] = torch.autograd.grad(x.sin().exp(), x, { createGraph: true });
    const [h] = torch.autograd.grad(g!, x);
    const [s, c] = [Math.sin(0.5), Math.cos(0.5)];
    expect(h!.item()).toBeCloseTo(Math.exp(s) * (c * c - s), 5);
  });

  test("grad takes its arguments by position and by name", () => {
    const [x, unused] = [floats(1, 2).requiresGrad_(), floats(3).requiresGrad_()];
    const y = x.square();
    const gradOutputs = floats(1, 10);
    const expected = [[2, 40]];
    const values = (gradients: Tensor[]): unknown[] => gradients.map((g) => g.tolist());
    const retainGraph = true;
    expect(values(torch.autograd.grad(y, x, gradOutputs, { retainGraph }))).toEqual(expected);
    expect(values(torch.autograd.grad(y, x, { gradOutputs, retainGraph }))).toEqual(expected);
    const named = {
      outputs: y,
      inputs: x,
      gradOutputs,
      createGraph: true,
      retainGraph: true,
      onlyInputs: true,
    };
    expect(values(torch.autograd.grad(named))).toEqual(expected);
    expect(values(torch.autograd.grad(y, x, [gradOutputs], { createGraph: true }))).toEqual(expected);
    expect(torch.autograd.grad(y.sum(), unused, { allowUnused: true, retainGraph })).toEqual([null]);
    expect(values(torch.autograd.grad(y.sum(), [unused], { materializeGrads: true }))).toEqual([[0]]);
    expect(() => torch.autograd.grad({ outputs: y.sum(), inputs: unused })).toThrow("to not have been used");
  });
});

test("gradients of a batch of the outputs' gradients are those of each", () => {
  const [x, unused] = [floats(1, 2, 3).requiresGrad_(), floats(1).requiresGrad_()];
  const [y, z] = [x.pow(2), x.sum()];
  const gradOutputs = [torch.eye(3), torch.tensor([1, 0, 2], { dtype: torch.float32 })];
  const options = { gradOutputs, isGradsBatched: true, allowUnused: true, createGraph: true };
  const [rows, none] = torch.autograd.grad([y, z], [x, unused], options);
  expect([rows!.tolist(), none]).toEqual([
    [
      [3, 1, 1],
      [0, 4, 0],
      [2, 2, 8],
    ],
    null,
  ]);
  rows!.sum().backward();
  expect(x.grad!.tolist()).toEqual([2, 2, 2]);
  // The graph is gone after the last row only.
  const w = floats(1, 2, 3).requiresGrad_();
  const once = w.exp().log().pow(2);
  expect(torch.autograd.grad(once, w, { gradOutputs: torch.eye(3), isGradsBatched: true })[0]!.shape).toEqual(
    [3, 3],
  );
  expect(() => torch.autograd.grad(once, w, floats(1, 1, 1))).toThrow(
    "backward through the graph a second time",
  );
  expect(() => torch.autograd.grad(y, x, { gradOutputs: floats(1, 1, 1), isGradsBatched: true })).toThrow(
    "grad_output[0] has a shape of torch.Size([3]) and output[0] has a shape of torch.Size([3])",
  );
});

test("zeros for an unused input can be differentiated where a graph is created", () => {
  const [x, unused] = [floats(1).requiresGrad_(), floats(1, 2).requiresGrad_()];
  const zeros = (createGraph: boolean): boolean =>
    torch.autograd.grad(x.square(), unused, { materializeGrads: true, createGraph })[0]!.requiresGrad;
  expect([zeros(false), zeros(true)]).toEqual([false, true]);
});

test("a leaf that is frozen before backward has no gradient", () => {
  const [w, b] = [floats(1, 2).requiresGrad_(), floats(3).requiresGrad_()];
  for (const frozen of [true, false, true]) {
    const y = w.mul(b).sum();
    w.requiresGrad_(!frozen);
    [w.grad, b.grad] = [null, null];
    y.backward();
    expect([w.grad, b.grad].map((g) => (g as Tensor | null)?.tolist() ?? null)).toEqual([
      frozen ? null : [3, 3],
      [3],
    ]);
    w.requiresGrad_();
  }
});

test("gradcheck agrees with right gradients and finds wrong ones", () => {
  const x = floats(0.3, -0.8, 1.2).requiresGrad_();
  expect(gradcheck((y: Tensor) => y.tanh().mul(y), x)).toBe(true);
  const wrong = (y: Tensor): Tensor => y.mul(y.detach());
  expect(gradcheck(wrong, x, { raiseException: false })).toBe(false);
  expect(() => gradcheck(wrong, x)).toThrow("Jacobian mismatch for output 0 with respect to input 0");
  expect(() => gradcheck((y: Tensor) => y, floats(1))).toThrow("gradcheck expects at least one input tensor");
});

test("a mismatch of gradcheck says so if the step is too small for float32", () => {
  const x = floats(0.3, -0.8, 1.2).requiresGrad_();
  const mismatch = caught(() => gradcheck((y: Tensor) => y.pow(3), x, { eps: 1e-6, atol: 1e-5, rtol: 1e-3 }));
  expect(mismatch).toBeInstanceOf(torch.autograd.GradcheckError);
  expect((mismatch as TensorError).hint).toContain("too small for float32");
  const wrong = caught(() => gradcheck((y: Tensor) => y.mul(y.detach()), x));
  expect((wrong as TensorError).hint).toBeUndefined();
});

test("gradgradcheck takes its options by name, without gradients of outputs", () => {
  const x = floats(0.3, -0.8, 1.2).requiresGrad_();
  expect(gradgradcheck((y: Tensor) => y.pow(3), x, { eps: 1e-2, atol: 0.1 })).toBe(true);
  expect(gradgradcheck((y: Tensor) => y.pow(3), x, { gradOutputs: torch.ones(3), atol: 0.1 })).toBe(true);
});

describe("a hook's result", () => {
  const differentiate = (hook: (grad: Tensor) => Tensor, leaf: boolean): void => {
    const x = floats(1, 2).requiresGrad_();
    const y = x.mul(2);
    (leaf ? x : y).registerHook(hook);
    y.sum().backward();
  };

  test.each([true, false])("has the gradient's shape and type (of a leaf: %s)", (leaf) => {
    expect(() => differentiate(() => torch.ones(1), leaf)).toThrow(
      "hook '<lambda>' has changed the size of value",
    );
    expect(() =>
      differentiate(function clip(grad) {
        return grad.long();
      }, leaf),
    ).toThrow("hook 'clip' has changed the type of value (was torch.FloatTensor got torch.LongTensor)");
    expect(() => differentiate(() => 3 as unknown as Tensor, leaf)).toThrow(
      "expected Variable, but hook returned 'number'",
    );
  });
});

test.each([
  ["noGrad", torch.noGrad, false],
  ["inferenceMode", torch.inferenceMode, false],
  ["enableGrad", torch.enableGrad, true],
] as const)("%s of a function with parameters is PyTorch's decorator", (_, decorate, recorded) => {
  const w = floats(1, 2).requiresGrad_();
  const scaled = decorate((x: Tensor, factor: number) => w.mul(x).mul(factor));
  torch.setGradEnabled(!recorded, () => {
    const y: Tensor = scaled(floats(3, 4), 2);
    expect(y.tolist()).toEqual([6, 16]);
    expect(y.requiresGrad).toBe(recorded);
    expect(torch.isGradEnabled()).toBe(!recorded);
    expect(decorate(() => w.mul(2)).requiresGrad).toBe(recorded);
  });
  const own = {
    factor: 3,
    times: decorate(function (this: { factor: number }, x: Tensor) {
      return x.mul(this.factor);
    }),
  };
  expect(own.times(floats(1)).item()).toBe(3);
});

test("a backward that is once differentiable refuses to be differentiated again", () => {
  class Square extends torch.autograd.Function {
    static forward(ctx: torch.FunctionCtx, x: Tensor): Tensor {
      ctx.saveForBackward(x);
      return x.square();
    }
    static backward = torch.autograd.function.onceDifferentiable((ctx: torch.FunctionCtx, grad: Tensor) =>
      grad.mul(ctx.savedTensors[0]!).mul(2),
    );
  }
  const x = floats(1, 2).requiresGrad_();
  Square.apply(x).sum().backward();
  expect(x.grad!.tolist()).toEqual([2, 4]);
  const [g] = torch.autograd.grad(Square.apply(x).square().sum(), x, { createGraph: true });
  expect(() => g!.sum().backward()).toThrow(
    "trying to differentiate twice a function that was marked with @once_differentiable",
  );
});

function caught(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return error;
  }
}

test("gradgradcheck agrees with right second derivatives and finds wrong ones", () => {
  torch.manualSeed(0);
  const x = floats(0.3, -0.8, 1.2).requiresGrad_();
  expect(gradgradcheck((y: Tensor) => y.tanh().mul(y), x)).toBe(true);
  // The first derivative is right, but is a constant for the second one.
  const wrong = (y: Tensor): Tensor =>
    y
      .square()
      .detach()
      .add(y.sub(y.detach()).mul(y.detach().mul(2)));
  expect(gradcheck((y: Tensor) => y.square(), x)).toBe(true);
  expect(() => gradgradcheck(wrong, x, torch.ones(3))).toThrow(
    "Jacobian mismatch for output 0 with respect to input 0",
  );
});

describe("refusals of gradients", () => {
  const w = floats(1, 2).requiresGrad_();
  const x = floats(3, 4);

  test("of tensors that need none", () => {
    const refused = "One of the differentiated Tensors does not require grad";
    expect(() => torch.autograd.grad(w.mul(x).sum(), x, { allowUnused: true })).toThrow(refused);
    expect(() => torch.autograd.grad(w.mul(x).sum(), [w, x])).toThrow(refused);
    expect(() =>
      w
        .mul(x)
        .sum()
        .backward({ inputs: [x] }),
    ).toThrow("can't retain_grad on Tensor that has requires_grad=False");
  });

  test("of other numbers of tensors and gradients", () => {
    const roots = [w.sum(), w.prod()];
    const one = torch.tensor(2).float();
    expect(() => torch.autograd.grad(roots, w, [one])).toThrow("got 2 tensors and 1 gradients");
    expect(() => torch.autograd.backward(roots, [])).toThrow("got 2 tensors and 0 gradients");
    expect(() => torch.autograd.grad(roots, w, [one, floats(1, 2)])).toThrow(
      "grad_output[1] has a shape of torch.Size([2]) and output[1] has a shape of torch.Size([])",
    );
  });

  test("of a leaf that a function says that it has written", () => {
    class Twice extends torch.autograd.Function {
      static forward(ctx: torch.FunctionCtx, t: Tensor): Tensor {
        t.mul_(2);
        ctx.markDirty(t);
        return t;
      }
      static backward(_: torch.FunctionCtx, grad: Tensor): Tensor {
        return grad.mul(2);
      }
    }
    expect(() => Twice.apply(floats(1).requiresGrad_())).toThrow(
      "a leaf Variable that requires grad has been used in an in-place operation.",
    );
  });
});
