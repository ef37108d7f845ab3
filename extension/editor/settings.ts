import * as vscode from "vscode";
import type { EngineOptions } from "../supervisor/engines/process.ts";
import { SETTINGS, type SettingName } from "./ids.ts";

/** Reads a setting; for `resource` settings, at `scope`. */
export function setting<K extends SettingName>(name: K, scope?: vscode.Uri): (typeof SETTINGS)[K] {
  return vscode.workspace.getConfiguration("layerwise", scope ?? null).get(name, SETTINGS[name]);
}

export function onSettingChange(
  name: SettingName | "warnings" | "hints",
  listener: () => void,
): vscode.Disposable {
  return vscode.workspace.onDidChangeConfiguration((event) => {
    if (event.affectsConfiguration(`layerwise.${name}`)) listener();
  });
}

/** Returns a function that reads the options of engines from the current settings. */
export function engineOptions(extensionUri: vscode.Uri): () => EngineOptions {
  const dist = vscode.Uri.joinPath(extensionUri, "dist").fsPath;
  return () => {
    const threads = setting("threads");
    const nodePath = setting("nodePath");
    return {
      dist,
      folders: (vscode.workspace.workspaceFolders ?? []).map(({ uri }) => uri.fsPath),
      ...(threads > 0 ? { env: { TF_NUM_INTRAOP_THREADS: String(threads) } } : {}),
      ...(nodePath === "" ? {} : { execPath: nodePath }),
    };
  };
}
