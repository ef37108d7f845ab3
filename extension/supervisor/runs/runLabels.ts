import { checkedJson } from "../../files/json.ts";
import { readRunFile, writeRunFile } from "../../files/runFiles.ts";
import { LABELS_FILE, RunLabels } from "../../protocol/run.ts";
import { demandTrust } from "../trust.ts";

/** Most bytes of a name and tags. */
const LIMIT = 2 ** 20;

/** The name and tags that the user gave a run; none if their file is missing or invalid. */
export async function readLabels(directory: string): Promise<RunLabels> {
  try {
    const bytes = await readRunFile(directory, LABELS_FILE, LIMIT);
    return checkedJson(LABELS_FILE, bytes, RunLabels);
  } catch {
    return { name: "", tags: [], archived: false };
  }
}

/** Writes a run's labels beside its record, which only its engine writes. */
export async function writeLabels(directory: string, labels: RunLabels): Promise<void> {
  demandTrust();
  await writeRunFile(directory, LABELS_FILE, `${JSON.stringify(labels, null, 2)}\n`);
}
