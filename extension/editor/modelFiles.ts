import * as vscode from "vscode";
import { DisposableOwner } from "./disposable.ts";
import { CONTEXT_KEYS, MODEL_FILES } from "./ids.ts";
import { isModelFile } from "./previews.ts";
import { LONGEST_SOURCE } from "../source/sourceScan.ts";

/** The text of a model file on the disk; "" of one that is too long to be scanned. @throws the file system's error */
export async function modelText(uri: vscode.Uri): Promise<string> {
  const { size } = await vscode.workspace.fs.stat(uri);
  return size > LONGEST_SOURCE ? "" : new TextDecoder().decode(await vscode.workspace.fs.readFile(uri));
}

/** Detects whether this window has models. Any TypeScript file activates the extension; without models its UI stays hidden. */
export class ModelFiles extends DisposableOwner {
  #resolve!: () => void;
  /** Resolves when the first model file is found, in the workspace or in an editor. */
  readonly found = new Promise<void>((resolve) => {
    this.#resolve = resolve;
  });

  constructor() {
    super();
    void this.found.then(() => vscode.commands.executeCommand("setContext", CONTEXT_KEYS.hasModels, true));
    vscode.workspace.textDocuments.forEach((document) => this.#check(document));
    this.own(vscode.workspace.onDidOpenTextDocument((document) => this.#check(document)));
  }

  /** Searches the workspace for model files that are not open. */
  async search(): Promise<void> {
    const [first] = await vscode.workspace.findFiles(MODEL_FILES, "**/node_modules/**", 1);
    if (first !== undefined) this.#resolve();
  }

  #check(document: vscode.TextDocument): void {
    if (isModelFile(document)) this.#resolve();
  }
}
