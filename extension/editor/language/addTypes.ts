import { dirname } from "node:path";
import * as vscode from "vscode";
import { inside } from "../../files/inside.ts";
import { writeAtomicAsync } from "../../files/writeAtomic.ts";
import { showInformation } from "../show.ts";
import { demandTrust } from "../../supervisor/trust.ts";

/**
 * Copies the types of `layerwise` into a workspace folder's `node_modules`, for tools without VS Code's TypeScript plugin:
 * `tsc` on the command line, other editors. Running a file doesn't need them.
 */
export async function addTypes(extension: vscode.Extension<unknown>): Promise<void> {
  demandTrust();
  const folder = await pickFolder();
  if (folder === undefined) return;
  const target = vscode.Uri.joinPath(folder, "node_modules", "layerwise");
  const version = String(extension.packageJSON.version);
  // A folder from elsewhere may have links there, which lead out of it.
  const path = await inside(folder.fsPath, "node_modules", "layerwise", "types");
  const manifest = await inside(dirname(path), "package.json");
  await vscode.workspace.fs.createDirectory(target);
  const types = vscode.Uri.joinPath(extension.extensionUri, "dist", "types");
  await vscode.workspace.fs.copy(types, vscode.Uri.joinPath(target, "types"), { overwrite: true });
  const text = `${JSON.stringify({ name: "layerwise", version, private: true, types: "./types/index.d.ts" }, null, 2)}\n`;
  // Replaced as a whole: VS Code would write into a file that has another name elsewhere.
  await writeAtomicAsync(manifest, [Buffer.from(text)]);
  void showInformation(
    vscode.l10n.t(
      "The types of layerwise {0} are in {1}.",
      version,
      vscode.workspace.asRelativePath(target, true),
    ),
  );
}

async function pickFolder(): Promise<vscode.Uri | undefined> {
  const folders = vscode.workspace.workspaceFolders ?? [];
  return folders.length > 1 ? (await vscode.window.showWorkspaceFolderPick())?.uri : folders[0]?.uri;
}
