import { isLive, runTitle } from "../../protocol/run.ts";
import * as vscode from "vscode";
import { isUnseen } from "../../supervisor/runs/liveness.ts";
import { isResumable } from "../../supervisor/runs/resume.ts";
import { lastCheckpoint, listRuns, type StoredRun } from "../../supervisor/runs/runDirectory.ts";
import { CONTEXT_KEYS } from "../ids.ts";
import type { Messages } from "../messages.ts";
import type { RunCommands } from "./runCommands.ts";
import type { Runs } from "./runs.ts";
import { showInformation, showWarning } from "../show.ts";
import { runFolders } from "../targets.ts";

/** When this workspace was last checked, as ISO 8601: earlier ends are already reported. */
const LAST_LOOK = "runs.lastLook";

/**
 * Restores the runs of earlier windows: follows live runs, and reports once those that died or stopped with their
 * extension host, with an offer to resume.
 */
export async function recoverRuns(
  runs: Runs,
  messages: Messages,
  memory: vscode.Memento,
  commands: Pick<RunCommands, "openRun" | "resumeRun">,
): Promise<void> {
  const lastLook = memory.get(LAST_LOOK, "");
  const now = new Date().toISOString();
  void memory.update(LAST_LOOK, now);
  for (const folder of runFolders()) {
    const stored = await listRuns(folder, (error) => messages.log.warn(String(error)));
    if (stored.length > 0) void vscode.commands.executeCommand("setContext", CONTEXT_KEYS.hasRuns, true);
    // A time in the future would be reported in each window.
    const sinceThen = stored.filter(({ record: { endedAt = "" } }) => endedAt > lastLook && endedAt <= now);
    // The window that saw a run end has reported it.
    const dead = sinceThen.filter(({ life }) => life?.kind === "killed");
    const orphaned = sinceThen.filter(({ record }) => record.orphaned === true);
    // The newest; all of them are in the tree.
    for (const run of [...dead, ...orphaned].slice(0, 3)) void tellEnded(run, messages, commands);
    for (const { directory, record, life } of stored) {
      if (!isLive(record) || isUnseen(life)) continue;
      const session = await runs.open(directory);
      // A run that a command line or another window has in its hands is none of the user's surprises.
      if (session.live && record.outlive) void tellAlive(session.directory, runTitle(record), commands);
    }
  }
  const again = await runs.queueAgain();
  if (again.length === 0) return;
  const text = vscode.l10n.t(
    "Runs that waited for their turn when the window closed are queued again: {0}.",
    again.join(", "),
  );
  void showInformation(text);
}

/** Before the first epoch is over, its number would be 0. */
const placeText = ({ epoch, step }: { epoch: number; step: number }): string =>
  epoch > 0 ? vscode.l10n.t("epoch {0}", epoch) : vscode.l10n.t("step {0}", step);

async function tellEnded(
  { directory, record }: StoredRun,
  messages: Messages,
  commands: Pick<RunCommands, "openRun" | "resumeRun">,
): Promise<void> {
  const last = lastCheckpoint(record);
  const what = record.orphaned
    ? vscode.l10n.t(
        "Run {0} stopped at {1}, because the process that had started it was gone.",
        record.id,
        placeText(record),
      )
    : vscode.l10n.t("Run {0} ended unexpectedly at {1}.", record.id, placeText(record));
  const saved =
    last === undefined
      ? vscode.l10n.t("It had saved no checkpoint.")
      : vscode.l10n.t("Last checkpoint: {0}, of {1}.", last.file, placeText(last));
  messages.log.warn(`${what} ${saved}`);
  const show = vscode.l10n.t("Show Curves");
  const resume = vscode.l10n.t("Resume");
  const actions = isResumable(record) && vscode.workspace.isTrusted ? [resume, show] : [show];
  const action = await showWarning(`${what} ${saved}`, ...actions);
  try {
    if (action === show) await commands.openRun({ directory });
    else if (action === resume) await commands.resumeRun({ directory });
  } catch (error) {
    messages.error(error);
  }
}

async function tellAlive(
  directory: string,
  name: string,
  commands: Pick<RunCommands, "openRun">,
): Promise<void> {
  const action = vscode.l10n.t("Show Curves");
  const text = vscode.l10n.t("The run of {0} went on while the window was closed.", name);
  if ((await showInformation(text, action)) === action) await commands.openRun({ directory });
}
