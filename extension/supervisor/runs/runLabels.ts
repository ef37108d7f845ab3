import { checkedJson } from "../../files/json.ts";
import { readRunFile, writeRunFile } from "../../files/runFiles.ts";
import { LABELS_FILE, RunLabels } from "../../protocol/run.ts";
import { demandTrust } from "../trust.ts";

/** Most bytes of a name and tags. */
const LIMIT = 2 ** 20;

/** What the user has called a run. One without, or with a file that is none, has no name and no tags. */
export async function readLabels(directory: string): Promise<RunLabels> {
  try {
    const bytes = await readRunFile(directory, LABELS_FILE, LIMIT);
    return checkedJson(LABELS_FILE, bytes, RunLabels);
  } catch {
    return { name: "", tags: [], archived: false };
  }
}

/** Beside the record, which is its engine's alone to write. */
export async function writeLabels(directory: string, labels: RunLabels): Promise<void> {
  demandTrust();
  await writeRunFile(directory, LABELS_FILE, `${JSON.stringify(labels, null, 2)}\n`);
}
