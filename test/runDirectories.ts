/** Reads runs' directories for tests. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import * as v from "valibot";
import { METRICS_FILE, type MetricRow, RUN_FILE, RUNS_FOLDER, RunRecord } from "../extension/protocol/run.ts";

/** The records of a folder's runs, oldest first. */
export function runRecords(folder: string): RunRecord[] {
  const runs = path.join(folder, RUNS_FOLDER);
  if (!fs.existsSync(runs)) return [];
  return (
    fs
      .readdirSync(runs)
      .flatMap((id) => {
        const file = path.join(runs, id, RUN_FILE);
        return fs.existsSync(file) ? [v.parse(RunRecord, JSON.parse(fs.readFileSync(file, "utf8")))] : [];
      })
      // Several can begin in the second that their names tell.
      .sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1))
  );
}

/** The newest run of a folder. */
export const newestRun = (folder: string): RunRecord | undefined => runRecords(folder).at(-1);

/** The files of a run's checkpoints that exist. */
export const checkpointFiles = (folder: string, { id, checkpoints }: RunRecord): string[] =>
  checkpoints
    .map(({ file }) => path.join(folder, RUNS_FOLDER, id, file))
    .filter((file) => fs.existsSync(file));

/** The rows of a run's curves so far. */
export function rowsOf(directory: string): MetricRow[] {
  const lines = fs.readFileSync(path.join(directory, METRICS_FILE), "utf8").split("\n");
  // The last one may be half written.
  return lines.slice(0, -1).map((line) => JSON.parse(line));
}

/** Fails unless numbers rise by one stride from the first on: each is there once, and none is missing. */
export function assertUnbroken(numbers: readonly number[], what: string): void {
  const [first = 0, second = 0] = numbers;
  const at = numbers.findIndex((one, index) => one !== first + index * (second - first));
  assert.equal(at, -1, `${what} ${numbers[at]} comes after ${numbers[at - 1]}`);
}

/** Fails unless each epoch and each row of steps (a long run has one for many) is there once, from the first on. */
export function assertNoGap(directory: string): void {
  const rows = rowsOf(directory);
  const epochs = rows.filter(({ kind }) => kind === "epoch").map(({ epoch }) => epoch);
  assert.equal(epochs[0], 1);
  assert.ok(epochs.length > 1);
  assertUnbroken(epochs, "epoch");
  assertUnbroken(
    rows.filter(({ kind }) => kind === "step").map(({ step }) => step),
    "step",
  );
}

export function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
