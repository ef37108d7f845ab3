// Draws of PyTorch's in-place methods that have no function of their own: values of torch.manual_seed(5).
import { expect, test } from "vitest";
import { torch, type Tensor } from "layerwise";
import { useEngine } from "../../engines.ts";

useEngine("cpu");

function expectClose(x: Tensor, expected: readonly number[]): void {
  const found = x.tolist() as number[];
  expect(found.length).toBe(expected.length);
  found.forEach((v, i) => expect(v).toBeCloseTo(expected[i]!, 6));
}

test("cauchy_, geometric_ and logNormal_ draw PyTorch's numbers", () => {
  const seeded = (draw: () => Tensor): Tensor => {
    torch.manualSeed(5);
    return draw();
  };
  expectClose(
    seeded(() => torch.empty(5).cauchy_(1, 2)),
    [1.95663905, -0.880989432, 0.0652152374, -0.312562048, -0.807069898],
  );
  expectClose(
    seeded(() => torch.empty(6).geometric_(0.3)),
    [2, 4, 3, 4, 4, 1],
  );
  expectClose(
    seeded(() => torch.empty(6, { dtype: torch.int64 }).geometric_(0.05)),
    [9, 27, 20, 23, 26, 4],
  );
  expectClose(
    seeded(() => torch.empty(18).logNormal_(0.5, 0.25)),
    [
      1.45980787, 1.41771245, 1.43401182, 1.94815171, 1.56932604, 2.67967606, 1.16134, 1.36255383, 1.930547,
      1.31681538, 1.4341203, 1.95948112, 1.74301195, 1.3957665, 1.95650661, 1.90313089, 1.42515326,
      1.99767768,
    ],
  );
  expectClose(
    seeded(() => torch.cat([torch.empty(3).logNormal_(), torch.rand(2)])),
    [1.0267911, 0.812496901, 0.89030385, 0.033264637, 0.994184732],
  );
});

test("draws refuse what PyTorch refuses", () => {
  const x = torch.zeros(3);
  const whole = torch.zeros(3, { dtype: torch.int64 });
  expect(() => x.cauchy_(0, -1)).toThrow("cauchy_ expects sigma > 0.0, but found sigma=-1");
  expect(() => whole.cauchy_()).toThrow("dtype must be a floating point but you specified long int");
  expect(() => x.geometric_(2)).toThrow("geometric_ expects p to be in (0, 1), but got p=2");
  expect(() => x.bool().geometric_(0.5)).toThrow("\"geometric_cpu\" not implemented for 'Bool'");
  expect(() => x.logNormal_(1, -2)).toThrow("log_normal_ expects std > 0.0, but found std=-2");
  expect(() => whole.logNormal_()).toThrow("\"log_normal_cpu\" not implemented for 'Long'");
});

test("apply_ and map_ write what a function gives for each element", () => {
  const x = torch.tensor([1, 2]);
  expect(x.apply_((v) => v * 1.5).tolist()).toEqual([1, 3]);
  const y = torch.tensor([[1.5, 2.5]]);
  const row = y.select(0, 0);
  row.map_(torch.tensor([0.5, 4.5]), (a, b) => a + b);
  expect(y.tolist()).toEqual([[2, 7]]);
  expect(() => y.map_(torch.tensor([3, 4]), (a) => a)).toThrow(
    "map_: expected torch.FloatTensor for 'other'",
  );
  expect(() =>
    torch
      .ones(1)
      .requiresGrad_()
      .apply_((v) => v),
  ).toThrow("Use var.detach().apply_() instead.");
});
