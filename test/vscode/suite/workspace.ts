import assert from "node:assert/strict";
import path from "node:path";
import * as vscode from "vscode";
import { simpleNN, writeModel } from "../../models.ts";

/** The folder that VS Code was opened on; empty when the suite begins. */
export function workspaceFolder(): string {
  const [folder] = vscode.workspace.workspaceFolders ?? [];
  if (folder === undefined) throw new Error("The suite runs without a folder.");
  return folder.uri.fsPath;
}

/** Writes a model file into the workspace and shows it. */
export async function openModel(name: string, text: string): Promise<vscode.TextDocument> {
  const file = writeModel(workspaceFolder(), name, text);
  const document = await vscode.workspace.openTextDocument(file);
  await vscode.window.showTextDocument(document);
  return document;
}

export const fileUri = (name: string): vscode.Uri => vscode.Uri.file(path.join(workspaceFolder(), name));

export function extension(): vscode.Extension<unknown> {
  const found = vscode.extensions.getExtension("layerwise.layerwise");
  assert.ok(found, "VS Code doesn't know the extension");
  return found;
}

/** Trains the tutorial's network, from a file of this name. */
export async function train(name: string, epochs: number): Promise<void> {
  const document = await openModel(name, simpleNN(epochs));
  await vscode.commands.executeCommand("layerwise.train", {
    file: document.uri.fsPath,
    exportName: "default",
  });
}
