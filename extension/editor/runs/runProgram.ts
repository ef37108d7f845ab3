import * as vscode from "vscode";
import type { EngineOptions } from "../../supervisor/engines/process.ts";
import { TASK_TYPE } from "../ids.ts";
import { saveSources } from "../targets.ts";
import { hasVariable, modelTask, variableInPath } from "./tasks.ts";

/** Runs a file whose own code is the training, in a terminal that stays open. */
export async function runProgram(document: vscode.TextDocument, engine: EngineOptions): Promise<void> {
  if (!(await saveSources(document))) return;
  if (hasVariable(document.uri.fsPath)) throw variableInPath(document.uri.fsPath);
  const folder = vscode.workspace.getWorkspaceFolder(document.uri);
  const definition = { type: TASK_TYPE, command: "run", file: document.uri.fsPath } as const;
  await vscode.tasks.executeTask(modelTask(definition, folder, engine));
}
