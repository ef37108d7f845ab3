// Walks the op table: every op mapped by vmap, against the op applied to each sample.
import { describe, expect, it } from "vitest";
import { torch } from "../../../extension/nn/index.ts";
import type { DType, HostArray } from "../../../extension/tensor/core/dtype.ts";
import { numel } from "../../../extension/tensor/core/shape.ts";
import { fromHost, type Tensor } from "../../../extension/tensor/core/tensor.ts";
import { OPS } from "../../../extension/tensor/ops/table.ts";
import { barrier, valuesOf } from "../../../extension/tensor/planning/barrier.ts";
import { applyAll } from "../../../extension/tensor/recording/apply.ts";
import type { Op, OpRecord } from "../../../extension/tensor/recording/op.ts";
import { scope } from "../../../extension/tensor/recording/scope.ts";
import { onEachEngine } from "../../engines.ts";
import { given, hasGradient, hostOf, samples, type Recorded, type Sample } from "../opSamples.ts";

const ops = [...OPS.values()] as unknown as OpRecord<object>[];

/** Samples of an op at most; of more, as many from the first to the last, and one without elements. */
const MOST = 4;
const SIZE = 3;

const chosen = (name: string): readonly Sample[] => {
  const all = samples[name]!;
  // Their rules depend on stride, padding, groups and dilation.
  if (all.length <= MOST || name.startsWith("conv")) return all;
  const spread = Array.from({ length: MOST }, (_, i) => Math.round((i * (all.length - 1)) / (MOST - 1)));
  const empty = all.findIndex(({ inputs }) => inputs.some(({ data }) => data.length === 0));
  return [...new Set(empty < 0 ? spread : [...spread, empty])].map((i) => all[i]!);
};

/** The values of one sample of a batch: floats are scaled, which keeps signs and symmetry; the others change places. */
function varied(r: Recorded, b: number): HostArray {
  const data = hostOf(r);
  return data.map((x, i) => (r.dtype === "float32" ? x * (1 - 0.05 * b) : data[(i + b) % data.length]!));
}

const joined = (parts: readonly HostArray[], shape: readonly number[], dtype: DType): Tensor => {
  const all = new (parts[0]!.constructor as Float32ArrayConstructor)(parts.length * numel(shape));
  parts.forEach((part, b) => all.set(part, b * part.length));
  return fromHost(all, [parts.length, ...shape], dtype);
};

/** Inputs of which some differ from sample to sample. */
function inputsOf(sample: Sample, batched: readonly boolean[], size: number): Tensor[] {
  return sample.inputs.map((r, i) => {
    if (!batched[i]) return given(r);
    return joined(
      Array.from({ length: size }, (_, b) => varied(r, b)),
      r.shape,
      r.dtype,
    );
  });
}

/** Each input alone, and all. */
function combinations(count: number): boolean[][] {
  const alone = Array.from({ length: count }, (_, i) => Array.from({ length: count }, (_x, k) => k === i));
  return count === 1 ? alone : [...alone, alone.map(() => true)];
}

const differentiable = (op: OpRecord<object>, sample: Sample): boolean =>
  typeof op.gradient === "function" && sample.gradOutputs !== null;

/** The outputs of an op, and the gradients of its inputs where it has any: all tensors of one sample. */
function sampleFunction(op: OpRecord<object>, sample: Sample): (...inputs: Tensor[]) => Tensor[] {
  return (...inputs) => {
    if (!differentiable(op, sample)) return applyAll(op as Op<object>, inputs, sample.attributes);
    const leaves = inputs.map((x, i) => (hasGradient(sample, i) ? x.detach().requiresGrad_() : x));
    const outputs = applyAll(op as Op<object>, leaves, sample.attributes);
    const seeded = outputs.filter((_, i) => sample.gradOutputs![i]);
    const gradOutputs = sample.gradOutputs!.filter((seed) => seed !== null).map(given);
    const wanted = leaves.filter((x) => x.requiresGrad);
    const found = torch.autograd.grad(seeded, wanted, { gradOutputs, allowUnused: true });
    return [...outputs.map((y) => y.detach()), ...found.map((g, i) => g ?? torch.zerosLike(wanted[i]!))];
  };
}

/** Gradients of the inputs of a mapped op, through its result. */
function outerGradients(
  outputs: readonly Tensor[],
  sample: Sample,
  inputs: readonly Tensor[],
  size: number,
): Tensor[] {
  const seeded = outputs.filter((_, i) => sample.gradOutputs![i]);
  const gradOutputs = sample.gradOutputs!.flatMap((seed) => {
    if (seed === null) return [];
    return [size === 0 ? given(seed) : given(seed).expand([size, ...seed.shape])];
  });
  const wanted = inputs.filter((x) => x.requiresGrad);
  const found = torch.autograd.grad(seeded, wanted, { gradOutputs, allowUnused: true });
  return found.map((g, i) => g ?? torch.zerosLike(wanted[i]!));
}

const close = (a: number, b: number): boolean =>
  Object.is(a, b) || a === b || Math.abs(a - b) <= 1e-5 + 2e-4 * Math.max(Math.abs(a), Math.abs(b));

interface Pair {
  readonly what: string;
  readonly found: Tensor;
  readonly expected: Tensor;
}

function compare(pairs: readonly Pair[]): void {
  const pending = pairs.flatMap(({ found, expected }) => [found.value, expected.value]);
  barrier(pending.filter((value) => !value.ready && value.producer.kind === "node"));
  for (const { what, found, expected } of pairs) {
    expect([found.dtype, ...found.shape], what).toEqual([expected.dtype, ...expected.shape]);
    const [a, b] = [valuesOf(found.value), valuesOf(expected.value)];
    const wrong = a.findIndex((x, i) => !close(x, b[i]!));
    expect(wrong, `${what}: ${a[wrong]} is not ${b[wrong]}`).toBe(-1);
  }
}

/** One op with some of its inputs mapped: values, gradients inside, and gradients through the result. */
function pairsOf(op: OpRecord<object>, sample: Sample, batched: readonly boolean[], what: string): Pair[] {
  const inputs = inputsOf(sample, batched, SIZE);
  const inDims = batched.map((yes) => (yes ? 0 : null));
  const f = sampleFunction(op, sample);
  const mapped = torch.func.vmap(f, { inDims })(...inputs);
  const single = Array.from({ length: SIZE }, (_, b) =>
    f(...inputs.map((x, i) => (batched[i] ? x.select(0, b) : x))),
  );
  const pairs = mapped.map((y, k) => ({
    what: `${what}, result ${k}`,
    found: y,
    expected: torch.stack(single.map((row) => row[k]!)),
  }));
  if (!differentiable(op, sample)) return pairs;
  const leaves = (): Tensor[] =>
    inputs.map((x, i) => (hasGradient(sample, i) ? x.detach().requiresGrad_() : x));
  const [ours, theirs] = [leaves(), leaves()];
  const plain = (...xs: Tensor[]): Tensor[] => applyAll(op as Op<object>, xs, sample.attributes);
  const found = outerGradients(torch.func.vmap(plain, { inDims })(...ours), sample, ours, SIZE);
  const rows = Array.from({ length: SIZE }, (_, b) =>
    plain(...theirs.map((x, i) => (batched[i] ? x.select(0, b) : x))),
  );
  const all = rows[0]!.map((_, k) => torch.stack(rows.map((row) => row[k]!)));
  const expected = outerGradients(all, sample, theirs, SIZE);
  return [
    ...pairs,
    ...found.map((g, k) => ({ what: `${what}, outer gradient ${k}`, found: g, expected: expected[k]! })),
  ];
}

/** How many nodes mapping an op records. */
function nodesOf(op: OpRecord<object>, sample: Sample, batched: readonly boolean[], size: number): number {
  const inputs = inputsOf(sample, batched, size);
  let count = 0;
  scope.onNode = () => void count++;
  try {
    torch.func.vmap(sampleFunction(op, sample), { inDims: batched.map((yes) => (yes ? 0 : null)) })(
      ...inputs,
    );
  } finally {
    scope.onNode = undefined;
  }
  return count;
}

onEachEngine((engine) => {
  describe("vmap of each op", () => {
    it.each(ops.map((op) => [op.name, op] as const))("%s", (name, op) => {
      const pairs = chosen(name).flatMap((sample, i) =>
        combinations(sample.inputs.length).flatMap((batched) =>
          pairsOf(op, sample, batched, `${name} sample ${i}, ${batched.join()}`),
        ),
      );
      compare(pairs);
    });

    it.runIf(engine === "wasm")("records as many nodes for 3 samples as for 6", () => {
      for (const op of ops) {
        if (typeof op.batch !== "function") continue;
        for (const sample of chosen(op.name))
          for (const batched of combinations(sample.inputs.length)) {
            const [few, many] = [3, 6].map((size) => nodesOf(op, sample, batched, size));
            expect(many, `${op.name}, ${batched.join()}`).toBe(few);
          }
      }
    });
  });
});
