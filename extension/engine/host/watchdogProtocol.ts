/** Global symbol under which the main thread keeps the function that the watchdog calls. */
export const REPORT = "layerwise.watchdog.report";

/** From the main thread to its watchdog. */
export type WatchdogMessage =
  | {
      kind: "watch";
      /** Milliseconds until the main thread is paused and inspected. */
      limit: number;
      /** Check every `limit` milliseconds and let it continue; else the process is killed after the report. */
      repeat: boolean;
      /** Bytes that the process may have, now and afterwards; else it is killed after a report. */
      memory?: number;
      /** Text for stderr if the main thread can't be paused before it is killed. */
      text: string;
    }
  | { kind: "leave" }
  /** Renew the time of a lock's file every two seconds, while that file has the inode it was created with. */
  | { kind: "hold"; file: string; inode: string }
  /** The lock is released. */
  | { kind: "release" }
  /** End the process when it has computed for so many milliseconds although nothing is watched. */
  | { kind: "idle"; limit: number }
  /**
   * End the process when its parent is gone, and `folder` too if one is given, and it hasn't ended by itself after
   * `grace` milliseconds. The last such message counts.
   */
  | { kind: "parent"; pid: number; grace: number; folder?: string };

/** From the watchdog: it follows what it was told to. */
export const READY = "ready";

/** From the watchdog: the lock is another process's now. */
export const LOST = "lost";

/** A call frame of the paused main thread, 1-based. */
export interface StandingAt {
  script: string;
  line: number;
  column: number;
}
