// Names the values of a graph by where they come from.
import type { Node, Value } from "../graph.ts";
import { MAX_TRACED_NODES } from "../../tuning.ts";

/** Maximum number of outputs of a node here. */
export const OUTPUTS = 64;
/** Position of the first node that was recorded before the last barrier, and not computed by it: behind all others. */
const EARLIER = MAX_TRACED_NODES + 1;

/** Numbers values by their origin: outputs by their node's position, leaves in the order in which they are met. */
export class Numbering {
  /** Marks of values numbered here lie above it, those of earlier numberings below. */
  static #last = 0;
  readonly leaves: Value[] = [];
  /** Nodes from before the last barrier that the graph needs, in the order in which they are met: inputs first. */
  readonly earlier: Node[] = [];
  readonly #positions = new Map<Node, number>();
  readonly #base = Numbering.#last;
  readonly #nodes: readonly Node[];

  constructor(nodes: readonly Node[]) {
    this.#nodes = nodes;
  }

  /** Returns a value's code: above 0 for an output of a recorded node, below 0 for a leaf. */
  code(value: Value): number {
    const node = pendingNode(value);
    if (node !== undefined) return this.position(node) * OUTPUTS + value.index + 1;
    return value.mark > this.#base ? this.#base - value.mark : this.meet(value);
  }

  /** The position of a node among those recorded since the last barrier, or behind them. */
  position(node: Node): number {
    if (this.#nodes[node.serial] === node) return node.serial;
    return this.#positions.get(node) ?? this.#meetEarlier(node);
  }

  /** The node at a position; undefined for those of a `backward()` that was taken over. */
  nodeAt(position: number): Node | undefined {
    return position < EARLIER ? this.#nodes[position] : this.earlier[position - EARLIER];
  }

  #meetEarlier(node: Node): number {
    const isNew = (one: Node): boolean => this.#nodes[one.serial] !== one && !this.#positions.has(one);
    const stack = [node];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      let before: Node | undefined;
      for (const input of top.inputs) {
        const one = pendingNode(input);
        if (one !== undefined && isNew(one)) before = one;
      }
      if (before !== undefined) {
        stack.push(before);
        continue;
      }
      stack.pop();
      if (isNew(top)) this.#positions.set(top, EARLIER + this.earlier.push(top) - 1);
    }
    return this.#positions.get(node)!;
  }

  /** Gives a leaf the next number. */
  meet(value: Value): number {
    this.leaves.push(value);
    Numbering.#last = value.mark = this.#base + this.leaves.length;
    return -this.leaves.length;
  }
}

/** The node that a value is to be computed from; undefined for a leaf of the graph. */
function pendingNode(value: Value): Node | undefined {
  const { producer } = value;
  return producer.kind === "node" && !value.ready && value.retained === undefined ? producer : undefined;
}

/** Decodes the code of an output. */
export const place = (code: number): { serial: number; index: number } => ({
  serial: Math.floor((code - 1) / OUTPUTS),
  index: (code - 1) % OUTPUTS,
});
