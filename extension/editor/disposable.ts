import type * as vscode from "vscode";

/** Owns what must be given back, in reverse order. */
export abstract class DisposableOwner implements vscode.Disposable {
  #owned: vscode.Disposable[] = [];
  #disposed = false;

  get disposed(): boolean {
    return this.#disposed;
  }

  /** Takes over `disposable`; one that comes too late is disposed at once. */
  protected own<T extends vscode.Disposable>(disposable: T): T {
    if (this.#disposed) disposable.dispose();
    else this.#owned.push(disposable);
    return disposable;
  }

  dispose(): void {
    this.#disposed = true;
    for (const disposable of this.#owned.splice(0).toReversed()) disposable.dispose();
  }
}
