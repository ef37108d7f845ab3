import { torch } from "../../../extension/nn/index.ts";
import type { Module } from "../../../extension/nn/module/module.ts";
import { noGrad } from "../../../extension/tensor/recording/scope.ts";
import { Tensor } from "../../../extension/tensor/core/tensor.ts";
import {
  compare,
  decode,
  firstOf,
  inPairs,
  isTensor,
  prefixed,
  Unsupported,
  type Json,
  type JsonTensor,
} from "../format.ts";
import { build, type ModelSpec } from "../models.ts";
import { callArguments, camelCase, lookUp } from "../names.ts";

export interface GradSpec {
  id: string;
  model?: ModelSpec;
  state?: Record<string, JsonTensor>;
  train?: boolean;
  fn?: string;
  args?: Json[];
  kwargs?: Record<string, Json>;
  grad_outputs?: (JsonTensor | null)[] | null;
  seed?: number;
  no_grad?: boolean;
}

export interface GradExpectation {
  id: string;
  outputs: JsonTensor[];
  grads: Record<string, JsonTensor>;
  buffers?: Record<string, JsonTensor>;
}

/** Outputs and gradients of a module or function at given values. */
export function runGradItem(
  spec: GradSpec,
  expected: GradExpectation,
  tolerance: { abs: number; rel: number },
): string | null {
  const leaves = new Map<string, Tensor>();
  const value = (x: Json, path: string): unknown => {
    if (isTensor(x)) {
      const t = decode(x);
      if (x.grad === true) leaves.set(path, t.requiresGrad_());
      return t;
    }
    return Array.isArray(x) ? x.map((v, i) => value(v, `${path}.${i}`)) : x;
  };
  const args = (spec.args ?? []).map((x, i) => value(x, `args.${i}`));
  const kwargs = Object.fromEntries(
    Object.entries(spec.kwargs ?? {}).map(([name, x]) => [name, value(x, `kwargs.${name}`)]),
  );
  const model = spec.model === undefined ? undefined : prepare(spec.model, spec);
  if (spec.seed !== undefined) torch.manualSeed(spec.seed);
  const call =
    model === undefined ? functionOf(spec.fn!, args) : (...input: readonly unknown[]) => run(model, input);
  const evaluate = (): Tensor[] => outputsOf(call(...callArguments(args, kwargs)));
  const outputs = spec.no_grad === true ? noGrad(evaluate) : evaluate();
  const loss = total(outputs, spec.grad_outputs ?? []);
  if (loss?.requiresGrad === true) loss.backward();
  const grads = new Map(
    [...leaves].flatMap(([path, t]) => (t.grad === null ? [] : [[path, inPairs(t.grad)]])),
  );
  for (const [name, p] of model?.namedParameters() ?? [])
    if (p.grad !== null) grads.set(`state.${name}`, p.grad);
  return firstOf(
    [
      outputs.length === expected.outputs.length
        ? null
        : `${outputs.length} outputs instead of ${expected.outputs.length}`,
      ...expected.outputs.map(
        (e, i) => outputs[i] && prefixed(`output ${i}`, compare(outputs[i], e, tolerance)),
      ),
      sameKeys([...grads.keys()], Object.keys(expected.grads)),
      ...Object.entries(expected.grads).map(([path, e]) => {
        const g = grads.get(path);
        return g === undefined ? null : prefixed(`gradient of ${path}`, compare(g, e, tolerance));
      }),
      ...buffers(model, expected.buffers, tolerance),
    ].map((d) => d ?? null),
  );
}

export function prepare(model: ModelSpec, { state, train }: GradSpec): Module {
  const built = build(model);
  if (state !== undefined) {
    built.loadStateDict(new Map(Object.entries(state).map(([name, t]) => [name, decode(t)])));
  }
  return built.train(train ?? true);
}

const run = (model: Module, input: readonly unknown[]): unknown =>
  (model as unknown as (...input: readonly unknown[]) => unknown)(...input);

/** `F.relu`, `torch.matmul`, or `Tensor.permute`: a method of the first argument. */
function functionOf(name: string, args: readonly unknown[]): (...args: readonly unknown[]) => unknown {
  const at = name.lastIndexOf(".");
  const [namespace, own] = [name.slice(0, at), name.slice(at + 1)];
  if (namespace !== "Tensor") return lookUp(namespace, own);
  const method = (args[0] as Record<string, unknown>)[camelCase(own)];
  if (typeof method !== "function") throw new Unsupported(name);
  return (self, ...rest) => (method as (...args: readonly unknown[]) => unknown).apply(self, rest);
}

/** Tensors of a result in order; None is left out. */
export function outputsOf(output: unknown): Tensor[] {
  if (output instanceof Tensor) return [inPairs(output)];
  if (Array.isArray(output)) return output.flatMap(outputsOf);
  if (output === null || output === undefined) return [];
  if (typeof output === "number" || typeof output === "boolean") return [torch.tensor(output)];
  return Object.values(output).flatMap(outputsOf);
}

/** Σ output · weight, over the outputs that have one. */
function total(outputs: readonly Tensor[], weights: readonly (JsonTensor | null)[]): Tensor | undefined {
  let loss: Tensor | undefined;
  outputs.forEach((output, i) => {
    const weight = weights[i];
    if (!weight) return;
    const part = output.mul(decode(weight)).sum();
    loss = loss === undefined ? part : loss.add(part);
  });
  return loss;
}

function sameKeys(got: readonly string[], expected: readonly string[]): string | null {
  const odd = [...got.filter((k) => !expected.includes(k)), ...expected.filter((k) => !got.includes(k))];
  return odd.length === 0 ? null : `gradients only on one side: ${odd.join(", ")}`;
}

function buffers(
  model: Module | undefined,
  expected: GradExpectation["buffers"] = {},
  tolerance: { abs: number; rel: number },
): (string | null)[] {
  const own = new Map(model?.namedBuffers());
  return Object.entries(expected).map(([name, e]) => {
    const got = own.get(name);
    return prefixed(`buffer ${name}`, got === undefined ? "is missing" : compare(got, e, tolerance));
  });
}
