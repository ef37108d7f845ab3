/** All that the editor of ONNX models shows. Views are functions of it. */
import type { OnnxBox, OnnxModelView, OnnxNodeDetails } from "../../extension/protocol/tensors/onnxFile.ts";
import type { SummaryRow } from "../../extension/protocol/preview.ts";
import type { DiagramModel, DiagramState, DiagramUi } from "../diagram/diagramState.ts";
import { baseName } from "../shared/format.ts";
import type { strings } from "../shared/strings.ts";
import { defaultUi as defaultTensorsUi, type TensorsUi } from "../tensors/state.ts";

export type ViewName = keyof typeof strings.onnx.views;

export interface OnnxUi extends DiagramUi {
  view: ViewName;
  tensors: TensorsUi;
}

export const defaultUi: OnnxUi = {
  view: "diagram",
  opened: [],
  closed: [],
  unfolded: [],
  selected: "",
  tensors: defaultTensorsUi,
};

/** Details of the selected node, which the host sends on request. */
export interface ShownNode {
  id: string;
  /** Undefined while they are read; null for a box that is no node. */
  details?: OnnxNodeDetails | null;
  error?: string;
}

export interface OnnxState {
  model: OnnxModelView;
  /** The same as the diagram draws it. */
  drawn: DiagramModel;
  boxes: ReadonlyMap<string, OnnxBox>;
  ui: OnnxUi;
  diagram: DiagramState;
  node: ShownNode | undefined;
}

/** The graph as a model of the diagram: a row for each box that has parameters, or nodes inside. */
export function diagramModel({ flow, boxes }: OnnxModelView, file: string): DiagramModel {
  const rows = boxes.map(({ path, className, detail, parameters }): SummaryRow => ({
    path,
    depth: 0,
    className,
    detail,
    parameters,
    trainable: parameters,
  }));
  return { name: baseName(file), rows, flow };
}
