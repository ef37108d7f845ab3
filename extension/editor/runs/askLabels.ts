import { runTitle } from "../../protocol/run.ts";
import * as vscode from "vscode";
import { readRecord } from "../../supervisor/runs/runDirectory.ts";
import { readLabels, writeLabels } from "../../supervisor/runs/runLabels.ts";
import { ask } from "../show.ts";

const MOST_CHARACTERS = { name: 200, tag: 100 };

/** Asks for a run's name. An empty one gives it its model's back. */
export async function askName(directory: string): Promise<void> {
  const labels = await readLabels(directory);
  const record = await readRecord(directory);
  const name = await ask({
    title: vscode.l10n.t("Name of the run"),
    value: labels.name,
    placeHolder: runTitle(record),
    validateInput: (text) => tooLong([text], MOST_CHARACTERS.name),
  });
  if (name !== undefined) await writeLabels(directory, { ...labels, name: name.trim() });
}

export async function askTags(directory: string): Promise<void> {
  const labels = await readLabels(directory);
  const text = await ask({
    title: vscode.l10n.t("Tags of the run, separated by commas"),
    value: labels.tags.join(", "),
    validateInput: (typed) => tooLong(tagsIn(typed), MOST_CHARACTERS.tag),
  });
  if (text !== undefined) await writeLabels(directory, { ...labels, tags: tagsIn(text) });
}

const tooLong = (texts: readonly string[], most: number): string | undefined =>
  texts.some((text) => text.length > most)
    ? vscode.l10n.t("At most {0} characters, please.", most)
    : undefined;

function tagsIn(text: string): string[] {
  const tags = text.split(",").map((tag) => tag.trim());
  return [...new Set(tags.filter((tag) => tag !== ""))];
}
