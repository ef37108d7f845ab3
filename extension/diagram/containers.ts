/**
 * Which containers of a flow are boxes. A ModuleList is never called: functions or other layers may stand between its
 * children. Drawn as a box around the children alone, it would feed what it is fed by, with edges against the flow.
 */
import type { FlowEdge, FlowGraph, FlowNode } from "../protocol/flow.ts";

export interface ArrangedFlow extends FlowGraph {
  /** Returns the id of a box by its id in the recorded flow. */
  idOf: (recorded: string) => string;
  /** Returns the id of a box in the recorded flow. */
  recordedIdOf: (id: string) => string;
}

/**
 * Arranges a flow so that each container can be drawn as a box: all edges lead into it or out of it, and none from it
 * back to it. If only functions are between its children, they move into it. Otherwise, its children take its place,
 * named by their paths.
 * @param rows The parameters of modules, by path: a module without any is a function
 */
export function arranged(
  flow: FlowGraph,
  rows: ReadonlyMap<string, { readonly parameters: number }>,
): ArrangedFlow {
  const boxes = new Map(flow.nodes.map((node, order) => [node.id, new Box(node, order)]));
  const top = new Box({ id: "", kind: "module", path: "", name: "" }, -1);
  for (const box of boxes.values()) box.moveTo(boxes.get(box.node.parent ?? "") ?? top);
  for (const box of boxes.values()) box.name();
  const neighbours = new Neighbours(flow.edges);
  const isFunction = (box: Box): boolean =>
    box.node.kind === "op" || (box.node.kind === "module" && rows.get(box.node.path)?.parameters === 0);
  arrangeIn(top, neighbours, isFunction);

  const ids = new Map<string, string>();
  const recorded = new Map<string, string>();
  const nodes: FlowNode[] = [];
  const write = (parent: Box, id: string): void => {
    for (const box of [...parent.children].sort((a, b) => a.order - b.order)) {
      const { node, segment, title } = box;
      let own = id === "" ? segment : `${id}/${segment}`;
      // A function that moved may have the name of a child.
      while (recorded.has(own)) own += "'";
      recorded.set(own, node.id);
      ids.set(node.id, own);
      const { parent: _before, ...rest } = node;
      nodes.push({ ...rest, id: own, name: title, ...(id === "" ? {} : { parent: id }) });
      write(box, own);
    }
  };
  write(top, "");
  const idOf = (id: string): string => ids.get(id) ?? id;
  const edges = flow.edges.map((edge) => ({ ...edge, from: idOf(edge.from), to: idOf(edge.to) }));
  return { nodes, edges, idOf, recordedIdOf: (id) => recorded.get(id) ?? id };
}

/** A box while its place is decided. */
class Box {
  readonly node: FlowNode;
  readonly order: number;
  readonly children = new Set<Box>();
  parent: Box | undefined;
  title: string;
  /** The last part of its id. */
  segment = "";

  constructor(node: FlowNode, order: number) {
    this.node = node;
    this.order = order;
    this.title = node.name;
  }

  name(): void {
    const { id } = this.parent!.node;
    this.segment = id === "" ? this.node.id : this.node.id.slice(id.length + 1);
  }

  moveTo(parent: Box): void {
    this.parent?.children.delete(this);
    this.parent = parent;
    parent.children.add(this);
  }

  /** Puts the children in the place of this box. */
  dissolve(): void {
    for (const child of this.children) {
      if (child.node.kind === "module") child.title = `${this.title}.${child.title}`;
      child.segment = `${this.segment}.${child.segment}`;
      child.moveTo(this.parent!);
    }
    this.parent!.children.delete(this);
  }

  /** Ids of this box and all boxes in it. */
  ids(into = new Set<string>()): Set<string> {
    into.add(this.node.id);
    for (const child of this.children) child.ids(into);
    return into;
  }
}

class Neighbours {
  readonly next = new Map<string, string[]>();
  readonly previous = new Map<string, string[]>();

  constructor(edges: readonly FlowEdge[]) {
    for (const { from, to } of edges) {
      add(this.next, from, to);
      add(this.previous, to, from);
    }
  }
}

function add(lists: Map<string, string[]>, key: string, value: string): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

/** Decides for each container in a box, outer ones first. */
function arrangeIn(parent: Box, neighbours: Neighbours, isFunction: (box: Box) => boolean): void {
  const containers = [...parent.children].filter(({ children }) => children.size > 0);
  if (containers.length === 0) return;
  /** The child of `parent` that has a box. */
  const placeOf = new Map<string, Box>();
  const place = (child: Box): void => {
    for (const id of child.ids()) placeOf.set(id, child);
  };
  for (const child of parent.children) place(child);
  /** Boxes that are drawn as one: a way into one leads to all edges that leave it. */
  const drawn = new Map<Box, ReadonlySet<string>>();

  for (const container of containers) {
    if (container.parent !== parent) continue;
    const own = container.ids();
    const passed = (lists: ReadonlyMap<string, readonly string[]>): Set<string> => {
      const found = new Set<string>();
      const waiting = [...own];
      for (let id = waiting.pop(); id !== undefined; id = waiting.pop())
        for (const other of lists.get(id) ?? []) {
          const box = placeOf.get(other);
          if (box === undefined || own.has(other) || found.has(other)) continue;
          for (const one of drawn.get(box) ?? [other])
            if (!found.has(one)) {
              found.add(one);
              waiting.push(one);
            }
        }
      return found;
    };
    const after = passed(neighbours.next);
    const between = new Set([...passed(neighbours.previous)].filter((id) => after.has(id)));
    const boxes = new Set([...between].map((id) => placeOf.get(id)!));
    const isOnlyBetween = (box: Box): boolean =>
      box.children.size === 0 || [...box.ids()].every((id) => id === box.node.id || between.has(id));
    if ([...boxes].every((box) => isFunction(box) && isOnlyBetween(box))) {
      for (const box of boxes) {
        drawn.delete(box);
        box.moveTo(container);
      }
      place(container);
      drawn.set(container, container.ids());
    } else {
      const inner = [...container.children];
      container.dissolve();
      inner.forEach(place);
      containers.push(...inner.filter(({ children }) => children.size > 0));
    }
  }
  for (const child of parent.children) arrangeIn(child, neighbours, isFunction);
}
