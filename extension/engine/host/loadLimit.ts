import path from "node:path";
import type { SourcePosition, UserError } from "../../protocol/errors.ts";
import type { Limit } from "./watchdog.ts";

/** Seconds that a file's top-level code may take before a run; a preview has the limit of its request. */
const LOAD_SECONDS = Number(process.env["LAYERWISE_LOAD_LIMIT"]) || 10;

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
