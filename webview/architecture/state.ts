/** All that the architecture panel shows. Views are functions of it. */
import { shownOf, modelTitle } from "../../extension/protocol/modelForms.ts";
import type { ModelReport } from "../../extension/protocol/preview.ts";
import type { ArchitectureSnapshot } from "../../extension/protocol/views.ts";
import type { strings } from "../shared/strings.ts";
import type { DiagramState, DiagramUi } from "../diagram/diagramState.ts";
import type { ShownTraining } from "./training.ts";

export type ViewName = keyof typeof strings.architecture.views;

export interface ArchitectureUi extends DiagramUi {
  view: ViewName;
  /** Paths of folded layers. */
  collapsed: string[];
  /** The number that colours the diagram's boxes. */
  heat: string;
  /** Whether boxes show what their layers give. */
  pictures: boolean;
}

export const defaultUi: ArchitectureUi = {
  view: "diagram",
  collapsed: [],
  opened: [],
  closed: [],
  unfolded: [],
  selected: "",
  heat: "none",
  pictures: true,
};

export interface ArchitectureState {
  snapshot: ArchitectureSnapshot;
  ui: ArchitectureUi;
  diagram: DiagramState<ModelReport>;
  /** The training whose figures are shown. */
  training: ShownTraining;
  /** Number of choices requested from the host; recreates their dropdowns, so that a cancelled one isn't selected. */
  round: number;
  /** Why the last request failed. */
  notice: string | undefined;
}

/** The model to show; `stale` if it is from before an error. */
export function shownModel({ report, model, lastGood }: ArchitectureSnapshot): {
  model?: ModelReport;
  stale: boolean;
} {
  const current = shownOf(report?.models ?? [], model);
  if (current) return { model: current, stale: false };
  return lastGood ? { model: lastGood, stale: true } : { stale: false };
}

/** The model to draw: the last good version if its forward fails now. */
export function drawnModel(snapshot: ArchitectureSnapshot): { model?: ModelReport; stale: boolean } {
  const shown = shownModel(snapshot);
  const { lastGood } = snapshot;
  return shown.model?.error !== undefined && lastGood && modelTitle(lastGood) === modelTitle(shown.model)
    ? { model: lastGood, stale: true }
    : shown;
}
