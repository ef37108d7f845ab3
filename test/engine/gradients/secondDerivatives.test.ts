// Walks the op table: the gradient of every op's gradient, against differences of the gradient.
import { describe, expect, it } from "vitest";
import { torch } from "../../../extension/nn/index.ts";
import { applyAll } from "../../../extension/tensor/recording/apply.ts";
import type { Op, OpRecord } from "../../../extension/tensor/recording/op.ts";
import { type Tensor } from "../../../extension/tensor/core/tensor.ts";
import { onEachEngine } from "../../engines.ts";
import { given, samples, type Recorded, type Sample } from "../opSamples.ts";
import { OPS } from "../../../extension/tensor/ops/table.ts";

/** Ops whose gradient has no gradient in PyTorch either, with PyTorch's message. */
const NONE: Record<string, string> = {
  ctcLoss: "derivative for aten::_ctc_loss_backward is not implemented",
};

const differentiable = ([...OPS.values()] as unknown as OpRecord<object>[]).filter(
  ({ name, gradient }) => typeof gradient === "function" && !(name in NONE),
);

/** Numbers of about 1 without a pattern. */
const direction = (shape: readonly number[], seed: number): Tensor =>
  torch
    .tensor(Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(1.7 * i + seed)))
    .reshape(shape);

interface Slope {
  /** Σ direction · gradient, over all inputs that have one. */
  readonly value: Tensor;
  /** Tensors that it depends on: inputs and seeds. */
  readonly leaves: readonly Tensor[];
}

function slopeOf(op: Op<object>, sample: Sample, step: number, createGraph: boolean): Slope | undefined {
  const moved = (r: Recorded, seed: number): Tensor => {
    const x = given(r);
    if (r.dtype !== "float32") return x;
    return (step === 0 ? x : x.add(direction(r.shape, seed).mul(step))).detach().requiresGrad_();
  };
  const inputs = sample.inputs.map((r, i) => (sample.grads![i] ? moved(r, i + 1) : given(r)));
  const seeds = sample.gradOutputs!.map((r, i) => (r === null ? null : moved(r, i + 11)));
  const outputs = applyAll(op, inputs, sample.attributes);
  const wanted = inputs.filter((x) => x.requiresGrad);
  const found = torch.autograd.grad(
    outputs.filter((_, i) => seeds[i] !== null),
    wanted,
    { gradOutputs: seeds.filter((s) => s !== null), allowUnused: true, createGraph },
  );
  const terms = found.flatMap((g, i) => (g === null ? [] : [g.mul(direction(g.shape, i + 21)).sum()]));
  if (terms.length === 0) return undefined;
  const leaves = [...wanted, ...seeds.filter((s) => s !== null)];
  return { value: terms.reduce((a, b) => a.add(b)), leaves };
}

const STEP = 0.01;

function check(op: Op<object>, sample: Sample, i: number): void {
  if (sample.gradOutputs === null || sample.derivative === false) return;
  const values = [...sample.inputs, ...sample.outputs, ...sample.gradOutputs, ...sample.grads!].flatMap(
    (r) => r?.data ?? [],
  );
  if (values.length === 0 || values.some((x) => typeof x === "string")) return;
  const slope = slopeOf(op, sample, 0, true);
  if (slope === undefined) return;
  const plain = slopeOf(op, sample, 0, false)!.value.item();
  expect(slope.value.item(), `${op.name} sample ${i}: a gradient that is recorded`).toBeCloseTo(plain, 2);
  const { leaves } = slope;
  expect(slope.value.requiresGrad, `${op.name} sample ${i}: its gradient is differentiable`).toBe(true);
  const second = torch.autograd.grad(slope.value, leaves, { allowUnused: true });
  const places = [
    ...sample.inputs.flatMap((r, k) => (sample.grads![k] && r.dtype === "float32" ? [k + 1] : [])),
    ...sample.gradOutputs.flatMap((r, k) => (r === null ? [] : [k + 11])),
  ];
  const analytic = second.reduce(
    (sum, g, k) => sum + (g === null ? 0 : g.mul(direction(g.shape, places[k]!)).sum().item()),
    0,
  );
  const [above, below] = [STEP, -STEP].map((by) => slopeOf(op, sample, by, false)!.value.item());
  const measured = (above! - below!) / (2 * STEP);
  const scale = Math.abs(analytic) + 1e-3 * Math.abs(plain / STEP);
  expect(
    Math.abs(analytic - measured),
    `${op.name} sample ${i}: the second derivative is ${analytic}, differences say ${measured}`,
  ).toBeLessThan(0.02 * scale + 0.02);
}

function suite(): void {
  it.each(differentiable.map((op) => [op.name, op] as const))("%s", (name, op) => {
    samples[name]!.forEach((sample, i) => check(op, sample, i));
  });
}

describe("second derivatives", () => onEachEngine(suite));
