import type { SweepRecord, TrialRow } from "./sweep.ts";

/** Messages between the extension host and the panel of a sweep; see views.ts. */

/** A trial, with what its run says of it while it trains. */
export interface ShownTrial extends TrialRow {
  /** Of a running trial: completed epochs, all epochs, and the metric's newest value. */
  live?: { epoch: number; epochs: number; value?: number };
}

/** How much the metric depends on a parameter alone, from 0 to 1. */
export interface ShownImportance {
  name: string;
  value: number;
}

export interface SweepSnapshot {
  sweep: SweepRecord;
  trials: ShownTrial[];
  /** Number of the complete trial with the best value. */
  best?: number;
  importances: ShownImportance[];
  /** Whether a process runs the sweep. */
  live: boolean;
  /** Whether this window can stop it. */
  stoppable: boolean;
}

export interface SweepViewMethods {
  snapshot(snapshot: SweepSnapshot): void;
}

export interface SweepHostMethods {
  ready(): Promise<SweepSnapshot>;
  /** Shows the curves of a trial. */
  openTrial(number: number): Promise<void>;
  /** Makes a trial's settings the defaults in the file. Can be undone there. */
  apply(number: number): Promise<void>;
  resume(): Promise<void>;
  stop(): Promise<void>;
  openSource(): Promise<void>;
}

export interface SweepViewState {
  sweepId: string;
  /** Absolute path of the `.nn.ts` file. */
  file: string;
  ui?: unknown;
}
