// The file that a run's record names is run with the user's rights, so a stranger's run must not choose just any.
import { realpath, stat } from "node:fs/promises";
import { isAbsolute, relative, resolve, sep } from "node:path";
import { isMissing } from "../../files/fileError.ts";
import { rootOfRun } from "../../files/runFiles.ts";
import { FOREIGN_TOOL_NAMES } from "../../protocol/history/foreignRun.ts";
import type { RunRecord } from "../../protocol/run.ts";
import { EngineError } from "../../protocol/errors.ts";

export interface SourceOptions {
  /** Whether the user allows a file outside of the run's workspace. */
  outside?: boolean;
  /** The user's folder, which a run that is in no workspace belongs to. Default the current one. */
  folder?: string;
}

/**
 * Gives the file that a run was made of, which may be run again: one of the run's own workspace. A file that is missing
 * passes, since nothing of it can run.
 * @throws EngineError "outside" for a file elsewhere, or a link to one; "run-record" for what is no file; "imported" for a run of
 * another tool
 */
export async function sourceOfRun(
  directory: string,
  { id, file, imported }: Pick<RunRecord, "id" | "file" | "imported">,
  { outside = false, folder = process.cwd() }: SourceOptions = {},
): Promise<string> {
  if (imported !== undefined)
    throw new EngineError({
      code: "imported",
      message: `Run ${id} was imported from ${FOREIGN_TOOL_NAMES[imported.tool]}: it has curves, but no code and no weights here.`,
    });
  const own = rootOfRun(directory);
  const root = own === resolve(directory) ? folder : own;
  const refuse = (code: string, problem: string, hint?: string): never => {
    throw new EngineError({
      code,
      message: `Run ${id} is of ${file}, ${problem}`,
      ...(hint === undefined ? {} : { hint }),
    });
  };
  if (!isAbsolute(file) || file.includes("\0")) refuse("run-record", "which is no absolute path.");
  const elsewhere = (): never =>
    refuse("outside", `which is outside of the run's folder ${root}, so it was not run.`, OUTSIDE_HINT);
  if (!outside && NETWORK_PATH.test(file) && !isBelow(root, file)) elsewhere();
  try {
    const [real, realRoot] = await Promise.all([realpath(file), realpath(root)]);
    if (!outside && !isBelow(realRoot, real)) elsewhere();
    if (!(await stat(real)).isFile()) refuse("run-record", "which is no regular file.");
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  return file;
}

/**
 * The weights that a run began with or has evaluated, from its record; undefined where it names none.
 * @throws EngineError "run-record" for what is no absolute path, or is on another machine than the run
 */
export function weightsOfRecord(
  directory: string,
  { id, settings: { checkpoint } }: Pick<RunRecord, "id" | "settings">,
): string | undefined {
  if (typeof checkpoint !== "string") return undefined;
  const isLocal = isAbsolute(checkpoint) && !NETWORK_PATH.test(checkpoint) && !checkpoint.includes("\0");
  if (!isLocal && !isBelow(rootOfRun(directory), checkpoint))
    throw new EngineError({
      code: "run-record",
      message: `Run ${id} has weights ${checkpoint}, which is no path of this machine.`,
    });
  return checkpoint;
}

/** On Windows, asking for a file of another machine tells that machine who the user is. */
const NETWORK_PATH = /^[\\/]{2}/;

/** Whether a path leads to something below a folder, links aside. */
export function isBelow(root: string, file: string): boolean {
  const way = relative(root, file);
  return way !== "" && way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

const OUTSIDE_HINT =
  "Read that file first. To run it nonetheless, resume the run on the command line with --outside, or name the file itself.";
