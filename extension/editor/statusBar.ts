import { secondsLeft } from "../protocol/runs/duration.ts";
import { runTitle } from "../protocol/run.ts";
import * as vscode from "vscode";
import type { ExecutorInfo } from "../protocol/run.ts";
import { labelText } from "../protocol/text/label.ts";
import { joinMarkdown, md } from "../protocol/text/markdown.ts";
import type { RunSession } from "../supervisor/runs/session.ts";
import { commandLink, runCommand } from "./commands.ts";
import { DisposableOwner } from "./disposable.ts";
import { formatDuration, formatMetric } from "./format.ts";
import { STATUS_ITEM } from "./ids.ts";
import type { NativeEngine } from "./runs/nativeEngine.ts";
import type { Runs } from "./runs/runs.ts";
import { markdownString } from "./show.ts";

/** Milliseconds between two updates. */
const REFRESH_INTERVAL = 500;

const BACKENDS = {
  tensorflow: "TensorFlow",
  kernels: "Native kernels",
  wasm: "WebAssembly",
  cpu: "JavaScript",
} as const;

/** The status bar item: the engine in use, and the progress of the current run. */
export class StatusBar extends DisposableOwner {
  readonly #item = this.own(
    vscode.window.createStatusBarItem(STATUS_ITEM, vscode.StatusBarAlignment.Left, 10),
  );
  readonly #runs: Runs;
  readonly #native: NativeEngine;
  #timer: NodeJS.Timeout | undefined;

  constructor(runs: Runs, native: NativeEngine) {
    super();
    this.#runs = runs;
    this.#native = native;
    this.#item.name = "Layerwise";
    this.#item.command = commandLink("layerwise.statusAction", vscode.l10n.t("Layerwise"));
    this.own(native.onDidChange(() => this.#schedule()));
    this.own(
      runs.onDidChange(({ record }) => {
        if (record.executor !== undefined) native.tell(record.executor);
        this.#schedule();
      }),
    );
    this.own({ dispose: () => clearTimeout(this.#timer) });
    // The time left changes in a long step too.
    const tick = setInterval(() => {
      if (this.#runs.foremost?.progress !== undefined) this.#schedule();
    }, 1000);
    this.own({ dispose: () => clearInterval(tick) });
    this.#render();
  }

  /** Shows the item; called once the window has models. */
  show(): void {
    this.#item.show();
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => this.#render(), REFRESH_INTERVAL);
  }

  /** Sets the tooltip if it changed: the text changes often, the tooltip rarely. */
  #describe(text: vscode.MarkdownString): void {
    const shown = this.#item.tooltip;
    if (!(shown instanceof vscode.MarkdownString) || shown.value !== text.value) this.#item.tooltip = text;
  }

  #render(): void {
    this.#timer = undefined;
    const runs = this.#runs.live;
    const run = this.#runs.foremost;
    const executor = run?.record.executor ?? this.#native.remembered;
    const backend = executor === undefined ? "Layerwise" : backendName(executor);
    const symbol = run === undefined || run.waitsFor.length === 0 ? "sync~spin" : "watch";
    this.#item.text = run === undefined ? `$(layers) ${backend}` : `$(${symbol}) ${labelText(describe(run))}`;
    this.#describe(tooltip(executor, runs));
    this.#item.accessibilityInformation = {
      label: run === undefined ? `Layerwise: ${backend}` : `Layerwise: ${labelText(describe(run))}`,
    };
  }
}

/** A build for GPUs that computes on the CPU has a reason. */
function backendName({ backend, gpu, reason }: ExecutorInfo): string {
  return gpu === true && reason === undefined ? `${BACKENDS[backend]} (GPU)` : BACKENDS[backend];
}

function describe({ record, progress, progressAge, waitsFor }: RunSession): string {
  const name = runTitle(record);
  if (waitsFor.length > 0) return vscode.l10n.t("{0}: waiting", name);
  if (record.state === "paused") return vscode.l10n.t("{0} paused", name);
  if (record.kind === "evaluate") return vscode.l10n.t("{0}: evaluating", name);
  if (progress === undefined)
    return record.state === "starting"
      ? vscode.l10n.t("{0}: starting", name)
      : `${name} ${record.epoch}/${record.epochs}`;
  const parts = [`${name} ${progress.epoch}/${progress.epochs}`];
  const loss = progress.metrics["loss"];
  if (loss !== undefined) parts.push(`loss ${formatMetric(loss)}`);
  const left = secondsLeft(progress, progressAge);
  if (left !== undefined) parts.push(vscode.l10n.t("{0} left", formatDuration(left)));
  return parts.join(" · ");
}

function tooltip(executor: ExecutorInfo | undefined, runs: readonly RunSession[]): vscode.MarkdownString {
  const parts = [
    md`
**Layerwise**
    `,
  ];
  if (executor !== undefined) parts.push(md`${vscode.l10n.t("Engine: {0}", executor.version)}`);
  if (executor?.gpu === true && executor.reason !== undefined)
    parts.push(md`${vscode.l10n.t("Not on a GPU: {0}", executor.reason)}`);
  else if (executor?.reason !== undefined)
    parts.push(
      md`${vscode.l10n.t("Not the native engine: {0}", executor.reason)}`,
      md`[$(cloud-download) ${vscode.l10n.t("Install Native Engine")}](command:layerwise.installNativeEngine)`,
    );
  for (const { record, waitsFor } of runs) {
    const waits = waitsFor.length > 0;
    const turn = waits ? ` · ${vscode.l10n.t("queued behind {0}", waitsFor.join(", "))}` : "";
    parts.push(md`${waits ? WATCH : SYNC} ${`${runTitle(record)} · ${record.id}${turn}`}`);
  }
  parts.push(md`[$(output) ${vscode.l10n.t("Show Log")}](command:layerwise.showLog)`);
  return markdownString(joinMarkdown(parts, "\n\n"), {
    icons: true,
    commands: ["layerwise.installNativeEngine", "layerwise.showLog"],
  });
}

const WATCH = md`
$(watch)
`;
const SYNC = md`
$(sync)
`;

/** Action of the status bar: shows the foremost live run, else the log. */
export async function statusAction(runs: Runs): Promise<void> {
  const session = runs.foremost;
  if (session === undefined) await runCommand("layerwise.showLog");
  else await runCommand("layerwise.openRun", { directory: session.directory });
}
