/** Merges two versions of a model, and finds added, removed and changed layers. */
import type { FlowEdge, FlowGraph, FlowNode } from "../../extension/protocol/flow.ts";
import type { ModelReport, SummaryRow } from "../../extension/protocol/preview.ts";
import { renames, withNewNames } from "./renames.ts";

/** "inside": a container that is unchanged itself but contains changes. */
export type Change = "added" | "removed" | "changed" | "inside";

/** A sign for each kind of change, legible without colours. */
export const SIGNS: Readonly<Record<Change, string>> = {
  added: "+",
  removed: "−",
  changed: "~",
  inside: "…",
};

export interface RowChange {
  change: Change;
  /** Differences, such as ["out_features=10 → out_features=12"]. */
  notes: string[];
  /** Parameters more than before. */
  parameters: number;
}

export interface ModelDiff {
  /** The new version, with removed parts still at their places. */
  model: ModelReport;
  before: ModelReport;
  /** Changed modules, by path. */
  rows: ReadonlyMap<string, RowChange>;
  /** Changed boxes of the diagram, by id. */
  boxes: ReadonlyMap<string, Change>;
  /** Changed edges of the diagram, by "from>to". */
  edges: ReadonlyMap<string, "added" | "removed">;
  /** Number of layers with each kind of change, without their containers. */
  counts: Record<"added" | "removed" | "changed", number>;
  /** Parameters more than before. */
  parameters: number;
}

export const edgeKey = ({ from, to }: Pick<FlowEdge, "from" | "to">): string => `${from}>${to}`;

/** @param sameFile Whether both are versions of one file; then removed rows have no source line to link to */
export function diffOf(before: ModelReport, now: ModelReport, sameFile: boolean): ModelDiff {
  const renamed = renames(before.rows, now.rows);
  return differences(withNewNames(before, renamed), now, { sameFile, renamed });
}

function differences(
  before: ModelReport,
  now: ModelReport,
  { sameFile, renamed }: { sameFile: boolean; renamed: ReadonlyMap<string, string> },
): ModelDiff {
  const oldNames = new Map([...renamed].map(([was, is]) => [is, was]));
  const rows = rowChanges(before, now, oldNames);
  const flow = mergedFlow(before.flow, now.flow);
  const counts = { added: 0, removed: 0, changed: 0 };
  const merged = mergedRows(before.rows, now.rows, sameFile);
  const containers = new Set(merged.map(({ path }) => parentOf(path)));
  for (const [path, { change }] of rows)
    if (change !== "inside" && path !== "" && !containers.has(path)) counts[change]++;
  return {
    model: { ...now, rows: merged, ...(flow === undefined ? {} : { flow: flow.graph }) },
    before,
    rows,
    boxes: boxChanges(flow, rows),
    edges: flow?.edges ?? new Map(),
    counts,
    parameters: now.parameters.total - before.parameters.total,
  };
}

/** Path of a module's parent; undefined for the model itself. */
export const parentOf = (path: string): string | undefined =>
  path === "" ? undefined : path.slice(0, Math.max(0, path.lastIndexOf(".")));

function rowChanges(
  before: ModelReport,
  now: ModelReport,
  oldNames: ReadonlyMap<string, string>,
): Map<string, RowChange> {
  const old = new Map(before.rows.map((row) => [row.path, row]));
  const rows = new Map(now.rows.map((row) => [row.path, row]));
  const changes = new Map<string, RowChange>();
  for (const [path, row] of rows) {
    const was = old.get(path);
    const oldName = oldNames.get(path);
    const notes = was === undefined ? [] : notesOf(was, row);
    if (oldName !== undefined) notes.unshift(`${oldName} → ${path}`);
    const parameters = row.parameters - (was?.parameters ?? 0);
    if (was === undefined) changes.set(path, { change: "added", notes, parameters });
    else if (notes.length > 0) changes.set(path, { change: "changed", notes, parameters });
  }
  for (const [path, { parameters }] of old)
    if (!rows.has(path)) changes.set(path, { change: "removed", notes: [], parameters: -parameters });
  for (const path of changes.keys())
    for (let outer = parentOf(path); outer !== undefined; outer = parentOf(outer)) {
      if (changes.has(outer)) continue;
      const parameters = (rows.get(outer)?.parameters ?? 0) - (old.get(outer)?.parameters ?? 0);
      changes.set(outer, { change: "inside", notes: [], parameters });
    }
  return changes;
}

/** Differences of a module itself, without its children. */
function notesOf(was: SummaryRow, is: SummaryRow): string[] {
  const arrow = (a: string | undefined, b: string | undefined): string[] =>
    a === b ? [] : [`${a ?? "–"} → ${b ?? "–"}`];
  const weights = ({ weights = [] }: SummaryRow): string =>
    weights.map(({ name, shape }) => `${name} ${shape}`).join(", ");
  const settings = settingNotes(was.detail, is.detail);
  const notes = [...arrow(was.className, is.className), ...settings];
  // Changed settings explain changed shapes of weights.
  if (notes.length === 0) notes.push(...arrow(weights(was), weights(is)));
  const state = (frozen: boolean | undefined): string => (frozen === true ? "frozen" : "trainable");
  if (was.trainable > 0 !== is.trainable > 0 && was.parameters > 0 && is.parameters > 0)
    notes.push(...arrow(state(was.trainable === 0), state(is.trainable === 0)));
  else
    for (const { name, frozen } of is.weights ?? []) {
      const before = was.weights?.find((weight) => weight.name === name);
      if (before !== undefined && state(before.frozen) !== state(frozen))
        notes.push(`${name}: ${state(before.frozen)} → ${state(frozen)}`);
    }
  return notes;
}

/** The settings that differ; all settings if their number differs. */
function settingNotes(was: string, is: string): string[] {
  if (was === is) return [];
  const split = (detail: string): string[] => detail.split(/, (?![^([]*[)\]])/);
  const [a, b] = [split(was), split(is)];
  if (a.length !== b.length || was === "" || is === "") return [`${was || "–"} → ${is || "–"}`];
  return a.flatMap((one, i) => (one === b[i] ? [] : [`${one} → ${b[i]}`]));
}

/** All of `now`, and what only `before` has after what stood before it there. */
function merged<T>(before: readonly T[], now: readonly T[], keyOf: (one: T) => string): T[] {
  const present = new Set(now.map(keyOf));
  const after = new Map<string, T[]>();
  let last = "";
  for (const one of before) {
    if (present.has(keyOf(one))) last = keyOf(one);
    else after.set(last, [...(after.get(last) ?? []), one]);
  }
  return [...(after.get("") ?? []), ...now.flatMap((one) => [one, ...(after.get(keyOf(one)) ?? [])])];
}

/** The rows of both, each after its parent as before. */
function mergedRows(
  before: readonly SummaryRow[],
  now: readonly SummaryRow[],
  sameFile: boolean,
): SummaryRow[] {
  const present = new Set(now.map(({ path }) => path));
  const old = before.map((row): SummaryRow => {
    if (present.has(row.path) || !sameFile) return row;
    const { position: _, ...rest } = row;
    return rest;
  });
  const children = (rows: readonly SummaryRow[]): Map<string | undefined, SummaryRow[]> => {
    const byParent = new Map<string | undefined, SummaryRow[]>();
    for (const row of rows) {
      const parent = parentOf(row.path);
      byParent.set(parent, [...(byParent.get(parent) ?? []), row]);
    }
    return byParent;
  };
  const [olds, news] = [children(old), children(now)];
  const below = (parent: string | undefined): SummaryRow[] =>
    merged(olds.get(parent) ?? [], news.get(parent) ?? [], ({ path }) => path || ".").flatMap((row) => [
      row,
      ...below(row.path),
    ]);
  return below(undefined);
}

interface MergedFlow {
  graph: FlowGraph;
  nodes: ReadonlyMap<string, "added" | "removed">;
  edges: ReadonlyMap<string, "added" | "removed">;
}

function mergedFlow(before: FlowGraph | undefined, now: FlowGraph | undefined): MergedFlow | undefined {
  if (now === undefined || before === undefined) {
    const graph = now ?? before;
    return graph && { graph, nodes: new Map(), edges: new Map() };
  }
  const changes = <T>(old: readonly T[], rows: readonly T[], keyOf: (one: T) => string) => {
    const [was, is] = [new Set(old.map(keyOf)), new Set(rows.map(keyOf))];
    return new Map([
      ...[...is].filter((key) => !was.has(key)).map((key) => [key, "added"] as const),
      ...[...was].filter((key) => !is.has(key)).map((key) => [key, "removed"] as const),
    ]);
  };
  const idOf = ({ id }: FlowNode): string => id;
  return {
    graph: {
      nodes: merged(before.nodes, now.nodes, idOf),
      // An edge in both versions has the new shape.
      edges: merged(before.edges, now.edges, edgeKey),
    },
    nodes: changes(before.nodes, now.nodes, idOf),
    edges: changes(before.edges, now.edges, edgeKey),
  };
}

function boxChanges(flow: MergedFlow | undefined, rows: ReadonlyMap<string, RowChange>): Map<string, Change> {
  const boxes = new Map<string, Change>();
  for (const { id, kind, path } of flow?.graph.nodes ?? []) {
    const change = (kind === "module" ? rows.get(path)?.change : undefined) ?? flow?.nodes.get(id);
    if (change !== undefined) boxes.set(id, change);
  }
  // Operations, such as a sum in a block, have no row.
  const parents = new Map((flow?.graph.nodes ?? []).map(({ id, parent }) => [id, parent]));
  for (const id of boxes.keys())
    for (let outer = parents.get(id); outer !== undefined && !boxes.has(outer); outer = parents.get(outer))
      boxes.set(outer, "inside");
  return boxes;
}

/** Visible edges that stand only for added, or only for removed, edges. */
export function shownEdgeChanges(
  { model, edges }: ModelDiff,
  visibleIdOf: (id: string) => string,
): ModelDiff["edges"] {
  const kinds = new Map<string, Set<"added" | "removed" | "same">>();
  for (const edge of model.flow?.edges ?? []) {
    const key = edgeKey({ from: visibleIdOf(edge.from), to: visibleIdOf(edge.to) });
    const kind = edges.get(edgeKey(edge)) ?? "same";
    kinds.set(key, (kinds.get(key) ?? new Set()).add(kind));
  }
  const changes = new Map<string, "added" | "removed">();
  for (const [key, [kind, ...others]] of kinds)
    if (others.length === 0 && kind !== undefined && kind !== "same") changes.set(key, kind);
  return changes;
}
