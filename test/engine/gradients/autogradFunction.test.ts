// torch.autograd.Function, with PyTorch's numbers: test/fixtures/gradients/make.py.
import { describe, expect, expectTypeOf, it } from "vitest";
import { nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { onEachEngine } from "../../engines.ts";
import { Exp, expectCase, wave } from "./secondCases.ts";
import { withPolicy } from "../../../extension/tensor/recording/runtime.ts";

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

describe("torch.autograd.Function", () => {
  onEachEngine((name, executor) => {
    functions();

    it("says how to call apply apart from its class", () => {
      const { apply } = Exp as unknown as { apply: (x: Tensor, k: number) => Tensor };
      expect(() => apply(torch.ones(3), 1)).toThrow("Function.apply was called without its class");
    });

    it.skipIf(name !== "native")("compiles a training with a Function once", () => {
      const weight = new nn.Parameter(torch.ones(3));
      const sgd = new optim.SGD([weight], { lr: 0.1 });
      const before = executor().counters();
      withPolicy({ smallPlans: false }, () => {
        for (let step = 0; step < 8; step++) {
          sgd.zeroGrad();
          Exp.apply(weight.mul(wave([3], step)), 1)
            .sum()
            .backward();
          sgd.step();
        }
      });
      const { compiled, compiledRuns } = executor().counters();
      expect(compiled! - before["compiled"]!).toBe(1);
      expect(compiledRuns! - before["compiledRuns"]!).toBeGreaterThanOrEqual(6);
    });
  });
});
