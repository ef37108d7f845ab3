// The user's hooks, which see gradients in the backward pass.
import { apply } from "./apply.ts";
import { SCALAR_TYPE } from "../core/dtype.ts";
import { kindOf, TensorError } from "../core/errors.ts";
import { sameShape } from "../core/shape.ts";
import { fillValue, type Node } from "./graph.ts";
import { add } from "../ops/elementwise/elementwise.ts";
import { observe, runtime } from "./runtime.ts";
import { scope, withGradients } from "./scope.ts";
import { Tensor, tensorOf } from "../core/tensor.ts";

/** Sees the gradient of a tensor; anything but undefined that it returns replaces it. */
export type TensorHook = (grad: Tensor) => Tensor | void;

/** Sees the gradients of all outputs of a node, and may replace them. */
export type NodeHook = (grads: (Tensor | null)[]) => void;

/** Removes a hook. */
interface Handle {
  remove(): void;
}

/** Hooks and retained tensors. Kept beside the graph, since few nodes and leaves have any. */
const nodes = new WeakMap<Node, readonly NodeHook[]>();
const retained = new WeakMap<Node, readonly Tensor[]>();
const leaves = new WeakMap<Tensor, readonly TensorHook[]>();
const accumulated = new WeakMap<Tensor, readonly ((leaf: Tensor) => void)[]>();

/** Observers of the leaves that a `backward()` has given gradients, while their owners live. */
const endings: { owner: WeakRef<object>; ended: (owner: never, leaves: Iterable<Tensor>) => void }[] = [];

/** Has `ended` called after each `backward()`, as long as `owner` lives. */
export function afterBackward<T extends object>(
  owner: T,
  ended: (owner: T, leaves: Iterable<Tensor>) => void,
): void {
  endings.push({ owner: new WeakRef(owner), ended });
  registered++;
}

/** @internal Notifies observers that a `backward()` has added its gradients to those of these leaves. */
export function visitEnd(gradients: Iterable<readonly [leaf: Tensor, grad: Tensor]>): void {
  if (endings.length === 0) return;
  const leaves = Array.from(gradients, ([leaf]) => leaf);
  for (let i = endings.length - 1; i >= 0; i--) {
    const { owner, ended } = endings[i]!;
    const alive = owner.deref();
    if (alive !== undefined) ended(alive as never, leaves);
    else {
      endings.splice(i, 1);
      registered--;
    }
  }
}

/**
 * @internal Runs the walk of a `backward()`. The first value that a hook reads is computed together with all gradients that have
 * arrived by then: each later read would compute them again.
 * @param gradients those that have arrived at nodes still to be visited, and at leaves
 */
export function withArriving<T>(gradients: () => Iterable<Tensor | null>, walk: () => T): T {
  if (registered === 0) return walk();
  const of = runtime.gradients;
  const outer = of.arriving;
  of.arriving = gradients;
  try {
    return walk();
  } finally {
    of.arriving = outer;
  }
}

/** Hooks that were not removed. Hooks of nodes count until the process ends. */
let registered = 0;

/** Whether some hook may see the gradients of a graph. */
export const anyHooks = (): boolean => registered > 0;

/** Adds an item to a copy of a list, not in place: a hook may remove itself while it runs. */
function listed<K extends object, T>(map: WeakMap<K, readonly T[]>, key: K, item: T): Handle {
  scope.sample?.refuse();
  map.set(key, [...(map.get(key) ?? []), item]);
  registered++;
  let removed = false;
  return {
    remove() {
      if (removed) return;
      removed = true;
      registered--;
      map.set(
        key,
        map.get(key)!.filter((other) => other !== item),
      );
    },
  };
}

/** Runs `hook` whenever the gradients of a node's outputs are complete. */
export function hookGradients(node: Node, hook: NodeHook): Handle {
  return listed(nodes, node, hook);
}

/** @internal Runs the hooks of a node, whose outputs' gradients are complete. */
export function visitNode(node: Node, grads: (Tensor | null)[]): void {
  if (registered === 0) return;
  for (const hook of nodes.get(node) ?? []) hook(grads);
  for (const tensor of retained.get(node) ?? []) {
    // A view follows its base now.
    const edge = tensor.requiresGrad ? tensor.edge : undefined;
    const grad = edge?.node === node ? grads[edge.index] : undefined;
    if (!grad) continue;
    const before = tensor.ownGrad;
    const sum = before === null ? grad : apply(add, [before, grad], {});
    observe(sum.value);
    tensor.grad = before === null ? new Tensor(grad.value, scope.gradients ? grad.edge : undefined) : sum;
  }
}

/** @internal Runs the hooks of a leaf. Returns its gradient after them. */
export function visitLeaf(leaf: Tensor, grad: Tensor): Tensor {
  let current = grad;
  for (const hook of leaves.get(leaf) ?? []) current = visited(hook, current);
  return current;
}

/** @internal Whether a hook of {@link registerPostAccumulateGradHook} runs for one of these leaves. */
export function hasAccumulationHooks(gradients: Iterable<readonly [leaf: Tensor, grad: Tensor]>): boolean {
  if (registered === 0) return false;
  for (const [leaf] of gradients) if ((accumulated.get(leaf)?.length ?? 0) > 0) return true;
  return false;
}

/** @internal Runs the hooks of a leaf whose gradient was added to its `.grad`. */
export function visitAccumulated(leaf: Tensor): void {
  for (const hook of accumulated.get(leaf) ?? []) shown(() => hook(leaf));
}

/** Runs a hook inside backward: gradients that it keeps are computed with the step. */
function visited(hook: TensorHook, grad: Tensor): Tensor {
  return shown(() => {
    observe(grad.value);
    const result: unknown = hook(grad) ?? grad;
    checkReplacement(hook.name || "<lambda>", grad, result);
    return result;
  });
}

/** Refuses what a hook returns in place of a gradient but doesn't fit there. */
function checkReplacement(name: string, grad: Tensor, result: unknown): asserts result is Tensor {
  if (!(result instanceof Tensor))
    throw new TensorError("autograd", `expected Variable, but hook returned '${kindOf(result)}'`);
  if (result.dtype !== grad.dtype) {
    const [was, got] = [grad, result].map(({ dtype }) => `torch.${SCALAR_TYPE[dtype]}Tensor`);
    throw new TensorError("autograd", `hook '${name}' has changed the type of value (was ${was} got ${got})`);
  }
  if (!sameShape(result.shape, grad.shape))
    throw new TensorError("autograd", `hook '${name}' has changed the size of value`);
}

/** Runs the user's own code in the middle of the library's. */
export function shown<T>(body: () => T): T {
  const { depth, hidden } = scope;
  Object.assign(scope, { depth: 0, hidden: 0 });
  try {
    return body();
  } finally {
    Object.assign(scope, { depth, hidden });
  }
}

/**
 * Runs `hook` with the gradient of this tensor each time that `backward()` computes it, before it goes further.
 * @throws TensorError "cannot register a hook on a tensor that doesn't require gradient"
 */
export function registerHook(input: Tensor, hook: TensorHook): Handle {
  if (!input.requiresGrad) {
    throw new TensorError("autograd", "cannot register a hook on a tensor that doesn't require gradient");
  }
  const edge = input.edge!;
  if (edge.leaf !== undefined) return listed(leaves, tensorOf(edge.leaf), hook);
  const { index } = edge;
  return hookGradients(edge.node, (grads) => {
    const grad = grads[index];
    if (grad) grads[index] = visited(hook, grad);
  });
}

/** PyTorch's `zero_grad`: drops the gradients of tensors, or sets existing ones to zero in place. */
export function zeroGradients(tensors: Iterable<Tensor>, setToNone: boolean | { setToNone?: boolean }): void {
  const forget = typeof setToNone === "object" ? (setToNone.setToNone ?? true) : setToNone;
  for (const tensor of tensors) {
    const grad = tensor.ownGrad;
    if (forget) tensor.grad = null;
    else if (grad !== null) {
      grad.edge = undefined;
      withGradients(false, () => grad.write(new Tensor(fillValue(0, grad.shape, grad.dtype))));
    }
  }
}

/**
 * Runs `hook` with this leaf each time that `backward()` has added to its `.grad`.
 * @throws TensorError "post accumulate grad hooks cannot be registered on non-leaf tensors"
 */
export function registerPostAccumulateGradHook(input: Tensor, hook: (parameter: Tensor) => void): Handle {
  if (!input.requiresGrad) {
    throw new TensorError("autograd", "cannot register a hook on a tensor that doesn't require gradient");
  }
  if (!input.isLeaf) {
    throw new TensorError("autograd", "post accumulate grad hooks cannot be registered on non-leaf tensors");
  }
  return listed(accumulated, input, hook);
}

/**
 * Has `backward()` keep the gradient of a tensor that is no leaf in its `.grad`: of the value it has then, when in-place
 * functions have changed it.
 * @throws TensorError "can't retain_grad on Tensor that has requires_grad=False"
 */
export function retainGrad(input: Tensor): void {
  if (!input.requiresGrad) {
    throw new TensorError("autograd", "can't retain_grad on Tensor that has requires_grad=False");
  }
  if (input.isLeaf || input.retainsGrad) return;
  input.moved = () => {
    const node = input.edge?.node;
    if (node !== undefined && retained.get(node)?.includes(input) !== true) listed(retained, node, input);
  };
  input.moved();
}
