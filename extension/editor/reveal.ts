import * as vscode from "vscode";
import { showInformation } from "./show.ts";

/** Reveals a file in the system's file manager if there is one, else in VS Code's explorer. */
export async function revealFile(path: string): Promise<void> {
  const local = vscode.env.remoteName === undefined && vscode.env.uiKind === vscode.UIKind.Desktop;
  await vscode.commands.executeCommand(local ? "revealFileInOS" : "revealInExplorer", vscode.Uri.file(path));
}

export async function offerReveal(path: string, text: string): Promise<void> {
  const reveal = vscode.l10n.t("Reveal");
  if ((await showInformation(text, reveal)) === reveal) await revealFile(path);
}
