/** The nodes of an ONNX graph in groups: modules by their names, and sections of levels that have too many. */
import type { ModelGraph, ModelNode } from "../../formats/onnx/graphProto.ts";
import { modulesOf } from "./onnxModules.ts";

export interface NodeBox {
  readonly kind: "node";
  /** Unique path of boxes, with "/" between them. */
  id: string;
  /** Index of the node in the graph. */
  readonly index: number;
  /** Name of the module that has this node alone. */
  module: string | undefined;
}

export interface GroupBox {
  readonly kind: "group";
  id: string;
  readonly name: string;
  /** Dotted path of a module; "" for a section. */
  readonly path: string;
  className: string;
  children: TreeBox[];
}

export type TreeBox = NodeBox | GroupBox;

/** Boxes of one level, above which they are divided into sections. ELK lays out as many in a second. */
const MOST_AT_LEVEL = 300;
const SECTION = 50;
/** Ops that a section's box names. */
const MOST_OPS = 2;
/** Characters of a module's name that its boxes' ids keep. */
const LONGEST_SEGMENT = 60;

/** Whether a node only holds a constant, which is shown with the node that reads it. */
export const isConstant = ({ op, domain }: ModelNode): boolean => op === "Constant" && domain === "";

/** Whether a node only names a constant again, as PyTorch's older exporter does where weights are equal. */
export const isAlias = (
  { op, domain, inputs: [input] }: ModelNode,
  constants: Pick<ReadonlyMap<string, unknown>, "has">,
): boolean => op === "Identity" && domain === "" && input !== undefined && constants.has(input);

/**
 * Returns the top level of boxes. Constants have a box only if they are outputs of the graph.
 * @param constants Names of values that are constants
 */
export function treeOf(graph: ModelGraph, constants: Pick<ReadonlyMap<string, unknown>, "has">): TreeBox[] {
  const { nodes, outputs } = graph;
  const modules = modulesOf(graph);
  const asked = new Set(outputs.map(({ name }) => name));
  const root: GroupBox = { kind: "group", id: "", name: "", path: "", className: "", children: [] };
  const groups = new Map<string, GroupBox>();
  for (const [index, node] of nodes.entries()) {
    const hidden = isConstant(node) || isAlias(node, constants);
    if (hidden && !node.outputs.some((name) => asked.has(name))) continue;
    let parent = root;
    let key = "";
    for (const { name, className } of modules[index]!) {
      key += `/${name}`;
      let group = groups.get(key);
      if (group === undefined) {
        const path = parent === root ? name : `${parent.path}.${name}`;
        group = { kind: "group", id: "", name, path, className, children: [] };
        groups.set(key, group);
        parent.children.push(group);
      }
      parent = group;
    }
    parent.children.push({ kind: "node", id: "", index, module: undefined });
  }
  simplify(root, nodes);
  name(root, nodes);
  return root.children;
}

/** Makes modules of one node a box, and divides levels that are too wide. */
function simplify(group: GroupBox, nodes: readonly ModelNode[]): void {
  group.children = group.children.map((child): TreeBox => {
    if (child.kind === "node") return child;
    simplify(child, nodes);
    const [only] = child.children;
    if (child.children.length > 1 || only === undefined) return child;
    if (only.kind === "node") return { ...only, module: only.module ?? child.name };
    return child;
  });
  while (group.children.length > MOST_AT_LEVEL) group.children = sections(group.children, nodes);
}

function sections(children: readonly TreeBox[], nodes: readonly ModelNode[]): GroupBox[] {
  const found: GroupBox[] = [];
  for (let from = 0; from < children.length; from += SECTION) {
    const part = children.slice(from, from + SECTION);
    const name = `${from + 1} – ${from + part.length}`;
    found.push({ kind: "group", id: "", name, path: "", className: opsOf(part, nodes), children: part });
  }
  return found;
}

/** The most frequent ops of a section. */
function opsOf(part: readonly TreeBox[], nodes: readonly ModelNode[]): string {
  const counts = new Map<string, number>();
  for (const box of part) {
    if (box.kind === "group") continue;
    const { op } = nodes[box.index]!;
    counts.set(op, (counts.get(op) ?? 0) + 1);
  }
  const ops = [...counts].sort(([, a], [, b]) => b - a).map(([op]) => op.slice(0, LONGEST_SEGMENT));
  return ops.length > MOST_OPS ? `${ops.slice(0, MOST_OPS).join(", ")}, …` : ops.join(", ");
}

/** Gives ids: equal ones within repeated blocks, so that these are recognized. */
function name(group: GroupBox, nodes: readonly ModelNode[]): void {
  const prefix = group.id === "" ? "" : `${group.id}/`;
  const times = new Map<string, number>();
  for (const child of group.children) {
    const wanted = child.kind === "group" ? child.name : (child.module ?? `~${nodes[child.index]!.op}`);
    const segment = wanted.replaceAll("/", "_").slice(0, LONGEST_SEGMENT);
    const before = times.get(segment) ?? 0;
    times.set(segment, before + 1);
    // No name ends so: a space is no part of one.
    child.id = prefix + (before === 0 ? segment : `${segment} #${before + 1}`);
    if (child.kind === "group") name(child, nodes);
  }
}
