import { beforeAll, describe, expect, test } from "vitest";
import { loadExecutor } from "../../extension/executors/index.ts";
import { torch, type Tensor } from "../../extension/nn/index.ts";

beforeAll(async () => {
  await loadExecutor("cpu");
});

const { functional, gradcheck } = torch.autograd;
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
    expect(values(torch.autograd.grad(y, x, gradOutputs))).toEqual(expected);
    expect(values(torch.autograd.grad(y, x, { gradOutputs }))).toEqual(expected);
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
    expect(torch.autograd.grad(y.sum(), unused, { allowUnused: true })).toEqual([null]);
    expect(values(torch.autograd.grad(y.sum(), [unused], { materializeGrads: true }))).toEqual([[0]]);
    expect(() => torch.autograd.grad({ outputs: y.sum(), inputs: unused })).toThrow("to not have been used");
  });
});

test("gradcheck agrees with right gradients and finds wrong ones", () => {
  const x = floats(0.3, -0.8, 1.2).requiresGrad_();
  expect(gradcheck((y: Tensor) => y.tanh().mul(y), x)).toBe(true);
  const wrong = (y: Tensor): Tensor => y.mul(y.detach());
  expect(gradcheck(wrong, x, { raiseException: false })).toBe(false);
  expect(() => gradcheck(wrong, x)).toThrow("Jacobian mismatch for output 0 with respect to input 0");
  expect(() => gradcheck((y: Tensor) => y, floats(1))).toThrow("gradcheck expects at least one input tensor");
});
