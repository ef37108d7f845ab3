import { stat } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import * as vscode from "vscode";
import { readRegular } from "../files/regular.ts";
import { DisposableOwner } from "./disposable.ts";
import { CONTEXT_KEYS, MODEL_FILES } from "./ids.ts";
import { isModelFile } from "./previews.ts";
import { LONGEST_SOURCE } from "../source/sourceScan.ts";

/** Bytes of all files of a list that are read: a thousand files that people write have less. */
const LIST_LIMIT = 8 * 2 ** 20;

/**
 * Reads the model files of a list, which may be a stranger's, as regular files. VS Code itself would wait for a pipe, and read what a
 * link leads to without an end.
 */
export class ModelTexts {
  #left = LIST_LIMIT;

  /**
   * The text of a file; "" of one that is too long to be scanned, or where those before it were very long together.
   * @throws FileError for what is no regular file; the file system's error
   */
  async read({ fsPath }: vscode.Uri): Promise<string> {
    const { size } = await stat(fsPath);
    if (size > Math.min(LONGEST_SOURCE, this.#left)) return "";
    this.#left -= size;
    const bytes = await readRegular(fsPath, { limit: LONGEST_SOURCE, follow: true });
    // Others have their turn between two scans.
    await setImmediate();
    return new TextDecoder().decode(bytes);
  }
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
