import * as vscode from "vscode";
import { EXTENSION_ID, WALKTHROUGH } from "./ids.ts";

/** Opens the walkthrough from an empty folder to a trained network. */
export async function showWalkthrough(): Promise<void> {
  const category = `${EXTENSION_ID}#${WALKTHROUGH}`;
  await vscode.commands.executeCommand("workbench.action.openWalkthrough", category, false);
}
