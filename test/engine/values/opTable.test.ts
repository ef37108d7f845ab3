// Walks the op table: every op, on every available backend, against PyTorch's values and gradients.
import * as k from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { loadExecutor } from "../../../extension/executors/index.ts";
import { TensorFlowExecutor } from "../../../extension/executors/tensorflow/executor.ts";
import { TfjsExecutor } from "../../../extension/executors/tfjs/executor.ts";
import type { NativeBinding } from "../../../extension/native/binding.ts";
import { NativeError } from "../../../extension/native/errors.ts";
import { loadNative } from "../../../extension/native/load.ts";
import { applyAll } from "../../../extension/tensor/recording/apply.ts";
import { grad } from "../../../extension/tensor/recording/autograd.ts";
import { toHostArray } from "../../../extension/tensor/core/dtype.ts";
import type { Op, OpRecord, Signature } from "../../../extension/tensor/recording/op.ts";
import type { PlainRule } from "../../../extension/tensor/planning/plain.ts";
import { barrier, setExecutor, valuesOf } from "../../../extension/tensor/planning/barrier.ts";
import { changePolicy } from "../../../extension/tensor/recording/runtime.ts";
import type { Tensor } from "../../../extension/tensor/core/tensor.ts";
import { given, hasGradient, hostOf, samples, type Recorded, type Sample } from "../opSamples.ts";
import { OPS } from "../../../extension/tensor/ops/table.ts";

const ops = [...OPS.values()] as unknown as OpRecord<object>[];

/** One sample, recorded: its outputs and, where it has any, the gradients of its inputs. */
interface Run {
  outputs: Tensor[];
  grads: (Tensor | null)[];
}

function record(op: Op<object>, sample: Sample): Run {
  const inputs = sample.inputs.map((r, i) => {
    const x = given(r);
    return sample.gradOutputs !== null && hasGradient(sample, i) ? x.requiresGrad_() : x;
  });
  const outputs = applyAll(op, inputs, sample.attributes);
  const seeded = outputs.filter((_, i) => sample.gradOutputs?.[i]);
  if (seeded.length === 0) return { outputs, grads: inputs.map(() => null) };
  const gradOutputs = sample.gradOutputs!.filter((seed) => seed !== null).map(given);
  const wanted = inputs.filter((x) => x.requiresGrad);
  const found = grad(seeded, wanted, { gradOutputs, allowUnused: true });
  return { outputs, grads: inputs.map((x) => (x.requiresGrad ? found[wanted.indexOf(x)]! : null)) };
}

const close = (a: number, b: number, rtol: number, atol: number): boolean =>
  Object.is(a, b) || a === b || Math.abs(a - b) <= atol + rtol * Math.abs(b);

function expectClose(actual: Tensor, expected: Recorded, rtol: number, atol: number, what: string): void {
  expect([actual.dtype, ...actual.shape], `${what}: dtype and shape`).toEqual([
    expected.dtype,
    ...expected.shape,
  ]);
  const values = valuesOf(actual.value);
  expect(values.constructor, `${what}: array`).toBe(toHostArray([], actual.dtype).constructor);
  expect(values.length, `${what}: number of values`).toBe(expected.data.length);
  const wanted = hostOf(expected);
  const wrong = values.findIndex((v, i) => !close(v, wanted[i]!, rtol, atol));
  expect(wrong, `${what}: ${[...values].join()} is not ${[...wanted].join()}`).toBe(-1);
}

function check(op: Op<object>, sample: Sample, run: Run, i: number): void {
  expect(run.outputs.length).toBe(sample.outputs.length);
  sample.outputs.forEach((r, k) =>
    expectClose(run.outputs[k]!, r, 1e-4, 1e-5, `${op.name} sample ${i}, output ${k}`),
  );
  if (sample.gradOutputs === null) return;
  sample.grads!.forEach((r, k) => {
    const found = run.grads[k];
    if (found) expectClose(found, r ?? zeros(found), 1e-3, 1e-4, `${op.name} sample ${i}, gradient ${k}`);
    else
      expect(r?.data.every((x) => x === 0) ?? true, `${op.name} sample ${i} has no gradient ${k}`).toBe(true);
  });
}

const zeros = (x: Tensor): Recorded => ({
  dtype: x.dtype,
  shape: [...x.shape],
  data: Array(x.numel()).fill(0) as number[],
});

/** Tensors of samples that are not yet computed. */
const pending = (runs: readonly Run[]): Tensor[] =>
  runs
    .flatMap(({ outputs, grads }) => [...outputs, ...grads])
    .filter((t): t is Tensor => t !== null && t.value.data === undefined && t.value.producer.kind === "node");

/** Everything of all samples in one barrier, so that the graph is large enough to be compiled. */
function compute(runs: readonly Run[]): void {
  barrier(pending(runs).map((t) => t.value));
}

const STEP = 0.01;

/** The gradient along one random direction, from two more evaluations. */
function finiteDifference(op: Op<object>, sample: Sample, i: number): void {
  const seeds = sample.gradOutputs ?? [];
  if (seeds.every((seed) => seed === null) || sample.derivative === false) return;
  const directions = sample.inputs.map((r, k) => {
    const g = sample.grads![k];
    if (r.dtype !== "float32" || !g || g.data.some((x) => typeof x === "string")) return undefined;
    return r.data.map((_, n) => Math.sin(1.7 * n + k + 1));
  });
  const loss = (by: number): number => {
    const inputs = sample.inputs.map((r, k) => {
      const d = directions[k];
      return given(d === undefined ? r : { ...r, data: r.data.map((x, n) => Number(x) + by * d[n]!) });
    });
    const outputs = applyAll(op, inputs, sample.attributes);
    return seeds.reduce((total, seed, at) => {
      if (seed === null) return total;
      const values = valuesOf(outputs[at]!.value);
      return seed.data.reduce<number>((sum, s, n) => sum + Number(s) * values[n]!, total);
    }, 0);
  };
  const slope = directions.reduce(
    (sum, d, k) =>
      d === undefined ? sum : sum + d.reduce((s, x, n) => s + x * Number(sample.grads![k]!.data[n]), 0),
    0,
  );
  if (sample.inputs.some((r) => r.data.length === 0)) return;
  const measured = (loss(STEP) - loss(-STEP)) / (2 * STEP);
  expect(
    close(measured, slope, 0.02, 0.01),
    `${op.name} sample ${i}: the gradient along a direction is ${slope}, finite differences say ${measured}`,
  ).toBe(true);
}

/** Ops of which an output's shape and type were compared with the inferred ones, on the executor of the running suite. */
const verified = new Set<string>();

/** Has every op report outputs whose shape or type differ from the inferred ones. */
function verifyOutputs(
  key: "tensorflow" | "tfjs",
  describeOutput: (output: never) => { shape: readonly number[]; dtype: string } | undefined,
): () => void {
  const originals = ops.map((op) => op[key]);
  for (const op of ops) {
    const run = op[key] as (...args: unknown[]) => unknown;
    const watched = (...args: unknown[]): unknown => {
      const result = run.apply(op, args);
      const { outputs } = args[3] as Signature;
      const produced = (Array.isArray(result) ? result : [result]) as never[];
      expect(produced.length, `${op.name}: outputs`).toBe(outputs.length);
      const images = typeof op.layout === "object" && "images" in op.layout && op.layout.output;
      produced.forEach((output, i) => {
        const found = describeOutput(output);
        if (found === undefined) return;
        verified.add(op.name);
        const [n, ...rest] = outputs[i]!.shape;
        const shape = images && rest.length >= 2 ? [n, ...rest.slice(1), rest[0]] : outputs[i]!.shape;
        const dtype = { float32: "float32", int64: "int32", bool: "bool", complex64: "complex64" }[
          outputs[i]!.dtype
        ];
        expect(`${found.dtype}[${found.shape.join()}]`, `${op.name} output ${i}, produced and inferred`).toBe(
          `${dtype}[${shape.join()}]`,
        );
      });
      return result;
    };
    Object.assign(op, { [key]: watched });
  }
  return () => {
    ops.forEach((op, i) => Object.assign(op, { [key]: originals[i] }));
    verified.clear();
  };
}

test("every op has samples, and every sample an op", () => {
  expect(Object.keys(samples).toSorted()).toEqual([...OPS.keys()].toSorted());
});

test("an op with a gradient has a sample of it, and says why when it has none", () => {
  for (const op of ops) {
    const differentiable = samples[op.name]?.some((s) => s.gradOutputs !== null) ?? false;
    expect(differentiable, op.name).toBe(typeof op.gradient === "function");
    if (typeof op.gradient !== "function") expect(op.gradient.none, op.name).toMatch(/\w/);
  }
});

function suite(): void {
  test.each(ops.map((op) => [op.name, op] as const))("%s", (name, op) => {
    const all = samples[name] ?? [];
    const runs = all.map((sample) => record(op, sample));
    compute(runs);
    expect(verified, "an output was checked").toContain(name);
    all.forEach((sample, i) => check(op, sample, runs[i]!, i));
    all.forEach((sample, i) => finiteDifference(op, sample, i));
  });
}

describe.each(["wasm", "cpu"] as const)("tfjs on %s", (device) => {
  let restore = (): void => {};
  beforeAll(async () => {
    const { info } = await loadExecutor(device);
    expect(info.backend).toBe(device);
    // All samples are so small that loops would compute them.
    setExecutor(new TfjsExecutor(k, false));
    restore = verifyOutputs("tfjs", (t: { shape: number[]; dtype: string }) => t);
  });
  afterAll(() => {
    restore();
    setExecutor(undefined);
  });
  suite();
});

describe.each(["wasm", "cpu"] as const)("loops beside tfjs on %s", (device) => {
  let executor: Awaited<ReturnType<typeof loadExecutor>>;
  beforeAll(async () => {
    executor = await loadExecutor(device);
  });
  afterAll(() => setExecutor(undefined));

  // Remembered at the second sight.
  test.each(ops.filter((op) => op.plain !== undefined).map((op) => [op.name, op] as const))(
    "%s",
    (name, op) => {
      const all = samples[name] ?? [];
      const rule = vi.spyOn(op as { plain: PlainRule<object> }, "plain");
      const before = executor.counters()["repeated"]!;
      for (let round = 0; round < 4; round++) {
        const runs = all.map((sample) => record(op, sample));
        compute(runs);
        all.forEach((sample, i) => check(op, sample, runs[i]!, i));
      }
      expect(executor.counters()["repeated"]! - before, "repeated runs").toBe(2);
      expect(
        rule.mock.results.some(({ value }) => typeof value === "function"),
        "a loop was made",
      ).toBe(true);
      rule.mockRestore();
    },
  );
});

const native = ((): ReturnType<typeof loadNative> | undefined => {
  try {
    return loadNative();
  } catch (error) {
    if (error instanceof NativeError) return undefined;
    throw error;
  }
})();
const TYPES: Record<number, string> = { 1: "float32", 3: "int32", 10: "bool" };

describe.skipIf(native === undefined)("kernels of the binding", () => {
  let executor!: TensorFlowExecutor;
  beforeAll(() => {
    executor = new TensorFlowExecutor(native!);
    setExecutor(executor);
  });
  afterAll(() => setExecutor(undefined));

  const left: string[] = [];
  test.each(ops.map((op) => [op.name, op] as const))("%s", (name, op) => {
    const all = samples[name] ?? [];
    // Each sample is a plan of its own, and then runs once more as it was read.
    all.forEach((sample, i) => {
      for (let round = 0; round < 2; round++) {
        const run = record(op, sample);
        const before = executor.counters.interpreted;
        compute([run]);
        check(op, sample, run, i);
        if (executor.counters.interpreted > before && left.at(-1) !== name) left.push(name);
      }
      finiteDifference(op, sample, i);
    });
  });

  test("take all samples but some of these ops: integer products, reductions of nothing, rare functions", () => {
    const names =
      "matmul mean all prod polygamma besselI0 besselI1 besselI0e besselI1e besselJ0 besselJ1 besselY0 besselY1 besselK0 besselK1 besselK0e besselK1e igamma igammac zeta";
    expect(left.join(" ")).toBe(names);
  });
});

describe.skipIf(native === undefined)("without TensorFlow", () => {
  let executor!: Awaited<ReturnType<typeof loadExecutor>>;
  beforeAll(async () => void (executor = await loadExecutor("kernels")));
  afterAll(() => {
    changePolicy({ smallPlans: true });
    setExecutor(undefined);
  });

  test.each(ops.map((op) => [op.name, op] as const))("%s", (name, op) => {
    const all = samples[name] ?? [];
    // As a plan, then node by node.
    for (const smallPlans of [true, false]) {
      changePolicy({ smallPlans });
      const runs = all.map((sample) => record(op, sample));
      const before = executor.counters()["interpreted"]!;
      for (const run of runs) compute([run]);
      all.forEach((sample, i) => check(op, sample, runs[i]!, i));
      if (!smallPlans) expect(executor.counters()["interpreted"]! - before).toBeGreaterThan(0);
    }
  });
});

describe.skipIf(native === undefined)("TensorFlow", () => {
  const made = new Map<number, { shape: number[]; dtype: number }>();
  let executor!: TensorFlowExecutor;
  let restore = (): void => {};
  beforeAll(() => {
    const executeOp: NativeBinding["executeOp"] = (...args) => {
      const outputs = native!.executeOp(...args);
      for (const { id, shape, dtype } of outputs) made.set(id, { shape: [...shape], dtype });
      return outputs;
    };
    // The binding is an instance of a native class: what isn't replaced is inherited, unbound from the copy.
    const watched = Object.create(native!, { executeOp: { value: executeOp } }) as NativeBinding;
    executor = new TensorFlowExecutor(watched);
    setExecutor(executor);
    changePolicy({ smallPlans: false });
    restore = verifyOutputs("tensorflow", (ref: { id?: number }) => {
      const found = ref.id === undefined ? undefined : made.get(ref.id);
      return found && { shape: found.shape, dtype: TYPES[found.dtype] ?? String(found.dtype) };
    });
  });
  afterAll(() => {
    restore();
    changePolicy({ smallPlans: true });
    setExecutor(undefined);
  });
  suite();

  // Compiled at the second sight: the same samples until a compiled graph has given them.
  test.each(ops.map((op) => [op.name, op] as const))("%s, compiled", (name, op) => {
    const several = (samples[name] ?? []).flatMap((s) => [s, s, s, s]);
    const before = executor.counters.compiledRuns;
    for (let round = 0; round < 3; round++) {
      const runs = several.map((sample) => record(op, sample));
      compute(runs);
      several.forEach((sample, i) => check(op, sample, runs[i]!, i));
    }
    expect(executor.counters.compiledRuns - before, "compiled runs").toBeGreaterThanOrEqual(2);
  });
});
