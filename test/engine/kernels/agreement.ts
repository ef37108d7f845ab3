import { expect } from "vitest";
import type { LoadedExecutor } from "../../../extension/executors/index.ts";
import { torch, type Tensor } from "../../../extension/nn/index.ts";
import { withPolicy } from "../../../extension/tensor/recording/runtime.ts";

/** Numbers without a period that sizes could share. */
export const numbers = (shape: readonly number[], seed: number): Tensor =>
  torch
    .arange(shape.reduce((a, b) => a * b, 1))
    .add(seed)
    .mul(0.7391)
    .sin()
    .view(...shape);

/** Expects the same tensors from the binding's own kernels and from TensorFlow. */
export function expectAgreement(executor: LoadedExecutor, compute: () => Tensor[]): void {
  const before = executor.counters()["small"]!;
  const own = compute().map((t) => t.toTypedArray());
  expect(executor.counters()["small"]).toBeGreaterThan(before);
  const library = withPolicy({ smallPlans: false }, () => compute().map((t) => t.toTypedArray()));
  own.forEach((values, part) => {
    let scale = 1;
    for (const value of library[part]!) scale = Math.max(scale, Math.abs(value));
    values.forEach((value, i) => {
      if (!(Math.abs(value - library[part]![i]!) <= 1e-4 * scale))
        expect.fail(`part ${part} at ${i}: ${value}, ${library[part]![i]} by TensorFlow`);
    });
  });
}
