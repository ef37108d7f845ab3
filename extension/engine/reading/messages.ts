import type { ParquetChoice } from "../../formats/parquet.ts";
import type {
  DecodedFile,
  ImagePlanes,
  ParquetCells,
  ParquetFacts,
  RawSample,
} from "../../nn/data/access.ts";

/** Requests to a reading thread by kind, each with its answer. */
export interface Readings {
  parquet: { request: { file: string }; answer: ParquetFacts };
  rowGroup: {
    request: { file: string; group: number; columns: readonly ParquetChoice[]; limit: number };
    answer: ParquetCells[];
  };
  /** The next samples of a tar file, which the first request of a stream opens, and the failure after them, if any. */
  samples: {
    request: { stream: number; file: string };
    answer: { samples: RawSample[]; done: boolean; failure?: string };
  };
  image: { request: { file: string; channels: number }; answer: ImagePlanes };
  closed: { request: { stream: number }; answer: undefined };
  decoded: {
    request: { shard: string; sample: RawSample; wanted: readonly string[] | undefined; channels: number };
    answer: DecodedFile[];
  };
}

export type ReadingKind = keyof Readings;

/** A request to a thread. */
export type ReadingRequest = {
  [K in ReadingKind]: { id: number; kind: K } & Readings[K]["request"];
}[ReadingKind];

/** The answer to a request: a value, or why there is none. */
export type ReadingAnswer = { id: number; value: unknown } | { id: number; error: string };

/** Data that a thread is started with. */
export interface ThreadData {
  /** Counts answers and reads, so that a blocked main thread wakes up and knows that the thread is at work. */
  signal: Int32Array;
}

/** Places in the signal: answers sent, and reads done. */
export const ANSWERS = 0;
export const READS = 1;
