// Lists of runs and checkpoints that a command lets the user pick from.
import { basename, dirname } from "node:path";
import * as vscode from "vscode";
import type { RunRequest } from "../../protocol/engine.ts";
import { isLive, runTitle, type RunRecord } from "../../protocol/run.ts";
import { listRuns } from "../../supervisor/runs/runDirectory.ts";
import { formatAge, formatMetrics } from "../format.ts";
import type { CheckpointTarget, RunTarget } from "../ids.ts";
import { pick, pickSeveral, showInformation, type PickItem } from "../show.ts";
import { runFolders } from "../targets.ts";

/** The targets of a view's command: its item first, then the other selected ones if it is among them. */
export function several<T extends RunTarget>(target: T, selected: readonly T[] = []): T[] {
  const among = selected.includes(target);
  return among ? [target, ...selected.filter((one) => one !== target)] : [target];
}

/** Asks for runs to draw beside one, of its folder. */
export async function chooseOthers({ directory }: RunTarget): Promise<RunTarget[] | undefined> {
  const stored = await listRuns(dirname(dirname(dirname(directory))));
  const items = stored
    .filter((run) => run.record.kind === "train" && run.directory !== directory)
    .map((run) => ({ ...runItem(run), directory: run.directory }));
  if (items.length === 0) void showInformation(vscode.l10n.t("There is no other run."));
  if (items.length === 0) return undefined;
  const title = vscode.l10n.t("Compare with which runs?");
  return pickSeveral(items, { title, matchOnDetail: true });
}

/** Asks for the checkpoint to compare one with, of all runs of its folder. */
export async function chooseSecond(first: CheckpointTarget): Promise<CheckpointTarget[] | undefined> {
  const stored = await listRuns(dirname(dirname(dirname(first.directory))));
  const items = stored.flatMap(({ directory, record }) =>
    record.checkpoints
      .filter(({ file }) => directory !== first.directory || file !== first.checkpoint.file)
      .map((checkpoint) => ({
        label: basename(checkpoint.file),
        description: formatMetrics(checkpoint.metrics),
        detail: `${record.id} · ${formatAge(checkpoint.savedAt)}`,
        directory,
        checkpoint,
      })),
  );
  const title = vscode.l10n.t("Compare with which checkpoint?");
  const second = await pick(items, { title, matchOnDetail: true });
  return second && [first, second];
}

/** Lets the user pick one of the workspace's runs; shows `none` when there is none. */
export async function chooseRun(
  title: string,
  none: string,
  wanted: (record: RunRecord) => boolean = () => true,
): Promise<RunTarget | undefined> {
  const lists = await Promise.all(runFolders().map((folder) => listRuns(folder)));
  const items = lists
    .flat()
    .filter(({ record }) => wanted(record))
    .map((run) => ({ ...runItem(run), directory: run.directory }));
  if (items.length > 0) return pick(items, { title, matchOnDescription: true, matchOnDetail: true });
  void showInformation(none);
  return undefined;
}

/** A run in a list to pick from. */
export function runItem({
  record,
  waitsFor = [],
}: {
  record: RunRecord;
  waitsFor?: readonly string[];
}): PickItem {
  const what: Record<RunRequest["kind"], string> = { train: "graph-line", evaluate: "beaker" };
  const waits = waitsFor.length > 0;
  return {
    icon: waits ? "watch" : isLive(record) ? "sync~spin" : what[record.kind],
    label: runTitle(record),
    description: [waits ? vscode.l10n.t("waiting") : record.state, formatMetrics(record.metrics)]
      .filter((part) => part !== "")
      .join(" · "),
    detail: `${vscode.workspace.asRelativePath(record.file)} · ${record.id} · ${formatAge(record.createdAt)}`,
  };
}
