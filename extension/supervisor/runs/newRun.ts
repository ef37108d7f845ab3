// Where a new run goes. A directory is taken by making it, which only one process can: runs that begin in the same
// second have directories of their own.
import { mkdir, readdir, rm, rmdir } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { makeFolder } from "../../files/folders.ts";
import { inside } from "../../files/inside.ts";
import { rootOfRun, runPath, unwritable } from "../../files/runFiles.ts";
import { NAME_PROBLEMS, nameProblem } from "../../protocol/names.ts";
import { RUNS_FOLDER, SOURCE_FILE, SOURCES_FILE } from "../../protocol/run.ts";
import { EngineError } from "../../protocol/errors.ts";
import { newRunName, readRecord } from "./runDirectory.ts";
import { demandTrust } from "../trust.ts";

/** More runs of a name than begin in a second. */
const MOST = 10_000;

/**
 * Makes the directory of a new run of a folder: named by local time and a word, with a number appended when that is
 * taken.
 * @throws EngineError "run-directory" when it can't be made
 */
export async function makeRunDirectory(folder: string, word: string, now = new Date()): Promise<string> {
  demandTrust();
  const name = newRunName(word, now);
  try {
    const runs = await inside(folder, RUNS_FOLDER);
    return await makeNumbered(runs, name);
  } catch (error) {
    throw unwritable(join(folder, RUNS_FOLDER, name), error);
  }
}

/**
 * Makes the directory that a user named for a new run, or takes one that is empty.
 * @throws EngineError "run-directory" when something is in it, it is within another run, or it can't be made
 */
export async function makeNamedDirectory(directory: string): Promise<string> {
  demandTrust();
  // It is the run's id, which readers refuse where it is no plain name on every system.
  const problem = nameProblem(basename(directory));
  if (problem !== undefined)
    throw new EngineError({
      code: "run-directory",
      message: `${directory} can't be a run's directory: ${NAME_PROBLEMS[problem]}.`,
    });
  await demandNoRunAbove(directory);
  let entries: string[];
  try {
    await runPath(directory);
    await makeFolder(directory);
    entries = await readdir(directory);
  } catch (error) {
    throw unwritable(directory, error);
  }
  if (entries.length === 0) return directory;
  const run = entries.includes("run.json");
  throw new EngineError({
    code: "run-directory",
    message: `${directory} ${run ? "holds a run already" : "is not empty"}, so no new run can be written there.`,
    hint: run
      ? `Continue that run with --resume ${directory}, or name another directory.`
      : "Name a directory that is empty or doesn't exist; --resume continues a run that was interrupted.",
  });
}

/** Two runs in one directory would take each other's files for theirs. */
async function demandNoRunAbove(directory: string): Promise<void> {
  for (let at = resolve(directory), above = dirname(at); above !== at; at = above, above = dirname(at)) {
    const record = await readRecord(above).catch(() => undefined);
    if (record !== undefined)
      throw new EngineError({
        code: "run-directory",
        message: `${directory} is within the run ${above}, so no new run can be written there.`,
        hint: "Name a directory outside of it.",
      });
  }
}

/** Removes the directory of a run that never began, unless the user named it or more than its sources is in it. */
export async function dropRunDirectory(directory: string): Promise<void> {
  if (rootOfRun(directory) === resolve(directory)) return;
  const entries = await readdir(directory).catch(() => []);
  const sources: readonly string[] = [SOURCE_FILE, SOURCES_FILE];
  if (!entries.every((name) => sources.includes(name))) return;
  for (const name of entries) await rm(join(directory, name)).catch(() => undefined);
  await rmdir(directory).catch(() => undefined);
}

/** Makes a directory of a name in a folder, with a number appended when that is taken. */
export async function makeNumbered(folder: string, name: string): Promise<string> {
  await makeFolder(folder);
  for (let n = 1; n <= MOST; n++) {
    const directory = join(folder, n === 1 ? name : `${name}-${n}`);
    if (await make(directory)) return directory;
  }
  throw new Error("every name is taken");
}

/** @returns false when there is something of that name, whatever it is */
async function make(directory: string): Promise<boolean> {
  try {
    await mkdir(directory);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}
