/** Finds renamed layers between two versions of a model, by their structure and position. */
import type { FlowNode } from "../../extension/protocol/flow.ts";
import type { ModelReport, SummaryRow } from "../../extension/protocol/preview.ts";

const nameOf = (path: string): string => path.slice(path.lastIndexOf(".") + 1);

/** Rows by the path of their parent. */
function childrenOf(rows: readonly SummaryRow[]): Map<string, SummaryRow[]> {
  const children = new Map<string, SummaryRow[]>();
  for (const row of rows) {
    if (row.path === "") continue;
    const parent = row.path.slice(0, Math.max(0, row.path.lastIndexOf(".")));
    children.set(parent, [...(children.get(parent) ?? []), row]);
  }
  return children;
}

/** A string that encodes a layer's structure, its children included. */
function signature(row: SummaryRow, children: ReadonlyMap<string, SummaryRow[]>): string {
  const inside = (children.get(row.path) ?? []).map((one) => [nameOf(one.path), signature(one, children)]);
  return JSON.stringify([row.className, row.detail, row.parameters, row.weights ?? [], inside]);
}

/**
 * Maps old paths to new ones. A layer counts as renamed if one of equal structure and another name stands between the same
 * layers.
 */
export function renames(before: readonly SummaryRow[], now: readonly SummaryRow[]): Map<string, string> {
  const [olds, news] = [childrenOf(before), childrenOf(now)];
  const found = new Map<string, string>();
  const match = (parent: string): void => {
    const [was, is] = [olds.get(parent) ?? [], news.get(parent) ?? []];
    const paths = new Set(was.map(({ path }) => path));
    const kept = new Set(is.map(({ path }) => path).filter((path) => paths.has(path)));
    const fresh = after(is, kept);
    for (const [place, gone] of after(was, kept)) {
      const candidates = fresh.get(place) ?? [];
      for (const row of gone) {
        const wanted = signature(row, olds);
        const at = candidates.findIndex((one) => signature(one, news) === wanted);
        if (at < 0) continue;
        found.set(row.path, candidates[at]!.path);
        candidates.splice(0, at + 1);
      }
    }
    for (const path of kept) match(path);
  };
  match("");
  return found;
}

/** Groups the rows that are not kept by the kept row before them. */
function after(rows: readonly SummaryRow[], kept: ReadonlySet<string>): Map<string, SummaryRow[]> {
  const places = new Map<string, SummaryRow[]>();
  let place = "";
  for (const row of rows)
    if (kept.has(row.path)) place = row.path;
    else places.set(place, [...(places.get(place) ?? []), row]);
  return places;
}

/** Replaces old names by new ones in a model's rows and diagram. */
export function withNewNames(model: ModelReport, renamed: ReadonlyMap<string, string>): ModelReport {
  if (renamed.size === 0) return model;
  const flow = model.flow && {
    nodes: model.flow.nodes.map((node): FlowNode => {
      const { parent } = node;
      const path = newPath(node.path, renamed);
      const name = node.kind === "module" && renamed.has(node.path) ? nameOf(path) : node.name;
      return {
        ...node,
        path,
        name,
        id: newId(node.id, renamed),
        ...(parent === undefined ? {} : { parent: newId(parent, renamed) }),
      };
    }),
    edges: model.flow.edges.map((edge) => ({
      ...edge,
      from: newId(edge.from, renamed),
      to: newId(edge.to, renamed),
    })),
  };
  const rows = model.rows.map((row) => ({ ...row, path: newPath(row.path, renamed) }));
  return { ...model, rows, ...(flow === undefined ? {} : { flow }) };
}

/** The new path of a renamed layer, or of one inside it. */
function newPath(path: string, renamed: ReadonlyMap<string, string>): string {
  for (let outer = path; outer !== ""; outer = outer.slice(0, Math.max(0, outer.lastIndexOf(".")))) {
    const found = renamed.get(outer);
    if (found !== undefined) return found + path.slice(outer.length);
  }
  return path;
}

/** The new id of a box. An id joins the names of the box and its containers with "/"; "#2" marks a second call. */
function newId(id: string, renamed: ReadonlyMap<string, string>): string {
  let path = "";
  return id
    .split("/")
    .map((part) => {
      const [name = "", call] = part.split("#");
      path = path === "" ? name : `${path}.${name}`;
      const found = renamed.get(path);
      if (found === undefined) return part;
      const own = name.slice(0, name.lastIndexOf(".") + 1) + nameOf(found);
      return call === undefined ? own : `${own}#${call}`;
    })
    .join("/");
}
