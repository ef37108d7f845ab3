/** What runs have written, read as tests need it. */
import fs from "node:fs";
import path from "node:path";
import * as v from "valibot";
import { RUN_FILE, RUNS_FOLDER, RunRecord } from "../extension/protocol/run.ts";

/** The records of a folder's runs, oldest first. */
export function runRecords(folder: string): RunRecord[] {
  const runs = path.join(folder, RUNS_FOLDER);
  if (!fs.existsSync(runs)) return [];
  return fs
    .readdirSync(runs)
    .sort()
    .flatMap((id) => {
      const file = path.join(runs, id, RUN_FILE);
      return fs.existsSync(file) ? [v.parse(RunRecord, JSON.parse(fs.readFileSync(file, "utf8")))] : [];
    });
}

/** The newest run of a folder. */
export const newestRun = (folder: string): RunRecord | undefined => runRecords(folder).at(-1);

/** The files of a run's checkpoints that exist. */
export const checkpointFiles = (folder: string, { id, checkpoints }: RunRecord): string[] =>
  checkpoints
    .map(({ file }) => path.join(folder, RUNS_FOLDER, id, file))
    .filter((file) => fs.existsSync(file));

export function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
