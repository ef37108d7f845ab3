/** Actions of the panel's controls. */
import type { SweepUi } from "./state.ts";

export interface Actions {
  setUi(change: Partial<SweepUi>): void;
  /** Selects a range of an axis; undefined for all of it. */
  brush(axis: string, range: readonly [number, number] | undefined): void;
  hover(number: number | undefined): void;
  openTrial(number: number): void;
  apply(number: number): void;
  resume(): void;
  stop(): void;
  openSource(): void;
  dismiss(): void;
  retry(): void;
}
