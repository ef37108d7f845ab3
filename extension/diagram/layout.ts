/** The layout of a visible flow: positions of boxes and edges. */
import type { ElkExtendedEdge, ElkNode } from "elkjs/lib/elk-api.js";
import type { DiagramLook, FlowGraph, FlowLayout } from "../protocol/flow.ts";
import { boxText, type BoxText, labelWidth, type Room, type Row, withRoom } from "./boxText.ts";
import { arranged, type ArrangedFlow } from "./containers.ts";
import { allShown, type ShownBox, shownFlow, type ShownFlow } from "./flow.ts";

export const LABEL_HEIGHT = 14;
export const HEAD_HEIGHT = 28;

const OPTIONS = {
  "elk.algorithm": "layered",
  "elk.direction": "DOWN",
  "elk.hierarchyHandling": "INCLUDE_CHILDREN",
  "elk.edgeRouting": "ORTHOGONAL",
  "elk.json.shapeCoords": "ROOT",
  "elk.json.edgeCoords": "ROOT",
  // Boxes keep their order when others appear or disappear.
  "elk.layered.considerModelOrder.strategy": "NODES_AND_EDGES",
  "elk.layered.nodePlacement.strategy": "BRANDES_KOEPF",
  "elk.layered.nodePlacement.bk.fixedAlignment": "BALANCED",
  // Diagrams have few crossings; a higher value doubles the time without a visible gain.
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

/** A warm-up layout that uses every feature: the engine's first one takes longest. */
export const WARM_UP: ElkNode = {
  id: "",
  layoutOptions: { "elk.algorithm": "layered", "elk.hierarchyHandling": "INCLUDE_CHILDREN" },
  children: [{ id: "a", children: [{ id: "b" }, { id: "c" }] }, { id: "d" }],
  edges: [
    { id: "bc", sources: ["b"], targets: ["c"], labels: [{ text: "x", width: 9, height: 9 }] },
    { id: "cd", sources: ["c"], targets: ["d"] },
  ],
};

/** Converts a visible flow to ELK's input. */
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
      labels: shape === "" ? [] : [{ text: shape, width: labelWidth(shape), height: LABEL_HEIGHT }],
    })),
  };
}

export type PlacedEdge = FlowLayout["edges"][number];

export interface Layout extends Omit<FlowLayout, "boxes"> {
  boxes: ReadonlyMap<string, FlowLayout["boxes"][number]>;
}

export const layoutOf = (places: FlowLayout): Layout => ({
  ...places,
  boxes: new Map(places.boxes.map((box) => [box.id, box])),
});

/** Extracts the positions from ELK's output. */
export function positionsOf(laid: ElkNode): FlowLayout {
  const boxes: FlowLayout["boxes"] = [];
  const edges: PlacedEdge[] = [];
  const visit = (node: ElkNode): void => {
    for (const child of node.children ?? []) {
      const { id, x = 0, y = 0, width = 0, height = 0 } = child;
      boxes.push({ id, x, y, width, height });
      visit(child);
    }
    for (const { sources, targets, sections = [], labels = [] } of node.edges ?? []) {
      const [label] = labels;
      edges.push({
        from: sources[0]!,
        to: targets[0]!,
        shape: label?.text ?? "",
        points: sections.flatMap(({ startPoint, bendPoints = [], endPoint }) =>
          [startPoint, ...bendPoints, endPoint].map(({ x, y }) => ({ x, y })),
        ),
        ...(label?.x === undefined || label.y === undefined ? {} : { label: { x: label.x, y: label.y } }),
      });
    }
  };
  visit(laid);
  return { width: laid.width ?? 0, height: laid.height ?? 0, boxes, edges };
}

/** The visible boxes and texts of a model, before layout. */
export interface Sketch {
  flow: ArrangedFlow;
  shown: ShownFlow;
  /** By id, parents before children. */
  boxes: ReadonlyMap<string, ShownBox>;
  texts: ReadonlyMap<string, BoxText>;
}

/**
 * @param markOf A mark by a box's id in the recorded flow, which tells otherwise equal boxes apart
 * @param roomOf Size of the content beneath a box's text
 */
export function sketchOf(
  flow: FlowGraph,
  rows: ReadonlyMap<string, Row>,
  look: DiagramLook,
  markOf?: (id: string) => string,
  roomOf?: (box: ShownBox) => Room | undefined,
): Sketch {
  const { opened, closed, unfolded, widths } = look;
  const choices = { opened: new Set(opened), closed: new Set(closed), unfolded: new Set(unfolded) };
  const whole = arranged(flow, rows);
  const detailOf = (path: string): string => rows.get(path)?.detail ?? "";
  const shown = shownFlow(whole, choices, detailOf, markOf && ((id) => markOf(whole.recordedIdOf(id))));
  const all = allShown(shown.boxes);
  return {
    flow: whole,
    shown,
    boxes: new Map(all.map((box) => [box.id, box])),
    texts: new Map(
      all.map((box) => [box.id, withRoom(boxText(box, rows.get(box.node.path), widths), roomOf?.(box))]),
    ),
  };
}

export const graphOf = ({ shown, texts }: Sketch, { widths }: DiagramLook): ElkNode =>
  elkGraph(
    shown,
    (box) => texts.get(box.id)!,
    (text) => labelWidth(text, widths),
  );
