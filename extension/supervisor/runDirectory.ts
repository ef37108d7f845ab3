import { constants } from "node:fs";
import { access, readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { isMissing } from "../files/fileError.ts";
import { inside, isPlainName } from "../files/inside.ts";
import { readRegular } from "../files/regular.ts";
import { RECORD_LIMIT, runPath, writeRunFile } from "../files/runFiles.ts";
import type { UserError } from "../protocol/errors.ts";
import { RUN_FILE, RUNS_FOLDER, RunRecord, type CheckpointRecord, type RunState } from "../protocol/run.ts";
import { EngineError } from "./errors.ts";
import { readLastRow } from "./metrics.ts";

/** A run as found on disk. */
export interface StoredRun {
  /** Absolute path of its directory. */
  directory: string;
  record: RunRecord;
}

const LIVE_STATES: readonly RunState[] = ["starting", "running", "paused"];

/** True while the record says that a process is at work. Whether there is one is another question. */
export function isLive(record: RunRecord): boolean {
  return LIVE_STATES.includes(record.state);
}

/** Where the runs of a folder are. */
export function runsRoot(folder: string): string {
  return join(folder, ...RUNS_FOLDER.split("/"));
}

/** A new run's directory: named by local time and a word, so that names sort by age. Creates nothing. */
export function newRunDirectory(folder: string, word: string, now = new Date()): string {
  const pad = (value: number): string => String(value).padStart(2, "0");
  const date = `${now.getFullYear()}${pad(now.getMonth() + 1)}${pad(now.getDate())}`;
  const time = `${pad(now.getHours())}${pad(now.getMinutes())}${pad(now.getSeconds())}`;
  const slug =
    word
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-|-$/g, "") || "run";
  return join(runsRoot(folder), `${date}-${time}-${slug}`);
}

/** Like {@link newRunDirectory}, with a number appended when the name is taken. */
export async function freeRunDirectory(folder: string, word: string): Promise<string> {
  const wanted = newRunDirectory(folder, word);
  for (let n = 1; ; n++) {
    const directory = n === 1 ? wanted : `${wanted}-${n}`;
    if (!(await exists(directory))) return directory;
  }
}

/** Reads a run's record. Throws {@link EngineError} saying what is wrong with the file. */
export async function readRecord(directory: string): Promise<RunRecord> {
  const file = join(directory, RUN_FILE);
  const fail = (problem: string): never => {
    throw new EngineError({ code: "run-record", message: `${file}: ${problem}` });
  };
  const bytes = await runPath(directory, RUN_FILE)
    .then((path) => readRegular(path, { limit: RECORD_LIMIT }))
    .catch((error: unknown) => {
      if (isMissing(error)) return fail("there is no such run");
      const message = error instanceof Error ? error.message : String(error);
      return fail(message.startsWith(`${file}: `) ? message.slice(file.length + 2) : message);
    });
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
  const record = v.safeParse(RunRecord, json);
  return record.success ? record.output : fail(`not a run's record: ${v.summarize(record.issues)}`);
}

/** Replaces a run's record at once: a reader sees the old one or the new one. */
export async function writeRecord(directory: string, record: RunRecord): Promise<void> {
  await writeRunFile(directory, RUN_FILE, `${JSON.stringify(record, null, 2)}\n`);
}

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
  const runs: StoredRun[] = [];
  // A few at a time: hundreds of runs must not open hundreds of files.
  const next = names.values();
  const work = async (): Promise<void> => {
    for (const name of next) {
      const directory = join(root, name);
      try {
        runs.push({ directory, record: await readRecord(directory) });
      } catch (error) {
        // A run that is starting or was deleted half has no record yet, or no longer.
        if (await exists(join(directory, RUN_FILE))) onProblem?.(error);
      }
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
  return runs.sort((a, b) => (a.record.createdAt < b.record.createdAt ? 1 : -1));
}

/** Whether a process of that id runs. */
export async function isAlive(pid: number | undefined): Promise<boolean> {
  if (pid === undefined) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  // A zombie has ended; its parent hasn't asked yet.
  return !/\)\s+[ZX]/.test(await processFile(pid, "stat"));
}

/** Ids of processes are given again, after a restart to whatever starts. Where the system tells, we look. */
async function isEngine(pid: number): Promise<boolean> {
  if (!(await isAlive(pid))) return false;
  const commandLine = await processFile(pid, "cmdline");
  return commandLine === "" || commandLine.includes("runEngine");
}

/** What Linux tells of a process; empty elsewhere. */
function processFile(pid: number, name: "cmdline" | "stat"): Promise<string> {
  if (process.platform !== "linux") return Promise.resolve("");
  return readFile(`/proc/${pid}/${name}`, "utf8").catch(() => "");
}

/** Milliseconds after which a run that has no process id yet will not get one. */
const START_LIMIT = 60_000;

/** True when the record claims a process and there is none. */
export async function isDead(record: RunRecord, now = Date.now()): Promise<boolean> {
  if (!isLive(record)) return false;
  if (record.pid === undefined) return now - Date.parse(record.createdAt) > START_LIMIT;
  return !(await isEngine(record.pid));
}

/**
 * Writes "killed" into the record of a run whose process is gone without a last word, and answers the record as it
 * then is: an engine that did write its end keeps it.
 */
export async function markKilled(directory: string, error: UserError): Promise<RunRecord> {
  const record = await readRecord(directory);
  if (!isLive(record)) return record;
  const killed: RunRecord = {
    ...record,
    ...(await lastProgress(directory, record)),
    state: "killed",
    endedAt: new Date().toISOString(),
    error,
  };
  await writeRecord(directory, killed);
  return killed;
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

/** Finds runs of a folder whose process is gone, marks them as killed, and answers them. */
export async function buryDeadRuns(runs: readonly StoredRun[]): Promise<StoredRun[]> {
  const buried: StoredRun[] = [];
  for (const { directory, record } of runs) {
    if (!(await isDead(record))) continue;
    const error: UserError = {
      code: "killed",
      message: "The run's process ended without a last word: it, the window or the machine was shut down.",
    };
    const after = await markKilled(directory, error).catch(() => undefined);
    if (after?.state === "killed") buried.push({ directory, record: after });
  }
  return buried;
}

/** The newest of a run's checkpoints. */
export function lastCheckpoint(record: RunRecord): CheckpointRecord | undefined {
  return record.checkpoints.toSorted((a, b) => (a.savedAt < b.savedAt ? 1 : -1))[0];
}

/** A run's checkpoints: the best ones, then the others from the newest on. */
export function bestFirst({ checkpoints }: RunRecord): CheckpointRecord[] {
  const newest = checkpoints.toSorted((a, b) => (a.savedAt < b.savedAt ? 1 : -1));
  const best = checkpoints.filter(({ kind }) => kind === "best");
  return [...best, ...newest.filter((one) => !best.includes(one))];
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

export async function exists(path: string): Promise<boolean> {
  return access(path, constants.F_OK).then(
    () => true,
    () => false,
  );
}
