// Opens runs of other tools: they become runs of the folder, read in a process of their own.
import { basename } from "node:path";
import * as vscode from "vscode";
import { importForeignRuns, type ImportResult } from "../../supervisor/engines/importRuns.ts";
import type { EngineOptions } from "../../supervisor/engines/process.ts";
import type { MenuTarget } from "../ids.ts";
import type { Messages } from "../messages.ts";
import type { Panels } from "../panels/panels.ts";
import { showProgress, showWarning } from "../show.ts";
import { requireTrust } from "../targets.ts";
import type { Runs } from "./runs.ts";

export interface ImportServices {
  engine: () => EngineOptions;
  messages: Messages;
  runs: Runs;
  panels: Panels;
  /** Called when a folder has more runs. */
  stored: () => void;
}

/** Runs that are drawn together at most: one, and those beside it. */
const MOST_DRAWN = 9;

/** Imports the runs of files and folders, and shows them in one panel. */
export async function importRuns(
  target: MenuTarget | undefined,
  selected: readonly MenuTarget[] | undefined,
  services: ImportServices,
): Promise<void> {
  requireTrust();
  const targets = target === undefined ? await chooseForeign() : [target, ...(selected ?? [])];
  const paths = [...new Set(targets.map(({ fsPath }) => fsPath))];
  if (paths.length === 0) return;
  const { runs } = await readForeign(paths, services);
  const [first, ...others] = runs.toSorted((a, b) => (a.record.createdAt < b.record.createdAt ? 1 : -1));
  if (first === undefined) return;
  const session = await services.runs.open(first.directory);
  const panel = await services.panels.showRun(session);
  if (!("compare" in panel)) return;
  // The panel may have the run as an earlier import read it.
  panel.show(session);
  panel.compare(others.slice(0, MOST_DRAWN).map(({ record }) => record.id));
}

/** Reads runs with progress that can be cancelled. */
export async function readForeign(
  paths: readonly string[],
  { engine, messages, stored }: ImportServices,
): Promise<ImportResult> {
  requireTrust();
  const result = await showProgress(
    {
      location: vscode.ProgressLocation.Notification,
      title: vscode.l10n.t("Importing runs"),
      cancellable: true,
    },
    async (progress, token) => {
      const abort = new AbortController();
      token.onCancellationRequested(() => abort.abort());
      return importForeignRuns(folderFor(paths[0]!), paths, {
        engine: engine(),
        signal: abort.signal,
        onReading: (path) => progress.report({ message: basename(path) }),
      });
    },
  );
  stored();
  void tellProblems(result.problems, messages);
  return result;
}

async function tellProblems(problems: readonly string[], messages: Messages): Promise<void> {
  const [first] = problems;
  if (first === undefined) return;
  for (const problem of problems) messages.log.warn(problem);
  const toLog = vscode.l10n.t("Show Log");
  const text =
    problems.length === 1
      ? first
      : vscode.l10n.t("{0} problems while importing runs. {1}", problems.length, first);
  if ((await showWarning(text, toLog)) === toLog) messages.showLog();
}

/** The workspace folder of a path; the first one for what lies elsewhere. */
function folderFor(path: string): string {
  const { workspaceFolders = [] } = vscode.workspace;
  const folder = vscode.workspace.getWorkspaceFolder(vscode.Uri.file(path)) ?? workspaceFolders[0];
  if (folder === undefined)
    throw new Error(vscode.l10n.t("Open a folder first: imported runs are kept in it."));
  return folder.uri.fsPath;
}

async function chooseForeign(): Promise<readonly MenuTarget[]> {
  return (
    (await vscode.window.showOpenDialog({
      title: vscode.l10n.t("Runs of TensorBoard, MLflow or trackio"),
      canSelectFolders: true,
      canSelectFiles: true,
      canSelectMany: true,
    })) ?? []
  );
}
