import path from "node:path";
import type { SourcePosition, UserError } from "../../protocol/errors.ts";
import type { Limit } from "./watchdog.ts";

/** Seconds that a file's top-level code may take before a run; a preview has the limit of its request. */
const LOAD_SECONDS = Number(process.env["LAYERWISE_LOAD_LIMIT"]) || 10;

/**
 * Tells of code of the user's that keeps the event loop from turning, once the file is loaded: until it returns, the run neither
 * continues nor stops. `warn` may be called again for the same line, and while the main thread is paused.
 */
export function busyLimit(warn: (text: string) => void): Limit {
  return {
    milliseconds: LOAD_SECONDS * 1000,
    repeat: true,
    text: "The run's code",
    onOver: (position) => {
      if (position === undefined) return;
      const place = `Line ${position.line} of ${path.basename(position.file)}`;
      warn(
        `${place} has been running for ${LOAD_SECONDS} s. The run can't continue or stop until it returns.`,
      );
    },
  };
}

/** The limit of a file's top-level code. `fail` is called once, perhaps while the main thread is paused. */
export function loadLimit(file: string, fail: (error: UserError) => void): Limit {
  const what = `The top-level code of ${path.basename(file)} has been`;
  const time = `for ${LOAD_SECONDS} s`;
  return {
    milliseconds: LOAD_SECONDS * 1000,
    text: `${what} running ${time}`,
    onOver: (position: SourcePosition | undefined) =>
      fail({
        code: "timeout",
        message: position === undefined ? `${what} waiting ${time}` : `${what} running ${time}`,
        position: position ?? { file, line: 1, column: 1 },
        hint:
          position === undefined
            ? "A top-level await doesn't come back."
            : "An endless loop? Loading data and training belong into the experiment's functions, not at the top level.",
      }),
  };
}
