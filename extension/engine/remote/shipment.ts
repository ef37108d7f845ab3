import type { RunRequest } from "../../protocol/engine.ts";
import type { LocalFile } from "../../remote/files.ts";
import type { SendOptions } from "../../remote/send.ts";

/** What is brought to a machine for a run, and how it begins. */
export interface Shipment {
  run: string;
  id: string;
  /** Files by their paths in the run's folder there. */
  files: LocalFile[];
  /** Of the files, the data: what changes more seldom than the program. */
  data: ReadonlySet<LocalFile>;
  request: RunRequest;
}

export interface ShipOptions extends SendOptions {
  dist: string;
  say: (text: string) => void;
}

/** Bytes of a shipment that were sent, and bytes that were there. */
export interface Shipped {
  bytes: number;
  known: number;
  /** Starts the run. */
  start: () => Promise<"started" | "running">;
}
