import * as vscode from "vscode";
import type { Progress } from "../protocol/engine.ts";
import type { ExecutorInfo, RunRecord } from "../protocol/run.ts";
import { commandLink } from "./commands.ts";
import { DisposableOwner } from "./disposable.ts";
import { formatDuration, formatMetric } from "./format.ts";
import { STATUS_ITEM } from "./ids.ts";

const BACKENDS = { tensorflow: "TensorFlow", wasm: "WebAssembly", cpu: "JavaScript" } as const;

export interface LiveRun {
  record: RunRecord;
  progress?: Progress;
}

/** One item: which engine computes, and how the training run stands. */
export class StatusBar extends DisposableOwner {
  readonly #item = this.own(
    vscode.window.createStatusBarItem(STATUS_ITEM, vscode.StatusBarAlignment.Left, 10),
  );
  #executor: ExecutorInfo | undefined;
  #runs: readonly LiveRun[] = [];

  constructor() {
    super();
    this.#item.name = "Layerwise";
    this.#item.command = commandLink("layerwise.statusAction", vscode.l10n.t("Layerwise"));
    this.#render();
    this.#item.show();
  }

  /** The engine that runs would use, or that the newest run used. */
  set executor(executor: ExecutorInfo | undefined) {
    this.#executor = executor;
    this.#render();
  }

  /** Runs of this window that are going on, newest first. */
  set runs(runs: readonly LiveRun[]) {
    this.#runs = runs;
    this.#render();
  }

  #render(): void {
    const executor = this.#runs[0]?.record.executor ?? this.#executor;
    const backend = executor === undefined ? "Layerwise" : BACKENDS[executor.backend];
    const run = this.#runs[0];
    this.#item.text = run === undefined ? `$(layers) ${backend}` : `$(sync~spin) ${describe(run)}`;
    this.#item.tooltip = tooltip(executor, this.#runs);
    this.#item.accessibilityInformation = {
      label: run === undefined ? `Layerwise: ${backend}` : `Layerwise: ${describe(run)}`,
    };
  }
}

function describe({ record, progress }: LiveRun): string {
  const name = record.model === "" ? record.exportName : record.model;
  if (record.state === "paused") return vscode.l10n.t("{0} paused", name);
  if (record.kind === "evaluate") return vscode.l10n.t("{0}: evaluating", name);
  if (progress === undefined) return vscode.l10n.t("{0}: starting", name);
  const parts = [`${name} ${progress.epoch}/${progress.epochs}`];
  const loss = progress.metrics["loss"];
  if (loss !== undefined) parts.push(`loss ${formatMetric(loss)}`);
  parts.push(vscode.l10n.t("{0} left", formatDuration(progress.eta)));
  return parts.join(" · ");
}

function tooltip(executor: ExecutorInfo | undefined, runs: readonly LiveRun[]): vscode.MarkdownString {
  const text = new vscode.MarkdownString(undefined, true);
  text.isTrusted = { enabledCommands: ["layerwise.installNativeEngine", "layerwise.showLog"] };
  text.appendMarkdown("**Layerwise**\n\n");
  if (executor !== undefined) {
    text.appendText(vscode.l10n.t("Engine: {0}", executor.version));
    if (executor.reason !== undefined) {
      text.appendMarkdown("\n\n");
      text.appendText(vscode.l10n.t("Not the native engine: {0}", executor.reason));
      const install = vscode.l10n.t("Install Native Engine");
      text.appendMarkdown(`\n\n[$(cloud-download) ${install}](command:layerwise.installNativeEngine)`);
    }
  }
  for (const run of runs) {
    text.appendMarkdown("\n\n$(sync) ");
    text.appendText(describe(run));
  }
  text.appendMarkdown(`\n\n[$(output) ${vscode.l10n.t("Show Log")}](command:layerwise.showLog)`);
  return text;
}
