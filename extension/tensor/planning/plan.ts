// Names a pending graph that no earlier step had.
import type { Node, Value } from "../recording/graph.ts";
import type { Plan, Request } from "./executor.ts";

/** Orders the pending nodes and names the graph. */
export function buildPlan({ requested, assigns, lazy, held }: Request): Plan {
  const nodes: Node[] = [];
  const leaves: Value[] = [];
  const names = new Map<Value | Node, string>();
  const key: string[] = [];
  const fetches = new Set<Value>();

  const nameLeaf = (value: Value): void => {
    if (names.has(value)) return;
    names.set(value, `l${leaves.length}`);
    leaves.push(value);
    key.push(leafKey(value));
  };
  // Depth first without recursion: chains of thousands of nodes are ordinary in recurrent models.
  const stack: { node: Node; next: number }[] = [];
  const enter = (value: Value): void => {
    const producer = value.producer;
    if (producer.kind !== "node" || value.ready) nameLeaf(value);
    else if (!names.has(producer)) stack.push({ node: producer, next: 0 });
  };
  const visit = (root: Value): void => {
    enter(root);
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!;
      const input = top.node.inputs[top.next];
      if (input !== undefined) {
        top.next++;
        enter(input);
        continue;
      }
      stack.pop();
      const { node } = top;
      if (names.has(node)) continue;
      names.set(node, `n${nodes.length}`);
      nodes.push(node);
      key.push(nodeKey(node, names));
      for (const output of node.outputs) if (output.visible) fetches.add(output);
    }
  };
  for (const v of requested) visit(v);
  for (const a of assigns) visit(a.value);
  for (const v of lazy) visit(v);
  // A write is their last chance; before that, one output of a model is computed with the others.
  for (const v of held) if (assigns.length > 0 || shares(v, names)) visit(v);
  for (const v of requested) fetches.add(v);
  const ref = (v: Value): string => names.get(v) ?? `${names.get(v.producer as Node)}:${v.index}`;
  for (const v of fetches) key.push(`f${ref(v)}`);
  for (const v of lazy) key.push(`g${ref(v)}`);
  for (const a of assigns) key.push(`s${a.storage.id}=${ref(a.value)}`);
  return { key: key.join(";"), nodes, leaves, fetches: [...fetches], requested, lazy, assigns, held };
}

/** Whether a value is made of what is computed anyway. */
function shares({ producer }: Value, computed: ReadonlyMap<Value | Node, string>): boolean {
  return (
    producer.kind === "node" &&
    producer.inputs.some((input) => !input.ready && computed.has(input.producer as Node))
  );
}

function leafKey(value: Value): string {
  const leaf = value.producer;
  const type = `${value.dtype}[${value.shape.join()}]`;
  if (leaf.kind === "fill" && value.data === undefined) return `fill ${leaf.value} ${type}`;
  if (leaf.kind === "scalar") return leaf.varying ? `varying ${type}` : `scalar ${type}`;
  // Equal models share what only reads them, but each has its own variables: assigned ones are named by the plan.
  return leaf.kind === "state" ? `state ${type}` : `input ${type}`;
}

function nodeKey(node: Node, names: ReadonlyMap<Value | Node, string>): string {
  const inputs = node.inputs.map((v) => names.get(v) ?? `${names.get(v.producer as Node)}:${v.index}`);
  return `${node.op.name}${attributesKey(node.attributes)}(${inputs.join()})`;
}

const EMPTY = "";
function attributesKey(attributes: object): string {
  for (const _ in attributes) return JSON.stringify(attributes);
  return EMPTY;
}
