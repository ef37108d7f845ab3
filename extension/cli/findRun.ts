import path from "node:path";
import { openTensors } from "../formats/tensorSource.ts";
import { makeNamedDirectory, makeRunDirectory } from "../supervisor/runs/newRun.ts";
import type { UserError } from "../protocol/errors.ts";
import { RUN_FILE, RUNS_FOLDER, type CheckpointRecord } from "../protocol/run.ts";
import {
  bestFirst,
  checkpointPath,
  exists,
  listRuns,
  runsRoot,
  weightsPath,
} from "../supervisor/runs/runDirectory.ts";
import { CommandFailure, type Target, UsageError } from "./command.ts";
import { printStderr } from "./output.ts";
import { shortPath } from "./render.ts";

/** Creates the directory of a new run. @throws EngineError if that fails, or `out` already holds a run */
export async function newDirectory(file: string, out: string | undefined): Promise<string> {
  if (out === "") throw new UsageError("--out needs the name of a folder.");
  if (out !== undefined) return makeNamedDirectory(path.resolve(out));
  return makeRunDirectory(process.cwd(), path.basename(file).replace(/(\.nn)?\.[cm]?[jt]s$/, ""));
}

/**
 * Finds a run's directory by its path or by its name.
 * @throws UsageError when there is no such run
 */
export async function findRun(run: string, folder = process.cwd()): Promise<string> {
  for (const directory of [path.resolve(run), path.join(runsRoot(folder), run)])
    if (await exists(path.join(directory, RUN_FILE))) return directory;
  throw new UsageError(`There is no run ${run}. "layerwise runs" lists the runs of this folder.`);
}

/**
 * Finds the weights to use when none are named: the best, else the last, of the experiment's newest training. Reports damaged
 * files and skips them.
 * @throws CommandFailure if there is no such training, or all its weights are damaged
 */
export async function findCheckpoint({ file, exportName }: Target): Promise<string> {
  const problems: UserError[] = [];
  for (const { directory, record } of await listRuns(process.cwd())) {
    if (record.kind !== "train" || record.file !== file) continue;
    if (exportName !== undefined && record.exportName !== exportName) continue;
    for (const checkpoint of bestFirst(record)) {
      const path = checkpointPath(directory, checkpoint);
      const message = await problemOf(directory, checkpoint);
      if (message === undefined) {
        for (const problem of problems) printStderr(`${problem.message}\nUsing ${shortPath(path)} instead.`);
        return path;
      }
      problems.push({ code: "checkpoint", message: `The weights can't be read: ${message}` });
    }
  }
  if (problems.length > 0) throw new CommandFailure(problems);
  const name = shortPath(file) + (exportName === undefined ? "" : `#${exportName}`);
  throw new CommandFailure([
    {
      code: "no-checkpoint",
      message: `There is no trained model of ${name} in ${RUNS_FOLDER}.`,
      hint: `Train it first (layerwise train ${name}), or name its weights with --checkpoint.`,
    },
  ]);
}

/** Returns why a file of weights can't be opened; its values are not checked. */
async function problemOf(directory: string, checkpoint: CheckpointRecord): Promise<string | undefined> {
  try {
    openTensors(await weightsPath(directory, checkpoint)).close();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
