import { clipped } from "../../protocol/text/clip.ts";
import { secondsLeft } from "../../protocol/runs/duration.ts";
import { isLive, runTitle } from "../../protocol/run.ts";
import * as vscode from "vscode";
import { FOREIGN_TOOL_NAMES } from "../../protocol/history/foreignRun.ts";
import type { Progress } from "../../protocol/engine.ts";
import type { CheckpointRecord, RunLabels, RunState } from "../../protocol/run.ts";
import { md } from "../../protocol/text/markdown.ts";
import { plainLine } from "../../protocol/text/plain.ts";
import { isResumable } from "../../supervisor/runs/resume.ts";
import { type StoredRun } from "../../supervisor/runs/runDirectory.ts";
import { commandLink } from "../commands.ts";
import { formatAge, formatBytes, formatDuration, formatMetrics } from "../format.ts";
import { TREE_ITEMS, type CheckpointTarget, type RunTarget } from "../ids.ts";
import { markdownString } from "../show.ts";
import { joined } from "./treeView.ts";

export interface RunNode extends RunTarget, StoredRun {
  folder?: never;
  labels: RunLabels;
  /** Progress of a run that is active in this window. */
  progress?: Progress | undefined;
  /** Ids of the runs that it is queued behind. */
  waitsFor?: readonly string[] | undefined;
}
export interface CheckpointNode extends CheckpointTarget {
  folder?: never;
  best: boolean;
}

export const isCheckpoint = (node: RunNode | CheckpointNode): node is CheckpointNode => "checkpoint" in node;

/** The run's name: its label, else its title. */
export function runName({ labels, record }: Pick<RunNode, "labels" | "record">): string {
  return labels.name || runTitle(record);
}

/** Orders runs: active ones first, then the newest. */
export function byAge(a: StoredRun, b: StoredRun): number {
  const live = Number(isLive(b.record)) - Number(isLive(a.record));
  return live || (a.record.createdAt < b.record.createdAt ? 1 : -1);
}

/** The run's checkpoints: the best first, then the newest. */
export function checkpointsOf({ directory, record }: RunNode): CheckpointNode[] {
  return record.checkpoints
    .map((checkpoint) => ({ directory, checkpoint, best: checkpoint.kind === "best" }))
    .sort(
      (a, b) => Number(b.best) - Number(a.best) || (a.checkpoint.savedAt < b.checkpoint.savedAt ? 1 : -1),
    );
}

/** In colours that high contrast themes have too. */
const STATE_ICONS: Record<RunState, vscode.ThemeIcon> = {
  starting: new vscode.ThemeIcon("loading~spin"),
  running: new vscode.ThemeIcon("sync~spin"),
  paused: new vscode.ThemeIcon("debug-pause"),
  finished: new vscode.ThemeIcon("pass", new vscode.ThemeColor("testing.iconPassed")),
  // VS Code draws this icon in red unless it is given a colour.
  stopped: new vscode.ThemeIcon("debug-stop", new vscode.ThemeColor("icon.foreground")),
  failed: new vscode.ThemeIcon("error", new vscode.ThemeColor("problemsErrorIcon.foreground")),
  killed: new vscode.ThemeIcon("warning", new vscode.ThemeColor("problemsWarningIcon.foreground")),
};

const WAITING = new vscode.ThemeIcon("watch");

const waits = ({ waitsFor }: RunNode): boolean => waitsFor !== undefined && waitsFor.length > 0;

const STATE_NAMES: Record<RunState, string> = {
  starting: vscode.l10n.t("starting"),
  running: vscode.l10n.t("running"),
  paused: vscode.l10n.t("paused"),
  finished: vscode.l10n.t("finished"),
  stopped: vscode.l10n.t("stopped"),
  failed: vscode.l10n.t("failed"),
  killed: vscode.l10n.t("process ended"),
};

const stateName = (node: RunNode): string =>
  waits(node) ? vscode.l10n.t("waiting") : (awayText(node) ?? STATE_NAMES[node.record.state]);

const AWAY = new vscode.ThemeIcon("remote");

/** Describes a run whose process this host can't see. */
function awayText({ life }: RunNode): string | undefined {
  if (life?.kind === "remote") return vscode.l10n.t("on {0}, not followed", life.name);
  if (life?.kind === "elsewhere") return vscode.l10n.t("running elsewhere (host {0})", life.lock.host);
  if (life?.kind === "unread") return vscode.l10n.t("not answering yet");
  if (life?.kind !== "silent") return undefined;
  return vscode.l10n.t(
    "no sign of life since {0} (host {1})",
    new Date(life.since).toLocaleString(),
    life.lock.host,
  );
}

/** The machine of a run that is at work elsewhere. */
const onText = (record: RunNode["record"]): string =>
  record.on !== undefined && isLive(record) ? vscode.l10n.t("running on {0}", record.on.name) : "";

/** The `contextValue` of a run's item. */
function contextOf({ record, labels: { archived }, life }: RunNode): string {
  if (life?.kind === "silent") return TREE_ITEMS.interruptedRun;
  if (life?.kind === "remote") return TREE_ITEMS.remoteRun;
  if (isLive(record)) return TREE_ITEMS.liveRun;
  if (archived) return TREE_ITEMS.archivedRun;
  return isResumable(record) ? TREE_ITEMS.interruptedRun : TREE_ITEMS.endedRun;
}

/** Progress of an active run: "3/10 · 24 % · loss 0.31 · 1:20 left". */
function standing(node: RunNode): string {
  const { record, progress, waitsFor = [] } = node;
  if (waits(node)) return vscode.l10n.t("queued behind {0}", waitsFor.join(", "));
  const { epoch, epochs, metrics } = progress ?? record;
  const share = progress === undefined ? "" : shareOf(progress);
  const seconds = progress && record.state === "running" ? secondsLeft(progress) : undefined;
  const left = seconds === undefined ? "" : vscode.l10n.t("{0} left", formatDuration(seconds));
  const paused = record.state === "paused" ? STATE_NAMES.paused : "";
  return joined(paused, epochs > 0 ? `${epoch}/${epochs}` : "", share, formatMetrics(metrics, 1), left);
}

function shareOf({ epoch, epochs, stepInEpoch, stepsPerEpoch }: Progress): string {
  const done = epoch - 1 + (stepsPerEpoch > 0 ? stepInEpoch / stepsPerEpoch : 0);
  return epochs > 0 ? `${Math.floor((100 * done) / epochs)} %` : "";
}

/** @param expandable Whether the item has checkpoints as children */
export function runItem(node: RunNode, expandable: boolean): vscode.TreeItem {
  const { directory, record, labels } = node;
  const { None, Expanded, Collapsed } = vscode.TreeItemCollapsibleState;
  const state = !expandable ? None : record.checkpoints.length > 0 ? Expanded : Collapsed;
  const item = new vscode.TreeItem(runName(node), state);
  item.id = directory;
  item.contextValue = contextOf(node);
  item.iconPath = labels.archived
    ? new vscode.ThemeIcon("archive")
    : waits(node)
      ? WAITING
      : awayText(node) !== undefined
        ? AWAY
        : STATE_ICONS[record.state];
  const tags = labels.tags.map((tag) => `#${tag}`).join(" ");
  const how = isLive(record)
    ? standing(node)
    : joined(formatMetrics(record.metrics, 1), formatAge(record.endedAt ?? record.createdAt));
  item.description = joined(awayText(node) ?? onText(record), how, tags);
  item.accessibilityInformation = {
    label: vscode.l10n.t("Run of {0}, {1}, {2}", runName(node), stateName(node), item.description),
  };
  item.command = commandLink("layerwise.openRun", vscode.l10n.t("Show Curves"), { directory });
  item.tooltip = tooltip(node);
  return item;
}

/** Characters of a line of a tooltip: names and errors may come from elsewhere. */
const LONGEST = 1000;

function tooltip(node: RunNode): vscode.MarkdownString {
  const { record, labels } = node;
  const lines = [
    record.id,
    record.imported === undefined
      ? `${vscode.workspace.asRelativePath(record.file)} (${record.exportName})`
      : vscode.l10n.t("Imported from {0}", FOREIGN_TOOL_NAMES[record.imported.tool]),
    record.imported === undefined
      ? vscode.l10n.t("{0}, epoch {1} of {2}", stateName(node), record.epoch, record.epochs)
      : vscode.l10n.t("{0}, step {1}", stateName(node), record.step),
    formatMetrics(record.metrics, 10),
    record.executor?.version ?? "",
    record.error?.message ?? "",
  ];
  const text = lines
    .filter((line) => line !== "")
    .map((line) => clipped(line, LONGEST))
    .join("\n");
  const title = clipped(plainLine(labels.name || runTitle(record)), LONGEST);
  return markdownString(md`**${title}**\n\n${text}`);
}

const KINDS: Record<CheckpointRecord["kind"], { icon: string; name: string }> = {
  best: { icon: "star-full", name: vscode.l10n.t("best") },
  last: { icon: "history", name: vscode.l10n.t("last") },
  final: { icon: "flag", name: vscode.l10n.t("final") },
  manual: { icon: "save", name: vscode.l10n.t("saved manually") },
};

export function checkpointItem({ directory, checkpoint, best }: CheckpointNode): vscode.TreeItem {
  const { icon, name } = KINDS[checkpoint.kind];
  const label =
    checkpoint.epoch > 0
      ? vscode.l10n.t("{0}, epoch {1}", name, checkpoint.epoch)
      : vscode.l10n.t("{0}, step {1}", name, checkpoint.step);
  const item = new vscode.TreeItem(label);
  item.id = `${directory}/${checkpoint.file}`;
  item.contextValue = best ? TREE_ITEMS.bestCheckpoint : TREE_ITEMS.checkpoint;
  item.iconPath = new vscode.ThemeIcon(icon, best ? new vscode.ThemeColor("charts.yellow") : undefined);
  item.description = joined(
    formatMetrics(checkpoint.metrics, 1),
    formatAge(checkpoint.savedAt),
    formatBytes(checkpoint.bytes),
  );
  const target = { directory, checkpoint };
  item.command = commandLink("layerwise.inspectCheckpoint", vscode.l10n.t("Inspect Tensors"), target);
  item.accessibilityInformation = { label: vscode.l10n.t("Checkpoint {0}, {1}", label, item.description) };
  item.tooltip = `${checkpoint.file}\n${formatMetrics(checkpoint.metrics, 10)}`;
  return item;
}
