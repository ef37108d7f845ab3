// Functions of the user's that see gradients on their way back.
import { apply } from "./apply.ts";
import { TensorError } from "./errors.ts";
import type { Node } from "./graph.ts";
import { add } from "./ops/elementwise.ts";
import { observe } from "./runtime.ts";
import { scope } from "./scope.ts";
import type { Tensor } from "./tensor.ts";

/** Sees the gradient of a tensor; anything but undefined that it returns replaces it. */
export type TensorHook = (grad: Tensor) => Tensor | void;

/** Sees the gradients of all outputs of a node, and may replace them. */
export type NodeHook = (grads: (Tensor | null)[]) => void;

/** Takes back what made it. */
interface Handle {
  remove(): void;
}

/** What waits for gradients. Beside the graph, since hardly any node or leaf has some of it. */
const nodes = new WeakMap<Node, readonly NodeHook[]>();
const retained = new WeakMap<Node, readonly { readonly tensor: Tensor; readonly index: number }[]>();
const leaves = new WeakMap<Tensor, readonly TensorHook[]>();
const accumulated = new WeakMap<Tensor, readonly ((leaf: Tensor) => void)[]>();

/** Hooks that were not removed. Those of nodes count for as long as the process runs. */
let registered = 0;

/** Whether some hook may see the gradients of a graph. */
export const anyHooks = (): boolean => registered > 0;

/** Adds to a list, which is replaced and not changed: a hook may remove itself while it runs. */
function listed<K extends object, T>(map: WeakMap<K, readonly T[]>, key: K, item: T): Handle {
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

/** @internal The gradients of a node's outputs are complete: runs what waits for them. */
export function visitNode(node: Node, grads: (Tensor | null)[]): void {
  for (const hook of nodes.get(node) ?? []) hook(grads);
  for (const { tensor, index } of retained.get(node) ?? []) {
    const grad = grads[index];
    if (!grad) continue;
    observe(grad.value);
    tensor.grad = tensor.grad === null ? grad : apply(add, [tensor.grad, grad], {});
  }
}

/** @internal The gradient of a leaf, as its hooks leave it. */
export function visitLeaf(leaf: Tensor, grad: Tensor): Tensor {
  let current = grad;
  for (const hook of leaves.get(leaf) ?? []) current = visited(hook, current);
  return current;
}

/** @internal A leaf's gradient was added to its `.grad`. */
export function visitAccumulated(leaf: Tensor): void {
  for (const hook of accumulated.get(leaf) ?? []) shown(() => hook(leaf));
}

/** The user's code inside backward: what it keeps is computed with the step. */
function visited(hook: TensorHook, grad: Tensor): Tensor {
  return shown(() => {
    observe(grad.value);
    return hook(grad) ?? grad;
  });
}

/** Runs the user's own code in the middle of the library's. */
export function shown<T>(body: () => T): T {
  const { depth } = scope;
  scope.depth = 0;
  try {
    return body();
  } finally {
    scope.depth = depth;
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
  if (edge.leaf !== undefined) return listed(leaves, edge.leaf, hook);
  const { index } = edge;
  return hookGradients(edge.node, (grads) => {
    const grad = grads[index];
    if (grad) grads[index] = visited(hook, grad);
  });
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
 * Has `backward()` keep the gradient of a tensor that is no leaf in its `.grad`.
 * @throws TensorError "can't retain_grad on Tensor that has requires_grad=False"
 */
export function retainGrad(input: Tensor): void {
  if (!input.requiresGrad) {
    throw new TensorError("autograd", "can't retain_grad on Tensor that has requires_grad=False");
  }
  const { edge } = input;
  if (edge?.node === undefined) return;
  listed(retained, edge.node, { tensor: input, index: edge.index });
}
