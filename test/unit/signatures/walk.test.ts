// Every function, method and constructor is called in all the ways in which PyTorch's may be.
import { describe, expect, test, vi } from "vitest";
import { F, nn, torch } from "layerwise";
import { BINDING, WITH_OPTIONS } from "../../../extension/nn/functional/signatures.ts";
import { FFT, LINALG } from "../../../extension/tensor/signatures/namespaces.ts";
import { SIGNATURES } from "../../../extension/tensor/signatures/table.ts";
import { Tensor } from "../../../extension/tensor/core/tensor.ts";
import { forms, limited, overloads, type Parameter } from "./forms.ts";
import { samples, type Sample } from "./samples.ts";
import { useEngine } from "../../engines.ts";
import { inPairs } from "../../parity/format.ts";

type Callee = (...args: readonly unknown[]) => unknown;

/** A result as plain data; two calls do the same if theirs are equal. */
function plain(x: unknown): unknown {
  if (x instanceof Tensor)
    return [
      x.dtype,
      x.shape,
      Array.from(inPairs(x).toTypedArray(), (v) => (Number.isNaN(v) ? "NaN" : v + 0)),
    ];
  if (x instanceof nn.Module)
    return [x.toString(), Object.entries(x).map(([name, value]) => [name, plain(value)])];
  if (Array.isArray(x)) return x.map(plain);
  if (typeof x === "object" && x !== null) return Object.entries(x).map(([k, v]) => [k, plain(v)]);
  return x;
}

const shown = (args: readonly unknown[]): string =>
  JSON.stringify(args, (_, x: unknown) => (x instanceof Tensor ? `tensor${JSON.stringify(x.shape)}` : x));

/** Differences between a call as the fixtures write it and the other forms that PyTorch's signatures allow. */
function differences(
  call: (args: readonly unknown[]) => unknown,
  given: readonly (readonly Parameter[])[],
  sample: Sample,
): string[] {
  const run = (args: readonly unknown[]): string => {
    torch.manualSeed(7);
    return JSON.stringify(plain(call(args)));
  };
  const { args, kwargs } = sample;
  let expected: string;
  try {
    expected = run(Object.keys(kwargs).length === 0 ? args : [...args, kwargs]);
  } catch {
    // A case of a mistake: its text has a test of its own.
    return [];
  }
  return given.flatMap((overload) =>
    forms(overload, sample).flatMap((form) => {
      try {
        const result = run(form);
        return result === expected
          ? []
          : [`${shown(form)} gives ${result.slice(0, 60)} and not ${expected.slice(0, 60)}`];
      } catch (error) {
        return [`${shown(form)}: ${(error as Error).message.split("\n")[0]}`];
      }
    }),
  );
}

/** A tensor of the same values that a call may write to. */
const fresh = (x: unknown): unknown =>
  x instanceof Tensor ? x.detach().clone() : Array.isArray(x) ? x.map(fresh) : x;
const freshAll = (args: readonly unknown[]): unknown[] =>
  args.map((x) =>
    typeof x === "object" && x !== null && Object.getPrototypeOf(x) === Object.prototype
      ? Object.fromEntries(Object.entries(x).map(([k, v]) => [k, fresh(v)]))
      : fresh(x),
  );

useEngine("cpu");

/** Indexing isn't a function of PyTorch's; `to` has tests of its own; PyTorch's `elu_` takes its kernel's scales, too. */
const APART: ReadonlySet<string> = new Set(["index", "to", "elu_"]);

const NAMESPACES: readonly (readonly [key: string, ours: object, pytorch: string])[] = [
  ["torch", torch, "torch"],
  ["F", F, "torch.nn.functional"],
  ["torch.linalg", torch.linalg, "torch.linalg"],
  ["torch.fft", torch.fft, "torch.fft"],
];

function walk(
  key: string,
  name: string,
  given: readonly (readonly Parameter[])[],
  call: (s: Sample) => (args: readonly unknown[]) => unknown,
): void {
  const found = samples().get(`${key}.${name}`) ?? [];
  const wrong = [...new Set(found.flatMap((sample) => differences(call(sample), given, sample)))];
  expect(wrong).toEqual([]);
}

describe.each(NAMESPACES)("%s", (key, ours, pytorch) => {
  const known = overloads(pytorch);
  const names = Object.keys(ours).filter((name) => known.has(name) && !APART.has(name));
  test.each(names)("%s", (name) => {
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    const f = (ours as Record<string, unknown>)[name] as Callee;
    walk(key, name, known.get(name)!, () => (args) => f(...freshAll(args)));
  });
});

describe("Tensor", () => {
  const known = overloads("torch.Tensor");
  const prototype = Tensor.prototype as unknown as Record<string, unknown>;
  const names = Object.getOwnPropertyNames(prototype).filter((name) => {
    const { value } = Object.getOwnPropertyDescriptor(prototype, name)!;
    return typeof value === "function" && known.has(name) && !APART.has(name);
  });
  test.each(names)("%s", (name) => {
    walk("Tensor", name, known.get(name)!, ({ self }) => (args) => {
      const x = self!.detach().clone() as unknown as Record<string, Callee>;
      const result = x[name]!(...freshAll(args));
      return name.endsWith("_") ? [result, x] : result;
    });
  });
});

/** A call whose `dim` and `keepdim` have NumPy's names, or undefined. */
function numpy(form: readonly unknown[]): unknown[] | undefined {
  const last = form.at(-1);
  if (typeof last !== "object" || last === null || Object.getPrototypeOf(last) !== Object.prototype)
    return undefined;
  if (!("dim" in last || "keepdim" in last)) return undefined;
  const names: Readonly<Record<string, string>> = { dim: "axis", keepdim: "keepdims" };
  return [
    ...form.slice(0, -1),
    Object.fromEntries(Object.entries(last).map(([name, value]) => [names[name] ?? name, value])),
  ];
}

test.each([
  ["torch", torch, "torch"],
  ["Tensor", Tensor.prototype, "torch.Tensor"],
] as const)("%s: dim and keepdim are axis and keepdims, too", (key, ours, pytorch) => {
  let count = 0;
  const wrong: string[] = [];
  for (const [name, given] of overloads(pytorch)) {
    if (!(name in SIGNATURES) || name.endsWith("_")) continue;
    for (const sample of samples().get(`${key}.${name}`) ?? []) {
      const f = (key === "torch" ? ours : sample.self) as unknown as Record<string, Callee>;
      const run = (args: readonly unknown[]): string => {
        torch.manualSeed(7);
        return JSON.stringify(plain(f[name]!(...freshAll(args))));
      };
      const whole = Object.keys(sample.kwargs).length === 0 ? sample.args : [...sample.args, sample.kwargs];
      if (mistake(() => run(whole)) !== undefined) continue;
      const expected = run(whole);
      for (const form of given.flatMap((overload) => forms(overload, sample))) {
        const renamed = numpy(form);
        if (renamed === undefined) continue;
        count++;
        const problem = mistake(() => expect(run(renamed)).toBe(expected));
        if (problem !== undefined) wrong.push(`${name} ${shown(renamed)}: ${problem}`);
      }
    }
  }
  expect(wrong).toEqual([]);
  expect(count).toBeGreaterThan(100);
});

/** The error of a call, or undefined. */
function mistake(call: () => unknown): string | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Calls of a function with a name that it doesn't have, and with an argument too many. */
function mistakes(f: Callee, sample: Sample, given: readonly (readonly Parameter[])[]): string[] {
  const { args, kwargs } = sample;
  const out: string[] = [];
  const unknown = mistake(() => f(...freshAll([...args, { ...kwargs, nonsense: 1 }])));
  if (unknown === undefined || !unknown.includes("got an unexpected keyword argument 'nonsense'")) {
    out.push(`${shown([...args, { nonsense: 1 }])}: ${unknown}`);
  }
  if (!given.every(limited)) return out;
  const most = Math.max(...given.map((overload) => overload.filter((p) => !p.byNameOnly).length));
  const filled = [...args, ...Array.from({ length: most + 1 - args.length }, () => 1)];
  const many = mistake(() => f(...freshAll(filled)));
  if (many === undefined || !/takes .*positional arguments? but \d+ w(as|ere) given/.test(many)) {
    out.push(`${shown(filled)}: ${many}`);
  }
  return out;
}

test.each([...NAMESPACES, ["Tensor", Tensor.prototype, "torch.Tensor"] as const])(
  "%s: unknown names and arguments too many are refused",
  (key, ours, pytorch) => {
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    const known = overloads(pytorch);
    const wrong = [...samples()].flatMap(([path, [sample]]) => {
      const name = path.slice(key.length + 1);
      if (!path.startsWith(`${key}.`) || APART.has(name) || !known.has(name) || sample === undefined)
        return [];
      if (typeof (ours as Record<string, unknown>)[name] !== "function") return [];
      const f = (...args: readonly unknown[]): unknown => {
        const owner = (key === "Tensor" ? sample.self!.detach().clone() : ours) as Record<string, Callee>;
        return owner[name]!(...args);
      };
      return mistakes(f, sample, known.get(name)!).map((text) => `${name}${text}`);
    });
    expect(wrong).toEqual([]);
  },
);

/** Functions that take lists of numbers, or None, for what may be a tensor. */
const LISTS: ReadonlySet<string> = new Set(["ctcLoss", "repeatInterleave", "takeAlongDim", "unravelIndex"]);

/** Values that a program may pass by mistake in place of a tensor: JavaScript would turn each into NaN. */
const NO_TENSORS: readonly unknown[] = [undefined, null, "text", [1, 2]];

test.each([...NAMESPACES, ["Tensor", Tensor.prototype, "torch.Tensor"] as const])(
  "%s: what can't stand for a tensor is refused by name",
  (key, ours, pytorch) => {
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    const known = overloads(pytorch);
    let count = 0;
    const wrong: string[] = [];
    for (const [path, [sample]] of samples()) {
      const name = path.slice(key.length + 1);
      const given = known.get(name);
      if (!path.startsWith(`${key}.`) || APART.has(name) || given === undefined || sample === undefined)
        continue;
      if (typeof (ours as Record<string, unknown>)[name] !== "function") continue;
      for (const [at, arg] of sample.args.entries()) {
        if (!(arg instanceof Tensor)) continue;
        for (const no of NO_TENSORS) {
          if (LISTS.has(name)) continue;
          const owner = (key === "Tensor" ? sample.self!.detach().clone() : ours) as Record<string, Callee>;
          const args = freshAll(sample.args.with(at, no));
          const text = mistake(() => owner[name]!(...args));
          count++;
          // None is an argument of its own where PyTorch takes it.
          const accepted = text === undefined && (no ?? null) !== null;
          if (accepted || /Cannot (read|destructure|convert)|is not a/.test(text ?? ""))
            wrong.push(`${name}${shown(args)}: ${text}`);
        }
      }
    }
    expect(wrong).toEqual([]);
    expect(count).toBeGreaterThan(20);
  },
);

describe("nn", () => {
  const known = overloads("torch.nn");
  const names = Object.keys(nn).filter((name) => known.has(name));
  test.each(names)("%s", (name) => {
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    const type = (nn as unknown as Record<string, new (...args: readonly unknown[]) => unknown>)[name]!;
    walk("nn", name, known.get(name)!, () => (args) => new type(...args));
  });
});

/** Functions that take no argument with a name, or take a function. */
const UNLISTED =
  "new manualSeed seed initialSeed getRngState setRngState isTensor isGradEnabled resultType save load index to setRequiresGrad size numel dim ndim stride nelement elementSize isFloatingPoint cpu requiresGrad_ cuda pinMemory numpy toDense toSparse multiHeadAttentionForward vmap getDefaultDtype setDefaultDtype getDefaultDevice setDefaultDevice sparseCooTensor spmm useDeterministicAlgorithms areDeterministicAlgorithmsEnabled isDeterministicAlgorithmsWarnOnlyEnabled getDeterministicDebugMode setDeterministicDebugMode setFloat32MatmulPrecision getFloat32MatmulPrecision setNumThreads getNumThreads compile";

test("every function that PyTorch has is in a table", () => {
  const listed = new Set([
    ...Object.keys(SIGNATURES),
    ...Object.keys(BINDING),
    ...Object.keys(WITH_OPTIONS),
    // In-place methods are called as those without the underscore.
    ...Object.keys(SIGNATURES).map((name) => `${name}_`),
    ...Object.keys(LINALG),
    ...Object.keys(FFT),
    ...UNLISTED.split(" "),
  ]);
  // A namespace's exports may be getters; those of a tensor would need one.
  const functions = [
    ...NAMESPACES.map(([, ours, pytorch]) => [Object.entries(ours), pytorch] as const),
    [
      Object.entries(Object.getOwnPropertyDescriptors(Tensor.prototype)).map(([k, { value }]) => [k, value]),
      "torch.Tensor",
    ] as const,
  ];
  const names = functions.flatMap(([entries, pytorch]) => {
    const known = overloads(pytorch);
    return entries
      .filter(([name, value]) => typeof value === "function" && known.has(name as string))
      .map(([name]) => name as string);
  });
  expect(names.filter((name) => !listed.has(name))).toEqual([]);
});
