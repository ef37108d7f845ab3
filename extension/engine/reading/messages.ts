import type { ParquetChoice } from "../../formats/parquet.ts";
import type { ParquetCells, ParquetFacts } from "../../nn/data/access.ts";

/** What a thread reads: each kind with the answer to it. */
export interface Readings {
  parquet: { request: { file: string }; answer: ParquetFacts };
  rowGroup: {
    request: { file: string; group: number; columns: readonly ParquetChoice[]; limit: number };
    answer: ParquetCells[];
  };
}

export type ReadingKind = keyof Readings;

/** A request to a thread. */
export type ReadingRequest = {
  [K in ReadingKind]: { id: number; kind: K } & Readings[K]["request"];
}[ReadingKind];

/** The answer to a request: a value, or why there is none. */
export type ReadingAnswer = { id: number; value: unknown } | { id: number; error: string };

/** What a thread is started with. */
export interface ThreadData {
  /** Counts answers and reads, so that a blocked main thread wakes up and knows that the thread is at work. */
  signal: Int32Array;
}

/** Places in the signal: answers sent, and reads done. */
export const ANSWERS = 0;
export const READS = 1;
