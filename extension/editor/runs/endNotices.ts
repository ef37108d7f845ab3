import * as vscode from "vscode";
import { secondsOf } from "../../protocol/runs/duration.ts";
import { runTitle } from "../../protocol/run.ts";
import type { RunSession } from "../../supervisor/runs/session.ts";
import { DisposableOwner } from "../disposable.ts";
import { formatDuration, formatMetrics } from "../format.ts";
import type { Messages } from "../messages.ts";
import { setting } from "../settings.ts";
import { showInformation } from "../show.ts";
import type { RunCommands } from "./runCommands.ts";
import type { Runs } from "./runs.ts";

/** Says that a long training has finished: its user is doing something else by then. Failures are shown as errors. */
export class EndNotices extends DisposableOwner {
  readonly #messages: Messages;
  readonly #commands: Pick<RunCommands, "openRun" | "evaluateCheckpoint">;
  /** Trainings of which a later change is the end. */
  readonly #live = new WeakSet<RunSession>();

  constructor(runs: Runs, messages: Messages, commands: Pick<RunCommands, "openRun" | "evaluateCheckpoint">) {
    super();
    this.#messages = messages;
    this.#commands = commands;
    this.own(runs.onDidChange((session) => this.#changed(session)));
  }

  #changed(session: RunSession): void {
    if (session.live) {
      this.#live.add(session);
      return;
    }
    if (!this.#live.delete(session)) return;
    const { kind, state } = session.record;
    if (kind !== "train" || state !== "finished") return;
    const seconds = secondsOf(session.record);
    const limit = setting("runs.notifyAfter");
    if (limit > 0 && seconds >= limit)
      this.#tell(session, seconds).catch((error: unknown) => this.#messages.error(error));
  }

  async #tell({ record, directory }: RunSession, seconds: number): Promise<void> {
    const title = runTitle(record);
    const took = formatDuration(seconds);
    const metrics = formatMetrics(record.metrics);
    const text =
      metrics === ""
        ? vscode.l10n.t("The training of {0} has finished after {1}.", title, took)
        : vscode.l10n.t("The training of {0} has finished after {1}: {2}.", title, took, metrics);
    const show = vscode.l10n.t("Show Curves");
    const evaluate = vscode.l10n.t("Evaluate");
    const action = await showInformation(text, show, evaluate);
    if (action === show) await this.#commands.openRun({ directory });
    else if (action === evaluate) await this.#commands.evaluateCheckpoint({ directory });
  }
}
