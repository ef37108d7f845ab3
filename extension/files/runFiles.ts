// The files of run directories and sweep directories. Whatever lies there may come from a stranger's repository: nothing is followed out of it.
import { basename, dirname, join, resolve, sep } from "node:path";
import { EngineError } from "../protocol/errors.ts";
import { NAME_PROBLEMS, nameProblem } from "../protocol/names.ts";
import { RUNS_FOLDER, type RunRecord } from "../protocol/run.ts";
import { SWEEPS_FOLDER } from "../protocol/sweeps/sweep.ts";
import { describeFileError, FileError } from "./fileError.ts";
import { inside, insideSync } from "./inside.ts";
import { readRegular, readRegularSync } from "./regular.ts";
import { writeAtomic, writeAtomicAsync } from "./writeAtomic.ts";

/** Most bytes of a run's small files: records, labels, reports. */
export const RECORD_LIMIT = 16 * 2 ** 20;

const FOLDERS = [RUNS_FOLDER, SWEEPS_FOLDER].map((folder) => join(sep, ...folder.split("/")));

/** The folder whose runs or sweeps these are: above `.layerwise/runs`, or of a run directory elsewhere, itself. */
export function rootOfRun(directory: string): string {
  const path = resolve(directory);
  const above = dirname(path);
  const folder = FOLDERS.find((one) => above.endsWith(one));
  return folder === undefined ? path : above.slice(0, -folder.length) || sep;
}

/** A run directory as the path of its root, and the names from there. */
function split(directory: string): [root: string, ...names: string[]] {
  const path = resolve(directory);
  const root = rootOfRun(path);
  return [root, ...path.slice(root.length).split(sep).filter(Boolean)];
}

/**
 * Gives the path of a file in a run directory.
 * @param names names, or relative paths with "/" between names; none for the directory itself
 * @throws FileError when a name leaves the directory, or a link stands anywhere below the run's workspace folder
 */
export function runPath(directory: string, ...names: string[]): Promise<string> {
  return inside(...split(directory), ...names);
}

/** Like {@link runPath}, for code that may block. */
export function runPathSync(directory: string, ...names: string[]): string {
  return insideSync(...split(directory), ...names);
}

/** Reads a file of a run directory. @throws FileError; the file system's error */
export async function readRunFile(directory: string, name: string, limit = RECORD_LIMIT): Promise<Buffer> {
  return readRegular(await runPath(directory, name), { limit });
}

/** Like {@link readRunFile}, for code that may block. */
export function readRunFileSync(directory: string, name: string, limit = RECORD_LIMIT): Buffer {
  return readRegularSync(runPathSync(directory, name), { limit });
}

/** Writes or replaces a file of a run directory as a whole. @throws FileError; the file system's error */
export async function writeRunFile(directory: string, name: string, content: string): Promise<void> {
  await writeAtomicAsync(await runPath(directory, name), [Buffer.from(content)]);
}

/** Like {@link writeRunFile}, for code that may block. */
export function writeRunFileSync(directory: string, name: string, content: string | Uint8Array): void {
  writeAtomic(runPathSync(directory, name), [Buffer.from(content as string)]);
}

/**
 * A record with its folder's name as its id: views open, label and delete a run by its id, and a stranger's record could have that of
 * another run.
 * @throws Error for a folder whose name can't be a run's
 */
export function namedByFolder(directory: string, record: RunRecord): RunRecord {
  const id = basename(resolve(directory));
  if (id === record.id) return record;
  const problem = nameProblem(id);
  if (problem !== undefined)
    throw new Error(`the name of its folder is not a run's: ${NAME_PROBLEMS[problem]}`);
  return { ...record, id };
}

/** Whether an error says that a file was refused, not that it is missing or that a disk fails. */
export function isRefused(error: unknown): error is FileError {
  return error instanceof FileError;
}

/** Says why a run was not started: its directory can't be written. */
export function unwritable(directory: string, error: unknown): EngineError {
  return new EngineError({
    code: "run-directory",
    message: `The run directory ${directory} can't be written: ${describeFileError(error)}.`,
    hint: "A run keeps its record and its weights there, so it was not started.",
  });
}
