// Functions on PyTorch's own sample inputs (test/fixtures/opinfo): values, types, shapes, gradients, and what is refused.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { setWarningSink, type WarningSink } from "../../../extension/nn/warnings.ts";
import { torch } from "../../../extension/nn/index.ts";
import { numel, sameShape } from "../../../extension/tensor/core/shape.ts";
import { TensorError } from "../../../extension/tensor/core/errors.ts";
import { fromHost, Tensor } from "../../../extension/tensor/core/tensor.ts";
import { barrier, valuesOf } from "../../../extension/tensor/planning/barrier.ts";
import { changePolicy } from "../../../extension/tensor/recording/runtime.ts";
import { hasNative, onEachEngine, useEngine } from "../../engines.ts";
import { decode, inPairs, isTensor, values, type Json, type JsonTensor } from "../../parity/format.ts";
import { outputsOf } from "../../parity/kinds/grad.ts";
import { callArguments, camelCase, lookUp } from "../../parity/names.ts";
import { KNOWN } from "../opInfoKnown.ts";

interface Sample {
  fn: string;
  args: Json[];
  kwargs: Record<string, Json>;
  outputs?: JsonTensor[];
  grads?: Record<string, JsonTensor | null>;
  raises?: string;
}

const { samples } = JSON.parse(
  readFileSync(new URL("../../fixtures/opinfo/samples.json", import.meta.url), "utf8"),
) as { samples: Sample[] };

/** Arguments with those of a Python tuple of indices one by one. */
const indices = (args: readonly Json[]): Json[] =>
  args.flatMap((x) => (typeof x === "object" && x !== null && "index" in x ? (x["index"] as Json[]) : [x]));

/** What differs: one of a few words, by which differences are known, and the details. */
type Difference = readonly [kind: string, details: string];

/** Methods whose names are not Python's: `x[…]` is `x.index(…)`. */
const ownName = (name: string): string =>
  name === "__getitem__"
    ? "index"
    : name.endsWith("_")
      ? `${camelCase(name.slice(0, -1))}_`
      : camelCase(name);

/** The function of a sample, taking its arguments; undefined if there is none. */
function functionOf(fn: string): ((...args: readonly unknown[]) => unknown) | undefined {
  const at = fn.lastIndexOf(".");
  const [space, name] = [fn.slice(0, at), fn.slice(at + 1)];
  if (space === "Tensor") {
    const method = (Tensor.prototype as unknown as Record<string, unknown>)[ownName(name)];
    if (typeof method !== "function") return undefined;
    return (self, ...rest) => (method as (...args: readonly unknown[]) => unknown).apply(self, rest);
  }
  try {
    return lookUp(space, name);
  } catch {
    return undefined;
  }
}

/** Whether a complex tensor is refused as the documentation says: only some functions take one. */
const isComplexRefusal = (message: string): boolean => /complex/i.test(message);

function difference(sample: Sample, compiled: boolean): Difference | undefined {
  const call = functionOf(sample.fn);
  if (call === undefined) return ["absent", "no such function"];
  const leaves = new Map<string, Tensor>();
  const value = (x: Json, path: string): unknown => {
    if (Array.isArray(x)) return x.map((v, i) => value(v, `${path}.${i}`));
    if (!isTensor(x)) return x;
    const t = decode(x).detach();
    if (x.grad === true) leaves.set(path, t.requiresGrad_());
    return t;
  };
  const args = indices(sample.args).map((x, i) => value(x, `args.${i}`));
  const kwargs = Object.fromEntries(
    Object.entries(sample.kwargs).map(([name, x]) => [name, value(x, `kwargs.${name}`)]),
  );
  // A leaf that requires gradients can't be written to.
  if (sample.fn.endsWith("_") && leaves.has("args.0")) args[0] = (args[0] as Tensor).clone();
  torch.manualSeed(0);
  try {
    const outputs = outputsOf(call(...callArguments(args, kwargs)));
    if (Object.values(sample.grads ?? {}).some((g) => g !== null) && !outputs.some((y) => y.requiresGrad))
      return ["constant", "no output requires gradients"];
    const gradients = sample.raises === undefined ? gradientsOf(outputs, leaves, sample) : [];
    const computed = [...outputs, ...gradients.flatMap((g) => (g === null ? [] : [g]))];
    if (compiled) barrier(computed.map((x) => x.value));
    for (const x of computed) valuesOf(x.value);
    if (sample.raises !== undefined) return ["accepted", sample.raises];
    return compared(outputs, gradients, sample);
  } catch (error) {
    if (!(error instanceof TensorError)) return ["crash", String((error as Error).stack)];
    if (sample.raises !== undefined) return undefined;
    if (isComplexRefusal(error.message)) return undefined;
    return ["refused", error.message];
  }
}

/** The gradients of Σ output · weight; null for a leaf that has none. */
function gradientsOf(
  outputs: readonly Tensor[],
  leaves: ReadonlyMap<string, Tensor>,
  { grads = {} }: Sample,
): (Tensor | null)[] {
  const parts = outputs.filter((y) => y.requiresGrad).map((y) => y.mul(weights(y)).sum());
  const wanted = Object.keys(grads).map((path) => leaves.get(path)!);
  if (wanted.length === 0 || parts.length === 0) return wanted.map(() => null);
  const total = parts.reduce((a, b) => a.add(b));
  return torch.autograd
    .grad(total, wanted, { allowUnused: true })
    .map((g) => (g === null ? null : inPairs(g)));
}

const weights = ({ shape }: Tensor): Tensor =>
  fromHost(
    Float32Array.from({ length: numel(shape) }, (_, i) => (((7 * i) % 11) - 5) / 4 + 0.125),
    shape,
    "float32",
  );

function compared(
  outputs: readonly Tensor[],
  gradients: readonly (Tensor | null)[],
  { outputs: expected = [], grads = {} }: Sample,
): Difference | undefined {
  if (outputs.length !== expected.length) return ["values", `${outputs.length} outputs`];
  for (const [i, e] of expected.entries()) {
    const found = unlike(outputs[i]!, e, 1);
    if (found !== undefined) return [found[0], `output ${i}: ${found[1]}`];
  }
  for (const [i, [path, e]] of Object.entries(grads).entries()) {
    const g = gradients[i]!;
    // No gradient and zeros mean the same.
    const zeros = e === null || values(e).every((v) => v === 0);
    if (g === null ? zeros : e === null && valuesOf(g.value).every((v) => v === 0)) continue;
    if (g === null || e === null) return ["gradient", `${path}: only on one side`];
    const found = unlike(g, e, 10);
    if (found !== undefined) return ["gradient", `${path}: ${found[1]}`];
  }
  return undefined;
}

/** Rounding adds up in proportion to the largest numbers that cancel. */
function unlike(got: Tensor, expected: JsonTensor, factor: number): Difference | undefined {
  const shape = expected.dtype === "complex64" ? [...expected.shape, 2] : expected.shape;
  const dtype = expected.dtype === "complex64" ? "float32" : expected.dtype;
  if (!sameShape(got.shape, shape)) return ["shape", `[${got.shape.join()}] instead of [${shape.join()}]`];
  if (got.dtype !== dtype) return ["type", `${got.dtype} instead of ${dtype}`];
  const [a, b] = [valuesOf(got.value), values(expected)];
  let largest = 1;
  for (const x of b) if (Number.isFinite(x)) largest = Math.max(largest, Math.abs(x));
  const slack = dtype === "float32" ? factor * 2e-5 : 0;
  const at = a.findIndex((x, i) => {
    const y = b[i]!;
    if (x === y || (Number.isNaN(x) && Number.isNaN(y))) return false;
    return !(Math.abs(x - y) <= slack * (1 + 0.02 * largest + Math.abs(y)));
  });
  return at < 0 ? undefined : ["values", `value ${at} is ${a[at]} instead of ${b[at]}`];
}

const typesOf = (x: Json): string[] => (isTensor(x) ? [x.dtype] : Array.isArray(x) ? x.flatMap(typesOf) : []);

/** A function, the type of its sample's first tensor, and the kind of difference: a key of the known ones. */
function keyOf({ fn, args, raises }: Sample, kind: string): string {
  if (kind === "absent") return `${fn}: absent`;
  if (raises !== undefined) return `${fn}: ${kind}`;
  return `${fn} ${args.flatMap(typesOf)[0] ?? "numbers"}: ${kind}`;
}

function suite(compiled: boolean, some: readonly Sample[]): void {
  let before: WarningSink;
  beforeAll(() => void (before = setWarningSink(() => {})));
  afterAll(() => void setWarningSink(before));

  test("samples have PyTorch's results, but for the known differences", () => {
    const found = new Map<string, string>();
    for (const sample of some) {
      const unequal = difference(sample, compiled);
      if (unequal === undefined) continue;
      const key = keyOf(sample, unequal[0]);
      const call = JSON.stringify([sample.args, sample.kwargs]).slice(0, 300);
      if (!found.has(key)) found.set(key, `${unequal[1]}\n  ${call}`);
    }
    const unknown = [...found].filter(([key]) => !(key in KNOWN)).map(([key, text]) => `${key}: ${text}`);
    expect(unknown, "mend them, or add them to test/engine/opInfoKnown.ts with the reason").toEqual([]);
    if (some.length < samples.length) return;
    expect(
      Object.keys(KNOWN).filter((key) => !found.has(key)),
      "known differences that are no more",
    ).toEqual([]);
  });
}

onEachEngine(() => suite(false, samples));

describe.skipIf(!hasNative)("compiled", () => {
  useEngine("native");
  beforeAll(() => changePolicy({ smallPlans: false, compileAtOnce: true }));
  afterAll(() => changePolicy({ smallPlans: true, compileAtOnce: false }));
  // The first sample of each function and type: the others differ in arguments, which have been compared above.
  const seen = new Set<string>();
  suite(
    true,
    samples.filter((sample) => {
      const key = keyOf(sample, "");
      return sample.raises === undefined && !seen.has(key) && seen.add(key);
    }),
  );
});
