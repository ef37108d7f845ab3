import { F, nn, torch } from "../../../extension/nn/index.ts";
import type { Optimizer } from "../../../extension/nn/optim/optimizer.ts";
import { Tensor } from "../../../extension/tensor/core/tensor.ts";
import {
  compare,
  decode,
  firstOf,
  isTensor,
  prefixed,
  type Json,
  type JsonTensor,
  type Tolerance,
} from "../format.ts";
import { callArguments, keywords, lookUp } from "../names.ts";
import {
  groupOptions,
  makeOptimizer,
  makeScheduler,
  type OptimizerSpec,
  type ParamsArgument,
  type SchedulerSpec,
} from "../optimizers.ts";

export interface OptimSpec {
  id: string;
  /** Steps of an optimizer. */
  optimizer?: OptimizerSpec;
  params?: JsonTensor[];
  groups?: ({ params: number[] } & Record<string, Json>)[] | number;
  grads?: (JsonTensor | null)[][] | (JsonTensor | null)[];
  /** Learning rates of a schedule. */
  scheduler?: SchedulerSpec;
  steps?: number;
  group_lr?: number[];
  metrics?: number[];
  /** Clipping of gradients. */
  clip?: string;
  kwargs?: Record<string, Json>;
}

export interface OptimExpectation {
  id: string;
  repr?: string;
  params?: JsonTensor[][];
  state?: Record<string, Json>;
  param_groups?: Json[];
  lr?: number[][];
  momentum?: number[];
  total_norm?: JsonTensor | null;
  grads?: (JsonTensor | null)[];
  raises?: string;
  message?: string;
}

type Bounds = { abs: number; rel: number };

export function runOptimItem(spec: OptimSpec, expected: OptimExpectation, tolerance: Bounds): string | null {
  if (spec.clip !== undefined) return clip(spec, expected, tolerance);
  if (spec.scheduler !== undefined) return schedule(spec, expected);
  return optimize(spec, expected, tolerance);
}

function optimize(spec: OptimSpec, expected: OptimExpectation, tolerance: Bounds): string | null {
  const params = spec.params!.map((p) => new nn.Parameter(decode(p)));
  const groups = Array.isArray(spec.groups) ? spec.groups : undefined;
  const optimizer = makeOptimizer(groups === undefined ? params : grouped(params, groups), spec.optimizer!);
  const repr = optimizer.toString();
  // In PyTorch, gradients of such tables are sparse, and SparseAdam takes no others.
  if (spec.optimizer!.type === "SparseAdam")
    for (const p of params) F.embedding(torch.tensor([0]), p, { sparse: true });
  const steps = (spec.grads as (JsonTensor | null)[][]).map((grads, step) => {
    grads.forEach((g, i) => (params[i]!.grad = g === null ? null : decode(g)));
    optimizer.step();
    return firstOf(
      params.map((p, i) =>
        prefixed(`step ${step + 1}, parameter ${i}`, compare(p, expected.params![step]![i]!, tolerance)),
      ),
    );
  });
  const { state, param_groups } = optimizer.stateDict();
  return firstOf([
    repr === expected.repr
      ? null
      : `repr: ${JSON.stringify(repr)} instead of ${JSON.stringify(expected.repr)}`,
    ...steps,
    difference("state", state, expected.state ?? {}, tolerance),
    difference("param_groups", param_groups, expected.param_groups ?? [], tolerance),
  ]);
}

function grouped(
  params: readonly Tensor[],
  groups: readonly ({ params: number[] } & Record<string, Json>)[],
): ParamsArgument {
  return groups.map(({ params: positions, ...options }) => ({
    ...groupOptions(options),
    params: positions.map((i) => params[i]!),
  }));
}

/** Values of a state dict; numbers of learning rates agree to 1e-9. */
function difference(path: string, got: unknown, expected: Json, tolerance: Tolerance): string | null {
  if (isTensor(expected)) {
    return got instanceof Tensor ? prefixed(path, compare(got, expected, tolerance)) : `${path} is no tensor`;
  }
  if (Array.isArray(expected)) {
    if (!Array.isArray(got) || got.length !== expected.length) return `${path}: other length`;
    return firstOf(expected.map((e, i) => difference(`${path}.${i}`, got[i], e, tolerance)));
  }
  if (typeof expected === "object" && expected !== null) {
    const own = got as Record<string, unknown>;
    const [names, wanted] = [Object.keys(own).sort(), Object.keys(expected).sort()];
    if (names.join() !== wanted.join()) return `${path}: [${names.join()}] instead of [${wanted.join()}]`;
    return firstOf(
      wanted.map((name) => difference(`${path}.${name}`, own[name], expected[name]!, tolerance)),
    );
  }
  if (typeof expected === "number" && typeof got === "number") return close(path, got, expected);
  return got === expected ? null : `${path}: ${String(got)} instead of ${String(expected)}`;
}

function close(path: string, got: number, expected: number): string | null {
  const agree = Math.abs(got - expected) <= Math.max(1e-9 * Math.abs(expected), 1e-12);
  return agree ? null : `${path}: ${got} instead of ${expected}`;
}

function schedule(spec: OptimSpec, expected: OptimExpectation): string | null {
  const count = typeof spec.groups === "number" ? spec.groups : 1;
  const params = Array.from({ length: count }, () => new nn.Parameter(torch.zeros(1)));
  const groups = params.map((p, i) => ({
    params: [p],
    ...(spec.group_lr === undefined ? {} : { lr: spec.group_lr[i] }),
  }));
  const optimizer = makeOptimizer(groups, spec.optimizer!);
  const scheduler = makeScheduler(optimizer, spec.scheduler!);
  const rates = (): number[] => optimizer.paramGroups.map((g) => g.lr);
  const lr = [rates()];
  const momentum = [momentumOf(optimizer)];
  for (let i = 0; i < spec.steps!; i++) {
    for (const p of params) p.grad = torch.zeros(1);
    optimizer.step();
    if (spec.metrics === undefined) scheduler.step();
    else scheduler.step(spec.metrics[i]);
    lr.push(rates());
    momentum.push(momentumOf(optimizer));
  }
  return firstOf([
    difference("lr", lr, expected.lr!, { abs: 0, rel: 0 }),
    expected.momentum === undefined
      ? null
      : difference("momentum", momentum, expected.momentum, { abs: 0, rel: 0 }),
  ]);
}

function momentumOf(optimizer: Optimizer): number | undefined {
  const group = optimizer.paramGroups[0] as unknown as { momentum?: number; betas?: readonly number[] };
  return group.momentum ?? group.betas?.[0];
}

function clip(spec: OptimSpec, expected: OptimExpectation, tolerance: Bounds): string | null {
  const params = (spec.grads as (JsonTensor | null)[]).map((g) => {
    const p = new nn.Parameter(torch.zeros(g?.shape ?? [1]));
    p.grad = g === null ? null : decode(g);
    return p;
  });
  const run = lookUp("nn.utils", spec.clip!);
  const call = (): unknown => run(...callArguments([params], keywords(spec.kwargs)));
  let norm: string | null = null;
  if (expected.raises === undefined) {
    const total = call();
    if (expected.total_norm)
      norm = prefixed("total_norm", compare(total as Tensor, expected.total_norm, tolerance));
  } else {
    norm = raised(call, expected.message!);
  }
  return firstOf([
    norm,
    ...params.map((p, i) => {
      const e = expected.grads![i] ?? null;
      if (e === null || p.grad === null) return e === p.grad ? null : `gradient ${i}: only on one side`;
      return prefixed(`gradient ${i}`, compare(p.grad, e, tolerance));
    }),
  ]);
}

function raised(call: () => unknown, message: string): string | null {
  try {
    call();
  } catch (error) {
    const got = error instanceof Error ? error.message : String(error);
    return got === message ? null : `message ${JSON.stringify(got)} instead of ${JSON.stringify(message)}`;
  }
  return "did not throw";
}
