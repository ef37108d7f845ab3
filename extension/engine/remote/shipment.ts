import type { RunRequest } from "../../protocol/engine.ts";
import type { LocalFile } from "../../remote/files.ts";
import type { AgentAnswer } from "../../remote/messages.ts";
import type { SendOptions } from "../../remote/send.ts";

/** Files and request of a run that starts on another machine. */
export interface Shipment {
  run: string;
  id: string;
  /** Files by their paths in the run's folder there. */
  files: LocalFile[];
  /** The data among the files: it changes less often than the program. */
  data: ReadonlySet<LocalFile>;
  request: RunRequest;
}

export interface ShipOptions extends SendOptions {
  dist: string;
  say: (text: string) => void;
}

/** A shipment that has arrived: the bytes that were sent, and those that were there. */
export interface Shipped {
  bytes: number;
  known: number;
  /** Puts the files into the run's folder. It can be cancelled. */
  lay?: () => Promise<void>;
  /** Starts the run. */
  start: () => Promise<AgentAnswer<"start">>;
}
