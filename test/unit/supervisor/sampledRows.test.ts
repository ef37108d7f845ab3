import { expect, test } from "vitest";
import type { MetricRow } from "../../../extension/protocol/run.ts";
import { SampledRows } from "../../../extension/supervisor/runs/sampledRows.ts";

const row = (kind: MetricRow["kind"], step: number): MetricRow => ({
  kind,
  step,
  epoch: step,
  time: step,
  values: { loss: 1 / step },
});

test.each(["step", "epoch"] as const)("a long run keeps its %ss evenly, the first and the newest", (kind) => {
  const limit = 50;
  const curves = new SampledRows(limit);
  const total = 12_345;
  for (let step = 1; step <= total; step++) curves.push([row(kind, step)]);
  const steps = curves.rows.map(({ step }) => step);
  expect(steps[0]).toBe(1);
  expect(steps.at(-1)).toBe(total);
  expect(steps.length).toBeGreaterThan(limit);
  expect(steps.length).toBeLessThanOrEqual(2 * limit + 1);
  const strides = steps.slice(1, -1).map((step, index) => step - (steps[index] ?? 0));
  expect(new Set(strides).size).toBe(1);
});

test("steps and epochs come in order, an epoch after its last step", () => {
  const curves = new SampledRows();
  curves.push([row("step", 1), row("step", 2), row("epoch", 2), row("step", 3)]);
  expect(curves.rows.map(({ kind, step }) => `${kind} ${step}`)).toEqual([
    "step 1",
    "step 2",
    "epoch 2",
    "step 3",
  ]);
});

test("a training that went back has each step once", () => {
  const curves = new SampledRows();
  curves.push([row("step", 1), row("step", 2), row("epoch", 2), row("step", 3)]);
  curves.push([{ ...row("event", 1), rollback: 1 }, row("step", 2)]);
  expect(curves.rows.map(({ kind, step }) => `${kind} ${step}`)).toEqual(["step 1", "event 1", "step 2"]);
});
