/** The tree of a model's summary rows. */
import type { ModelReport, SummaryRow } from "../../extension/protocol/preview.ts";

export interface Layer {
  row: SummaryRow;
  /** Last segment of the path: the name of the parent's property. */
  name: string;
  children: Layer[];
}

/**
 * Builds the tree in the order of the rows. A row whose parent isn't listed (a submodule that is called directly) is at the
 * top level.
 */
export function layerTree({ rows }: ModelReport): Layer[] {
  const byPath = new Map<string, Layer>();
  const top: Layer[] = [];
  for (const row of rows) {
    if (row.path === "") continue;
    const split = row.path.lastIndexOf(".");
    const layer: Layer = { row, name: row.path.slice(split + 1), children: [] };
    byPath.set(row.path, layer);
    const siblings = byPath.get(row.path.slice(0, Math.max(0, split)))?.children ?? top;
    siblings.push(layer);
  }
  return top;
}

/** The visible layers from top to bottom, without those inside `collapsed` paths. */
export function visibleLayers(
  layers: readonly Layer[],
  collapsed: ReadonlySet<string>,
  depth = 0,
): { layer: Layer; depth: number }[] {
  return layers.flatMap((layer) => [
    { layer, depth },
    ...(collapsed.has(layer.row.path) ? [] : visibleLayers(layer.children, collapsed, depth + 1)),
  ]);
}

/** The layers that `forward` calls; a module that calls none of its children is one layer. All layers if no call is known. */
export function calledLayers(layers: readonly Layer[]): Layer[] {
  const isCalled = ({ row, children }: Layer): boolean =>
    row.outputShape !== undefined || children.some(isCalled);
  if (!layers.some(isCalled)) return [...layers];
  return layers.filter(isCalled).map((layer) => ({ ...layer, children: layer.children.filter(isCalled) }));
}

export const rootRow = ({ rows }: ModelReport): SummaryRow | undefined => rows.find((row) => row.path === "");
