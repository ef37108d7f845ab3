import type * as vscode from "vscode";

/** Base class that disposes what it owns, in reverse order. */
export abstract class DisposableOwner implements vscode.Disposable {
  #owned: vscode.Disposable[] = [];
  #disposed = false;

  get disposed(): boolean {
    return this.#disposed;
  }

  /** Takes ownership of `disposable`; disposes it at once if this object is disposed. */
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
