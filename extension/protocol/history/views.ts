import type { Provenance } from "./provenance.ts";

/** A run with its origin, as its directory records it. `Run` is the RunRecord of protocol/run.ts. */
export interface HistoryOf<Run> {
  run: Run;
  /** Undefined of runs of earlier versions. */
  provenance?: Provenance;
  /** Name of the trained file, and its text. */
  file: string;
  source?: string;
  /** Texts of the files that it imports, by paths relative to it. */
  imports: Record<string, string>;
}
