// PyTorch's torch.utils.checkpoint: parts of a model whose values are computed again for their gradients.
import { applyAll } from "../recording/apply.ts";
import { gradientsAt } from "../recording/autograd.ts";
import { TensorError } from "../core/errors.ts";
import { fillValue, Value, type GradientEdge, type GraphTensor, type Node } from "../recording/graph.ts";
import { identities } from "../ops/movement/movement.ts";
import { recordDraws } from "../random/stream.ts";
import { hidden, scope, withGradients } from "../recording/scope.ts";
import { Tensor, tensorOf } from "../core/tensor.ts";
import { setCustomGradient } from "./customGradients.ts";

export interface CheckpointOptions {
  /** Accepted for PyTorch's sake: both values give the same here, and gradients reach all that `fn` uses. */
  useReentrant?: boolean;
  /** Gives the second run the random numbers of the first. Default true. */
  preserveRngState?: boolean;
  /** Accepted for PyTorch's sake. */
  determinismCheck?: string;
  debug?: boolean;
}

const OPTIONS = new Set(["useReentrant", "preserveRngState", "determinismCheck", "debug"]);

const isOptions = (x: unknown): x is CheckpointOptions =>
  typeof x === "object" &&
  x !== null &&
  Object.getPrototypeOf(x) === Object.prototype &&
  Object.keys(x).length > 0 &&
  Object.keys(x).every((key) => OPTIONS.has(key));

/**
 * `fn(...args)`, whose intermediate values backward computes a second time instead of keeping them. Gradients and random
 * numbers are those of a plain call.
 *
 * ```ts
 * y = torch.utils.checkpoint.checkpoint(block, x, { useReentrant: false });
 * ```
 */
export function checkpoint<A extends unknown[], R>(
  fn: (...args: A) => R,
  ...args: [...A] | [...A, CheckpointOptions]
): R {
  const last = args[args.length - 1];
  const options = isOptions(last) ? last : undefined;
  return run(fn, (options === undefined ? args : args.slice(0, -1)) as A, options ?? {});
}

function run<A extends unknown[], R>(fn: (...args: A) => R, args: A, options: CheckpointOptions): R {
  if (!scope.gradients) return fn(...args);
  const before = Value.made;
  const { result, replay } = recordDraws(() => hidden(() => fn(...args)));
  const outputs = tensorsOf(result).filter((t) => t.edge !== undefined);
  const edges = border(outputs, before);
  if (edges.length === 0) return result;
  const plain = outputs.map((t) => new Tensor(t.value));
  const given = edges.map((e) =>
    e.node === undefined ? tensorOf(e.leaf) : new Tensor(e.node.outputs[e.index]!, e),
  );
  const results = hidden(() => applyAll(identities, [...plain, ...given], {})).slice(0, outputs.length);
  const { node } = results[0]!.edge!;
  const again = (tied: A): R => fn(...tied);
  setCustomGradient(node!, ({ grads }) => {
    const createGraph = scope.gradients;
    const seeds = outputs.map((t, i) => grads[i] ?? new Tensor(fillValue(0, t.shape, "float32")));
    const second = withGradients(true, () => {
      const rerun = (): R => again(delayed(args, seeds));
      return tensorsOf(options.preserveRngState === false ? rerun() : replay(rerun));
    }).filter((t) => t.edge !== undefined);
    if (second.length !== outputs.length) {
      throw new TensorError(
        "autograd",
        "torch.utils.checkpoint: A different number of tensors was saved during the original forward and recomputation.",
      );
    }
    return [...outputs.map(() => null), ...gradientsAt(edges, second, seeds, createGraph)];
  });
  if (scope.depth === 0) for (const y of results) y.value.visible = true;
  return replaced(result, new Map(outputs.map((t, i) => [t, results[i]!]))) as R;
}

/** The arguments behind a node that waits for the gradients, so that nothing is computed again before they are there. */
function delayed<A extends unknown[]>(args: A, seeds: readonly Tensor[]): A {
  const tensors = args.filter((x) => x instanceof Tensor);
  if (tensors.length === 0) return args;
  const copies = applyAll(identities, [...tensors, ...seeds.map((g) => new Tensor(g.value))], {});
  let next = 0;
  return args.map((x) => {
    if (!(x instanceof Tensor)) return x;
    const copy = copies[next++]!;
    return x.requiresGrad ? copy : new Tensor(copy.value);
  }) as A;
}

/** Where gradients leave the part of the graph that was made since. */
function border(outputs: readonly Tensor[], since: number): GradientEdge[] {
  const found: GradientEdge[] = [];
  const seen = new Set<Node | GraphTensor>();
  const stack = outputs.flatMap((t) => (t.edge === undefined ? [] : [t.edge]));
  const nodes = new Map<Node, Set<number>>();
  while (stack.length > 0) {
    const edge = stack.pop()!;
    if (edge.node === undefined) {
      if (!seen.has(edge.leaf)) found.push(edge);
      seen.add(edge.leaf);
    } else if (edge.node.outputs[0]!.made <= since) {
      let indices = nodes.get(edge.node);
      if (indices === undefined) nodes.set(edge.node, (indices = new Set()));
      if (!indices.has(edge.index)) found.push(edge);
      indices.add(edge.index);
    } else if (!seen.has(edge.node)) {
      seen.add(edge.node);
      for (const next of edge.node.edges ?? []) if (next !== undefined) stack.push(next);
    }
  }
  return found;
}

/** Tensors of a result: itself, or those of a list or an object. */
function tensorsOf(result: unknown): Tensor[] {
  if (result instanceof Tensor) return [result];
  if (typeof result !== "object" || result === null) return [];
  return Object.values(result).flatMap(tensorsOf);
}

function replaced(result: unknown, by: ReadonlyMap<Tensor, Tensor>): unknown {
  if (result instanceof Tensor) return by.get(result) ?? result;
  if (Array.isArray(result)) return result.map((x) => replaced(x, by));
  if (typeof result !== "object" || result === null || Object.getPrototypeOf(result) !== Object.prototype) {
    return result;
  }
  return Object.fromEntries(Object.entries(result).map(([key, x]) => [key, replaced(x, by)]));
}

/**
 * Runs `functions` in sequence, in `segments` segments, of which all but the last are checkpointed.
 * @param functions a Sequential, or a list of modules or functions
 */
export function checkpointSequential(
  functions: Iterable<(x: never) => unknown>,
  segments: number,
  input: Tensor,
  options: CheckpointOptions = {},
): Tensor {
  const list = [...functions] as ((x: Tensor) => Tensor)[];
  const size = Math.floor(list.length / segments);
  const through = (from: number, to: number) => (x: Tensor) => list.slice(from, to).reduce((y, f) => f(y), x);
  let x = input;
  let from = 0;
  for (; from < size * (segments - 1); from += size) x = run(through(from, from + size), [x], options);
  return through(from, list.length)(x);
}
