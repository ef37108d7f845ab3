// PyTorch's own cases of its modules: see fixtures/databases/modules.py.
import { describe, test } from "vitest";
import { torch, type Tensor } from "../../../extension/nn/index.ts";
import type { Module } from "../../../extension/nn/module/module.ts";
import { valuesOf } from "../../../extension/tensor/planning/barrier.ts";
import { decode, type JsonTensor, type Json } from "../../parity/format.ts";
import { outputsOf } from "../../parity/kinds/grad.ts";
import { callArguments, camelCase, construct } from "../../parity/names.ts";
import {
  argument,
  attempt,
  difference,
  Differences,
  keywords,
  read,
  refusal,
  useQuietEngine,
  weights,
  type JsonCall,
} from "./differences.ts";
import { MODULES } from "./known.ts";

interface Case extends JsonCall {
  module: string;
  training: boolean;
  text: string;
  names?: string[];
  state?: [string, JsonTensor][];
  attributes?: Record<string, Json>;
  input?: JsonCall;
  outputs?: JsonTensor[];
  buffers?: Record<string, JsonTensor>;
  grads?: Record<string, JsonTensor | null>;
  error?: string;
}

const { cases, errors } = read("modules") as { cases: Case[]; errors: Case[] };
const differences = new Differences();

useQuietEngine();

type Callable = (...args: readonly unknown[]) => unknown;

const make = ({ module, args, kwargs }: Case, byName = false, names: readonly string[] = []): Module => {
  torch.manualSeed(1);
  const [given, named] = [args.map((v) => argument(v)), keywords(kwargs)];
  if (!byName) return construct("nn", module, given, named) as Module;
  const all = Object.fromEntries(given.map((v, i) => [names[i]!, v]));
  return construct("nn", module, [], { ...all, ...named }) as Module;
};

function run(c: Case): void {
  const of = c.module;
  const m = make(c).train(c.training);
  differences.same(of, "text", m.toString(), c.text);
  if (c.names !== undefined) differences.same(of, "text", make(c, true, c.names).toString(), c.text);
  if (c.input === undefined) return;
  const lazy = of.startsWith("Lazy");
  if (!lazy) {
    checkState(of, m, c);
    m.loadStateDict(new Map(c.state!.map(([name, t]) => [name, decode(t)])));
  }
  for (const [name, value] of Object.entries(c.attributes ?? {})) {
    const own = (m as unknown as Record<string, unknown>)[camelCase(name)];
    differences.same(of, `attribute ${name}`, own, argument(value));
  }
  const leaves = new Map<string, Tensor>();
  const args = c.input.args.map((v, i) => argument(v, leaves, `args.${i}`));
  const all = callArguments(args, keywords(c.input.kwargs, leaves));
  torch.manualSeed(2);
  let outputs: Tensor[] = [];
  const message = refusal(() => {
    outputs = outputsOf((m as unknown as Callable)(...all));
  });
  differences.same(of, "refusal of a call", message, c.error);
  if (message !== undefined || c.error !== undefined) return;
  if (lazy) checkState(of, m, c);
  differences.same(of, "outputs", outputs.length, c.outputs!.length);
  outputs.forEach((y, i) => {
    const expected = c.outputs![i]!;
    differences.add(of, "output", difference(y, expected, 2e-5));
    differences.same(of, "output", y.requiresGrad, expected.grad ?? false);
  });
  const buffers = new Map(m.namedBuffers());
  for (const [name, expected] of Object.entries(c.buffers!))
    differences.add(of, "buffer", difference(buffers.get(name)!, expected, 2e-5));
  for (const [name, p] of m.namedParameters()) leaves.set(`state.${name}`, p);
  checkGradients(of, outputs, leaves, c.grads);
}

/** First values are those of the seed. */
function checkState(of: string, m: Module, { state }: Case): void {
  const own = m.stateDict();
  differences.same(
    of,
    "names in the state",
    [...own.keys()],
    state!.map(([name]) => name),
  );
  for (const [name, expected] of state!)
    differences.add(of, "first values", difference(own.get(name)!, expected, 1e-6));
}

function checkGradients(
  of: string,
  outputs: readonly Tensor[],
  leaves: ReadonlyMap<string, Tensor>,
  expected: Case["grads"],
): void {
  const losses = outputs
    .map((y, i) => (y.requiresGrad ? y.mul(weights(y, i)).sum() : null))
    .filter((l) => l !== null);
  differences.same(of, "gradients", losses.length > 0, expected !== undefined);
  if (losses.length === 0 || expected === undefined) return;
  differences.same(of, "gradients", [...leaves.keys()], Object.keys(expected));
  const loss = losses.reduce((a, b) => a.add(b));
  const grads = torch.autograd.grad(loss, [...leaves.values()], { allowUnused: true });
  [...leaves.keys()].forEach((path, i) => {
    const [g, e] = [grads[i]!, expected[path]!];
    if (g === null || e === null) differences.same(of, `gradient of ${path}`, g === null, e === null);
    else differences.add(of, "gradients", difference(g, e, 3e-4));
  });
}

const names = [...new Set(cases.map(({ module }) => module))];

describe("modules", () => {
  test.each(names)("%s", (name) => {
    for (const c of cases) if (c.module === name) attempt(differences, name, () => run(c));
    for (const c of errors) if (c.module === name) attempt(differences, name, () => refuses(c));
  });
  differences.check(MODULES);
});

function refuses(c: Case): void {
  const message = refusal(() => {
    const m = make(c);
    if (c.input === undefined) return;
    const args = callArguments(
      c.input.args.map((v) => argument(v)),
      keywords(c.input.kwargs),
    );
    // Some indices are checked when they are read.
    for (const y of outputsOf((m as unknown as Callable)(...args))) valuesOf(y.value);
  });
  differences.message(c.module, message, c.error);
}
