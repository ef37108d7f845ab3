import * as v from "valibot";
import * as vscode from "vscode";
import { ExecutorInfo } from "../../protocol/run.ts";
import {
  executorOf,
  installNative,
  nativeReport,
  type InstallResult,
} from "../../supervisor/engines/native.ts";
import type { EngineOptions } from "../../supervisor/engines/process.ts";
import { DisposableOwner } from "../disposable.ts";
import type { Messages } from "../messages.ts";
import { showInformation, showProgress } from "../show.ts";

const KEPT = "executor";

/** Which engine runs would use: asked of a child when it matters, remembered between windows. */
export class NativeEngine extends DisposableOwner {
  readonly #engine: () => EngineOptions;
  readonly #messages: Messages;
  readonly #memory: vscode.Memento;
  readonly #changed = this.own(new vscode.EventEmitter<ExecutorInfo>());
  readonly onDidChange = this.#changed.event;
  #asking: Promise<void> | undefined;

  constructor(engine: () => EngineOptions, messages: Messages, memory: vscode.Memento) {
    super();
    this.#engine = engine;
    this.#messages = messages;
    this.#memory = memory;
  }

  /** The last known status. */
  get remembered(): ExecutorInfo | undefined {
    const kept = v.safeParse(ExecutorInfo, this.#memory.get(KEPT));
    return kept.success ? kept.output : undefined;
  }

  /** Called when a run has reported its executor. */
  tell(executor: ExecutorInfo): void {
    if (JSON.stringify(executor) === JSON.stringify(this.remembered)) return;
    void this.#memory.update(KEPT, executor);
    this.#changed.fire(executor);
  }

  /** Asks the command line, once however often it is called. */
  ask(): Promise<void> {
    this.#asking ??= this.#ask();
    return this.#asking;
  }

  async #ask(): Promise<void> {
    try {
      this.tell(executorOf(await nativeReport(this.#engine())));
    } catch (error) {
      this.#messages.log.warn(String(error));
      this.#asking = undefined;
    }
  }

  /** Installs it with progress and a way to cancel, and says how that ended. */
  async install(): Promise<void> {
    const { log } = this.#messages;
    const result = await showProgress(
      { location: vscode.ProgressLocation.Notification, title: "Layerwise", cancellable: true },
      async (progress, token): Promise<InstallResult> => {
        const abort = new AbortController();
        token.onCancellationRequested(() => abort.abort());
        let done = 0;
        let shown = "";
        progress.report({ message: vscode.l10n.t("installing the native engine") });
        return installNative(this.#engine(), abort.signal, ({ fraction, text }) => {
          if (text !== shown) log.info(text);
          shown = text;
          progress.report({ message: text, increment: (fraction - done) * 100 });
          done = fraction;
        });
      },
    );
    if (result.type === "failed") {
      if (result.detail !== undefined) log.info(result.detail);
      this.#messages.error(
        { code: result.code, message: result.message },
        vscode.l10n.t("Install Native Engine"),
      );
      return;
    }
    this.#asking = undefined;
    await this.ask();
    if (result.type === "cancelled") return;
    const text = result.installed
      ? vscode.l10n.t("The native engine is installed. The next run uses it.")
      : vscode.l10n.t("The native engine was installed already.");
    void showInformation(text);
  }
}
