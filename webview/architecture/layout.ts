/** Places for the boxes and edges of a shown flow. */
import type { ElkExtendedEdge, ElkNode } from "elkjs/lib/elk-api.js";
import type { Rectangle, Point } from "./camera.ts";
import type { ShownBox, ShownFlow } from "./flow.ts";

export interface PlacedEdge {
  from: string;
  to: string;
  shape: string;
  points: Point[];
  /** Top left corner of the shape's text. */
  label: Point | undefined;
}

export interface Layout {
  width: number;
  height: number;
  boxes: ReadonlyMap<string, Rectangle>;
  edges: PlacedEdge[];
}

/** What is written in a box, and how large that makes it. */
export interface BoxText {
  title: string;
  /** Class of a module; shape of what goes in or comes out. */
  kind: string;
  badge: string | undefined;
  width: number;
  height: number;
}

export const LABEL_HEIGHT = 14;
export const HEAD_HEIGHT = 28;

const OPTIONS = {
  "elk.algorithm": "layered",
  "elk.direction": "DOWN",
  "elk.hierarchyHandling": "INCLUDE_CHILDREN",
  "elk.edgeRouting": "ORTHOGONAL",
  "elk.json.shapeCoords": "ROOT",
  "elk.json.edgeCoords": "ROOT",
  // Boxes keep their order when others come and go.
  "elk.layered.considerModelOrder.strategy": "NODES_AND_EDGES",
  "elk.layered.nodePlacement.strategy": "BRANDES_KOEPF",
  "elk.layered.nodePlacement.bk.fixedAlignment": "BALANCED",
  // Diagrams have few crossings; trying longer than this doubles the time for nothing that is seen.
  "elk.layered.thoroughness": "2",
  "elk.spacing.nodeNode": "28",
  "elk.spacing.edgeNode": "18",
  "elk.spacing.edgeEdge": "14",
  "elk.spacing.edgeLabel": "4",
  "elk.layered.spacing.nodeNodeBetweenLayers": "16",
  "elk.layered.spacing.edgeNodeBetweenLayers": "12",
  "elk.layered.spacing.edgeEdgeBetweenLayers": "10",
  "elk.padding": "[top=4,left=4,bottom=4,right=4]",
};

const GROUP_OPTIONS = {
  "elk.padding": `[top=${HEAD_HEIGHT + 10},left=16,bottom=14,right=16]`,
};

/** A shown flow as the layout engine takes it. */
export function elkGraph(
  { boxes, edges }: ShownFlow,
  textOf: (box: ShownBox) => BoxText,
  labelWidth: (text: string) => number,
): ElkNode {
  const node = (box: ShownBox): ElkNode => {
    const { width, height } = textOf(box);
    if (!box.open) return { id: box.id, width, height };
    return {
      id: box.id,
      layoutOptions: {
        ...GROUP_OPTIONS,
        "elk.nodeSize.constraints": "MINIMUM_SIZE",
        "elk.nodeSize.minimum": `(${width}, ${height})`,
      },
      children: box.children.map(node),
    };
  };
  return {
    id: "",
    layoutOptions: OPTIONS,
    children: boxes.map(node),
    edges: edges.map(({ from, to, shape }): ElkExtendedEdge => ({
      id: `${from}>${to}`,
      sources: [from],
      targets: [to],
      labels: [{ text: shape, width: labelWidth(shape), height: LABEL_HEIGHT }],
    })),
  };
}

export function layoutOf(laid: ElkNode): Layout {
  const boxes = new Map<string, Rectangle>();
  const edges: PlacedEdge[] = [];
  const visit = (node: ElkNode): void => {
    for (const child of node.children ?? []) {
      const { id, x = 0, y = 0, width = 0, height = 0 } = child;
      boxes.set(id, { x, y, width, height });
      visit(child);
    }
    for (const { sources, targets, sections = [], labels = [] } of node.edges ?? []) {
      const [label] = labels;
      edges.push({
        from: sources[0]!,
        to: targets[0]!,
        shape: label?.text ?? "",
        points: sections.flatMap(({ startPoint, bendPoints = [], endPoint }) => [
          startPoint,
          ...bendPoints,
          endPoint,
        ]),
        label: label?.x === undefined || label.y === undefined ? undefined : { x: label.x, y: label.y },
      });
    }
  };
  visit(laid);
  return { width: laid.width ?? 0, height: laid.height ?? 0, boxes, edges };
}
