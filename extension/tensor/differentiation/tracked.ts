// A function's call on copies of its arguments, and the gradients of its outputs.
import { grad as gradientsOf } from "../recording/autograd.ts";
import { apply } from "../recording/apply.ts";
import { TensorError } from "../core/errors.ts";
import { zerosLike } from "../functions/creation/creation.ts";
import type { Node } from "../recording/graph.ts";
import { identity } from "../ops/movement/movement.ts";
import { scope, withGradients } from "../recording/scope.ts";
import { fromHost, Tensor, tensorOf } from "../core/tensor.ts";
import { mapTensors, tensorsOf } from "./tree.ts";

/** A call on copies of its arguments. */
export interface Tracked {
  /** Copies of the tensors in the chosen arguments, in order. */
  readonly leaves: readonly Tensor[];
  readonly result: unknown;
  /** Whether tensors of `result` depend on others that require gradients: an outer derivative. */
  readonly nested: boolean;
}

/** Calls `func` with copies of the chosen arguments, which require gradients. */
export function track(
  func: (...args: never[]) => unknown,
  args: readonly unknown[],
  chosen: readonly number[],
): Tracked {
  const leaves: Tensor[] = [];
  const copies = args.map((arg, i) =>
    chosen.includes(i)
      ? mapTensors(arg, (x) => {
          const outer = scope.gradients && x.requiresGrad;
          const copy = outer ? apply(identity, [x], {}) : new Tensor(x.value).requiresGrad_();
          leaves.push(copy);
          return copy;
        })
      : arg,
  );
  const result = withGradients(true, () => (func as (...args: unknown[]) => unknown)(...copies));
  return { leaves, result, nested: scope.gradients && reachesOthers(tensorsOf(result), leaves) };
}

/** Whether gradients of `roots` reach leaves other than `own`. */
function reachesOthers(roots: readonly Tensor[], own: readonly Tensor[]): boolean {
  const known = new Set(own);
  const seen = new Set<Node>();
  const stack_ = roots.map((t) => t.edge);
  while (stack_.length > 0) {
    const edge = stack_.pop();
    if (edge === undefined) continue;
    if (edge.node === undefined) {
      if (!known.has(tensorOf(edge.leaf))) return true;
    } else if (!seen.has(edge.node)) {
      seen.add(edge.node);
      stack_.push(...(edge.node.edges ?? []));
    }
  }
  return false;
}

/** Returns a result without the gradients of the copies, unless an outer derivative goes through them. */
export const released = <T>(tree: T, nested: boolean): T =>
  nested ? tree : (mapTensors(tree, (x) => (x.requiresGrad ? new Tensor(x.value) : x)) as T);

/** Gradients of outputs, zeros where they don't depend on a leaf. */
export function pulled(
  outputs: readonly Tensor[],
  seeds: readonly Tensor[],
  leaves: readonly Tensor[],
  createGraph: boolean,
): Tensor[] {
  const through = outputs.flatMap((y, i) => (y.requiresGrad ? [[y, seeds[i]!] as const] : []));
  if (through.length === 0) return leaves.map((x) => zerosLike(x).detach());
  const found = gradientsOf(
    through.map(([y]) => y),
    leaves,
    { gradOutputs: through.map(([, seed]) => seed), allowUnused: true, retainGraph: true, createGraph },
  );
  return found.map((g, i) => g ?? new Tensor(zerosLike(leaves[i]!).value));
}

/** Ones of a tensor's shape. */
export const onesOf = (y: Tensor): Tensor =>
  fromHost(new Float32Array(y.numel()).fill(1), y.shape, "float32");

/**
 * Splits the result of a function that returns `[value, aux]`, if it does.
 * @throws TensorError "vjp(f, *primals): output of function f should be a tuple: (output, aux) if has_aux is True"
 */
export function auxOf(name: string, result: unknown, hasAux: boolean): [value: unknown, aux: unknown] {
  if (!hasAux) return [result, undefined];
  if (Array.isArray(result) && result.length === 2) return [result[0], result[1]];
  throw new TensorError(
    "value",
    `${name}: output of function f should be a tuple: (output, aux) if has_aux is True`,
  );
}
