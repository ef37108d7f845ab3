/** The nodes of an ONNX graph in groups: modules by their names, and sections of levels that have too many. */
import type { ModelGraph, ModelNode } from "../../formats/onnx/graphProto.ts";

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
/** Levels of modules; deeper ones stay in the last. */
const MAX_LEVELS = 24;
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
export function treeOf(
  { nodes, outputs }: ModelGraph,
  constants: Pick<ReadonlyMap<string, unknown>, "has">,
): TreeBox[] {
  const asked = new Set(outputs.map(({ name }) => name));
  const root: GroupBox = { kind: "group", id: "", name: "", path: "", className: "", children: [] };
  const groups = new Map<string, GroupBox>();
  for (const [index, node] of nodes.entries()) {
    const hidden = isConstant(node) || isAlias(node, constants);
    if (hidden && !node.outputs.some((name) => asked.has(name))) continue;
    let parent = root;
    let key = "";
    for (const { name, className } of modulesOf(node)) {
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
  simplify(root);
  name(root, nodes);
  return root.children;
}

interface Module {
  name: string;
  className: string;
}

/** The modules around a node, outermost first. */
function modulesOf({ name, scopes, classes }: ModelNode): Module[] {
  // PyTorch's newer exporter writes them, the older one and TensorFlow's put them into the name.
  const known = scopes?.[0] === "" ? scopes.slice(1, -1) : undefined;
  const paths = known ?? name.split("/").filter(Boolean).slice(0, -1);
  return paths.slice(0, MAX_LEVELS).map((path, i) => {
    const before = paths[i - 1];
    const own = before !== undefined && path.startsWith(`${before}.`) ? path.slice(before.length + 1) : path;
    const className = known === undefined ? "" : (classes?.[i + 1]?.split(".").at(-1) ?? "");
    return { name: own, className };
  });
}

/** Makes modules of one node a box, and divides levels that are too wide. */
function simplify(group: GroupBox): void {
  group.children = group.children.map((child): TreeBox => {
    if (child.kind === "node") return child;
    simplify(child);
    const [only] = child.children;
    if (child.children.length > 1 || only === undefined) return child;
    if (only.kind === "node") return { ...only, module: only.module ?? child.name };
    return child;
  });
  while (group.children.length > MOST_AT_LEVEL) group.children = sections(group.children);
}

function sections(children: readonly TreeBox[]): GroupBox[] {
  const found: GroupBox[] = [];
  for (let from = 0; from < children.length; from += SECTION) {
    const part = children.slice(from, from + SECTION);
    const name = `${from + 1} – ${from + part.length}`;
    found.push({ kind: "group", id: "", name, path: "", className: "", children: part });
  }
  return found;
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
