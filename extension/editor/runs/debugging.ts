import { isAbsolute, join } from "node:path";
import * as vscode from "vscode";
import { DEBUG_TYPE, MODEL_FILE_SUFFIX, type SourceTarget } from "../ids.ts";

/** `"type": "layerwise"` of launch.json, and F5 in a model: a training under the debugger. */
export class TrainingDebug implements vscode.DebugConfigurationProvider {
  readonly #debug: (target: SourceTarget) => Promise<void>;

  constructor(debug: (target: SourceTarget) => Promise<void>) {
    this.#debug = debug;
  }

  register(): vscode.Disposable {
    return vscode.debug.registerDebugConfigurationProvider(DEBUG_TYPE, this);
  }

  provideDebugConfigurations(): vscode.DebugConfiguration[] {
    return [{ type: DEBUG_TYPE, request: "launch", name: vscode.l10n.t("Debug training"), file: "${file}" }];
  }

  resolveDebugConfiguration(
    _folder: vscode.WorkspaceFolder | undefined,
    configuration: vscode.DebugConfiguration,
  ): vscode.DebugConfiguration {
    // F5 without a launch.json passes an empty one. The file is then the active editor's: named as "${file}", a file
    // "${command:x}.nn.ts" would have VS Code run the command.
    const [given] = this.provideDebugConfigurations();
    if ((configuration.type ?? "") !== "") return configuration;
    const { file: _, ...rest } = given!;
    return { ...rest, ...configuration, type: DEBUG_TYPE, request: rest.request, name: rest.name };
  }

  /** Starts the run and attaches another debugger, so VS Code has nothing left to start. */
  async resolveDebugConfigurationWithSubstitutedVariables(
    folder: vscode.WorkspaceFolder | undefined,
    { file, experiment }: vscode.DebugConfiguration,
  ): Promise<undefined> {
    const named = typeof file === "string" && file.endsWith(MODEL_FILE_SUFFIX);
    await this.#debug({
      ...(named ? { file: isAbsolute(file) || !folder ? file : join(folder.uri.fsPath, file) } : {}),
      ...(typeof experiment === "string" ? { exportName: experiment } : {}),
    });
    return undefined;
  }
}
