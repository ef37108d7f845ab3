import { basename } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import * as vscode from "vscode";
import { rootOfRun } from "../../files/runFiles.ts";
import type { EngineOptions } from "../../supervisor/engines/process.ts";
import { listSweeps, readSweep } from "../../supervisor/sweeps/sweepDirectory.ts";
import type { MenuTarget, SourceTarget, SweepTarget } from "../ids.ts";
import type { Panels } from "../panels/panels.ts";
import type { RayTokens } from "../remote/tokens.ts";
import { setting } from "../settings.ts";
import { pick, showInformation } from "../show.ts";
import { folderOf, requireTrust, runFolders, type Targets, sourceTarget } from "../targets.ts";
import type { RunningSweeps } from "./runningSweeps.ts";
import { sweepTask } from "./tasks.ts";

/** Milliseconds in which a sweep must have read its file and created its directory, and between two checks. */
const START_LIMIT = 120_000;
const PAUSE = 300;

/** Sweeps that start with one choice; a task of tasks.json has all options. */
const PLANS: readonly { args: string[]; label: () => string; description: () => string }[] = [
  {
    args: ["--trials", "20", "--parallel", "2"],
    label: () => vscode.l10n.t("20 trials at random"),
    description: () => vscode.l10n.t("two at a time"),
  },
  {
    args: ["--trials", "40", "--parallel", "2", "--pruner", "asha"],
    label: () => vscode.l10n.t("40 trials at random, bad ones end early"),
    description: () => vscode.l10n.t("asynchronous successive halving (ASHA)"),
  },
  {
    args: ["--search", "grid", "--parallel", "2"],
    label: () => vscode.l10n.t("Every combination"),
    description: () => vscode.l10n.t("a grid: each parameter needs a finite number of values"),
  },
  {
    args: ["--trials", "40", "--search", "tpe", "--pruner", "median"],
    label: () => vscode.l10n.t("40 trials by Bayesian search"),
    description: () => vscode.l10n.t("Optuna's TPE and median pruner; installs Optuna the first time"),
  },
];

interface Services {
  running: RunningSweeps;
  targets: Targets;
  panels: Panels;
  tokens: RayTokens;
  engine: () => EngineOptions;
}

/** Starts, continues and shows sweeps. They run on the command line, in a terminal. */
export class SweepCommands {
  readonly #services: Services;

  constructor(services: Services) {
    this.#services = services;
  }

  /** @param elsewhere whether the trials run on another machine, which the user chooses */
  async sweep(target?: SourceTarget | MenuTarget, elsewhere = false): Promise<void> {
    requireTrust();
    const { running, targets, panels, tokens, engine } = this.#services;
    const experiment = await targets.experimentToRun(sourceTarget(target));
    if (experiment === undefined) return;
    const machine = elsewhere
      ? await (await import("../remote/targets.ts")).chooseMachine(tokens)
      : undefined;
    if (elsewhere && machine === undefined) return;
    const items = PLANS.map(({ args, label, description }) => ({
      label: label(),
      description: description(),
      args,
    }));
    const plan = await pick(items, { title: vscode.l10n.t("Which sweep?") });
    if (plan === undefined) return;
    const { document, exportName } = experiment;
    const file = document.uri.fsPath;
    const folder = folderOf(file);
    const before = new Set((await listSweeps(folder)).map(({ directory }) => directory));
    const named = exportName === "default" ? file : `${file}#${exportName}`;
    const device = ["--device", setting("device", document.uri)];
    const args = [named, ...plan.args, ...device, ...(machine?.args ?? [])];
    const execution = await vscode.tasks.executeTask(
      sweepTask(args, basename(file), folder, engine(), machine?.env),
    );
    const found = await this.#whileRuns(execution, async () =>
      (await listSweeps(folder)).find(
        ({ directory, record }) => record.file === file && !before.has(directory),
      ),
    );
    if (found === undefined) return;
    running.keep(found.directory, execution);
    await panels.showSweep(found.directory);
  }

  /** Continues a sweep that was stopped or killed. */
  async resume(target?: SweepTarget): Promise<void> {
    requireTrust();
    const directory = target?.directory ?? (await this.#choose());
    if (directory === undefined) return;
    const { running, panels, tokens, engine } = this.#services;
    const { on } = (await readSweep(directory)).record;
    const env = on?.kind === "ray" ? await tokens.environment() : {};
    const execution = await vscode.tasks.executeTask(
      sweepTask(["resume", directory], basename(directory), rootOfRun(directory), engine(), env),
    );
    running.keep(directory, execution);
    await panels.showSweep(directory);
  }

  async open(target?: SweepTarget): Promise<void> {
    const directory = target?.directory ?? (await this.#choose());
    if (directory !== undefined) await this.#services.panels.showSweep(directory);
  }

  /** Polls as long as a task runs. */
  async #whileRuns<T>(
    execution: vscode.TaskExecution,
    probe: () => Promise<T | undefined>,
  ): Promise<T | undefined> {
    let over = false;
    const ended = vscode.tasks.onDidEndTask((event) => (over ||= event.execution === execution));
    try {
      for (const end = Date.now() + START_LIMIT; Date.now() < end; await delay(PAUSE)) {
        const last = over;
        const found = await probe();
        // A short sweep may be over by now.
        if (found !== undefined || last) return found;
      }
      return undefined;
    } finally {
      ended.dispose();
    }
  }

  async #choose(): Promise<string | undefined> {
    const lists = await Promise.all(runFolders().map((folder) => listSweeps(folder)));
    const items = lists.flat().map(({ directory, record, trials }) => ({
      label: record.id,
      description: vscode.l10n.t("{0} of {1} trials", trials.length, record.trials),
      directory,
    }));
    if (items.length === 0) {
      void showInformation(vscode.l10n.t("There are no sweeps in this workspace."));
      return undefined;
    }
    return (await pick(items, { title: vscode.l10n.t("Which sweep?") }))?.directory;
  }
}
