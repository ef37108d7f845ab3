// Programs over tensors that PyTorch has run: see fixtures/functions/programs.py.
import { readFileSync } from "node:fs";
import "../extension/tensor/methods.ts";
import * as torch from "../extension/nn/torch.ts";
import { toHostArray, type DType } from "../extension/tensor/core/dtype.ts";
import { Slice } from "../extension/tensor/functions/shape/slice.ts";
import { fromHost, Tensor } from "../extension/tensor/core/tensor.ts";

export interface Recorded {
  dtype: DType;
  shape: number[];
  data: (number | string)[];
}

export type Result = Recorded | Result[] | number | boolean;

export interface Step {
  let?: string;
  on: string;
  call: string;
  args?: unknown[];
  kwargs?: Record<string, unknown>;
}

export interface Case {
  inputs: string[];
  steps: Step[];
  expect?: Record<string, Result>;
  /** null where PyTorch answers no gradient instead of zeros. */
  grads?: Record<string, Recorded | null>;
  gradFn?: string;
  error?: string;
}

export const { inputs, cases } = JSON.parse(
  readFileSync(new URL("./fixtures/functions/programs.json", import.meta.url), "utf8"),
) as { inputs: Record<string, Recorded>; cases: Case[] };

export const host = ({ data, dtype }: Recorded): ReturnType<typeof toHostArray> =>
  toHostArray(data.map(Number), dtype);

/** Names of a program and what they stand for. */
export type Names = Record<string, unknown>;

function decode(argument: unknown, names: Names): unknown {
  if (Array.isArray(argument)) return argument.map((a) => decode(a, names));
  if (typeof argument !== "object" || argument === null) return argument;
  if ("$" in argument) return names[argument.$ as string];
  return "slice" in argument ? new Slice(...(argument.slice as (number | null)[])) : argument;
}

/** Sees each call before it is made. */
type Watch = (
  step: Step,
  target: unknown,
  args: readonly unknown[],
  kwargs: Readonly<Record<string, unknown>>,
  names: Names,
) => void;

function run(step: Step, names: Names, watch: Watch | undefined): unknown {
  const target = (step.on === "torch" ? torch : names[step.on]) as Record<string, unknown>;
  const args = (step.args ?? []).map((a) => decode(a, names));
  const kwargs = Object.fromEntries(Object.entries(step.kwargs ?? {}).map(([k, v]) => [k, decode(v, names)]));
  const member = target[step.call];
  if (typeof member !== "function") return member;
  watch?.(step, target, args, kwargs, names);
  return (member as (...a: unknown[]) => unknown).apply(target, step.kwargs ? [...args, kwargs] : args);
}

/** Runs all steps; floats named by `differentiate` are leaves that require gradients. */
export function execute(
  { inputs: used, steps }: Case,
  differentiate: readonly string[],
  watch?: Watch,
): Names {
  const names: Names = {};
  for (const name of used) {
    const x = inputs[name]!;
    names[name] = fromHost(host(x), x.shape, x.dtype);
    if (differentiate.includes(name)) (names[name] as Tensor).requiresGrad_();
  }
  for (const step of steps) {
    const result = run(step, names, watch);
    if (step.let !== undefined) names[step.let] = result;
  }
  return names;
}
