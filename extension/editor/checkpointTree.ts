import * as vscode from "vscode";
import type { CheckpointRecord, RunState } from "../protocol/run.ts";
import { isLive, listRuns, type StoredRun } from "../supervisor/runDirectory.ts";
import { commandLink } from "./commands.ts";
import { DisposableOwner } from "./disposable.ts";
import { formatAge, formatBytes, formatMetrics } from "./format.ts";
import { CONTEXT_KEYS, TREE_ITEMS, VIEWS, type CheckpointTarget, type RunTarget } from "./ids.ts";
import type { Messages } from "./messages.ts";
import type { Runs } from "./runs.ts";
import { runFolders } from "./targets.ts";

interface RunNode extends RunTarget, StoredRun {}
interface CheckpointNode extends CheckpointTarget {
  best: boolean;
}
type Node = RunNode | CheckpointNode;

/** What the watcher's events of one second become. */
const REFRESH_DELAY = 300;
const RUN_FILES = ".layerwise/runs/{*,*/run.json}";

/** Training runs and their checkpoints, read from the disk; looked after only while somebody looks at it. */
export class CheckpointTree extends DisposableOwner implements vscode.TreeDataProvider<Node> {
  readonly #messages: Messages;
  readonly #changed = this.own(new vscode.EventEmitter<void>());
  readonly onDidChangeTreeData = this.#changed.event;
  readonly #view: vscode.TreeView<Node>;
  #watchers: vscode.Disposable[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** Broken records that were told of. */
  readonly #told = new Set<string>();

  constructor(runs: Runs, messages: Messages) {
    super();
    this.#messages = messages;
    this.#view = this.own(
      vscode.window.createTreeView<Node>(VIEWS.checkpoints, {
        treeDataProvider: this,
        showCollapseAll: true,
      }),
    );
    this.own(this.#view.onDidChangeVisibility(() => this.#watch()));
    this.own(vscode.workspace.onDidChangeWorkspaceFolders(() => this.#watch()));
    // Watchers of some file systems are slow; of runs of this window we know at once.
    this.own(runs.onDidChange((session) => session.live || this.refresh()));
    this.own({ dispose: () => this.#unwatch() });
    this.#watch();
  }

  refresh(): void {
    if (this.#view.visible) this.#timer ??= setTimeout(() => this.#refreshNow(), REFRESH_DELAY);
  }

  #refreshNow(): void {
    this.#timer = undefined;
    this.#changed.fire();
  }

  #watch(): void {
    this.#unwatch();
    if (!this.#view.visible) return;
    for (const folder of runFolders()) {
      const pattern = new vscode.RelativePattern(vscode.Uri.file(folder), RUN_FILES);
      const watcher = vscode.workspace.createFileSystemWatcher(pattern);
      const refresh = (): void => this.refresh();
      this.#watchers.push(
        watcher,
        watcher.onDidCreate(refresh),
        watcher.onDidChange(refresh),
        watcher.onDidDelete(refresh),
      );
    }
    this.#refreshNow();
  }

  #unwatch(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const watcher of this.#watchers.splice(0)) watcher.dispose();
  }

  async getChildren(node?: Node): Promise<Node[]> {
    if (node === undefined) return this.#runs();
    return "record" in node ? checkpointsOf(node) : [];
  }

  async #runs(): Promise<RunNode[]> {
    const problem = (error: unknown): void => {
      const text = error instanceof Error ? error.message : String(error);
      if (this.#told.has(text)) return;
      this.#told.add(text);
      this.#messages.log.warn(text);
    };
    const lists = await Promise.all(runFolders().map((folder) => listRuns(folder, problem)));
    const all = lists.flat();
    void vscode.commands.executeCommand("setContext", CONTEXT_KEYS.hasRuns, all.length > 0);
    return all
      .filter(({ record }) => record.kind === "train")
      .sort((a, b) => (a.record.createdAt < b.record.createdAt ? 1 : -1));
  }

  getTreeItem(node: Node): vscode.TreeItem {
    return "record" in node ? runItem(node) : checkpointItem(node);
  }
}

/** The best first, then the newest. */
function checkpointsOf({ directory, record }: RunNode): CheckpointNode[] {
  return record.checkpoints
    .map((checkpoint) => ({ directory, checkpoint, best: checkpoint.kind === "best" }))
    .sort(
      (a, b) => Number(b.best) - Number(a.best) || (a.checkpoint.savedAt < b.checkpoint.savedAt ? 1 : -1),
    );
}

const STATE_ICONS: Record<RunState, vscode.ThemeIcon> = {
  starting: new vscode.ThemeIcon("sync~spin"),
  running: new vscode.ThemeIcon("sync~spin"),
  paused: new vscode.ThemeIcon("debug-pause"),
  finished: new vscode.ThemeIcon("pass", new vscode.ThemeColor("testing.iconPassed")),
  stopped: new vscode.ThemeIcon("debug-stop"),
  failed: new vscode.ThemeIcon("error", new vscode.ThemeColor("list.errorForeground")),
  killed: new vscode.ThemeIcon("warning", new vscode.ThemeColor("list.warningForeground")),
};

function runItem({ directory, record }: RunNode): vscode.TreeItem {
  const name = record.model === "" ? record.exportName : record.model;
  const item = new vscode.TreeItem(
    name,
    record.checkpoints.length === 0
      ? vscode.TreeItemCollapsibleState.None
      : vscode.TreeItemCollapsibleState.Expanded,
  );
  item.id = directory;
  item.contextValue = isLive(record) ? TREE_ITEMS.liveRun : TREE_ITEMS.endedRun;
  item.iconPath = STATE_ICONS[record.state];
  item.description = join(formatMetrics(record.metrics, 1), formatAge(record.endedAt ?? record.createdAt));
  item.accessibilityInformation = {
    label: vscode.l10n.t("Run of {0}, {1}, {2}", name, record.state, item.description),
  };
  item.command = commandLink("layerwise.openRun", vscode.l10n.t("Show Curves"), { directory });
  const text = new vscode.MarkdownString();
  text.appendMarkdown(`**${name}**\n\n`);
  text.appendText(`${record.id}\n${vscode.workspace.asRelativePath(record.file)} (${record.exportName})\n`);
  text.appendText(vscode.l10n.t("{0}, epoch {1} of {2}", record.state, record.epoch, record.epochs));
  text.appendText(`\n${formatMetrics(record.metrics, 10)}`);
  if (record.error !== undefined) text.appendText(`\n${record.error.message}`);
  item.tooltip = text;
  return item;
}

const KINDS: Record<CheckpointRecord["kind"], string> = {
  best: "star-full",
  last: "history",
  final: "flag",
  manual: "save",
};

function checkpointItem({ directory, checkpoint, best }: CheckpointNode): vscode.TreeItem {
  const name = vscode.l10n.t("{0}, epoch {1}", checkpoint.kind, checkpoint.epoch);
  const item = new vscode.TreeItem(name);
  item.id = `${directory}/${checkpoint.file}`;
  item.contextValue = best ? TREE_ITEMS.bestCheckpoint : TREE_ITEMS.checkpoint;
  item.iconPath = new vscode.ThemeIcon(
    KINDS[checkpoint.kind],
    best ? new vscode.ThemeColor("charts.yellow") : undefined,
  );
  item.description = join(
    formatMetrics(checkpoint.metrics, 1),
    formatAge(checkpoint.savedAt),
    formatBytes(checkpoint.bytes),
  );
  item.accessibilityInformation = { label: vscode.l10n.t("Checkpoint {0}, {1}", name, item.description) };
  item.tooltip = `${checkpoint.file}\n${formatMetrics(checkpoint.metrics, 10)}`;
  return item;
}

function join(...parts: string[]): string {
  return parts.filter((part) => part !== "").join(" · ");
}
