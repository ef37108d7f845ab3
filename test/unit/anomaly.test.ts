import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { nn, optim, torch, type Tensor } from "../../extension/nn/index.ts";
import { AnomalyError } from "../../extension/tensor/recording/anomaly.ts";
import { useEngine } from "../engines.ts";

useEngine("cpu");
// Where an engine's entry was loaded, a site is read by its frames and its stack is empty.
const stacks: { prepareStackTrace?: unknown } = Error;
const { prepareStackTrace } = stacks;
beforeAll(() => {
  stacks.prepareStackTrace = undefined;
});
afterAll(() => {
  stacks.prepareStackTrace = prepareStackTrace;
});
afterEach(() => torch.autograd.setDetectAnomaly(false));

/** The error of a step of SGD on a parameter, with anomaly detection; the parameter stays unchanged. */
function thrown(values: number[], loss: (x: Tensor) => Tensor): AnomalyError | undefined {
  const x = new nn.Parameter(torch.tensor(values, { dtype: torch.float32 }));
  const optimizer = new optim.SGD([x], 0.1);
  try {
    torch.autograd.detectAnomaly(() => {
      loss(x).backward();
      optimizer.step();
    });
  } catch (error) {
    expect([...x.toTypedArray()]).toEqual(values.map(Math.fround));
    expect(error).toBeInstanceOf(AnomalyError);
    return error as AnomalyError;
  }
  return undefined;
}

describe("torch.autograd.detectAnomaly", () => {
  test("names the function that made the first NaN, and what it was given", () => {
    const error = thrown([-1, 2], (x) => x.log().mul(2).sum());
    expect(error?.message).toBe("Function 'log' returned nan values, given values of [2] from -1 to 2");
    expect(error?.hint).toContain("clamp({ min: 1e-8 })");
    expect(error?.sites[0]?.stack).toContain("anomaly.test.ts");
  });

  test("a gradient's, by PyTorch's name and at the line of the function itself", () => {
    const error = thrown([0, 4], (x) =>
      x
        .sqrt()
        .mul(torch.tensor([0, 1]))
        .sum(),
    );
    expect(error?.message).toMatch(/^Function 'SqrtBackward0' returned nan values/);
    expect(error?.sites[0]?.stack).toContain("anomaly.test.ts");
  });

  test("a NaN that is made of an infinity comes from what made the infinity", () => {
    const error = thrown([100, 1], (x) => x.exp().div(x.exp().sum()).sum());
    expect(error?.message).toBe("Function 'exp' returned inf values, given values of [2] from 1 to 100");
    expect(error?.hint).toContain("exp overflows above 88");
  });

  test("large values are written with an exponent", () => {
    const error = thrown([3e19, -1], (x) => x.square().sum());
    expect(error?.message).toBe(
      "Function 'square' returned inf values, given values of [2] from -1 to 3e+19",
    );
  });

  test("a mask's infinity is none", () => {
    const mask = torch.tensor([-Infinity, 0]);
    expect(thrown([1, 2], (x) => x.add(mask).softmax(0).sum())).toBeUndefined();
    const all = torch.full([2], -Infinity);
    const error = thrown([1, 2], (x) => x.add(all).softmax(0).sum());
    expect(error?.message).toMatch(/^Function 'softmax' returned nan values/);
    expect(error?.hint).toContain("masked completely");
  });

  test("a bad input and a bad parameter are told apart from what is made of them", () => {
    const bad = torch.tensor([1, NaN]);
    expect(thrown([1, 2], (x) => x.mul(bad).sum())?.message).toBe("an input of [2] has NaN values");
    const error = thrown([1, NaN], (x) => x.mul(2).sum());
    expect(error?.message).toBe("a parameter or buffer of [2] had NaN values before the step");
    expect(error?.storage).toBeDefined();
  });

  test("a NaN that nothing is computed from is ignored", () => {
    expect(thrown([1, 4], (x) => torch.where(x.gt(0), x, x.neg().log()).sum())).toBeUndefined();
    torch.autograd.setDetectAnomaly(true);
    expect(torch.tensor([-1]).log().item()).toBeNaN();
  });

  test("a NaN gradient is an error of backward() itself, before the gradient is read", () => {
    torch.autograd.setDetectAnomaly(true);
    const x = torch.tensor([0, 4], { dtype: torch.float32 }).requiresGrad_();
    const loss = (): Tensor =>
      x
        .sqrt()
        .mul(torch.tensor([0, 1]))
        .sum();
    expect(() => loss().backward()).toThrow("Function 'SqrtBackward0' returned nan values");
    expect(x.grad).toBeNull();
    expect(() => torch.autograd.grad(loss(), x)).toThrow("Function 'SqrtBackward0' returned nan values");
    // As in PyTorch, an infinite gradient is none of its business.
    const y = torch.tensor([0, 1], { dtype: torch.float32 }).requiresGrad_();
    y.log().sum().backward();
    expect(y.grad!.tolist()).toEqual([Infinity, 1]);
    x.mul(2).sum().backward();
    expect(x.grad!.tolist()).toEqual([2, 2]);
  });

  test("is on while its function runs, a promise included", async () => {
    expect(torch.autograd.isAnomalyEnabled()).toBe(false);
    await torch.autograd.detectAnomaly(async () => {
      await Promise.resolve();
      expect(torch.autograd.isAnomalyEnabled()).toBe(true);
    });
    expect(torch.autograd.isAnomalyEnabled()).toBe(false);
    expect(() =>
      torch.autograd.detectAnomaly(() => {
        throw new Error("x");
      }),
    ).toThrow("x");
    expect(torch.autograd.isAnomalyEnabled()).toBe(false);
  });
});
