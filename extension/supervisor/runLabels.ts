import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { LABELS_FILE, RunLabels } from "../protocol/run.ts";

/** What the user has called a run. One without, or with a file that is none, has no name and no tags. */
export async function readLabels(directory: string): Promise<RunLabels> {
  const text = await readFile(join(directory, LABELS_FILE), "utf8").catch(() => "{}");
  try {
    return v.parse(RunLabels, JSON.parse(text));
  } catch {
    return { name: "", tags: [], archived: false };
  }
}

/** Beside the record, which is its engine's alone to write. */
export async function writeLabels(directory: string, labels: RunLabels): Promise<void> {
  const file = join(directory, LABELS_FILE);
  const temporary = `${file}.${process.pid}.tmp`;
  await writeFile(temporary, `${JSON.stringify(labels, null, 2)}\n`);
  await rename(temporary, file);
}
