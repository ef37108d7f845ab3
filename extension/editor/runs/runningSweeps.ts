import { resolve } from "node:path";
import * as vscode from "vscode";
import { DisposableOwner } from "../disposable.ts";

const CTRL_C = "\u0003";

/** The sweeps that this window runs: tasks in its terminals, by the directories of the sweeps. */
export class RunningSweeps extends DisposableOwner {
  readonly #tasks = new Map<string, vscode.TaskExecution>();
  readonly #processes = new WeakMap<vscode.TaskExecution, number>();

  constructor() {
    super();
    this.own(
      vscode.tasks.onDidStartTaskProcess(({ execution, processId }) => {
        this.#processes.set(execution, processId);
      }),
    );
  }

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

  /** Returns the function that ends a sweep; undefined if another window or a terminal runs it. */
  readonly stopper = (directory: string): (() => void) | undefined => {
    const execution = this.#tasks.get(resolve(directory));
    return execution === undefined ? undefined : () => this.#interrupt(execution);
  };

  /** Presses Ctrl-C: a killed sweep would leave trials on another machine to their end. */
  #interrupt(execution: vscode.TaskExecution): void {
    const process = this.#processes.get(execution);
    if (process === undefined) return execution.terminate();
    for (const terminal of vscode.window.terminals) void pressIn(terminal, process);
  }
}

async function pressIn(terminal: vscode.Terminal, process: number): Promise<void> {
  if ((await terminal.processId) === process) terminal.sendText(CTRL_C, false);
}
