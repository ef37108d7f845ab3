import { basename } from "node:path";
import * as vscode from "vscode";
import type { RunRequest } from "../protocol/engine.ts";
import type { CheckpointRecord, RunRecord } from "../protocol/run.ts";
import { EngineError } from "../supervisor/errors.ts";
import { isResumable } from "../supervisor/resume.ts";
import { checkpointPath, isLive, lastCheckpoint, listRuns, readRecord } from "../supervisor/runDirectory.ts";
import type { RunControl, RunSession } from "../supervisor/session.ts";
import { deleteCheckpoint, deleteRun, type Deleted } from "../supervisor/trash.ts";
import { runCommand } from "./commands.ts";
import { formatAge, formatMetrics } from "./format.ts";
import type { CheckpointTarget, EvaluationTarget, MenuTarget, RunTarget, SourceTarget } from "./ids.ts";
import type { Panels } from "./panels/panels.ts";
import type { Previews } from "./previews.ts";
import type { Runs, StartOptions } from "./runs.ts";
import {
  chooseExperiment,
  folderOf,
  requireTrust,
  runFolders,
  saveSources,
  sourceTarget,
  type Experiment,
} from "./targets.ts";

/** What the commands on experiments, runs and checkpoints do. */
export class RunCommands {
  readonly #runs: Runs;
  readonly #previews: Previews;
  readonly #stored: () => void;
  readonly #panels: Panels;

  /** @param stored called when something was deleted, or had back: watchers of some file systems are slow */
  constructor(runs: Runs, previews: Previews, panels: Panels, stored: () => void) {
    this.#stored = stored;
    this.#runs = runs;
    this.#previews = previews;
    this.#panels = panels;
  }

  async train(target?: SourceTarget | MenuTarget): Promise<void> {
    const experiment = await this.#choose(target);
    if (experiment === undefined) return;
    const file = experiment.document.uri.fsPath;
    const { exportName } = experiment;
    // A second click, while nothing was to be seen of the first.
    const starting = this.#runs.live.find(
      ({ record }) =>
        record.kind === "train" &&
        record.state === "starting" &&
        record.file === file &&
        record.exportName === exportName,
    );
    if (starting !== undefined) await this.#panels.showRun(starting);
    else await this.#start({ kind: "train", file, exportName });
  }

  /** Evaluates the newest trained weights of an experiment. */
  async evaluate(target?: SourceTarget | MenuTarget): Promise<void> {
    const experiment = await this.#choose(target);
    if (experiment === undefined) return;
    const file = experiment.document.uri.fsPath;
    const { exportName } = experiment;
    const trained = (await listRuns(folderOf(file))).find(
      ({ record }) =>
        record.kind === "train" &&
        record.file === file &&
        record.exportName === exportName &&
        (record.checkpoints.length > 0 || this.#runs.live.some(({ id }) => id === record.id)),
    );
    if (trained !== undefined) return this.evaluateCheckpoint({ directory: trained.directory });
    const train = vscode.l10n.t("Train");
    const text = vscode.l10n.t("There is nothing to evaluate yet: {0} has no checkpoint.", basename(file));
    if ((await vscode.window.showInformationMessage(text, train)) === train)
      await this.train({ file, exportName });
  }

  async evaluateCheckpoint(target?: EvaluationTarget): Promise<void> {
    if (target === undefined) return;
    requireTrust();
    const session = await this.#runs.open(target.directory);
    const { file, exportName } = session.record;
    const checkpoint = await weights(session, target.checkpoint);
    // What the panel shows, which may have a session of its own of this run.
    const shown = (await this.#panels.showRun(session)).session;
    const evaluation = await this.#runs.start({ kind: "evaluate", file, exportName, checkpoint });
    await new Promise<void>((resolve) => {
      evaluation.subscribe((change) => {
        if (change.kind === "evaluated" && evaluation.evaluation !== undefined)
          shown.setEvaluation(evaluation.evaluation);
        else if (!evaluation.live) resolve();
      });
    });
  }

  /** Trains on from a checkpoint. */
  async loadCheckpoint(target?: CheckpointTarget): Promise<void> {
    if (target === undefined) return;
    requireTrust();
    const { file, exportName } = await readRecord(target.directory);
    await this.#start({
      kind: "train",
      file,
      exportName,
      checkpoint: checkpointPath(target.directory, target.checkpoint),
    });
  }

  async stop(target?: RunTarget): Promise<void> {
    const session = await this.#chooseLive(target, vscode.l10n.t("Stop which run?"));
    if (session === undefined) return;
    const title = vscode.l10n.t("Stopping {0}…", session.record.model || session.record.exportName);
    await vscode.window.withProgress({ location: vscode.ProgressLocation.Window, title }, async () => {
      await session.control?.stop();
    });
  }

  async save(target?: RunTarget): Promise<void> {
    const session = await this.#chooseLive(target, vscode.l10n.t("Save which run's weights?"));
    if (session === undefined) return;
    const path = await controlOf(session).checkpoint();
    // Not awaited: the weights are saved, whatever the user does with the message.
    void offerReveal(path, vscode.l10n.t("Saved {0}.", basename(path)));
  }

  async openRun(target?: RunTarget): Promise<void> {
    if (target !== undefined) await this.#panels.showRun(await this.#runs.open(target.directory));
  }

  /** Goes on with a training that was interrupted. */
  async resumeRun(target?: RunTarget): Promise<void> {
    requireTrust();
    const none = vscode.l10n.t("No training was interrupted.");
    const run = target ?? (await chooseRun(vscode.l10n.t("Go on with which training?"), none, isResumable));
    if (run === undefined) return;
    const { file } = await readRecord(run.directory);
    if (!(await saveSources(await vscode.workspace.openTextDocument(file)))) return;
    await this.#panels.showRun(await this.#runs.resume(run.directory));
  }

  async openRuns(): Promise<void> {
    const none = vscode.l10n.t("There are no runs yet.");
    await this.openRun(await chooseRun(vscode.l10n.t("Runs"), none));
  }

  async revealCheckpoint(target?: CheckpointTarget): Promise<void> {
    if (target !== undefined) await revealFile(checkpointPath(target.directory, target.checkpoint));
  }

  async deleteCheckpoint(target?: CheckpointTarget): Promise<void> {
    if (target === undefined) return;
    const deleted = await deleteCheckpoint(target.directory, target.checkpoint);
    void this.#offerUndo(deleted, vscode.l10n.t("Deleted {0}.", basename(target.checkpoint.file)));
  }

  async deleteRun(target?: RunTarget): Promise<void> {
    if (target === undefined) return;
    const deleted = await deleteRun(target.directory);
    void this.#offerUndo(deleted, vscode.l10n.t("Deleted run {0}.", basename(target.directory)));
  }

  /** The disk is freed once the message is gone. */
  async #offerUndo(deleted: Deleted, text: string): Promise<void> {
    this.#stored();
    const undo = vscode.l10n.t("Undo");
    if ((await vscode.window.showInformationMessage(text, undo)) !== undo) return deleted.purge();
    await deleted.undo();
    this.#stored();
    return undefined;
  }

  async #choose(target: SourceTarget | MenuTarget | undefined): Promise<Experiment | undefined> {
    requireTrust();
    const experiment = await chooseExperiment(sourceTarget(target), this.#previews);
    return experiment !== undefined && (await saveSources(experiment.document)) ? experiment : undefined;
  }

  async #start(options: StartOptions): Promise<void> {
    await this.#panels.showRun(await this.#runs.start(options));
  }

  async #chooseLive(target: RunTarget | undefined, title: string): Promise<RunSession | undefined> {
    const live = this.#runs.live;
    // An editor's title menu passes its file.
    if (target?.directory !== undefined) return live.find(({ directory }) => directory === target.directory);
    if (live.length === 0) void vscode.window.showInformationMessage(vscode.l10n.t("Nothing is running."));
    if (live.length <= 1) return live[0];
    const items = live.map((session) => ({ ...runItem(session), session }));
    return (await vscode.window.showQuickPick(items, { title }))?.session;
  }
}

/** Asks which of the workspace's runs; `none` is said when there is none. */
async function chooseRun(
  title: string,
  none: string,
  wanted: (record: RunRecord) => boolean = () => true,
): Promise<RunTarget | undefined> {
  const lists = await Promise.all(runFolders().map((folder) => listRuns(folder)));
  const items = lists
    .flat()
    .filter(({ record }) => wanted(record))
    .map((run) => ({ ...runItem(run), directory: run.directory }));
  if (items.length > 0)
    return vscode.window.showQuickPick(items, { title, matchOnDescription: true, matchOnDetail: true });
  void vscode.window.showInformationMessage(none);
  return undefined;
}

/** Path of the weights to evaluate; a run that goes on and has none yet saves them now. */
async function weights(session: RunSession, wanted: CheckpointRecord | undefined): Promise<string> {
  const { checkpoints } = session.record;
  const best = checkpoints.find(({ kind }) => kind === "best");
  const checkpoint = wanted ?? best ?? lastCheckpoint(session.record);
  if (checkpoint !== undefined) return checkpointPath(session.directory, checkpoint);
  return controlOf(session).checkpoint();
}

function controlOf(session: RunSession): RunControl {
  if (session.control !== undefined) return session.control;
  throw new EngineError({
    code: "no-checkpoint",
    message: vscode.l10n.t("Run {0} is over and has no checkpoint.", session.id),
  });
}

function runItem({ record }: { record: RunRecord }): vscode.QuickPickItem {
  const what: Record<RunRequest["kind"], string> = { train: "graph-line", evaluate: "beaker" };
  return {
    label: `$(${isLive(record) ? "sync~spin" : what[record.kind]}) ${record.model || record.exportName}`,
    description: [record.state, formatMetrics(record.metrics)].filter((part) => part !== "").join(" · "),
    detail: `${vscode.workspace.asRelativePath(record.file)} · ${record.id} · ${formatAge(record.createdAt)}`,
  };
}

/** In the system's file manager where there is one, else in VS Code's explorer. */
async function revealFile(path: string): Promise<void> {
  const local = vscode.env.remoteName === undefined && vscode.env.uiKind === vscode.UIKind.Desktop;
  await vscode.commands.executeCommand(local ? "revealFileInOS" : "revealInExplorer", vscode.Uri.file(path));
}

async function offerReveal(path: string, text: string): Promise<void> {
  const reveal = vscode.l10n.t("Reveal");
  if ((await vscode.window.showInformationMessage(text, reveal)) === reveal) await revealFile(path);
}

/** Shows what the status bar stands for: the run that goes on, else the log. */
export async function statusAction(runs: Runs): Promise<void> {
  const session = runs.live[0];
  if (session === undefined) await runCommand("layerwise.showLog");
  else await runCommand("layerwise.openRun", { directory: session.directory });
}
