import { isLive } from "../../protocol/run.ts";
import * as vscode from "vscode";
import { readLabelsOf } from "../../supervisor/runs/runLabels.ts";
import { listRuns, type StoredRun } from "../../supervisor/runs/runDirectory.ts";
import type { RunSession } from "../../supervisor/runs/session.ts";
import { CONTEXT_KEYS, VIEWS } from "../ids.ts";
import type { Messages } from "../messages.ts";
import type { Runs } from "../runs/runs.ts";
import { runFolders } from "../targets.ts";
import { dragRuns } from "./dragAndDrop.ts";
import {
  byAge,
  checkpointItem,
  checkpointsOf,
  isCheckpoint,
  runItem,
  type CheckpointNode,
  type RunNode,
} from "./runItems.ts";
import { SidebarTree } from "./treeView.ts";

const RUN_FILES = ".layerwise/runs/{*,*/{run,labels}.json}";
/**
 * Milliseconds between two updates of an active run's item. VS Code may lose a click on a row while it redraws it, so updates
 * are rare.
 */
const PROGRESS_INTERVAL = 1000;

/** The workspace's trainings, read from the disk. */
abstract class StoredRuns<Node extends RunNode | CheckpointNode> extends SidebarTree<RunNode & Node, Node> {
  protected readonly pattern = RUN_FILES;
  readonly #messages: Messages;
  protected readonly runs: Runs;
  /** Problems of records that were already logged. */
  readonly #reported = new Set<string>();

  constructor(id: string, runs: Runs, messages: Messages) {
    super(id, { canSelectMany: true, dragAndDrop: dragRuns(id) });
    this.runs = runs;
    this.#messages = messages;
  }

  protected folders(): string[] {
    return runFolders();
  }

  protected async trainingsOf(folder: string): Promise<RunNode[]> {
    const stored = await listRuns(folder, (error) => this.#problem(error));
    const known = new Set(stored.map(({ directory }) => directory));
    for (const session of this.runs.notBegun(folder)) if (!known.has(session.directory)) stored.push(session);
    if (stored.length > 0) void vscode.commands.executeCommand("setContext", CONTEXT_KEYS.hasRuns, true);
    const trainings = stored.filter(({ record }) => record.kind === "train").sort(byAge);
    const labels = await readLabelsOf(trainings);
    return trainings.map((run, i) => ({ ...this.#withSession(run), labels: labels[i]! }));
  }

  /** Adds the state of this window's session, which is newer than the record on disk. */
  #withSession({ directory, record, life }: StoredRun): Omit<RunNode, "labels"> {
    const session = this.runs.live.find((one) => one.directory === directory);
    return {
      directory,
      record: session?.record ?? record,
      life: session === undefined ? life : session.life,
      progress: session?.progress,
      waitsFor: session?.waitsFor,
    };
  }

  #problem(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    if (this.#reported.has(text)) return;
    this.#reported.add(text);
    this.#messages.log.warn(text);
  }
}

/** All trainings, active ones first, with their progress. */
export class RunsTree extends StoredRuns<RunNode> {
  readonly #shown = new Map<string, RunNode>();
  readonly #changed = new Set<RunSession>();
  #timer: NodeJS.Timeout | undefined;
  #archived = false;

  constructor(runs: Runs, messages: Messages) {
    super(VIEWS.runs, runs, messages);
    this.own(runs.onDidChange((session) => this.#schedule(session)));
    this.own({ dispose: () => clearTimeout(this.#timer) });
  }

  /** Whether archived runs are shown. */
  set archived(shown: boolean) {
    this.#archived = shown;
    void vscode.commands.executeCommand("setContext", CONTEXT_KEYS.showsArchived, shown);
    this.refresh();
  }

  protected async itemsOf(folder: string): Promise<RunNode[]> {
    const nodes = await this.trainingsOf(folder);
    const wanted = nodes.filter(({ labels }) => this.#archived || !labels.archived);
    for (const node of wanted) this.#shown.set(node.directory, node);
    return wanted;
  }

  protected childrenOf(): RunNode[] {
    return [];
  }

  protected itemFor(node: RunNode): vscode.TreeItem {
    return runItem(node, false);
  }

  #schedule(session: RunSession): void {
    if (!this.visible || session.record.kind !== "train") return;
    this.#changed.add(session);
    this.#timer ??= setTimeout(() => this.#update(), PROGRESS_INTERVAL);
  }

  /** Redraws single items; refreshes the list if a run has started or ended. */
  #update(): void {
    this.#timer = undefined;
    for (const session of this.#changed) {
      const node = this.#shown.get(session.directory);
      if (node === undefined || isLive(node.record) !== session.live) this.refresh();
      else {
        node.record = session.record;
        node.progress = session.progress;
        node.waitsFor = session.waitsFor;
        this.redraw(node);
      }
    }
    this.#changed.clear();
  }
}

/** Trainings with saved weights, and their checkpoints as children. */
export class CheckpointsTree extends StoredRuns<RunNode | CheckpointNode> {
  constructor(runs: Runs, messages: Messages) {
    super(VIEWS.checkpoints, runs, messages);
    // File watchers can be slow; this window's own runs report at once.
    const saved = new WeakMap<RunSession, unknown>();
    this.own(
      runs.onDidChange((session) => {
        const { checkpoints } = session.record;
        if (saved.get(session) === checkpoints && session.live) return;
        saved.set(session, checkpoints);
        this.refresh();
      }),
    );
  }

  protected async itemsOf(folder: string): Promise<RunNode[]> {
    const nodes = await this.trainingsOf(folder);
    return nodes.filter(({ record, labels }) => record.checkpoints.length > 0 && !labels.archived);
  }

  protected childrenOf(node: RunNode | CheckpointNode): CheckpointNode[] {
    return isCheckpoint(node) ? [] : checkpointsOf(node);
  }

  protected itemFor(node: RunNode | CheckpointNode): vscode.TreeItem {
    return isCheckpoint(node) ? checkpointItem(node) : runItem(node, true);
  }
}
