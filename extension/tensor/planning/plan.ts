// Names a pending graph that no earlier step had.
import type { Node, Value } from "../recording/graph.ts";
import type { Plan, Request } from "./executor.ts";

/** Numbers of nodes and leaves so far: those of the plan that is being built lie above its base. */
let numbered = 0;

/** Notes a number that is given away: after an error, too, the next plan begins above it. */
function numberAt(place: number): number {
  if (place > numbered) numbered = place;
  return place;
}

/** Orders the pending nodes and names the graph. */
export function buildPlan({ requested, assigns, lazy, held }: Request): Plan {
  const nodes: Node[] = [];
  const leaves: Value[] = [];
  const fetches = new Set<Value>();
  const base = numbered;
  let key = "";
  // Depth first without recursion: chains of thousands of nodes are ordinary in recurrent models.
  const entered: Node[] = [];
  const next: number[] = [];
  const enter = (value: Value): void => {
    const { producer } = value;
    if (producer.kind === "node" && !value.ready) {
      if (producer.planned > base) return;
      entered.push(producer);
      next.push(0);
    } else if (value.planned <= base) {
      leaves.push(value);
      value.planned = numberAt(base + leaves.length);
      key += `${leafKey(value)};`;
    }
  };
  const reference = (value: Value): string => {
    const { producer } = value;
    if (producer.kind === "node" && !value.ready) return `n${producer.planned - base - 1}:${value.index}`;
    return `l${value.planned - base - 1}`;
  };
  const visit = (root: Value): void => {
    enter(root);
    while (entered.length > 0) {
      const last = entered.length - 1;
      const node = entered[last]!;
      const at = next[last]!;
      if (at < node.inputs.length) {
        next[last] = at + 1;
        enter(node.inputs[at]!);
        continue;
      }
      entered.pop();
      next.pop();
      if (node.planned > base) continue;
      nodes.push(node);
      node.planned = numberAt(base + nodes.length);
      key += nodeKey(node, reference);
      for (const output of node.outputs) if (output.visible) fetches.add(output);
    }
  };
  for (const v of requested) visit(v);
  for (const a of assigns) visit(a.value);
  for (const v of lazy) visit(v);
  // A write is their last chance; before that, one output of a model is computed with the others.
  for (const v of held) if (assigns.length > 0 || shares(v, base)) visit(v);
  for (const v of requested) fetches.add(v);
  for (const v of fetches) key += `f${reference(v)};`;
  for (const v of lazy) key += `g${reference(v)};`;
  for (const a of assigns) key += `s${a.storage.id}=${reference(a.value)};`;
  return { key: flat(key), nodes, leaves, fetches: [...fetches], requested, lazy, assigns, held };
}

/** Equal text, in one piece: a sum of strings holds on to each of them, until one character is asked for. */
function flat(text: string): string {
  text.charCodeAt(0);
  return text;
}

/** Whether a value is made of what is computed anyway. */
function shares({ producer }: Value, base: number): boolean {
  if (producer.kind !== "node") return false;
  return producer.inputs.some((v) => !v.ready && v.producer.kind === "node" && v.producer.planned > base);
}

function leafKey(value: Value): string {
  const leaf = value.producer;
  const type = `${value.dtype}[${value.shape.join()}]`;
  if (leaf.kind === "fill" && value.data === undefined) return `fill ${leaf.value} ${type}`;
  if (leaf.kind === "scalar") return leaf.varying ? `varying ${type}` : `scalar ${type}`;
  // Equal models share what only reads them, but each has its own variables: assigned ones are named by the plan.
  return leaf.kind === "state" ? `state ${type}` : `input ${type}`;
}

function nodeKey({ op, attributes, inputs }: Node, reference: (value: Value) => string): string {
  let list = "";
  for (let i = 0; i < inputs.length; i++)
    list += i === 0 ? reference(inputs[i]!) : `,${reference(inputs[i]!)}`;
  return `${op.name}${attributesKey(attributes)}(${list});`;
}

/** The attributes as JSON, of which these are plain: `JSON.stringify` takes ten times as long for most. */
function attributesKey(attributes: object): string {
  let text = "";
  for (const name in attributes) {
    const value = (attributes as Readonly<Record<string, unknown>>)[name];
    if (value !== undefined) text += `${text === "" ? "{" : ","}${name}:${valueKey(value)}`;
  }
  return text === "" ? text : `${text}}`;
}

function valueKey(value: unknown): string {
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : `${value}`;
  if (typeof value === "boolean") return value ? "true" : "false";
  if (!Array.isArray(value)) return JSON.stringify(value);
  // JSON has neither NaN nor infinity nor -0.
  return value.every(Number.isInteger) && !value.some((x) => Object.is(x, -0))
    ? `[${value.join()}]`
    : `[${value.map(valueKey).join()}]`;
}
