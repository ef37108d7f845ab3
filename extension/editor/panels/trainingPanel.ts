import { runTitle } from "../../protocol/run.ts";
import * as v from "valibot";
import * as vscode from "vscode";
import { LearningRate, MoreEpochs } from "../../protocol/engine.ts";
import { CheckpointRecord, type MetricRow } from "../../protocol/run.ts";
import { thin } from "../../protocol/thin.ts";
import type { TrainingHostMethods, TrainingSnapshot, TrainingViewMethods } from "../../protocol/views.ts";
import { EngineError } from "../../supervisor/errors.ts";
import type { RunControl, RunSession, SessionChange } from "../../supervisor/runs/session.ts";
import { runCommand } from "../commands.ts";
import { DisposableOwner } from "../disposable.ts";
import { PANELS } from "../ids.ts";
import { setTitle, type Log } from "../show.ts";
import { offered, OfferedSources } from "./offered.ts";
import { runTable, runTableSchemas } from "./runTable.ts";
import { MESSAGE_INTERVAL, Throttle } from "./throttle.ts";
import { connectPanel, noArguments, sourceArguments, type MethodSchemas } from "./webviewHost.ts";

const schemas: MethodSchemas<TrainingHostMethods> = {
  ...runTableSchemas,
  ready: noArguments,
  pause: noArguments,
  resume: noArguments,
  step: noArguments,
  addEpochs: v.strictTuple([MoreEpochs]),
  setLearningRate: v.pipe(
    v.tuple([LearningRate, v.optional(v.string())]),
    v.transform(([lr, name]): [lr: number, optimizer?: string] => (name === undefined ? [lr] : [lr, name])),
  ),
  stop: noArguments,
  checkpoint: noArguments,
  evaluate: v.pipe(
    v.array(v.optional(CheckpointRecord)),
    v.transform((args): [checkpoint?: CheckpointRecord] => (args[0] === undefined ? [] : [args[0]])),
  ),
  trainAgain: noArguments,
  resumeRun: noArguments,
  rollBack: noArguments,
  showLog: noArguments,
  openSource: sourceArguments,
  revealCheckpoint: v.tuple([CheckpointRecord]),
};

export interface TrainingPanelOptions {
  extensionUri: vscode.Uri;
  log: Log;
}

/** Of each kind. */
const ROWS_PER_MESSAGE = 100;

type MessageKind = "rows" | "record" | "progress";

/** One panel with one run at a time. A hidden panel is sent nothing: when it is shown again, its page asks anew. */
export class TrainingPanel extends DisposableOwner {
  readonly panel: vscode.WebviewPanel;
  readonly #view;
  readonly #sources = new OfferedSources(() => this.#session.snapshot());
  readonly #throttle = new Throttle<MessageKind>(MESSAGE_INTERVAL, (kind) => this.#send(kind));
  #session: RunSession;
  #unsubscribe: () => void;
  /** Rows that came since the last message. */
  #rows: MetricRow[] = [];
  /** Runs to be drawn beside this one, when the page asks next. */
  #compare: string[] | undefined;
  /** The page asked for its snapshot, and is still there. */
  #ready = false;

  constructor(panel: vscode.WebviewPanel, session: RunSession, options: TrainingPanelOptions) {
    super();
    this.panel = panel;
    this.#session = session;
    this.#unsubscribe = session.subscribe((change) => this.#changed(change));
    this.#view = connectPanel<TrainingViewMethods, TrainingHostMethods>(panel, {
      kind: "training",
      extensionUri: options.extensionUri,
      log: options.log,
      methods: this.#methods(),
      schemas,
      onError: (error) => this.#sources.note(error),
    });
    this.#title();
    this.own(
      panel.onDidChangeViewState(() => {
        if (!panel.visible) this.#pageGone();
      }),
    );
    this.own({ dispose: () => this.#unsubscribe() });
    this.own({ dispose: () => this.#throttle.clear() });
    panel.onDidDispose(() => this.dispose());
  }

  get session(): RunSession {
    return this.#session;
  }

  /** Draws other runs of the folder beside this one, by their ids. */
  compare(ids: readonly string[]): void {
    this.#compare = [...ids];
    if (this.#ready) void this.#view.snapshot.asEvent(this.#snapshot());
  }

  /** Shows another run in this panel. */
  show(session: RunSession): void {
    if (session === this.#session) return;
    this.#unsubscribe();
    this.#session = session;
    this.#unsubscribe = session.subscribe((change) => this.#changed(change));
    this.#title();
    this.#forget();
    if (this.#ready) void this.#view.snapshot.asEvent(this.#snapshot());
  }

  /** What the page draws; what is to be compared is told once. */
  #snapshot(): TrainingSnapshot {
    const compare = this.#compare;
    this.#compare = undefined;
    return { ...this.#session.snapshot(), ...(compare === undefined ? {} : { compare }) };
  }

  #methods(): TrainingHostMethods {
    return {
      ...runTable(() => ({ directory: this.#session.directory, file: this.#session.record.file })),
      ready: () => {
        this.#ready = true;
        // What is pending is in the snapshot.
        this.#forget();
        return Promise.resolve(this.#snapshot());
      },
      pause: () => this.#control().pause(),
      resume: () => this.#control().resume(),
      step: () => this.#control().step(),
      addEpochs: async (count) => {
        await this.#control().addEpochs(count);
      },
      setLearningRate: (lr, optimizer) => this.#control().setLearningRate(lr, optimizer),
      stop: async () => {
        await this.#control().stop();
      },
      checkpoint: async () => {
        await this.#control().checkpoint();
      },
      evaluate: (checkpoint) => {
        const { directory } = this.#session;
        return runCommand(
          "layerwise.evaluateCheckpoint",
          checkpoint === undefined ? { directory } : { directory, checkpoint: this.#listed(checkpoint) },
        );
      },
      trainAgain: () => {
        const { file, exportName } = this.#session.record;
        return runCommand("layerwise.train", { file, exportName });
      },
      resumeRun: () => runCommand("layerwise.resumeRun", { directory: this.#session.directory }),
      rollBack: () =>
        runCommand("layerwise.resumeRun", { directory: this.#session.directory, rollback: true }),
      showLog: () => runCommand("layerwise.showLog"),
      openSource: (file, line = 1, column = 1) => this.#sources.open({ file, line, column }),
      revealCheckpoint: (checkpoint) =>
        runCommand("layerwise.revealCheckpoint", {
          directory: this.#session.directory,
          checkpoint: this.#listed(checkpoint),
        }),
    };
  }

  /** The run's own record of a checkpoint that the page has named. */
  #listed({ file }: CheckpointRecord): CheckpointRecord {
    return offered(this.#session.record.checkpoints, (one) => one.file === file, file);
  }

  #control(): RunControl {
    const { control, id } = this.#session;
    if (control === undefined) throw new EngineError({ code: "ended", message: `Run ${id} is over.` });
    return control;
  }

  #changed(change: SessionChange): void {
    if (change.kind === "record") this.#title();
    if (!this.#ready) return;
    if (change.kind === "restarted") {
      this.#forget();
      void this.#view.snapshot.asEvent(this.#snapshot());
      return;
    }
    if (change.kind === "rows") this.#rows.push(...change.rows);
    if (change.kind !== "evaluated") this.#throttle.mark(change.kind);
  }

  #send(kind: MessageKind): void {
    const { record, live, progress, waitsFor } = this.#session;
    if (kind === "rows") void this.#view.rows.asEvent(thin(this.#rows.splice(0), ROWS_PER_MESSAGE));
    else if (kind === "record") void this.#view.record.asEvent(record, live, [...waitsFor]);
    else if (kind === "progress" && progress !== undefined) void this.#view.progress.asEvent(progress);
  }

  #pageGone(): void {
    this.#ready = false;
    this.#forget();
  }

  #forget(): void {
    this.#throttle.clear();
    this.#rows = [];
  }

  #title(): void {
    const title = vscode.l10n.t("Training: {0}", runTitle(this.#session.record));
    // The title of an editor of a file is the file's, and VS Code's to set.
    if (this.panel.viewType !== PANELS.training) return;
    setTitle(this.panel, title);
  }
}
