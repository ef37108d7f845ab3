// What a run is resumed or evaluated with: its file, or where that is gone or doesn't fit any more, the version that the run has kept.
import { stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import * as vscode from "vscode";
import type { RunRequest } from "../../protocol/engine.ts";
import type { RunRecord } from "../../protocol/run.ts";
import { readRecord } from "../../supervisor/runs/runDirectory.ts";
import { isOnDisk, outgrown, readSource } from "../../supervisor/runs/runHistory.ts";
import { sourceOfRun } from "../../supervisor/runs/sourceFile.ts";
import type { Offer } from "../messages.ts";
import type { RunSession } from "../../supervisor/runs/session.ts";
import { showWarning } from "../show.ts";
import { chooseOtherFile, openFile, saveSources } from "../targets.ts";
import { mayRunVersion } from "./runVersions.ts";
import type { Runs } from "./runs.ts";

/** The file of a run, and whether the kept version takes the place of its text. */
export interface RunSource {
  file: string;
  kept: boolean;
}

/** Finds what to run again of a run; asks where its file is gone. Undefined if the user would rather not. */
export async function sourceToRun(directory: string): Promise<RunSource | undefined> {
  const record = await readRecord(directory);
  const file = await sourceOfRun(directory, record);
  const there = await stat(file).catch(() => undefined);
  if (there !== undefined) {
    if (record.keptVersion === true && !(await isOnDisk(directory, file)))
      return keptVersion(directory, file);
    return (await saveSources(await openFile(file))) ? { file, kept: false } : undefined;
  }
  const [kept, other] = [vscode.l10n.t("Use Kept Version"), vscode.l10n.t("Choose File…")];
  const text = vscode.l10n.t("{0}, the file of run {1}, was moved or deleted.", basename(file), record.id);
  const answer = await showWarning(text, ...((await keeps(directory, record)) ? [kept, other] : [other]));
  if (answer === kept) return keptVersion(directory, file);
  if (answer !== other) return undefined;
  const chosen = await chooseOtherFile(file, vscode.l10n.t("Where is {0} now?", basename(file)));
  return chosen === undefined ? undefined : { file: chosen, kept: false };
}

async function keptVersion(directory: string, file: string): Promise<RunSource | undefined> {
  return (await mayRunVersion(directory, file)) ? { file, kept: true } : undefined;
}

/** Whether a run has kept its sources, and they can be run: another machine is sent those on the disk. */
async function keeps(directory: string, { on }: RunRecord): Promise<boolean> {
  return on === undefined && (await readSource(directory)) !== undefined;
}

/**
 * Offers the kept version where a run was not resumed, or its weights not evaluated, and its sources have changed since.
 * @param show Shows the run that is started
 */
export async function offerKept(
  request: RunRequest,
  runs: Runs,
  show: (session: RunSession) => Promise<unknown>,
): Promise<(Offer & { reason: string }) | undefined> {
  const { kind, file, exportName, resume, checkpoint, version, rollback } = request;
  const origin =
    resume === true
      ? request.directory
      : kind === "evaluate" && checkpoint !== undefined
        ? dirname(dirname(checkpoint))
        : undefined;
  if (origin === undefined || version !== undefined || request.on !== undefined) return undefined;
  const changed = await outgrown(origin, file);
  if (changed.length === 0) return undefined;
  return {
    reason: vscode.l10n.t("Changed since the run began: {0}.", changed.join(", ")),
    title: vscode.l10n.t("Use Kept Version"),
    run: async () => {
      if (!(await mayRunVersion(origin, file))) return;
      const again = resume
        ? runs.resume(origin, { kept: true, ...(rollback === undefined ? {} : { rollback }) })
        : runs.start({
            kind,
            file,
            exportName,
            ...(checkpoint && { checkpoint }),
            again: { version: origin },
          });
      await show(await again);
    },
  };
}
