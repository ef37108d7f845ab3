// Which values are from before a write in place, so that a gradient may not use them.
import { MemoryVersion } from "./memoryVersion.ts";
import { SCALAR_TYPE } from "../core/dtype.ts";
import { TensorError } from "../core/errors.ts";
import { formatShape } from "../core/shape.ts";
import type { GradientEdge, Node, Value } from "./graph.ts";
import { gradientFunction } from "./nodeOp.ts";

/** The version of a value's memory. */
export const versionOf = (value: Value): MemoryVersion => (value.version ??= new MemoryVersion());

/**
 * A write in place has put `next` where `before` was: that is stale from here on.
 * @param since how many values there were when the function began that writes; null for a write that isn't counted
 */
export function overwritten(before: Value, next: Value, since: number | null): void {
  if (since === null) {
    next.version ??= before.version;
    return;
  }
  const old = versionOf(before);
  if (old.number === old.newest) old.until = since;
  const version = new MemoryVersion(old);
  next.version ??= version;
}

/** Whether the memory of a value was written to since. */
export const isStale = ({ version }: Value): boolean =>
  version !== undefined && version.number !== version.newest;

/** Whether a value that a node was given, or has made, is stale for its gradient. */
export const isStaleFor = (value: Value, node: Node): boolean =>
  isStale(value) && node.outputs[0]!.made <= value.version!.until;

/** Values that belong to a function and not to the program: PyTorch has none in their place that could be freed. */
const owned = new WeakSet<Value>();

/** Marks a tensor that a function makes for itself, such as the places of a diagonal: it may be used by many gradients. */
export function ofFunction<T extends { readonly value: Value }>(tensor: T): T {
  owned.add(tensor.value);
  return tensor;
}

/** Whether gradients are recorded that were found admissible before: what they need may have been overwritten since. */
let admitted = false;

/** Runs `body`, which records gradients that {@link isLost} has allowed before. */
export function withoutChecks<T>(body: () => T): T {
  const before = admitted;
  admitted = true;
  try {
    return body();
  } finally {
    admitted = before;
  }
}

/**
 * Whether PyTorch's gradient of a node may use a value.
 * @throws TensorError why it may not
 */
export function checkSaved(value: Value, edge: GradientEdge | undefined, node: Node): void {
  if (admitted) return;
  if (node.freed && !owned.has(value)) throw freedError();
  if (isStaleFor(value, node)) throw staleError(value, edge);
}

/** Whether {@link checkSaved} refuses a value. */
export const isLost = (value: Value, node: Node): boolean =>
  !admitted &&
  ((node.freed && !owned.has(value)) || (value.version !== undefined && isStaleFor(value, node)));

/** PyTorch's error for a gradient that needs a value which the program has overwritten. */
export function staleError(value: Value, edge: GradientEdge | undefined): TensorError {
  const { number, newest } = versionOf(value);
  const of =
    edge?.node === undefined
      ? ""
      : `, which is output ${edge.index} of ${edge.name ?? gradientFunction(edge.node.op)},`;
  return new TensorError(
    "autograd",
    `one of the variables needed for gradient computation has been modified by an inplace operation: [torch.${SCALAR_TYPE[value.dtype]}Tensor ${formatShape(value.shape)}]${of} is at version ${newest}; expected version ${number} instead.`,
    "call backward() before the write (an optimizer.step() writes its parameters), compute the values again after it, or write x = x.add(1) in place of x.add_(1)",
  );
}

/** PyTorch's error for a second `backward()` through a graph, where a gradient needs a value of the forward pass. */
export const freedError = (): TensorError =>
  new TensorError(
    "autograd",
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already been freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify retainGraph: true if you need to backward through the graph a second time or if you need to access saved tensors after calling backward.",
    "a state that is carried from step to step, such as an RNN's, needs state = state.detach()",
  );
