import * as vscode from "vscode";
import { DisposableOwner } from "./disposable.ts";
import { CONTEXT_KEYS, MODEL_FILES } from "./ids.ts";
import { isModelFile } from "./previews.ts";

/** Whether this window has models. Any TypeScript file activates the extension; without models it stays out of sight. */
export class ModelFiles extends DisposableOwner {
  #resolve!: () => void;
  /** Settles when the first model is seen, in the workspace or in an editor. */
  readonly found = new Promise<void>((resolve) => {
    this.#resolve = resolve;
  });

  constructor() {
    super();
    void this.found.then(() => vscode.commands.executeCommand("setContext", CONTEXT_KEYS.hasModels, true));
    vscode.workspace.textDocuments.forEach((document) => this.#note(document));
    this.own(vscode.workspace.onDidOpenTextDocument((document) => this.#note(document)));
  }

  /** Finds models that are not open. */
  async search(): Promise<void> {
    const [first] = await vscode.workspace.findFiles(MODEL_FILES, "**/node_modules/**", 1);
    if (first !== undefined) this.#resolve();
  }

  #note(document: vscode.TextDocument): void {
    if (isModelFile(document)) this.#resolve();
  }
}
