import { constants } from "node:fs";
import { access, readdir } from "node:fs/promises";
import { join } from "node:path";
import { ReadBudget } from "../../files/budget.ts";
import { isMissing } from "../../files/fileError.ts";
import { inside, isPlainName } from "../../files/inside.ts";
import { checkedJson } from "../../files/json.ts";
import { inLanes } from "../../files/lanes.ts";
import { readRegular } from "../../files/regular.ts";
import { isRefused, namedByFolder, RECORD_LIMIT, runPath, writeRunFile } from "../../files/runFiles.ts";
import { EngineError, type UserError } from "../../protocol/errors.ts";
import { isLive, RUN_FILE, RUNS_FOLDER, RunRecord, type CheckpointRecord } from "../../protocol/run.ts";
import { dropLockOf } from "../../processes/lock.ts";
import { isLockOf, readLock } from "../../processes/lockFile.ts";
import { lifeOf, type Life } from "./liveness.ts";
import { readLastRow } from "./metrics.ts";
import { demandTrust } from "../trust.ts";

/** A run as found on disk. */
export interface StoredRun {
  /** Absolute path of its directory. */
  directory: string;
  /** The one on disk, but "killed" when it says that a process is at work and there is none. */
  record: RunRecord;
  /** How its owner is, when the record on disk says that a process is at work. */
  life?: Life | undefined;
}

/** Where the runs of a folder are. */
export function runsRoot(folder: string): string {
  return join(folder, ...RUNS_FOLDER.split("/"));
}

/** A new run's name: local time and a word, so that names sort by age. */
export function newRunName(word: string, now = new Date()): string {
  const pad = (value: number): string => String(value).padStart(2, "0");
  const date = `${now.getFullYear()}${pad(now.getMonth() + 1)}${pad(now.getDate())}`;
  const time = `${pad(now.getHours())}${pad(now.getMinutes())}${pad(now.getSeconds())}`;
  const slug =
    word
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      // A file's name may be as long as a folder's can be.
      .slice(0, 100)
      .replace(/^-|-$/g, "") || "run";
  return `${date}-${time}-${slug}`;
}

/** Reads a run's record. Throws {@link EngineError} saying what is wrong with the file. */
export async function readRecord(directory: string): Promise<RunRecord> {
  return readRecordAt(directory, () => runPath(directory, RUN_FILE));
}

/** @param path gives the path of the file, after checking that no link leads to it */
async function readRecordAt(directory: string, path: () => Promise<string>): Promise<RunRecord> {
  const file = join(directory, RUN_FILE);
  const fail = (problem: string): never => {
    throw new EngineError({ code: "run-record", message: `${file}: ${problem}` });
  };
  const bytes = await path()
    .then((checked) => readRegular(checked, { limit: RECORD_LIMIT }))
    .catch((error: unknown) => {
      if (isMissing(error)) return fail("there is no such run");
      const message = error instanceof Error ? error.message : String(error);
      return fail(message.startsWith(`${file}: `) ? message.slice(file.length + 2) : message);
    });
  try {
    return namedByFolder(directory, checkedJson(file, bytes, RunRecord, RECORD_PARTS));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof SyntaxError) return fail(message);
    return fail(isRefused(error) ? message.slice(file.length + 2) : `not a run's record: ${message}`);
  }
}

/** Replaces a run's record at once: a reader sees the old one or the new one. */
export async function writeRecord(directory: string, record: RunRecord): Promise<void> {
  demandTrust();
  await writeRunFile(directory, RUN_FILE, `${JSON.stringify(record, null, 2)}\n`);
}

/** Parts of a record, at most: twenty thousand checkpoints have less. */
const RECORD_PARTS = { values: 2 ** 18, keys: 2 ** 18 } as const;

/** Bytes of the records that one request reads, at most: some hundred thousand runs have less. */
export const RECORDS_LIMIT = 256 * 2 ** 20;

/**
 * All runs of a folder, newest first. A directory without a readable record is left out and reported: the rest of the
 * list must not depend on it.
 */
export async function listRuns(folder: string, onProblem?: (error: unknown) => void): Promise<StoredRun[]> {
  const root = runsRoot(folder);
  const entries = await inside(folder, ...RUNS_FOLDER.split("/"))
    .then((path) => readdir(path, { withFileTypes: true }))
    .catch((error: unknown) => {
      if (!isMissing(error)) onProblem?.(error);
      return [];
    });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  const budget = new ReadBudget(RECORDS_LIMIT);
  const runs = await inLanes(names, async (name): Promise<StoredRun | undefined> => {
    const directory = join(root, name);
    const file = join(directory, RUN_FILE);
    try {
      if (!(await budget.allows(file, RECORD_LIMIT)))
        throw new EngineError({
          code: "run-record",
          message: `${file}: not listed, since of ${root} ${budget.exceeded}`,
        });
      // Neither the folder nor its entry is a link.
      return await withLife(directory, await readRecordAt(directory, () => Promise.resolve(file)));
    } catch (error) {
      // A run that is starting or was deleted half has no record yet, or no longer.
      if (await exists(file)) onProblem?.(error);
      return undefined;
    }
  });
  return runs
    .filter((run) => run !== undefined)
    .sort((a, b) => (a.record.createdAt < b.record.createdAt ? 1 : -1));
}

/** Reads a run: its record and, while unfinished, the state of its owner. Writes nothing. */
export async function readRun(directory: string): Promise<StoredRun> {
  return withLife(directory, await readRecord(directory));
}

async function withLife(directory: string, record: RunRecord): Promise<StoredRun> {
  if (!isLive(record)) return { directory, record };
  const life = await lifeOf(directory, record);
  if (life.kind !== "killed") return { directory, record, life };
  // Its final record may have been written between the two reads.
  const last = await readRecord(directory);
  if (!isLive(last)) return { directory, record: last };
  const progress = await lastProgress(directory, last);
  const { since: endedAt, error } = life;
  return { directory, record: { ...last, ...progress, state: "killed", endedAt, error }, life };
}

/**
 * Writes "killed" into the record of a run whose process was started here and ended unexpectedly, or "stopped" where the user had
 * asked for its end. A record that
 * its engine completed stays, and so does one whose lock another process holds.
 * @returns the record as it then is on disk
 */
export async function markKilled(
  directory: string,
  { pid, token }: { pid: number | undefined; token: string },
  error: UserError,
  state: "killed" | "stopped" = "killed",
): Promise<RunRecord> {
  const found = await readLock(directory);
  const record = await readRecord(directory);
  const own = isLockOf(token, found) || (found === undefined && record.pid === pid);
  if (!own) return record;
  const killed: RunRecord = {
    ...record,
    ...(await lastProgress(directory, record)),
    state,
    endedAt: new Date().toISOString(),
    error,
  };
  if (isLive(record)) await writeRecord(directory, killed);
  await dropLockOf(token, directory);
  return isLive(record) ? killed : record;
}

/** Engines write their record now and then, and a row for each step: how far a run came that can't say it any more. */
async function lastProgress(
  directory: string,
  { step, epoch }: RunRecord,
): Promise<Pick<RunRecord, "step" | "epoch">> {
  const row = await readLastRow(directory).catch(() => undefined);
  if (row === undefined || row.step <= step) return { step, epoch };
  return { step: row.step, epoch: Math.max(epoch, row.kind === "epoch" ? row.epoch : row.epoch - 1) };
}

/** A run's checkpoints, the newest first. */
export function newestFirst({ checkpoints }: RunRecord): CheckpointRecord[] {
  return checkpoints.toSorted((a, b) => (a.savedAt < b.savedAt ? 1 : -1));
}

/** The newest of a run's checkpoints. */
export function lastCheckpoint(record: RunRecord): CheckpointRecord | undefined {
  return newestFirst(record)[0];
}

/** A run's checkpoints: the best ones, then the others from the newest on. */
export function bestFirst(record: RunRecord): CheckpointRecord[] {
  const newest = newestFirst(record);
  const best = record.checkpoints.filter(({ kind }) => kind === "best");
  // By kind: a stranger's record may have a hundred thousand.
  return [...best, ...newest.filter(({ kind }) => kind !== "best")];
}

/** Absolute path of a checkpoint. A record may come from elsewhere, so a path out of the run is refused. */
export function checkpointPath(directory: string, checkpoint: CheckpointRecord): string {
  const names = checkpoint.file.split("/");
  if (!names.every(isPlainName))
    throw new EngineError({
      code: "run-record",
      message: `${join(directory, RUN_FILE)}: checkpoint "${checkpoint.file}" is outside of its run.`,
    });
  return join(directory, ...names);
}

/** Path of a checkpoint that is to be read. @throws FileError when a link leads out of the run */
export function weightsPath(directory: string, checkpoint: CheckpointRecord): Promise<string> {
  checkpointPath(directory, checkpoint);
  return runPath(directory, checkpoint.file);
}

export async function exists(path: string): Promise<boolean> {
  return access(path, constants.F_OK).then(
    () => true,
    () => false,
  );
}
