import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { setImmediate } from "node:timers/promises";
import * as v from "valibot";
import { AppendFile } from "../../files/append.ts";
import { ReadBudget } from "../../files/budget.ts";
import { describeFileError, isMissing } from "../../files/fileError.ts";
import { inside } from "../../files/inside.ts";
import { checkedJson, checkedLine } from "../../files/json.ts";
import { inLanes } from "../../files/lanes.ts";
import { readRunFile, RECORD_LIMIT, runPath, writeRunFile } from "../../files/runFiles.ts";
import { EngineError } from "../../protocol/errors.ts";
import {
  SWEEP_FILE,
  SweepRecord,
  SWEEPS_FOLDER,
  TrialRow,
  TRIALS_FILE,
} from "../../protocol/sweeps/sweep.ts";
import { makeNumbered } from "../runs/newRun.ts";
import { newRunName } from "../runs/runDirectory.ts";
import { demandTrust } from "../trust.ts";

/** Where the sweeps of a folder are. */
export function sweepsRoot(folder: string): string {
  return join(folder, ...SWEEPS_FOLDER.split("/"));
}

/**
 * Makes the directory of a new sweep of a folder, named as a run's.
 * @throws EngineError "sweep-directory" when it can't be made
 */
export async function makeSweepDirectory(folder: string, word: string, now = new Date()): Promise<string> {
  demandTrust();
  const name = newRunName(word, now);
  try {
    return await makeNumbered(await inside(folder, SWEEPS_FOLDER), name);
  } catch (error) {
    throw unwritable(join(sweepsRoot(folder), name), error);
  }
}

function unwritable(directory: string, error: unknown): EngineError {
  return new EngineError({
    code: "sweep-directory",
    message: `The sweep directory ${directory} can't be written: ${describeFileError(error)}.`,
  });
}

/** A sweep as found on disk. */
export interface StoredSweep {
  /** Absolute path of its directory. */
  directory: string;
  record: SweepRecord;
  /** Its trials, by number. */
  trials: TrialRow[];
}

/**
 * Reads a sweep. Lines of its trials that are damaged or another version's are left out.
 * @throws EngineError "sweep-record" when there is no such sweep, or its record is damaged
 */
export async function readSweep(directory: string): Promise<StoredSweep> {
  const file = join(directory, SWEEP_FILE);
  let record: SweepRecord;
  try {
    record = checkedJson(file, await readRunFile(directory, SWEEP_FILE), SweepRecord);
  } catch (error) {
    const problem = isMissing(error) ? "there is no such sweep" : describeFileError(error);
    throw new EngineError({ code: "sweep-record", message: `${file}: ${problem}` });
  }
  if (record.id !== basename(directory))
    throw new EngineError({ code: "sweep-record", message: `${file}: it is the record of another sweep` });
  return { directory, record, trials: await readTrials(directory, record) };
}

/** Characters of a row of a trial, and names of fields in it, at most. */
const LONGEST_ROW = 2 ** 20;
const MOST_NAMES = 5000;
/** How many rows, and characters of them, are read before others have their turn. */
const ROWS_AT_ONCE = 500;
const CHARACTERS_AT_ONCE = 2 ** 18;
/** How many of the newest rows are read: a trial has two for each time that it was begun. */
const mostRows = (trials: number): number => 1000 + 20 * trials;

/** The lines of a text that aren't empty, the last one first. */
function* newestFirst(text: string): Generator<string> {
  for (let end = text.length; ;) {
    while (end > 0 && text[end - 1] === "\n") end--;
    if (end === 0) return;
    const start = text.lastIndexOf("\n", end - 1) + 1;
    yield text.slice(start, end);
    end = start;
  }
}

async function readTrials(directory: string, { trials: most }: SweepRecord): Promise<TrialRow[]> {
  const bytes = await readRunFile(directory, TRIALS_FILE).catch((error: unknown) => {
    if (isMissing(error)) return Buffer.alloc(0);
    throw new EngineError({
      code: "sweep-record",
      message: `${join(directory, TRIALS_FILE)}: ${describeFileError(error)}`,
    });
  });
  const trials = new Map<number, TrialRow>();
  let [read, characters] = [0, 0];
  for (const line of newestFirst(bytes.toString("utf8"))) {
    if (++read > mostRows(most)) break;
    // A stranger's file may have very many, or long ones, and others wait for this process.
    if (read % ROWS_AT_ONCE === 0 || (characters += line.length) > CHARACTERS_AT_ONCE) {
      characters = 0;
      await setImmediate();
    }
    const row = line.length > LONGEST_ROW ? undefined : checkedLine(line, TrialRow, MOST_NAMES);
    if (row === undefined) continue;
    const { number } = row;
    if (number < most && !trials.has(number)) trials.set(number, row);
  }
  return [...trials.values()].sort((a, b) => a.number - b.number);
}

/** Bytes of the records and trials of a list of sweeps: a thousand sweeps of a hundred trials have less. */
const LIST_LIMIT = 64 * 2 ** 20;

/** All sweeps of a folder, newest first. Damaged ones are left out, and the oldest ones where all are larger than 64 MB. */
export async function listSweeps(folder: string): Promise<StoredSweep[]> {
  const names = await inside(folder, SWEEPS_FOLDER)
    .then((path) => readdir(path, { withFileTypes: true }))
    .catch(() => []);
  // Their names begin with the time.
  const newest = names.filter((entry) => entry.isDirectory()).sort((a, b) => (a.name < b.name ? 1 : -1));
  const budget = new ReadBudget(LIST_LIMIT);
  const read: string[] = [];
  // Chosen before any is read, one after the other: which sweeps are listed depends on their sizes alone.
  for (const { name } of newest) {
    const directory = join(sweepsRoot(folder), name);
    await budget.allows(join(directory, SWEEP_FILE), RECORD_LIMIT);
    if (!(await budget.allows(join(directory, TRIALS_FILE), RECORD_LIMIT))) break;
    read.push(directory);
  }
  const sweeps = await inLanes(read, (one) => readSweep(one).catch(() => undefined));
  return sweeps
    .filter((sweep) => sweep !== undefined)
    .sort((a, b) => (a.record.createdAt < b.record.createdAt ? 1 : -1));
}

/** Writes a sweep, whose owner this process is. */
export class SweepWriter {
  readonly directory: string;
  readonly #trials: AppendFile;

  private constructor(directory: string, trials: AppendFile) {
    this.directory = directory;
    this.#trials = trials;
  }

  static async open(directory: string): Promise<SweepWriter> {
    demandTrust();
    return new SweepWriter(directory, new AppendFile(await runPath(directory, TRIALS_FILE)));
  }

  /** Replaces the record. @throws EngineError "sweep-directory" */
  async record(record: SweepRecord): Promise<void> {
    try {
      const checked = v.parse(SweepRecord, record);
      await writeRunFile(this.directory, SWEEP_FILE, `${JSON.stringify(checked, null, 2)}\n`);
    } catch (error) {
      throw unwritable(this.directory, error);
    }
  }

  /** Appends what a trial is now. What a full disk doesn't take is written with the next row. */
  trial(row: TrialRow): void {
    this.#trials.push(`${JSON.stringify(row)}\n`);
    try {
      this.#trials.flush();
    } catch (error) {
      throw unwritable(this.directory, error);
    }
  }

  close(): void {
    this.#trials.close();
  }
}
