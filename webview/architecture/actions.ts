/** Actions of the panel's controls. */
import type { SummaryRow } from "../../extension/protocol/preview.ts";
import type { DiagramActions } from "../diagram/frame.ts";
import type { OpenSource } from "../shared/errorBox.ts";
import type { ViewName } from "./state.ts";
import type { PictureActions } from "./layerPictures.ts";
import type { TrainingActions } from "./training.ts";

export interface Actions extends TrainingActions, PictureActions, DiagramActions {
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
  selectPath(path: string): void;
  setHeat(heat: string): void;
  compare(base: string, of: string): void;
  endComparison(): void;
  profile(model: string): void;
  endProfile(): void;
  /** Locks the panel to its file, or lets it follow the active one. */
  lock(locked: boolean): void;
  /** "" shows none. */
  chooseWeights(id: string): void;
}
