import { basename, dirname, join } from "node:path";
import * as vscode from "vscode";
import { isLive, RUN_FILE, runTitle } from "../../protocol/run.ts";
import type { RunOn } from "../../protocol/target.ts";
import { toUserError } from "../../supervisor/errors.ts";
import { EngineError } from "../../protocol/errors.ts";
import { isResumable } from "../../supervisor/runs/resume.ts";
import { checkpointPath, listRuns, readRecord, weightsPath } from "../../supervisor/runs/runDirectory.ts";
import { readLabels, writeLabels } from "../../supervisor/runs/runLabels.ts";
import type { RunSession } from "../../supervisor/runs/session.ts";
import { deleteCheckpoint, deleteRun, type Deleted } from "../../supervisor/runs/trash.ts";
import type {
  CheckpointTarget,
  EvaluationTarget,
  MenuTarget,
  ResumeTarget,
  RunTarget,
  SourceTarget,
} from "../ids.ts";
import type { Editors } from "../panels/editors.ts";
import type { Panels } from "../panels/panels.ts";
import { offerReveal, revealFile } from "../reveal.ts";
import { chooseOthers, chooseRun, chooseSecond, runItem, several } from "./chooseRuns.ts";
import { controlOf, weightsToEvaluate } from "./runWeights.ts";
import { sourceToRun, type RunSource } from "./runSources.ts";
import type { Runs, StartOptions } from "./runs.ts";
import { pick, showInformation, showWarning, showProgress } from "../show.ts";
import { folderOf, requireTrust, sourceTarget, type Experiment, type Targets } from "../targets.ts";

/** Attaches a debugger to a waiting run; false when none came, after a message to the user. */
export type Attach = (file: string, name: string, url: string) => Promise<boolean>;

/** Commands on experiments, runs and checkpoints. */
export class RunCommands {
  readonly #runs: Runs;
  readonly #targets: Targets;
  readonly #stored: () => void;
  readonly #panels: Panels;
  readonly #editors: Editors;
  readonly #attach: Attach;

  /** @param stored called after a change on disk: watchers of some file systems are slow */
  constructor(
    runs: Runs,
    targets: Targets,
    panels: Panels,
    editors: Editors,
    stored: () => void,
    attach: Attach,
  ) {
    this.#editors = editors;
    this.#stored = stored;
    this.#attach = attach;
    this.#runs = runs;
    this.#targets = targets;
    this.#panels = panels;
  }

  /** Trains on another machine, which the user chooses. */
  async runOn(target?: SourceTarget | MenuTarget): Promise<void> {
    const experiment = await this.#choose(target);
    if (experiment === undefined) return;
    const on = await this.#chooseMachine();
    if (on === undefined) return;
    const file = experiment.document.uri.fsPath;
    await this.#start({ kind: "train", file, exportName: experiment.exportName, on });
  }

  /** Follows a run on another machine again. */
  async attachRun(target?: RunTarget): Promise<void> {
    requireTrust();
    const none = vscode.l10n.t("No run on another machine is left to follow.");
    const title = vscode.l10n.t("Follow which run?");
    const run =
      target ?? (await chooseRun(title, none, (record) => record.on !== undefined && isLive(record)));
    if (run !== undefined)
      await this.#panels.showRun(await this.#runs.resume(run.directory, { on: { attach: true } }));
  }

  async train(target?: SourceTarget | MenuTarget): Promise<void> {
    const experiment = await this.#choose(target);
    if (experiment === undefined) return;
    const file = experiment.document.uri.fsPath;
    const { exportName } = experiment;
    // A second click before the first has shown anything.
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

  /** Trains under VS Code's debugger: with breakpoints in the file's own code and readable tensors. */
  async debug(target?: SourceTarget | MenuTarget): Promise<void> {
    const experiment = await this.#choose(target);
    if (experiment === undefined) return;
    const file = experiment.document.uri.fsPath;
    const { exportName } = experiment;
    const attach = async (url: string): Promise<void> => {
      if (!(await this.#attach(file, vscode.l10n.t("Training {0}", basename(file)), url)))
        await session.control?.stop();
    };
    const session = await this.#runs.start({
      kind: "train",
      file,
      exportName,
      inspecting: (url) => void attach(url),
    });
    await this.#panels.showRun(session);
  }

  /** Evaluates weights on another machine, which the user chooses: those of a checkpoint, or the newest of an experiment. */
  async evaluateOn(target?: SourceTarget | MenuTarget | EvaluationTarget): Promise<void> {
    const ofRun = target !== undefined && "directory" in target;
    await (ofRun ? this.evaluateCheckpoint(target, true) : this.evaluate(target, true));
  }

  /** Evaluates the newest trained weights of an experiment. */
  async evaluate(target?: SourceTarget | MenuTarget, elsewhere = false): Promise<void> {
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
    if (trained !== undefined) return this.evaluateCheckpoint({ directory: trained.directory }, elsewhere);
    const train = vscode.l10n.t("Train");
    const text = vscode.l10n.t("There is nothing to evaluate yet: {0} has no checkpoint.", basename(file));
    if ((await showInformation(text, train)) === train) await this.train({ file, exportName });
  }

  async evaluateCheckpoint(target?: EvaluationTarget, elsewhere = false): Promise<void> {
    if (target === undefined) return;
    requireTrust();
    const on = elsewhere ? await this.#chooseMachine() : undefined;
    if (elsewhere && on === undefined) return;
    const session = await this.#runs.open(target.directory);
    const source = await sourceToRun(target.directory);
    if (source === undefined) return;
    const { exportName } = session.record;
    const checkpoint = await weightsToEvaluate(session, target.checkpoint);
    const evaluation = await this.#runs.start({
      kind: "evaluate",
      file: source.file,
      exportName,
      checkpoint,
      on,
      ...(source.kept ? { again: { version: target.directory } } : {}),
    });
    await this.#panels.showRun(evaluation);
    await new Promise<void>((resolve) => {
      if (!evaluation.live) resolve();
      evaluation.subscribe(() => {
        if (!evaluation.live) resolve();
      });
    });
  }

  /** Trains on from a checkpoint. */
  async loadCheckpoint(target?: CheckpointTarget): Promise<void> {
    if (target === undefined) return;
    requireTrust();
    const record = await readRecord(target.directory);
    const source = await sourceToRun(target.directory);
    if (source === undefined) return;
    await this.#start({
      kind: "train",
      file: source.file,
      exportName: record.exportName,
      ...(source.kept ? { again: { version: target.directory } } : {}),
      checkpoint: await weightsPath(target.directory, target.checkpoint),
    });
  }

  async stop(target?: RunTarget, selected?: readonly RunTarget[]): Promise<void> {
    // An editor's title menu passes its file.
    const chosen = target?.directory === undefined ? [undefined] : several(target, selected);
    await Promise.all(chosen.map((one) => this.#stop(one)));
  }

  async #stop(target: RunTarget | undefined): Promise<void> {
    const session = await this.#chooseLive(target, vscode.l10n.t("Stop which run?"));
    if (session === undefined) return;
    const title = vscode.l10n.t("Stopping {0}…", runTitle(session.record));
    await showProgress({ location: vscode.ProgressLocation.Window, title }, async () => {
      await session.control?.stop();
    });
  }

  async save(target?: RunTarget): Promise<void> {
    const session = await this.#chooseLive(target, vscode.l10n.t("Save which run's weights?"));
    if (session === undefined) return;
    const path = await controlOf(session).checkpoint();
    // Not awaited: the weights are saved already.
    void offerReveal(path, vscode.l10n.t("Saved {0}.", basename(path)));
  }

  async openRun(target?: RunTarget): Promise<void> {
    if (target !== undefined) await this.#panels.showRun(await this.#runs.open(target.directory));
  }

  /** Resumes an interrupted training. */
  async resumeRun(target?: ResumeTarget): Promise<void> {
    requireTrust();
    const none = vscode.l10n.t("No training was interrupted.");
    const run = target ?? (await chooseRun(vscode.l10n.t("Resume which training?"), none, isResumable));
    if (run === undefined) return;
    const source = await sourceToRun(run.directory);
    if (source === undefined) return;
    const { rollback } = target ?? {};
    const options = { ...source, ...(rollback === undefined ? {} : { rollback }) };
    await this.#panels.showRun(await this.#resume(run.directory, options));
  }

  /** Asks before taking a run from an owner that is invisible from here. */
  async #resume(directory: string, options: RunSource & { rollback?: boolean }): Promise<RunSession> {
    try {
      return await this.#runs.resume(directory, options);
    } catch (error) {
      const { code, message } = toUserError(error);
      if (code !== "locked") throw error;
      const take = vscode.l10n.t("Take Over");
      const risk = vscode.l10n.t(
        "Two processes that write to one run damage it. Take over only if the other one has ended.",
      );
      if ((await showWarning(`${message} ${risk}`, take)) !== take) return this.#runs.open(directory);
      return this.#runs.resume(directory, { ...options, forceUnlock: true });
    }
  }

  async openRuns(): Promise<void> {
    const none = vscode.l10n.t("There are no runs yet.");
    await this.openRun(await chooseRun(vscode.l10n.t("Runs"), none));
  }

  /** Draws runs over each other in the first one's panel. */
  async compareRuns(target?: RunTarget, selected: readonly RunTarget[] = []): Promise<void> {
    if (target === undefined) return;
    const folder = dirname(target.directory);
    const chosen = several(target, selected);
    const others = chosen.length > 1 ? chosen.slice(1) : await chooseOthers(target);
    if (others === undefined || others.length === 0) return;
    if (others.some(({ directory }) => dirname(directory) !== folder))
      throw new EngineError({
        code: "usage",
        message: vscode.l10n.t("Runs of different folders can't be drawn over each other."),
      });
    const panel = await this.#panels.showRun(await this.#runs.open(target.directory));
    if ("compare" in panel) panel.compare(others.map(({ directory }) => basename(directory)));
  }

  async archiveRuns(archived: boolean, target?: RunTarget, selected?: readonly RunTarget[]): Promise<void> {
    if (target === undefined) return;
    for (const { directory } of several(target, selected))
      await writeLabels(directory, { ...(await readLabels(directory)), archived });
    this.#stored();
  }

  async renameRun(target?: RunTarget): Promise<void> {
    if (target === undefined) return;
    await (await import("./askLabels.ts")).askName(target.directory);
    this.#stored();
  }

  async tagRun(target?: RunTarget): Promise<void> {
    if (target === undefined) return;
    await (await import("./askLabels.ts")).askTags(target.directory);
    this.#stored();
  }

  async revealRun(target?: RunTarget): Promise<void> {
    if (target !== undefined) await revealFile(join(target.directory, RUN_FILE));
  }

  async inspectCheckpoint(target?: CheckpointTarget): Promise<void> {
    if (target !== undefined)
      await this.#editors.inspect(await weightsPath(target.directory, target.checkpoint));
  }

  /** Shows how the weights of two checkpoints differ: of the older one, what became of it in the newer. */
  async compareCheckpoints(
    target?: CheckpointTarget,
    selected: readonly CheckpointTarget[] = [],
  ): Promise<void> {
    if (target === undefined) return;
    const chosen = several(target, selected).filter((one) => "checkpoint" in one);
    const two = chosen.length === 1 ? await chooseSecond(target) : chosen;
    if (two === undefined) return;
    const [older, newer, ...more] = two.toSorted((a, b) =>
      a.checkpoint.savedAt < b.checkpoint.savedAt ? -1 : 1,
    );
    if (older === undefined || newer === undefined || more.length > 0)
      throw new EngineError({ code: "usage", message: vscode.l10n.t("Select two checkpoints to compare.") });
    await this.#editors.compare(
      await weightsPath(older.directory, older.checkpoint),
      await weightsPath(newer.directory, newer.checkpoint),
    );
  }

  async revealCheckpoint(target?: CheckpointTarget): Promise<void> {
    if (target !== undefined) await revealFile(checkpointPath(target.directory, target.checkpoint));
  }

  async deleteCheckpoint(target?: CheckpointTarget, selected?: readonly CheckpointTarget[]): Promise<void> {
    if (target === undefined) return;
    const chosen = several(target, selected).filter((one) => "checkpoint" in one);
    const text =
      chosen.length === 1
        ? vscode.l10n.t("Deleted {0}.", basename(target.checkpoint.file))
        : vscode.l10n.t("Deleted {0} checkpoints.", chosen.length);
    await this.#delete(chosen, (one) => deleteCheckpoint(one.directory, one.checkpoint), text);
  }

  async deleteRun(target?: RunTarget, selected?: readonly RunTarget[]): Promise<void> {
    if (target === undefined) return;
    const chosen = several(target, selected);
    const text =
      chosen.length === 1
        ? vscode.l10n.t("Deleted run {0}.", basename(target.directory))
        : vscode.l10n.t("Deleted {0} runs.", chosen.length);
    await this.#delete(chosen, ({ directory }) => deleteRun(directory), text);
  }

  /** Deletes one after the other. If one deletion fails, the earlier ones can still be undone. */
  async #delete<T>(chosen: readonly T[], remove: (one: T) => Promise<Deleted>, text: string): Promise<void> {
    const deleted: Deleted[] = [];
    try {
      for (const one of chosen) deleted.push(await remove(one));
    } finally {
      if (deleted.length > 0) void this.#offerUndo(deleted, text);
    }
  }

  /** Frees the disk once the message is dismissed. */
  async #offerUndo(deleted: readonly Deleted[], text: string): Promise<void> {
    this.#stored();
    const undo = vscode.l10n.t("Undo");
    const undone = (await showInformation(text, undo)) === undo;
    // The last first: each has a record as it was before the next.
    for (const one of deleted.toReversed()) await (undone ? one.undo() : one.purge());
    if (undone) this.#stored();
  }

  async #choose(target: SourceTarget | MenuTarget | undefined): Promise<Experiment | undefined> {
    requireTrust();
    return this.#targets.experimentToRun(sourceTarget(target));
  }

  async #chooseMachine(): Promise<RunOn | undefined> {
    const machine = await (await import("../remote/targets.ts")).chooseMachine(this.#runs.tokens);
    return machine && { target: machine.target };
  }

  async #start(options: StartOptions): Promise<void> {
    const session = await this.#runs.start(options);
    if (session.refused) return;
    await this.#panels.showRun(session);
    // It may have been refused while its panel was made.
    if (session.refused) this.#panels.leave(session);
  }

  async #chooseLive(target: RunTarget | undefined, title: string): Promise<RunSession | undefined> {
    const live = this.#runs.live;
    if (target?.directory !== undefined) return live.find(({ directory }) => directory === target.directory);
    if (live.length === 0) void showInformation(vscode.l10n.t("Nothing is running."));
    if (live.length <= 1) return live[0];
    const items = live.map((session) => ({ ...runItem(session), session }));
    return (await pick(items, { title }))?.session;
  }
}
