import { join } from "node:path";
import { ReadBudget } from "../../files/budget.ts";
import { checkedJson } from "../../files/json.ts";
import { inLanes } from "../../files/lanes.ts";
import { readRunFile, writeRunFile } from "../../files/runFiles.ts";
import { LABELS_FILE, RunLabels } from "../../protocol/run.ts";
import { demandTrust } from "../trust.ts";

/** Most bytes of a name and tags, and of those of a list of runs. */
const LIMIT = 2 ** 20;
const LIST_LIMIT = 64 * 2 ** 20;

const NONE: RunLabels = { name: "", tags: [], archived: false };

/** The name and tags that the user gave a run; none if their file is missing or invalid. */
export async function readLabels(directory: string): Promise<RunLabels> {
  try {
    const bytes = await readRunFile(directory, LABELS_FILE, LIMIT);
    return checkedJson(LABELS_FILE, bytes, RunLabels);
  } catch {
    return NONE;
  }
}

/**
 * The labels of a list of runs, in its order. A stranger's folder may have many runs with large labels: few files are open at a
 * time, and runs have none once their files take more than 64 MB together.
 */
export async function readLabelsOf(runs: readonly { readonly directory: string }[]): Promise<RunLabels[]> {
  const budget = new ReadBudget(LIST_LIMIT);
  return inLanes(runs, async ({ directory }) =>
    (await budget.allows(join(directory, LABELS_FILE), LIMIT)) ? readLabels(directory) : NONE,
  );
}

/** Writes a run's labels beside its record, which only its engine writes. */
export async function writeLabels(directory: string, labels: RunLabels): Promise<void> {
  demandTrust();
  await writeRunFile(directory, LABELS_FILE, `${JSON.stringify(labels, null, 2)}\n`);
}
