import * as vscode from "vscode";
import { setting } from "./settings.ts";

/** Why code of the workspace isn't run. */
export type Withheld =
  /** The workspace is not trusted. */
  | "trust"
  /** The setting leaves it to the user. */
  | "request";

/**
 * Why previews don't run code of the workspace; undefined when they do. The only place that decides.
 * @param asked The user has asked for it; else it is done by itself, as while a file is typed
 */
export function withheld(asked: boolean): Withheld | undefined {
  if (!vscode.workspace.isTrusted) return "trust";
  return asked || setting("preview.automatic") ? undefined : "request";
}
