import { dirname } from "node:path";
import * as vscode from "vscode";
import { DisposableOwner } from "./disposable.ts";

/**
 * Reports changes on disk of a set of files. Each folder has a watcher of its own, since a file may be outside of the workspace;
 * for folders inside, VS Code starts no further one.
 */
export class WatchedFiles extends DisposableOwner {
  readonly #watchers = new Map<string, vscode.Disposable>();
  readonly #changed: (file: string) => void;

  /** @param changed Called for each change in the folders of the watched files */
  constructor(changed: (file: string) => void) {
    super();
    this.#changed = changed;
    this.own({ dispose: () => this.watch([]) });
  }

  /** Watches the folders of these files, and no others. */
  watch(files: Iterable<string>): void {
    const folders = new Set([...files].map((file) => dirname(file)));
    for (const [folder, watcher] of this.#watchers)
      if (!folders.has(folder)) {
        watcher.dispose();
        this.#watchers.delete(folder);
      }
    for (const folder of folders)
      if (!this.#watchers.has(folder)) this.#watchers.set(folder, this.#watcherOf(folder));
  }

  #watcherOf(folder: string): vscode.Disposable {
    const pattern = new vscode.RelativePattern(vscode.Uri.file(folder), "*");
    const watcher = vscode.workspace.createFileSystemWatcher(pattern);
    const changed = ({ fsPath }: vscode.Uri): void => this.#changed(fsPath);
    watcher.onDidCreate(changed);
    watcher.onDidChange(changed);
    watcher.onDidDelete(changed);
    return watcher;
  }
}
