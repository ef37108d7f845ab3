// PyTorch's own cases of its optimizers: see fixtures/databases/optimizers.py.
import { describe, test } from "vitest";
import { nn, torch } from "../../../extension/nn/index.ts";
import type { Optimizer, OptimizerStateDict } from "../../../extension/nn/optim/optimizer.ts";
import { numel } from "../../../extension/tensor/core/shape.ts";
import { fromHost, Tensor } from "../../../extension/tensor/core/tensor.ts";
import { decode, isTensor, Unsupported, type JsonTensor, type Json } from "../../parity/format.ts";
import { callArguments, construct } from "../../parity/names.ts";
import {
  argument,
  attempt,
  difference,
  Differences,
  keywords,
  read,
  refusal,
  useQuietEngine,
} from "./differences.ts";
import { OPTIMIZERS } from "./known.ts";

interface Case {
  optimizer: string;
  shapes: number[][];
  kwargs: Record<string, Json>;
  groups?: ({ params: number[] } & Record<string, Json>)[];
  text?: string;
  saved?: { state: Record<string, Record<string, Json>>; groups: Record<string, Json>[] };
  params?: JsonTensor[];
  error?: string;
}

interface Mistake {
  optimizer: string;
  params: Json;
  kwargs: Record<string, Json>;
  error: string;
}

const { cases, errors } = read("optimizers") as { cases: Case[]; errors: Mistake[] };
const differences = new Differences();

useQuietEngine();

const STEPS = 8;

function values(shape: readonly number[], k: number): Tensor {
  const data = Float32Array.from({ length: numel(shape) }, (_, i) => Math.sin(1.3 * i + 0.7 * k + 0.1));
  return fromHost(data, shape, "float32");
}

interface Made {
  params: Tensor[];
  optimizer: Optimizer;
}

function make({ optimizer, shapes, kwargs, groups }: Case): Made {
  const params = shapes.map((shape, i) => new nn.Parameter(values(shape, i)));
  const given = groups?.map(({ params: places, ...options }) => ({
    ...(callArguments([], keywords(options))[0] as object),
    params: places.map((i) => params[i]!),
  }));
  return {
    params,
    optimizer: construct("torch.optim", optimizer, [given ?? params], keywords(kwargs)) as Optimizer,
  };
}

/** PyTorch's state, copied into a new optimizer. */
function continued(c: Case, { params }: Made): Made {
  const next = make(c);
  torch.noGrad(() => next.params.forEach((p, i) => p.copy_(params[i]!)));
  next.optimizer.loadStateDict({
    state: Object.fromEntries(Object.entries(c.saved!.state).map(([i, entries]) => [i, plain(entries)])),
    param_groups: c.saved!.groups.map(plain),
  } as OptimizerStateDict);
  return next;
}

const plain = (entries: Record<string, Json>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(entries).map(([name, v]) => [name, argument(v)]));

function run(c: Case): void {
  const of = c.optimizer;
  let made: Made | undefined;
  const message = refusal(() => (made = make(c)));
  differences.message(of, message, c.error);
  if (made === undefined || c.error !== undefined) return;
  const tensors = Object.values(c.kwargs).some(holdsTensors);
  differences.same(of, tensors ? "text with tensors" : "text", made.optimizer.toString(), c.text);
  for (let step = 0; step < STEPS; step++) {
    if (step === 4) {
      compareStates(c, made.optimizer.stateDict());
      made = continued(c, made);
    }
    const { params, optimizer } = made;
    if (step === 5) for (const group of optimizer.paramGroups) group.lr *= 0.5;
    params.forEach((p, i) => {
      const none = i === params.length - 1 || (i === 1 && (step === 0 || step === 3));
      p.grad = none ? null : values(p.shape, 10 * step + i);
    });
    optimizer.step();
  }
  // Muon's iterations make much of small differences.
  const rel = of === "Muon" ? 1e-3 : 3e-5;
  made.params.forEach((p, i) => differences.add(of, "parameters", difference(p, c.params![i]!, rel)));
}

const holdsTensor = (x: unknown): boolean => (Array.isArray(x) ? x.some(holdsTensor) : x instanceof Tensor);
const holdsTensors = (x: Json): boolean => (Array.isArray(x) ? x.some(holdsTensors) : isTensor(x));

function compareStates(c: Case, own: OptimizerStateDict): void {
  const of = c.optimizer;
  differences.same(of, "state", Object.keys(own.state), Object.keys(c.saved!.state));
  for (const [i, expected] of Object.entries(c.saved!.state)) {
    const got = own.state[i]!;
    differences.same(of, "names in the state", Object.keys(got), Object.keys(expected));
    for (const [name, value] of Object.entries(expected))
      differences.add(
        of,
        `state ${name}`,
        difference(got[name] as Tensor, value as unknown as JsonTensor, 3e-5),
      );
  }
  c.saved!.groups.forEach((expected, i) => {
    const got = own.param_groups[i]!;
    differences.same(of, "names in groups", Object.keys(got), Object.keys(expected));
    for (const [name, value] of Object.entries(expected)) {
      if (holdsTensors(value)) differences.same(of, "groups with tensors", holdsTensor(got[name]), true);
      else differences.same(of, "groups", [name, got[name]], [name, argument(value)]);
    }
  });
}

/** Parameters of a mistake, where a tensor may be there twice. */
function mistaken(x: Json, seen: Tensor[] = []): unknown {
  if (Array.isArray(x)) return x.map((v) => mistaken(v, seen));
  if (typeof x !== "object" || x === null) return x;
  if ("$same" in x) return seen[x["$same"] as number];
  if ("$dict" in x)
    return Object.fromEntries(
      Object.entries(x["$dict"] as Record<string, Json>).map(([name, v]) => [name, mistaken(v, seen)]),
    );
  if ("$set" in x) return new Set(mistaken(x["$set"], seen) as unknown[]);
  if (!isTensor(x)) return argument(x);
  if ((x as unknown as JsonTensor).dtype === "complex64") throw new Unsupported("complex parameters");
  const t = decode(x);
  seen.push((x as unknown as JsonTensor).grad === true ? t.requiresGrad_() : t);
  return seen.at(-1);
}

function refuses(c: Mistake): void {
  const message = refusal(() => {
    const optimizer = construct(
      "torch.optim",
      c.optimizer,
      [mistaken(c.params)],
      keywords(c.kwargs),
    ) as Optimizer;
    for (const { params } of optimizer.paramGroups) for (const p of params) p.grad = torch.onesLike(p);
    optimizer.step(() => 1);
  });
  differences.message(c.optimizer, message, c.error);
}

const names = [...new Set([...cases, ...errors].map(({ optimizer }) => optimizer))];

describe("optimizers", () => {
  test.each(names)("%s", (name) => {
    for (const c of cases) if (c.optimizer === name) attempt(differences, name, () => run(c));
    for (const c of errors) if (c.optimizer === name) attempt(differences, name, () => refuses(c));
  });
  differences.check(OPTIMIZERS);
});
