import { resolve } from "node:path";
import * as vscode from "vscode";

/** The sweeps that this window runs: tasks in its terminals, by the directories of the sweeps. */
export class RunningSweeps {
  readonly #tasks = new Map<string, vscode.TaskExecution>();

  /** Remembers a sweep's task until it ends. */
  keep(directory: string, execution: vscode.TaskExecution): void {
    const key = resolve(directory);
    this.#tasks.set(key, execution);
    const ended = vscode.tasks.onDidEndTask((event) => {
      if (event.execution !== execution) return;
      this.#tasks.delete(key);
      ended.dispose();
    });
  }

  /** What ends a sweep; undefined if another window or a terminal runs it. */
  readonly stopper = (directory: string): (() => void) | undefined => {
    const execution = this.#tasks.get(resolve(directory));
    return execution === undefined ? undefined : () => execution.terminate();
  };
}
