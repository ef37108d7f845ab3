import * as vscode from "vscode";
import { setting } from "./settings.ts";

/** Why previews don't run code of the workspace. */
export type Withheld =
  /** The workspace is not trusted. */
  | "trust"
  /** `preview.automatic` is off: previews run on request only. */
  | "request";

/**
 * Returns why a preview may not run code of the workspace; undefined if it may. The only place that decides.
 * @param asked Whether the user requested the preview; else it is automatic, as while typing
 */
export function withheld(asked: boolean): Withheld | undefined {
  if (!vscode.workspace.isTrusted) return "trust";
  return asked || setting("preview.automatic") ? undefined : "request";
}
