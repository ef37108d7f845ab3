/** Actions of the panel's controls. */
import type { PanelControl, RunControls } from "../../extension/protocol/controls.ts";
import type { CheckpointRecord, LabelChanges } from "../../extension/protocol/run.ts";
import type { OpenSource } from "../shared/errorBox.ts";
import type { Range } from "./decimate.ts";
import type { ActionName, Editing, TrainingUi } from "./state.ts";

export type ExportFormat = "csv" | "png" | "svg" | "pgfplots";

export interface Actions {
  /** Asks the host; the button is disabled until it answers, and a failure is shown. */
  run(name: ActionName): void;
  evaluate(checkpoint: CheckpointRecord): void;
  reveal(checkpoint: CheckpointRecord): void;
  openSource: OpenSource;
  setUi(change: Partial<TrainingUi>): void;
  zoom(range: Range | undefined): void;
  /** Asks the run for a control with a value; `label` names it in a failure's message. */
  steer<K extends PanelControl>(name: K, label: string, ...args: Parameters<RunControls[K]>): void;
  openRun(id: string): void;
  /** Adds a run to the comparison, or removes it. */
  compare(id: string): void;
  edit(editing: Editing | undefined): void;
  label(id: string, labels: LabelChanges): void;
  deleteRun(id: string): void;
  exportAs(format: ExportFormat): void;
  /** Shows how another run differs from this one; undefined closes that. */
  diffWith(id: string | undefined): void;
  openVersion(): void;
  runAgain(): void;
  /** Saves the run as one HTML file. */
  saveReport(): void;
  /** Shows the layers at a step; undefined follows the end. */
  moveTo(step: number | undefined): void;
  /** Saves the selected layer's histograms as CSV. */
  saveLayerValues(): void;
  dismissNotice(): void;
}
