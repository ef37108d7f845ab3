/** Actions of the editor's controls. */
import type { TensorsUi } from "./state.ts";

export interface Actions {
  setUi(change: Partial<TensorsUi>): void;
  /** Shows or hides a tensor's values. */
  toggle(index: number): void;
  /** Shows a tensor as a table. */
  view(index: number): void;
  lookAtAll(): void;
  compare(): void;
  closeComparison(): void;
  evaluate(): void;
  trainOn(): void;
  cancel(): void;
  dismiss(): void;
  retry(): void;
}
