import { noGrad } from "../../../extension/tensor/recording/scope.ts";
import type { Module } from "../../../extension/nn/module/module.ts";
import { torch } from "../../../extension/nn/index.ts";
import { Tensor } from "../../../extension/tensor/core/tensor.ts";
import { firstOf, prefixed } from "../format.ts";
import { build, type ModelSpec } from "../models.ts";

type InputSpec = { dtype: string; shape: number[] } | { inputs: InputSpec[] };

export interface ReprSpec {
  id: string;
  model: ModelSpec;
  input?: InputSpec;
}

type Row = [name: string, className: string, shape: number[] | null];

export interface ReprExpectation {
  id: string;
  text: string;
  params: number;
  trainable: number;
  state_dict: [key: string, shape: number[], dtype: string][];
  layers?: Row[];
  output?: number[];
}

/** The printed model, its parameters and state dict, and the shapes of a call. */
export function runReprItem(spec: ReprSpec, expected: ReprExpectation): string | null {
  const model = build(spec.model);
  const parameters = model.parameters();
  const count = (list: readonly Tensor[]): number => list.reduce((n, p) => n + p.numel(), 0);
  const state = [...model.stateDict()].map(([key, t]) => [key, [...t.shape], t.dtype]);
  const differences = [
    text(model.toString(), expected.text),
    same("params", count(parameters), expected.params),
    same("trainable", count(parameters.filter((p) => p.requiresGrad)), expected.trainable),
    same("state_dict", state, expected.state_dict),
  ];
  if (spec.input !== undefined) {
    const { rows, output } = call(model, inputs(spec.input));
    differences.push(same("layers", rows, expected.layers), same("output", output, expected.output));
  }
  return firstOf(differences);
}

function call(model: Module, input: readonly Tensor[]): { rows: Row[]; output: number[] | null } {
  const rows: Row[] = [];
  model.train();
  const hooks = model
    .namedModules()
    .filter(([, module]) => module.children().length === 0)
    .map(([name, module]) =>
      module.registerForwardHook((self, _, output) => {
        rows.push([name, self.constructor.name, shapeOf(output)]);
      }),
    );
  const output = noGrad(() => (model as unknown as (...input: readonly Tensor[]) => unknown)(...input));
  for (const hook of hooks) hook.remove();
  return { rows, output: shapeOf(output) };
}

/** Of a tuple, that of its first member; of a model's output object, that of its first tensor. */
function shapeOf(output: unknown): number[] | null {
  if (output instanceof Tensor) return [...output.shape];
  if (Array.isArray(output)) return shapeOf(output[0]);
  return typeof output === "object" && output !== null ? shapeOf(Object.values(output)[0]) : null;
}

function inputs(spec: InputSpec): Tensor[] {
  if ("inputs" in spec) return spec.inputs.flatMap(inputs);
  return [torch.zeros(spec.shape, { dtype: spec.dtype === "int64" ? "int64" : "float32" })];
}

function same(name: string, got: unknown, expected: unknown): string | null {
  const [a, b] = [JSON.stringify(got), JSON.stringify(expected)];
  return a === b ? null : `${name}: ${a} instead of ${b}`;
}

function text(got: string, expected: string): string | null {
  if (got === expected) return null;
  const [lines, wanted] = [got.split("\n"), expected.split("\n")];
  const at = wanted.findIndex((line, i) => line !== lines[i]);
  return prefixed(
    `text, line ${at + 1}`,
    `${JSON.stringify(lines[at])} instead of ${JSON.stringify(wanted[at])}`,
  );
}
