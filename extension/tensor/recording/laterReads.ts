// Values that a later `backward()` needs, among those that a step overwrites.
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
