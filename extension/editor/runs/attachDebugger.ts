import * as vscode from "vscode";
import { labelText } from "../../protocol/text/label.ts";
import { EngineError } from "../../protocol/errors.ts";
import { OF_TRAINING } from "./viewTensor.ts";

/**
 * Attaches VS Code's JavaScript debugger to a waiting run.
 * @throws EngineError when there is no such debugger, or it doesn't come
 */
export async function attachDebugger(file: string, name: string, url: string, dist: string): Promise<void> {
  const folder = vscode.workspace.getWorkspaceFolder(vscode.Uri.file(file));
  const started = await vscode.debug.startDebugging(folder, {
    type: "node",
    request: "attach",
    [OF_TRAINING]: true,
    // VS Code puts values in for `${…}`, and runs the command of `${command:…}`.
    name: labelText(name),
    websocketAddress: url,
    continueOnAttach: true,
    // The file is bundled when it is loaded: its breakpoints are placed when its script comes, before a line of it runs.
    sourceMaps: true,
    pauseForSourceMap: true,
    // Only for the user's files: the sources in the engine's own maps are not there to step into.
    resolveSourceMapLocations: ["**", `!${dist}/**`],
    outFiles: [],
    smartStep: true,
    skipFiles: ["<node_internals>/**", `${dist}/**`],
    autoAttachChildProcesses: false,
    // Not `debug.properties`, which must not compute anything.
    customPropertiesGenerator:
      'this[Symbol.for("layerwise.properties")] ? this[Symbol.for("layerwise.properties")]() : this',
  });
  if (started) return;
  const message = vscode.l10n.t("VS Code's JavaScript debugger could not be started.");
  throw new EngineError({
    code: "debugger",
    message,
    hint: vscode.l10n.t('Enable the built-in extension "JavaScript Debugger".'),
  });
}
