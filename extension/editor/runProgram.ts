import { basename } from "node:path";
import * as vscode from "vscode";
import { addedEnvironment, type EngineOptions } from "../supervisor/process.ts";
import { folderOf, saveSources } from "./targets.ts";

/** Runs a file whose own code is the training, in a terminal that stays to be read. */
export async function runProgram(document: vscode.TextDocument, engine: EngineOptions): Promise<void> {
  if (!(await saveSources(document))) return;
  const file = document.uri.fsPath;
  const folder = vscode.workspace.getWorkspaceFolder(document.uri);
  const command = new vscode.ProcessExecution(
    engine.execPath ?? process.execPath,
    [`${engine.dist}/cli.js`, "run", file],
    { cwd: folderOf(file), env: addedEnvironment(engine.env) },
  );
  const name = vscode.l10n.t("Run {0}", basename(file));
  const task = new vscode.Task(
    { type: "layerwise" },
    folder ?? vscode.TaskScope.Workspace,
    name,
    "Layerwise",
    command,
  );
  task.presentationOptions = { clear: true, focus: false };
  await vscode.tasks.executeTask(task);
}
