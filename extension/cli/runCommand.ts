import path from "node:path";
import { openTensors } from "../formats/tensorSource.ts";
import { spawnRun, type RunHandle, type RunOutcome } from "../supervisor/runs/run.ts";
import { dropRunDirectory, makeNamedDirectory, makeRunDirectory } from "../supervisor/runs/newRun.ts";
import type { EvaluationResult, RunRequest } from "../protocol/engine.ts";
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
import { CommandFailure, engineOptions, type Target, UsageError } from "./command.ts";
import type { Display } from "./display.ts";
import { interruptSignal } from "./exit.ts";
import { passOn, tell } from "./output.ts";
import { shortPath } from "./render.ts";

/**
 * Starts a run and shows it until it has ended. The first Ctrl-C stops it with the model kept, a second one ends it at
 * once.
 */
export async function follow(
  request: RunRequest,
  display: Display,
): Promise<RunOutcome & { evaluation?: EvaluationResult }> {
  let evaluation: EvaluationResult | undefined;
  const handle = spawnRun(
    request,
    {
      record: (record) => display.record(record),
      metrics: (rows) => display.rows(rows),
      progress: (progress) => display.progress(progress),
      log: (level, text) => display.log(level, text),
      evaluated: (result) => {
        evaluation = result;
        display.evaluated(result);
      },
      output: passOn,
    },
    engineOptions(),
  );
  const release = endOnInterrupt(handle, display);
  try {
    const outcome = await handle.ended;
    if (outcome.record === undefined && request.resume !== true) await dropRunDirectory(request.directory);
    return { ...outcome, ...(evaluation === undefined ? {} : { evaluation }) };
  } finally {
    release();
    display.end();
  }
}

/** Stops the run at the first interruption, and takes it along when this process is ended by the next. */
function endOnInterrupt(handle: RunHandle, display: Display): () => void {
  const interrupted = interruptSignal();
  const stop = (): void => {
    display.log("warning", "Stopping after this step; the model is kept. Ctrl-C again ends it at once.");
    void handle.stop();
  };
  const kill = (): void => handle.killNow();
  if (interrupted.aborted) stop();
  interrupted.addEventListener("abort", stop, { once: true });
  process.once("exit", kill);
  return () => {
    interrupted.removeEventListener("abort", stop);
    process.removeListener("exit", kill);
  };
}

/** Makes the directory of a new run. @throws EngineError when it can't be made, or the one named has a run already */
export async function newDirectory(file: string, out: string | undefined): Promise<string> {
  if (out !== undefined) return makeNamedDirectory(path.resolve(out));
  return makeRunDirectory(process.cwd(), path.basename(file).replace(/(\.nn)?\.[cm]?[jt]s$/, ""));
}

/**
 * The directory of a run, which is named by it or by its last part.
 * @throws UsageError when there is no such run
 */
export async function findRun(run: string, folder = process.cwd()): Promise<string> {
  for (const directory of [path.resolve(run), path.join(runsRoot(folder), run)])
    if (await exists(path.join(directory, RUN_FILE))) return directory;
  throw new UsageError(`There is no run ${run}. layerwise runs lists those of this folder.`);
}

/**
 * The weights to use when none are named: of the newest training of that experiment, the best, else the last. What is
 * damaged is told, and the next best taken.
 * @throws CommandFailure when it was never trained here, or all is damaged
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
        for (const problem of problems) tell(`${problem.message}\nIn its place: ${shortPath(path)}`);
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

/** What is wrong with a file of weights, as far as its structure tells. */
async function problemOf(directory: string, checkpoint: CheckpointRecord): Promise<string | undefined> {
  try {
    openTensors(await weightsPath(directory, checkpoint)).close();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
