import type { Provenance } from "./provenance.ts";

/** What a run's directory holds of its origin. `Run` is the RunRecord of protocol/run.ts. */
export interface HistoryOf<Run> {
  run: Run;
  /** Undefined of runs of earlier versions. */
  provenance?: Provenance;
  /** Name of the trained file, and its text. */
  file: string;
  source?: string;
  /** Texts that it imports, by paths relative to the file. */
  imports: Record<string, string>;
}
