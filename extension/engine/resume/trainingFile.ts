import fs from "node:fs";
import path from "node:path";
import { checkedJson, firstIssue } from "../../files/json.ts";
import { readRegularSync } from "../../files/regular.ts";
import { namedByFolder, readRunFileSync, runPathSync, writeRunFileSync } from "../../files/runFiles.ts";
import type { RunRequest } from "../../protocol/engine.ts";
import {
  CHECKPOINTS_FOLDER,
  METRICS_FILE,
  METRICS_LIMIT,
  MetricRow,
  RUN_FILE,
  RunRecord,
} from "../../protocol/run.ts";
import { describeFileError } from "../../files/fileError.ts";
import { loadFile, saveFile } from "../files/tensorFiles.ts";
import type { Team } from "../parallel/team.ts";
import type { TrainerState } from "../training/trainerState.ts";
import { stateOf } from "./stateSchema.ts";
import type { TrainingState } from "./trainingState.ts";
import { EngineError } from "../../protocol/errors.ts";

const NEWEST = "training.pth";
const NEXT = "training.next.pth";
const PREVIOUS = "training.previous.pth";

/**
 * Saves the state of a training and keeps the previous one beside it, so that one intact state survives any crash.
 * @throws the file system's error; the previous state stays
 */
export function saveTraining(directory: string, state: TrainingState): void {
  const file = (name: string): string => runPathSync(directory, CHECKPOINTS_FOLDER, name);
  saveFile(file(NEXT), state);
  if (fs.existsSync(file(NEWEST))) fs.renameSync(file(NEWEST), file(PREVIOUS));
  fs.renameSync(file(NEXT), file(NEWEST));
}

/** Gives a state to the other workers of a training, which keep it in directories of their own. */
export function shareTraining(
  directory: string,
  state: TrainingState | undefined,
  team: Team,
): TrainingState | undefined {
  const file = runPathSync(directory, CHECKPOINTS_FOLDER, NEWEST);
  if (team.text(state === undefined ? "" : "saved") === "") return undefined;
  // An older state may have taken the place of a damaged one.
  if (state !== undefined) saveTraining(directory, state);
  const bytes = team.file(team.rank === 0 ? fs.readFileSync(file) : new Uint8Array());
  if (team.rank === 0) return state;
  fs.writeFileSync(file, bytes);
  return stateOf(file, loadFile(file));
}

/** The saved states of a training, the newest first; an Error for an unreadable one. */
export function* readStates(directory: string): Generator<TrainingState | Error, void, undefined> {
  for (const name of [NEWEST, NEXT, PREVIOUS]) {
    try {
      const file = runPathSync(directory, CHECKPOINTS_FOLDER, name);
      if (!fs.existsSync(file)) continue;
      yield stateOf(file, loadFile(file));
    } catch (error) {
      yield new Error(`The training's state can't be read: ${describeFileError(error)}`);
    }
  }
}

/**
 * The newest state of a training that can be read; undefined when none was saved.
 * @param onProblem Called for a damaged file with what is used instead.
 * @throws EngineError "checkpoint" when all are damaged
 */
export function loadTraining(
  directory: string,
  onProblem: (text: string) => void,
): TrainingState | undefined {
  const problems: string[] = [];
  for (const state of readStates(directory)) {
    if (state instanceof Error) problems.push(state.message);
    else {
      if (problems.length > 0)
        onProblem(`${problems.join("\n")}\nThe state before it is used, of step ${state.state.step}.`);
      return state;
    }
  }
  if (problems.length === 0) return undefined;
  throw new EngineError({
    code: "checkpoint",
    message: problems.join("\n"),
    hint: hintOfWeights(directory),
  });
}

/** What to do with the weights that a run without a state has left. */
function hintOfWeights(directory: string): string {
  const folder = runPathSync(directory, CHECKPOINTS_FOLDER);
  const weights = fs
    .readdirSync(folder)
    .filter((name) => name.endsWith(".safetensors"))
    .map((name) => path.join(folder, name))
    .sort((a, b) => fs.statSync(b).mtimeMs - fs.statSync(a).mtimeMs);
  return weights[0] === undefined
    ? "No weights are left: train the model again."
    : `Its newest weights are left: layerwise train FILE --checkpoint ${weights[0]} starts over with them.`;
}

/**
 * The record of a run to resume, without the fields of its end.
 * @throws EngineError "run-record" when there is no such run
 */
export function recordToResume(request: RunRequest): RunRecord {
  const { epochs, outlive, file } = request;
  const { endedAt: _, error: __, orphaned: ___, ...rest } = storedRecord(request);
  // The user may have moved it.
  const place = file === undefined ? {} : { file };
  return { ...rest, ...place, state: "starting", outlive, ...(epochs === undefined ? {} : { epochs }) };
}

/** @throws EngineError "run-record" when there is no such run */
export function storedRecord({ directory }: Pick<RunRequest, "directory">): RunRecord {
  const file = path.join(directory, RUN_FILE);
  try {
    return namedByFolder(directory, checkedJson(file, readRunFileSync(directory, RUN_FILE), RunRecord));
  } catch (error) {
    throw new EngineError({
      code: "run-record",
      message: `${file} can't be read: ${describeFileError(error)}`,
    });
  }
}

/** Takes out of a run's curves what comes after a state: it is computed again. */
export function cutMetrics(
  directory: string,
  { step, completed }: Pick<TrainerState, "step" | "completed">,
): void {
  const file = runPathSync(directory, METRICS_FILE);
  if (!fs.existsSync(file)) return;
  const lines = readRegularSync(file, { limit: METRICS_LIMIT }).toString("utf8").split("\n");
  const kept: string[] = [];
  // Backwards: a row counts up to the lowest step that a later row went back to. Forwards, a file of such rows takes quadratic time.
  let counting = Infinity;
  for (const line of lines.reverse()) {
    const { success, output: row } = firstIssue(MetricRow, jsonOf(line));
    // The last line may have been cut off.
    if (!success) continue;
    const before = row.kind === "epoch" ? row.epoch <= completed : row.step <= step;
    if (before && row.step <= counting) kept.push(`${line}\n`);
    counting = Math.min(counting, row.rollback ?? Infinity);
  }
  writeRunFileSync(directory, METRICS_FILE, kept.reverse().join(""));
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
