// torch.amp where there is no half precision, and its scaler, against PyTorch's on a CPU.
import { beforeEach, expect, test } from "vitest";
import { nn, optim, torch } from "layerwise";
import { setWarningSink } from "../../../../extension/nn/warnings.ts";
import { useEngine } from "../../../engines.ts";

useEngine("cpu");

let warnings: string[] = [];
beforeEach(() => {
  warnings = [];
  setWarningSink((message) => warnings.push(message));
});

test("autocast runs its body in float32, and warns where half precision would be on", () => {
  expect(torch.autocast({ deviceType: "cpu", dtype: torch.bfloat16, enabled: false }, () => 3)).toBe(3);
  expect(warnings).toEqual([]);
  expect(torch.autocast("cuda", () => 4)).toBe(4);
  expect(torch.cuda.amp.autocast(() => 5)).toBe(5);
  expect(torch.amp.autocast("cuda", { dtype: torch.float16 }, () => 6)).toBe(6);
  expect(warnings).toEqual(["CUDA is not available or torch_xla is imported. Disabling autocast."]);
  expect(torch.autocast("cpu", { dtype: torch.bfloat16 }, () => 7)).toBe(7);
  expect(warnings.at(-1)).toContain("no half precision");
});

test("a scaler for a GPU is switched off and changes nothing", () => {
  const scaler = new torch.cuda.amp.GradScaler();
  expect(warnings).toEqual(["torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling."]);
  const p = new nn.Parameter(torch.tensor([1, 2]).float());
  const optimizer = new optim.SGD([p], { lr: 0.5 });
  scaler.scale(p.sum()).backward();
  scaler.unscale_(optimizer);
  scaler.step(optimizer);
  scaler.update();
  expect(p.tolist()).toEqual([0.5, 1.5]);
  expect([scaler.isEnabled(), scaler.getScale(), scaler.stateDict()]).toEqual([false, 1, {}]);
});

test("a scaler for the CPU scales, skips steps of infinite gradients, and grows", () => {
  const scaler = new torch.amp.GradScaler("cpu", { initScale: 4, growthInterval: 2 });
  const p = new nn.Parameter(torch.tensor([1, 2]).float());
  const optimizer = new optim.SGD([p], { lr: 0.5 });
  expect(() => scaler.step(optimizer)).toThrow("Attempted step but _scale is None.");
  const step = (factor: number): void => {
    optimizer.zeroGrad();
    scaler.scale(p.mul(factor).sum()).backward();
    scaler.step(optimizer);
    scaler.update();
  };
  step(1);
  expect([p.tolist(), scaler.getScale()]).toEqual([[0.5, 1.5], 4]);
  step(Infinity);
  expect([p.tolist(), scaler.getScale()]).toEqual([[0.5, 1.5], 2]);
  step(1);
  step(1);
  expect([p.tolist(), scaler.getScale()]).toEqual([[-0.5, 0.5], 4]);
  expect(scaler.stateDict()).toEqual({
    scale: 4,
    growth_factor: 2,
    backoff_factor: 0.5,
    growth_interval: 2,
    _growth_tracker: 0,
  });
  scaler.scale(p.sum()).backward();
  scaler.unscale_(optimizer);
  expect(() => scaler.unscale_(optimizer)).toThrow("has already been called on this optimizer");
});

test("a step without gradients is refused", () => {
  const scaler = new torch.amp.GradScaler("cpu");
  const p = new nn.Parameter(torch.zeros(1));
  scaler.scale(p.sum());
  expect(() => scaler.step(new optim.SGD([p]))).toThrow("No inf checks were recorded for this optimizer.");
  expect(() => scaler.update()).toThrow("No inf checks were recorded prior to update.");
});
