/** What the panel's controls do. */
import type { CheckpointRecord } from "../../extension/protocol/run.ts";
import type { OpenSource } from "../shared/errorBox.ts";
import type { Range } from "./decimate.ts";
import type { ActionName, TrainingUi } from "./state.ts";

export interface Actions {
  /** Asks the host; the button is disabled until it answers, and what fails is shown. */
  run(name: ActionName): void;
  evaluate(checkpoint: CheckpointRecord): void;
  reveal(checkpoint: CheckpointRecord): void;
  openSource: OpenSource;
  setUi(change: Partial<TrainingUi>): void;
  zoom(range: Range | undefined): void;
  dismissNotice(): void;
}
