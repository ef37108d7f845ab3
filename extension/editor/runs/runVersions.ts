// The version of its file that a run has kept: trained again, and shown as a read-only document.
import { basename, dirname } from "node:path";
import * as vscode from "vscode";
import { EngineError } from "../../protocol/errors.ts";
import type { RunRecord } from "../../protocol/run.ts";
import { readRecord, runsRoot } from "../../supervisor/runs/runDirectory.ts";
import { isOnDisk, readSource } from "../../supervisor/runs/runHistory.ts";
import { sourceOfRun, weightsOfRecord } from "../../supervisor/runs/sourceFile.ts";
import { RUN_VERSION_SCHEME, type RunTarget } from "../ids.ts";
import { confirm } from "../show.ts";
import { requireTrust, runFolders } from "../targets.ts";
import type { RunSession } from "../../supervisor/runs/session.ts";
import type { Runs } from "./runs.ts";

/**
 * Trains the version that a run has kept, with its seed, hyperparameters and epochs. Asks before it runs code that only the
 * run's folder has: that may be anyone's.
 * @returns undefined if the user would rather not
 */
export async function runAgain({ directory }: RunTarget, runs: Runs): Promise<RunSession | undefined> {
  requireTrust();
  const record = await readRecord(directory);
  if (record.kind !== "train")
    throw new EngineError({ code: "run-record", message: `Run ${record.id} is no training.` });
  const file = await sourceOfRun(directory, record);
  if ((await readSource(directory)) === undefined) throw noSource(record.id);
  if (!(await isOnDisk(directory, file)) && !(await confirmed(directory, record))) return undefined;
  const { exportName, seed, hyperparameters, epochs } = record;
  const weights = weightsOfRecord(directory, record);
  return runs.start({
    kind: "train",
    file,
    exportName,
    ...(weights === undefined ? {} : { checkpoint: weights }),
    again: {
      version: directory,
      ...(seed === undefined ? {} : { seed }),
      ...(hyperparameters === undefined ? {} : { hyperparameters }),
      ...(epochs > 0 ? { epochs } : {}),
    },
  });
}

/** Runs whose version the user has allowed to run, in this window. */
const allowed = new Set<string>();

/**
 * Whether the version of a file that a run has kept may be built: it equals the present one, or the user allows it.
 * @param file The run's file, of its own folder
 */
export async function mayRunVersion(directory: string, file: string): Promise<boolean> {
  if (allowed.has(directory) || (await isOnDisk(directory, file))) return true;
  if (!(await confirmed(directory, await readRecord(directory)))) return false;
  allowed.add(directory);
  return true;
}

async function confirmed(directory: string, { id, file }: RunRecord): Promise<boolean> {
  const [run, open] = [vscode.l10n.t("Run That Version"), vscode.l10n.t("Open This Version")];
  const message = vscode.l10n.t(
    "Run {0} trained another version of {1}, or of what it imports, than is there now. Run that version?",
    id,
    basename(file.replaceAll("\\", "/")),
  );
  const detail = vscode.l10n.t(
    "Its code is in the run's folder. Look at it first if that folder comes from someone else.",
  );
  const answer = await confirm(message, detail, run, open);
  if (answer === open) await openRunVersion({ directory });
  return answer === run;
}

/** Shows the version that a run has kept. */
export async function openRunVersion({ directory }: RunTarget): Promise<void> {
  const { id, file } = await readRecord(directory);
  if ((await readSource(directory)) === undefined) throw noSource(id);
  const document = await vscode.workspace.openTextDocument(versionUri(directory, id, file));
  // Beside the panel that asks for it.
  await vscode.window.showTextDocument(document, { preview: true, viewColumn: vscode.ViewColumn.One });
}

/** A document that names its run in the tab; the run directory is in its query. */
const versionUri = (directory: string, id: string, file: string): vscode.Uri =>
  vscode.Uri.from({
    scheme: RUN_VERSION_SCHEME,
    path: `/${id}/${basename(file.replaceAll("\\", "/")).replace(/\.nn\.ts$/, ".ts")}`,
    query: directory,
  });

/** The text of a document of {@link openRunVersion}: of a run of this window's folders, which anything may ask for. */
export async function versionText({ query: directory }: vscode.Uri): Promise<string> {
  const known = runFolders().some((folder) => dirname(directory) === runsRoot(folder));
  // An editor that VS Code restores may be of a run that was deleted since.
  return (known ? await readSource(directory) : undefined) ?? "";
}

const noSource = (id: string): EngineError =>
  new EngineError({ code: "run-record", message: `Run ${id} has not kept the version of its file.` });
