import * as vscode from "vscode";
import { SETTINGS, type SettingName } from "./ids.ts";

/** A setting's value; for `resource` settings, where `scope` is. */
export function setting<K extends SettingName>(name: K, scope?: vscode.Uri): (typeof SETTINGS)[K] {
  return vscode.workspace.getConfiguration("layerwise", scope ?? null).get(name, SETTINGS[name]);
}

export function onSettingChange(name: SettingName, listener: () => void): vscode.Disposable {
  return vscode.workspace.onDidChangeConfiguration((event) => {
    if (event.affectsConfiguration(`layerwise.${name}`)) listener();
  });
}
