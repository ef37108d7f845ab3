// Names a pending graph that no earlier step had.
import type { Node, Value } from "../recording/graph.ts";
import type { Plan, Request } from "./executor.ts";
import { PlanCode } from "./planCode.ts";

/** Numbers of nodes and leaves so far: those of the plan that is being built lie above its base. */
let numbered = 0;

/** Notes a number that is given away: after an error, too, the next plan begins above it. */
function numberAt(place: number): number {
  if (place > numbered) numbered = place;
  return place;
}

const code = new PlanCode();

/**
 * Orders the pending nodes and names the graph.
 * @param given nodes whose outputs are taken for leaves, as they are once these are computed
 */
export function buildPlan(
  { requested, assigns, lazy, held }: Request,
  given: ReadonlySet<Node> = NONE,
): Plan {
  const nodes: Node[] = [];
  const leaves: Value[] = [];
  const fetches = new Set<Value>();
  const base = numbered;
  code.clear();
  // Depth first without recursion: chains of thousands of nodes are ordinary in recurrent models.
  const entered: Node[] = [];
  const next: number[] = [];
  const enter = (value: Value): void => {
    if (isPending(value, given)) {
      const { producer } = value;
      if (producer.planned > base) return;
      entered.push(producer);
      next.push(0);
    } else if (value.planned <= base) {
      leaves.push(value);
      value.planned = numberAt(base + leaves.length);
      code.leaf(value);
    }
  };
  const visit = (root: Value): void => {
    enter(root);
    while (entered.length > 0) {
      const last = entered.length - 1;
      const node = entered[last]!;
      const { inputs } = node;
      const at = next[last]!;
      if (at < inputs.length) {
        next[last] = at + 1;
        enter(inputs[at]!);
        continue;
      }
      entered.pop();
      next.pop();
      if (node.planned > base) continue;
      nodes.push(node);
      node.planned = numberAt(base + nodes.length);
      code.node(node.op.name, node.attributes, inputs.length);
      for (let i = 0; i < inputs.length; i++) refer(inputs[i]!, base, given);
      for (const output of node.outputs) if (output.visible) fetches.add(output);
    }
  };
  for (const v of requested) visit(v);
  for (const a of assigns) visit(a.value);
  for (const v of lazy) visit(v);
  // A write is their last chance; before that, one output of a model is computed with the others, or with its gradients.
  const last = assigns.length > 0 || lazy.length > 0;
  const apart = new Set<Node>();
  for (const v of held) if (last || shares(v, base, apart)) visit(v);
  for (const v of requested) fetches.add(v);
  code.word(fetches.size);
  for (const v of fetches) refer(v, base, given);
  code.word(lazy.length);
  for (const v of lazy) refer(v, base, given);
  let storages = "";
  for (const a of assigns) {
    refer(a.value, base, given);
    storages += ` ${a.storage.id}`;
  }
  const graph = code.hash();
  const key = graph + storages;
  return { graph, key, nodes, leaves, fetches: [...fetches], requested, lazy, assigns, held };
}

const NONE: ReadonlySet<Node> = new Set();

const isPending = (value: Value, given: ReadonlySet<Node>): value is Value & { readonly producer: Node } => {
  const { producer } = value;
  return producer.kind === "node" && !value.ready && value.retained === undefined && !given.has(producer);
};

/** Writes where a value of the plan comes from: its number among the leaves, or among the nodes and their outputs. */
function refer(value: Value, base: number, given: ReadonlySet<Node>): void {
  if (isPending(value, given)) {
    code.word(value.producer.planned - base);
    code.word(value.index);
  } else code.word(base - value.planned);
}

/**
 * Whether a value is made of what is computed anyway.
 * @param apart nodes that were found not to be, to which others are added
 */
function shares(value: Value, base: number, apart: Set<Node>): boolean {
  const stack = [value];
  for (let one = stack.pop(); one !== undefined; one = stack.pop()) {
    const { ready, producer } = one;
    if (ready || producer.kind !== "node" || apart.has(producer)) continue;
    if (producer.planned > base) return true;
    apart.add(producer);
    stack.push(...producer.inputs);
  }
  return false;
}
