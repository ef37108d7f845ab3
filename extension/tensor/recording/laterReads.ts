// Values that a later `backward()` needs, among those that a step overwrites, and values that must be computed with a step.
import { numel } from "../core/shape.ts";
import { MIN_LEFT_OUT_BYTES } from "../tuning.ts";
import type { Gradients } from "./gradients.ts";
import { isTaken, type Node, type Storage, type Value } from "./graph.ts";

/** Nodes in the order of recording; those of a `backward()` that was taken over are missing. */
type Recorded = readonly (Node | undefined)[];

/** Whether a node's gradient may still be computed. */
const waits = (node: Node): boolean => !node.freed && !isTaken(node);

/** Current values of storages that a gradient may still need: inputs of recorded nodes that have gradients. */
export function overwritten(recorded: Recorded, storages: ReadonlySet<Storage>): Value[] {
  const found: Value[] = [];
  forInputs(recorded, 0, waits, (input) => {
    const { producer } = input;
    if (producer.kind !== "state") return;
    const { storage, version } = producer;
    if (storages.has(storage) && storage.version === version) found.push(input);
  });
  return found;
}

/**
 * Of values that are written now, those that nodes read whose gradients are still to be computed: they can't be computed again, as
 * what they are made of is overwritten with them.
 */
export function readLater(recorded: Recorded, written: readonly Value[]): Value[] {
  const hidden = new Set<Value>();
  let first = recorded.length;
  for (const value of written) {
    const { wasInput, visible, ready, producer } = value;
    if (!wasInput || visible || ready || producer.kind !== "node") continue;
    hidden.add(value);
    first = Math.min(first, producer.serial + 1);
  }
  const found: Value[] = [];
  if (hidden.size === 0) return found;
  forInputs(recorded, first, waits, (input) => {
    if (hidden.delete(input)) found.push(input);
  });
  return found;
}

/**
 * Visits what nodes with gradients read, and nodes without one whose values those read.
 * @param first the first node that is visited
 * @param counts which nodes with gradients count
 */
function forInputs(
  recorded: Recorded,
  first: number,
  counts: (node: Node) => boolean,
  visit: (input: Value) => void,
): void {
  const read = new Set<Node>();
  for (let i = recorded.length - 1; i >= first; i--) {
    const node = recorded[i];
    if (node === undefined || (node.edges === undefined ? !read.has(node) : !counts(node))) continue;
    for (const input of node.inputs) {
      if (input.ready) continue;
      visit(input);
      const { producer } = input;
      if (producer.kind === "node" && producer.edges === undefined) read.add(producer);
    }
  }
}

/**
 * Whether a node has an input that can't be computed once parameters have changed, or a large one left from a step before `step`.
 */
export function readsInside({ inputs }: Node, step: number, gradients: Gradients): boolean {
  for (const input of inputs) if (isInside(input, step, gradients)) return true;
  return false;
}

function isInside(value: Value, step: number, gradients: Gradients): boolean {
  if (value.ready) return gradients.isTransient(value);
  const { producer, visible, shape } = value;
  if (producer.kind !== "node") return producer.kind === "state";
  if (!visible) return true;
  const isEarlier = producer.stretch !== undefined && producer.stretch.step < step;
  return isEarlier && 4 * numel(shape) >= MIN_LEFT_OUT_BYTES;
}
