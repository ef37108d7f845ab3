// The plans that the binding opens for samples of all ops.
import { TensorFlowExecutor } from "../../extension/executors/tensorflow/executor.ts";
import type { NativeBinding } from "../../extension/native/binding.ts";
import { loadNative } from "../../extension/native/load.ts";
import { F, torch } from "../../extension/nn/index.ts";
import { OPS } from "../../extension/tensor/ops/table.ts";
import { setExecutor, valuesOf } from "../../extension/tensor/planning/barrier.ts";
import { applyAll } from "../../extension/tensor/recording/apply.ts";
import { grad } from "../../extension/tensor/recording/autograd.ts";
import type { OpRecord } from "../../extension/tensor/recording/op.ts";
import { given, hasGradient, samples, type Sample } from "./opSamples.ts";

const ops = [...OPS.values()] as unknown as OpRecord<object>[];

/** Computes a sample, and its gradients. */
function compute(op: OpRecord<object>, sample: Sample): void {
  const inputs = sample.inputs.map((recorded, i) => {
    const x = given(recorded);
    return sample.gradOutputs !== null && hasGradient(sample, i) ? x.requiresGrad_() : x;
  });
  const outputs = applyAll(op, inputs, sample.attributes);
  for (const { value } of outputs) valuesOf(value);
  const seeded = outputs.filter((_, i) => sample.gradOutputs?.[i]);
  const wanted = inputs.filter((x) => x.requiresGrad);
  if (seeded.length === 0 || wanted.length === 0) return;
  const gradOutputs = sample.gradOutputs!.filter((seed) => seed !== null).map(given);
  for (const g of grad(seeded, wanted, { gradOutputs, allowUnused: true })) if (g) valuesOf(g.value);
}

/** Computes convolutions, and their gradients, that are large enough for tiles (native/kernels/winograd.h): most end within a register. */
function tileConvolutions(): void {
  for (const [channels, width, size] of [
    [32, 32, 16],
    [37, 21, 13],
    [300, 30, 6],
  ] as const) {
    const x = torch.randn(3, channels, size, size).requiresGrad_();
    const w = torch.randn(width, channels, 3, 3).requiresGrad_();
    const y = F.conv2d(x, w, { padding: 1 });
    valuesOf(y.value);
    for (const g of grad([y], [x, w], { gradOutputs: [torch.randn(...y.shape)] })) valuesOf(g.value);
  }
}

/** Computes a layer whose steps are divided into blocks, and its gradients: what lies between them has memory for one block. */
function blockedLayer(): void {
  for (const [channels, width] of [
    [3, 20],
    [1, 16],
  ] as const) {
    const x = torch.randn(24, channels, 20, 20).requiresGrad_();
    const w = torch.randn(width, channels, 3, 3).requiresGrad_();
    const b = torch.randn(width).requiresGrad_();
    const y = F.maxPool2d(F.relu(F.conv2d(x, w, b, { padding: 1 })), 2);
    valuesOf(y.value);
    for (const g of grad([y], [x, w, b], { gradOutputs: [torch.randn(...y.shape)] })) valuesOf(g.value);
  }
}

/** The plans that are opened for the first samples of each op. */
export function plansOfSamples(each = 2): number[][] {
  const plans = new Map<string, number[]>();
  const binding = Object.create(loadNative()) as NativeBinding;
  Object.defineProperty(binding, "openPlan", {
    value: (code: Int32Array, threads: number, costs: Float64Array): number => {
      const id = loadNative().openPlan(code, threads, costs);
      if (id >= 0 && code.length < 2000) plans.set(code.join(), [...code]);
      return id;
    },
  });
  setExecutor(new TensorFlowExecutor(binding, 2));
  for (const op of ops) for (const sample of (samples[op.name] ?? []).slice(0, each)) compute(op, sample);
  tileConvolutions();
  blockedLayer();
  setExecutor(undefined);
  return [...plans.values()];
}
