import * as vscode from "vscode";
import { registerCommand } from "./editor/commands.ts";
import { ModelLenses } from "./editor/lenses.ts";
import { Messages } from "./editor/messages.ts";
import { Previews } from "./editor/previews.ts";
import { StatusBar } from "./editor/statusBar.ts";
import { PreviewEngine } from "./supervisor/preview.ts";

/** Wires; nothing is started, scanned or read here. */
export function activate(context: vscode.ExtensionContext): void {
  const messages = new Messages();
  const engine = new PreviewEngine(
    { dist: vscode.Uri.joinPath(context.extensionUri, "dist").fsPath },
    { onLog: (text) => messages.log.info(`[preview] ${text}`) },
  );
  const previews = new Previews(engine);
  context.subscriptions.push(
    messages,
    { dispose: () => void engine.dispose() },
    previews,
    new ModelLenses(previews),
    new StatusBar(),
    registerCommand("layerwise.showLog", () => messages.showLog()),
  );
}
