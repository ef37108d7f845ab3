// Values and gradients against double precision: on no engine much less exact than PyTorch's own in float32.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadExecutor } from "../../../extension/executors/index.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { grad } from "../../../extension/tensor/recording/autograd.ts";
import { barrier, setExecutor, valuesOf } from "../../../extension/tensor/planning/barrier.ts";
import { erfc } from "../../../extension/tensor/ops/elementwise/specialValues.ts";
import { numel } from "../../../extension/tensor/core/shape.ts";
import { fromHost, type Tensor } from "../../../extension/tensor/core/tensor.ts";
import { callArguments, lookUp } from "../../parity/names.ts";

/** A tensor of test/fixtures/accuracy/cases.py. */
interface Spec {
  shape: number[];
  mean?: number;
  dev?: number;
  kind?: "normal" | "positive" | "unit" | "int" | "sign";
  high?: number;
  seed?: number;
}

/** An output, or a gradient, in double precision; see make.py beside the cases. */
interface Expected {
  shape: number[];
  places: number | "all";
  values: number[];
  scale: number;
  error: number;
}

interface Case {
  namespace: string;
  name: string;
  args: unknown[];
  kwargs: Record<string, unknown>;
  grad: boolean;
  expect: Expected[];
}

const file = new URL("../../fixtures/accuracy/accuracy.json", import.meta.url);
const cases = JSON.parse(readFileSync(file, "utf8")) as Case[];

/** Allowed multiple of PyTorch's error, and error that is always allowed: about one unit in the last place. */
const [MOST, ULP] = [4, 1.25 * 2 ** -23];
/** Elements from which on a case runs once, and isn't compiled. */
const LARGE = 1e6;

const kept = new Map<string, Uint32Array>();

/** The script's hashes of 0, 1, 2, …. */
function bits(n: number, seed: number): Uint32Array {
  const key = `${n} ${seed}`;
  const known = kept.get(key);
  if (known !== undefined) return known;
  const all = new Uint32Array(n);
  const start = Math.imul(seed, 0x9e3779b9);
  for (let i = 0; i < n; i++) {
    let h = (i + start) | 0;
    h ^= h >>> 16;
    h = Math.imul(h, 0x85ebca6b);
    h ^= h >>> 13;
    h = Math.imul(h, 0xc2b2ae35);
    all[i] = h ^ (h >>> 16);
  }
  // Many cases have inputs of one size.
  if (n < LARGE) kept.set(key, all);
  return all;
}

/** Floats of hashes; `Float32Array.from` takes ten times as long. */
function floats(hashes: Uint32Array, of: (hash: number) => number): Float32Array {
  const values = new Float32Array(hashes.length);
  for (let i = 0; i < hashes.length; i++) values[i] = of(hashes[i]!);
  return values;
}

function given({ shape, mean = 0, dev = 1, kind = "normal", high = 0, seed = 0 }: Spec): Tensor {
  const hashes = bits(numel(shape), seed);
  if (kind === "int") {
    return fromHost(
      Int32Array.from(hashes, (h) => h % high),
      shape,
      "int64",
    );
  }
  const values = floats(hashes, (h) => {
    if (kind === "sign") return (h % 2) * 2 - 1;
    if (kind === "unit") return (h + 0.5) / 2 ** 32;
    const total = (h & 255) + ((h >>> 8) & 255) + ((h >>> 16) & 255) + (h >>> 24);
    const n = (total - 510 + (h & 1023) / 1024) / 148;
    return mean + dev * (kind === "positive" ? Math.abs(n) : n);
  });
  return fromHost(values, shape, "float32");
}

/** The gradients of an output. */
const seeds = ({ shape }: Tensor): Tensor =>
  fromHost(
    floats(bits(numel(shape), 99), (h) => (h % 2001) / 1000 - 0.5),
    shape,
    "float32",
  );

const isSpec = (a: unknown): a is Spec => typeof a === "object" && a !== null && "shape" in a;

/** The output of a case, and the gradients of its inputs. */
function record({ namespace, name, args, kwargs, grad: differentiated }: Case): Tensor[] {
  const inputs: Tensor[] = [];
  const value = (a: unknown): unknown => {
    if (a === "inf") return Infinity;
    if (!isSpec(a)) return a;
    const x = given(a);
    const { kind = "normal" } = a;
    // Targets and weights of classes have no gradient.
    const learned = inputs.length === 0 || kind === "normal" || kind === "positive";
    if (differentiated && learned && x.dtype === "float32") x.requiresGrad_();
    inputs.push(x);
    return x;
  };
  const positional = args.map(value);
  const named = Object.fromEntries(Object.entries(kwargs).map(([key, a]) => [key, value(a)]));
  // Running statistics are given, not learned.
  if (name === "batch_norm" && named["training"] !== true)
    for (const x of positional.slice(1, 3)) (x as Tensor).requiresGrad_(false);
  const y = lookUp(namespace, name)(...callArguments(positional, named)) as Tensor;
  const wanted = inputs.filter((x) => x.requiresGrad);
  if (wanted.length === 0) return [y];
  const found = grad([y], wanted, { gradOutputs: [seeds(y)], allowUnused: true });
  return [y, ...wanted.map((x, i) => found[i] ?? fromHost(new Float32Array(x.numel()), x.shape, "float32"))];
}

/** The largest error at the places that were recorded, as a share of the largest value. */
function errorOf(t: Tensor, { places, values, scale, shape }: Expected): number {
  expect([...t.shape]).toEqual(shape);
  const found = valuesOf(t.value);
  const place = (i: number): number =>
    places === "all" ? i : Math.floor((i * (found.length - 1)) / (places - 1));
  let worst = 0;
  values.forEach((v, i) => {
    const error = Math.abs(found[place(i)]! - v);
    if (!(error <= worst)) worst = error;
  });
  return scale > 0 ? worst / scale : worst;
}

function call({ name, args, kwargs }: Case): string {
  const text = (a: unknown): string =>
    isSpec(a)
      ? `${a.kind ?? ""}[${a.shape.join()}]${a.mean === undefined ? "" : `+${a.mean}`}${a.dev === undefined ? "" : `*${a.dev}`}`
      : JSON.stringify(a);
  const named = Object.entries(kwargs).map(([key, a]) => `${key}=${text(a)}`);
  return `${name}(${[...args.map(text), ...named].join(", ")})`;
}

/** Results of a case whose errors are too large; usually none. */
function tooFar(c: Case): string[] {
  const largest = Math.max(...c.args.filter(isSpec).map(({ shape }) => numel(shape)));
  const far: string[] = [];
  // Op by op, and compiled.
  for (const how of largest >= LARGE ? ["at first"] : ["at first", "compiled"]) {
    const found = record(c);
    barrier(found.map(({ value }) => value).filter(({ data }) => data === undefined));
    found.forEach((t, i) => {
      const [error, theirs] = [errorOf(t, c.expect[i]!), c.expect[i]!.error];
      if (error <= Math.max(ULP, MOST * theirs)) return;
      const what = i === 0 ? "value" : `gradient ${i - 1}`;
      far.push(`${call(c)}, ${what} ${how}: ${error.toExponential(1)}, PyTorch's ${theirs.toExponential(1)}`);
    });
  }
  return far;
}

/** Functions as doubles; how many units in the last place each engine's floats may be off: PyTorch's are off by 1 to 3. */
const FUNCTIONS: Record<string, [value: (x: number) => number, units: number]> = {
  sigmoid: [(x) => 1 / (1 + Math.exp(-x)), 4],
  tanh: [Math.tanh, 3],
  softplus: [(x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), 3],
  logsigmoid: [(x) => Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x))), 3],
  log1p: [Math.log1p, 2],
  erf: [erf, 2],
  erfc: [erfc, 2],
};
/** A double: its series near 0, where 1 − erfc(x) is rounded to nothing. */
function erf(x: number): number {
  if (Math.abs(x) > 0.5) return Math.sign(x) * (1 - erfc(Math.abs(x)));
  let [sum, power] = [x, x];
  for (let n = 1; n < 20; n++) {
    power *= -(x * x) / n;
    sum += power / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

/** Smallest float that isn't denormal: TensorFlow's kernels take what is smaller for 0. */
const TINY = 2 ** -126;

/** Numbers from -20 to 20, some of any size, and non-finite ones. */
function anywhere(): Float32Array {
  const near = Array.from(bits(20_000, 1), (h) => (h / 2 ** 32) * 40 - 20);
  const between = Array.from(bits(5000, 2), (h) => (h / 2 ** 32) * 2 - 1);
  const wide = Array.from(bits(2000, 3), (h) => (h % 2 === 0 ? 1 : -1) * 2 ** ((h / 2 ** 32) * 250 - 125));
  return Float32Array.from([...near, ...between, ...wide, 0, -0, Infinity, -Infinity, NaN]);
}

const names = [...new Set(cases.map(({ name }) => name))];

describe.each(["native", "wasm"] as const)("errors on %s are at most four times PyTorch's:", (device) => {
  const missing = device === "native" && nativeStatus().state !== "installed";
  beforeAll(async () => {
    if (!missing) await loadExecutor(device);
  });
  afterAll(() => setExecutor(undefined));

  test.skipIf(missing).each(names)("%s", (name) => {
    expect(cases.filter((c) => c.name === name).flatMap(tooFar)).toEqual([]);
  });

  test.skipIf(missing).each(Object.keys(FUNCTIONS))("%s anywhere, in units in the last place", (name) => {
    const [value, units] = FUNCTIONS[name]!;
    const x = anywhere();
    const namespace = ["softplus", "logsigmoid"].includes(name) ? "F" : "torch";
    const y = lookUp(namespace, name)(fromHost(x, [x.length], "float32")) as Tensor;
    barrier([y.value]);
    const found = valuesOf(y.value);
    const far = Array.from(x).flatMap((at, i) => {
      const [exact, got] = [value(at), found[i]!];
      if (Math.abs(exact) < TINY || !Number.isFinite(exact)) {
        // Functions that end at 0 may reach it earlier: exp overflows at 89.
        const same = Object.is(got + 0, Math.fround(exact) + 0) || Math.abs(got - exact) < TINY;
        return same ? [] : [`${name}(${at}) = ${got}, not ${exact}`];
      }
      const unit = 2 ** (Math.floor(Math.log2(Math.abs(exact))) - 23);
      const off = Math.abs(got - exact) / unit;
      return off <= units ? [] : [`${name}(${at}) = ${got}, not ${exact}: ${off.toFixed(1)} units`];
    });
    expect(far.slice(0, 5)).toEqual([]);
  });
});
