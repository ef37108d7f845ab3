import { basename } from "node:path";
import type { SourcePosition, UserError } from "../../protocol/errors.ts";
import { MEMORY_EXCEEDED } from "../../protocol/exit.ts";
import type { FileReport, InspectRequest } from "../../protocol/preview.ts";
import { describeExit, lastLines, OUT_OF_MEMORY, type ExitInfo } from "./process.ts";

/** More names say no more. */
const MOST_NAMES = 3;

export function failed(file: string, error: UserError): FileReport {
  return { file, models: [], experiments: [], errors: [error] };
}

export function invalid(file: string, problem: string): FileReport {
  const message = `internal: the preview engine answered with an invalid report: ${problem}`;
  return failed(file, { code: "internal", message });
}

export function timedOut(
  file: string,
  limit: number,
  stuck: SourcePosition | undefined,
  changed: readonly string[],
): FileReport {
  const still = `Still running after ${limit} seconds, so the preview was ended`;
  // Not in the file's own code, but in what it has changed.
  if (stuck === undefined && changed.length > 0)
    return failed(file, { code: "internal", message: `${still}.` });
  return failed(file, {
    code: "timeout",
    message: `${still}: an endless loop, or work that belongs into a run?`,
    position: stuck ?? { file, line: 1, column: 1 },
    hint: "Loading data and training belong into an experiment's functions, not at the top level of the file.",
  });
}

/** @param memory The limit, in megabytes */
export function crashed(
  file: string,
  exit: ExitInfo,
  memory: number,
  stuck: SourcePosition | undefined,
): FileReport {
  if (exit.stderr.includes(MEMORY_EXCEEDED) || OUT_OF_MEMORY.test(exit.stderr))
    return failed(file, {
      code: "memory",
      message: `Out of memory: the preview needed more than its limit of ${memory.toLocaleString("en")} MB, so it was ended.`,
      position: stuck ?? { file, line: 1, column: 1 },
      hint: "Large tensors and data sets belong into an experiment's functions. The setting layerwise.preview.memoryLimit is the limit.",
    });
  const hint = lastLines(exit);
  const message = `The preview ended while it ran this file: ${describeExit(exit)}.`;
  return failed(file, { code: "crash", message, ...(hint === undefined ? {} : { hint }) });
}

/** Nothing the file's text explains: perhaps an earlier file has left something in the process. */
export function isFault({ errors, models }: FileReport): boolean {
  return [...errors, ...models.flatMap(({ error }) => error ?? [])].some(
    ({ code }) => code === "internal" || code === "crash" || code === "memory",
  );
}

/** The errors of a file that has changed what the library itself is built on, with that as their cause. */
export function explained(
  report: FileReport,
  changed: readonly string[],
  { file, text }: InspectRequest,
): FileReport {
  if (changed.length === 0) return report;
  const names = changed.slice(0, MOST_NAMES).join(", ");
  const more = changed.length > MOST_NAMES ? ` and ${changed.length - MOST_NAMES} more` : "";
  const what = `the file changes JavaScript's built-ins (${names}${more})`;
  const explain = (error: UserError): UserError => {
    if (error.code === "internal") {
      const message = `The preview of ${basename(file)} failed, since ${what}.`;
      return { code: "builtins", message, position: positionOf(changed, file, text), hint: error.message };
    }
    const hint = `Perhaps since ${what}.`;
    return { ...error, hint: error.hint === undefined ? hint : `${error.hint}\n${hint}` };
  };
  const models = report.models.map((model) =>
    model.error === undefined ? model : { ...model, error: explain(model.error) },
  );
  return { ...report, models, errors: report.errors.map(explain) };
}

/** The line of the text that names what was changed. */
function positionOf(changed: readonly string[], file: string, text = ""): SourcePosition {
  const lines = text.split("\n");
  for (const name of changed) {
    const line = lines.findIndex((one) => one.includes(name));
    if (line >= 0) return { file, line: line + 1, column: lines[line]!.indexOf(name) + 1 };
  }
  return { file, line: 1, column: 1 };
}
