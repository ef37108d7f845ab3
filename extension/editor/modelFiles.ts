import * as vscode from "vscode";
import { FileError } from "../files/fileError.ts";
import { readRegular } from "../files/regular.ts";
import { DisposableOwner } from "./disposable.ts";
import { CONTEXT_KEYS, MODEL_FILES } from "./ids.ts";
import { isModelFile } from "./previews.ts";
import { LONGEST_SOURCE } from "../source/sourceScan.ts";

/**
 * The text of a model file on the disk; "" of one that is too long to be scanned. VS Code itself would wait for a pipe, and read what a
 * link leads to without an end.
 * @throws FileError for what is no regular file; the file system's error
 */
export async function modelText({ fsPath }: vscode.Uri): Promise<string> {
  const bytes = await readRegular(fsPath, { limit: LONGEST_SOURCE, follow: true }).catch((error: unknown) => {
    if (error instanceof FileError && error.code === "too-large") return Buffer.alloc(0);
    throw error;
  });
  return new TextDecoder().decode(bytes);
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
