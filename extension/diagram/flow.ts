/** The visible part of a model's flow: containers are open or closed, repeated blocks folded into one. */
import type { FlowEdge, FlowGraph, FlowNode } from "../protocol/flow.ts";

/** Ids of the boxes that the user has opened, closed and unfolded. */
export interface FoldState {
  opened: ReadonlySet<string>;
  closed: ReadonlySet<string>;
  /** First blocks of the runs that are unfolded. */
  unfolded: ReadonlySet<string>;
}

export interface ShownBox {
  id: string;
  node: FlowNode;
  /** Whether it contains boxes. */
  expandable: boolean;
  open: boolean;
  /** Number of equal blocks in the run: on a folded run, and on the first block of an unfolded one. */
  repeat: number;
  folded: boolean;
  /** Name of a folded run's last block. */
  lastName?: string;
  children: ShownBox[];
}

export interface ShownFlow {
  boxes: ShownBox[];
  edges: FlowEdge[];
  /** Returns the id of the visible box that is, contains or folds a given box. */
  visibleIdOf: (id: string) => string;
}

interface Box {
  node: FlowNode;
  children: Box[];
  /** Equal for boxes that differ only in their place. */
  signature: string;
}

/** Most boxes shown before the user opens any. */
const FIRST_BOXES = 22;
/** Equal leaf layers fold from this number on, blocks from two. */
const EQUAL_LAYERS = 3;

/**
 * Returns the visible boxes and edges of a flow.
 * @param detailOf A module's settings by its path, which tell modules of one class apart
 * @param markOf A mark by a box's id, such as a change, which tells otherwise equal boxes apart
 */
export function shownFlow(
  flow: FlowGraph,
  choices: FoldState,
  detailOf: (path: string) => string,
  markOf: (id: string) => string = () => "",
): ShownFlow {
  const top = boxesOf(flow, detailOf, markOf);
  const chain = new Set(flow.edges.flatMap(({ from, to }) => siblings(from, to)));
  const fold = (children: readonly Box[]): Run[] => runsOf(children, chain);
  const openAtFirst = firstOpen(top, fold);
  const aliases = new Map<string, string>();
  const open = new Set<string>();

  const show = (children: readonly Box[]): ShownBox[] =>
    fold(children).flatMap((run) => {
      const [first] = run;
      const folded = run.length > 1 && !choices.unfolded.has(first!.node.id);
      if (folded) for (const { node } of run.slice(1)) aliases.set(node.id, first!.node.id);
      return (folded ? run.slice(0, 1) : run).map((box, i) => {
        const { id } = box.node;
        const expandable = box.children.length > 0;
        const isOpen =
          expandable && !choices.closed.has(id) && (choices.opened.has(id) || openAtFirst.has(id));
        if (isOpen) open.add(id);
        return {
          id,
          node: box.node,
          expandable,
          open: isOpen,
          repeat: i === 0 ? run.length : 1,
          folded,
          ...(folded ? { lastName: run.at(-1)!.node.name } : {}),
          children: isOpen ? show(box.children) : [],
        };
      });
    });
  const boxes = show(top);

  const visibleIdOf = (id: string): string => {
    let current = "";
    for (const step of id.split("/")) {
      current = current === "" ? step : `${current}/${step}`;
      current = aliases.get(current) ?? current;
      if (!open.has(current)) return current;
    }
    return current;
  };
  const edges = new Map<string, FlowEdge>();
  for (const edge of flow.edges) {
    if (joinsFolded(edge, aliases)) continue;
    const [from, to] = [visibleIdOf(edge.from), visibleIdOf(edge.to)];
    const key = `${from}>${to}`;
    if (from !== to && !edges.has(key)) edges.set(key, { from, to, shape: edge.shape });
  }
  return { boxes, edges: [...edges.values()], visibleIdOf };
}

/** All visible boxes, parents before children. */
export function allShown(boxes: readonly ShownBox[]): ShownBox[] {
  return boxes.flatMap((box) => [box, ...allShown(box.children)]);
}

/** Ids of the boxes that contain a box, outermost first. */
export function containersOf(id: string): string[] {
  const steps = id.split("/");
  return steps.slice(1).map((_step, i) => steps.slice(0, i + 1).join("/"));
}

/** Builds the tree of boxes, with their signatures. */
function boxesOf(
  { nodes, edges }: FlowGraph,
  detailOf: (path: string) => string,
  markOf: (id: string) => string,
): Box[] {
  const byId = new Map<string, Box>(nodes.map((node) => [node.id, { node, children: [], signature: "" }]));
  const top: Box[] = [];
  for (const box of byId.values()) (byId.get(box.node.parent ?? "")?.children ?? top).push(box);
  /** Edges by the innermost box that contains both ends. */
  const inside = new Map<string, string[]>();
  for (const { from, to, shape } of edges) {
    const common = commonPrefix(from, to);
    const skip = common === "" ? 0 : common.length + 1;
    const list = inside.get(common) ?? [];
    list.push(`${from.slice(skip)}>${to.slice(skip)}:${shape}`);
    inside.set(common, list);
  }
  const sign = (box: Box): string => {
    const { id, kind, name, path, className, shape } = box.node;
    const own =
      kind === "module" ? `${className ?? ""}(${box.children.length > 0 ? "" : detailOf(path)})` : name;
    const children = box.children.map((child) => `${child.node.id.slice(id.length)}=${sign(child)}`);
    box.signature = `${markOf(id)}${own}${shape ?? ""}[${children.join()}|${(inside.get(id) ?? []).join()}]`;
    return box.signature;
  };
  top.forEach(sign);
  return top;
}

function commonPrefix(a: string, b: string): string {
  const [left, right] = [a.split("/"), b.split("/")];
  let same = 0;
  while (same < left.length - 1 && left[same] === right[same]) same++;
  return left.slice(0, same).join("/");
}

/** Returns "a>b" for the two children of the common container that an edge connects. */
function siblings(from: string, to: string): [string] | [] {
  const common = commonPrefix(from, to);
  const depth = common === "" ? 0 : common.split("/").length;
  const [a, b] = [from, to].map((id) =>
    id
      .split("/")
      .slice(0, depth + 1)
      .join("/"),
  );
  return a === b ? [] : [`${a}>${b}`];
}

type Run = Box[];

/** Groups consecutive equal children that feed each other into runs; others are runs of one. */
function runsOf(children: readonly Box[], chain: ReadonlySet<string>): Run[] {
  const runs: Run[] = [];
  for (const box of children) {
    const run = runs.at(-1);
    const last = run?.at(-1);
    if (
      run !== undefined &&
      last?.node.kind === "module" &&
      last.signature === box.signature &&
      chain.has(`${last.node.id}>${box.node.id}`)
    )
      run.push(box);
    else runs.push([box]);
  }
  return runs.flatMap((run) =>
    run.length < (run[0]!.children.length > 0 ? 2 : EQUAL_LAYERS) ? run.map((box) => [box]) : [run],
  );
}

/** Containers that are open at first: outer ones before inner ones, up to {@link FIRST_BOXES} boxes. */
function firstOpen(top: readonly Box[], fold: (children: readonly Box[]) => Run[]): Set<string> {
  const open = new Set<string>();
  let level = fold(top).map((run) => run[0]!);
  let count = level.length;
  while (level.length > 0) {
    const next: Box[] = [];
    for (const box of level) {
      if (box.children.length === 0) continue;
      const inner = fold(box.children).map((run) => run[0]!);
      if (count + inner.length > FIRST_BOXES) continue;
      count += inner.length;
      open.add(box.node.id);
      next.push(...inner);
    }
    level = next;
  }
  return open;
}

/** Whether an edge connects two blocks of one folded run. */
function joinsFolded({ from, to }: FlowEdge, aliases: ReadonlyMap<string, string>): boolean {
  const resolve = (id: string): string[] => {
    let current = "";
    return id.split("/").map((step) => {
      current = current === "" ? step : `${current}/${step}`;
      return current;
    });
  };
  const [left, right] = [resolve(from), resolve(to)];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    if (left[i] === right[i]) continue;
    const [a, b] = [aliases.get(left[i]!) ?? left[i], aliases.get(right[i]!) ?? right[i]];
    return a === b;
  }
  return false;
}
