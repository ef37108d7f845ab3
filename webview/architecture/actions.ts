/** What the panel's controls do. */
import type { SummaryRow } from "../../extension/protocol/preview.ts";
import type { ImageFormat } from "../../extension/protocol/views.ts";
import type { OpenSource } from "../shared/errorBox.ts";
import type { ViewName } from "./state.ts";
import type { TrainingActions } from "./training.ts";

export interface Actions extends TrainingActions {
  openSource: OpenSource;
  /** Does nothing if the layer's line isn't known. */
  openLayer(row: SummaryRow): void;
  toggleLayer(path: string): void;
  setView(view: ViewName): void;
  select(model: string): void;
  build(): void;
  manageTrust(): void;
  train(exportName: string): void;
  showData(exportName: string): void;
  dismissNotice(): void;
  /** "" selects nothing. */
  selectBox(id: string): void;
  selectPath(path: string): void;
  /** Shows the source of a box beside the panel, which keeps the focus. */
  revealBox(id: string): void;
  /** Goes to the source of a box. */
  openBox(id: string): void;
  toggleBox(id: string): void;
  unfoldBox(id: string): void;
  openAll(open: boolean): void;
  setHeat(heat: string): void;
  search(text: string): void;
  nextMatch(step: number): void;
  focusSearch(): void;
  exportImage(format: ImageFormat): void;
  compare(base: string, of: string): void;
  endComparison(): void;
  profile(model: string): void;
  endProfile(): void;
  /** Locks the panel to its file, or lets it follow the active one. */
  lock(locked: boolean): void;
  /** "" shows none. */
  chooseWeights(id: string): void;
  /** Receives the diagram's element. */
  viewport: (element: Element | undefined) => void;
}
