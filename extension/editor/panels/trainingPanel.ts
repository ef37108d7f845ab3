import { runTitle } from "../../protocol/run.ts";
import * as v from "valibot";
import * as vscode from "vscode";
import {
  forwardControls,
  PANEL_CONTROLS,
  RUN_CONTROLS,
  type PanelControl,
  type RunControls,
} from "../../protocol/controls.ts";
import { DiagramLook } from "../../protocol/flow.ts";
import { CheckpointRecord } from "../../protocol/run.ts";
import type { TrainingHostMethods, TrainingSnapshot, TrainingViewMethods } from "../../protocol/views.ts";
import { EngineError } from "../../protocol/errors.ts";
import type { RunSession, SessionChange } from "../../supervisor/runs/session.ts";
import { listPictures, readPicture, readSamples } from "../../supervisor/runs/evaluationFiles.ts";
import { SampledRows } from "../../supervisor/runs/sampledRows.ts";
import { sourceOfRun } from "../../supervisor/runs/sourceFile.ts";
import { runCommand } from "../commands.ts";
import { DisposableOwner } from "../disposable.ts";
import { PANELS } from "../ids.ts";
import type { Previews } from "../previews.ts";
import { runDiagram } from "../runs/runDiagram.ts";
import { setTitle, type Log } from "../show.ts";
import { layerHistory, layerSchemas } from "./layers.ts";
import { offered, OfferedSources } from "./offered.ts";
import { runTable, runTableSchemas } from "./runTable.ts";
import { onSettingChange, setting } from "../settings.ts";
import { folderOfRun } from "../targets.ts";
import { MESSAGE_INTERVAL, Throttle } from "./throttle.ts";
import { connectPanel, noArguments, sourceArguments, type MethodSchemas } from "./webviewHost.ts";

const schemas: MethodSchemas<TrainingHostMethods> = {
  ...runTableSchemas,
  ...layerSchemas,
  ...controlSchemas(),
  ready: noArguments,
  evaluate: v.pipe(
    v.array(v.optional(CheckpointRecord)),
    v.transform((args): [checkpoint?: CheckpointRecord] => (args[0] === undefined ? [] : [args[0]])),
  ),
  trainAgain: noArguments,
  runAgain: noArguments,
  openVersion: noArguments,
  resumeRun: noArguments,
  rollBack: noArguments,
  attachRun: noArguments,
  showLog: noArguments,
  openSource: sourceArguments,
  revealCheckpoint: v.tuple([CheckpointRecord]),
  pictures: noArguments,
  picture: v.strictTuple([v.string()]),
  diagram: v.strictTuple([DiagramLook]),
  samples: noArguments,
};

function controlSchemas(): MethodSchemas<Pick<RunControls, PanelControl>> {
  const entries = PANEL_CONTROLS.map((name) => [name, RUN_CONTROLS[name].arguments]);
  return Object.fromEntries(entries) as MethodSchemas<Pick<RunControls, PanelControl>>;
}

export interface TrainingPanelOptions {
  extensionUri: vscode.Uri;
  log: Log;
  previews: Previews;
  /** Keeps an imported run up to date until the result is disposed. */
  follow: (session: RunSession) => vscode.Disposable;
}

/** Rows of each kind up to which a message has all: thousands of steps a second. */
const ROWS_PER_MESSAGE = 500;

type MessageKind = "rows" | "record" | "progress";

/** One panel with one run at a time. A hidden panel receives nothing: shown again, its page requests a snapshot. */
export class TrainingPanel extends DisposableOwner {
  readonly panel: vscode.WebviewPanel;
  readonly #view;
  readonly #sources = new OfferedSources(() => this.#session.snapshot());
  readonly #throttle = new Throttle<MessageKind>(MESSAGE_INTERVAL, (kind) => this.#send(kind));
  #session: RunSession;
  readonly #follow: TrainingPanelOptions["follow"];
  readonly #previews: Previews;
  /** Subscriptions to the shown run. */
  #connected: readonly vscode.Disposable[];
  /** Rows since the last message: bounded, however many a run sends. */
  #rows = new SampledRows(ROWS_PER_MESSAGE);
  /** Runs to draw beside this one, for the next snapshot. */
  #compare: string[] | undefined;
  /** The page has requested its snapshot and still exists. */
  #ready = false;

  constructor(panel: vscode.WebviewPanel, session: RunSession, options: TrainingPanelOptions) {
    super();
    this.panel = panel;
    this.#session = session;
    this.#follow = options.follow;
    this.#previews = options.previews;
    this.#connected = this.#connect();
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
    for (const name of ["accessibility.progressInterval", "accessibility.sounds"] as const)
      this.own(onSettingChange(name, () => this.#sendSnapshot()));
    this.own({ dispose: () => this.#disconnect() });
    this.own({ dispose: () => this.#throttle.clear() });
    panel.onDidDispose(() => this.dispose());
  }

  get session(): RunSession {
    return this.#session;
  }

  /** Draws other runs of the folder beside this one, by their ids. */
  compare(ids: readonly string[]): void {
    this.#compare = [...ids];
    this.#sendSnapshot();
  }

  /** Shows another run in this panel. */
  show(session: RunSession): void {
    if (session === this.#session) return;
    this.#disconnect();
    this.#session = session;
    this.#connected = this.#connect();
    this.#title();
    this.#sendSnapshot();
  }

  #connect(): vscode.Disposable[] {
    return [
      { dispose: this.#session.subscribe((change) => this.#changed(change)) },
      this.#follow(this.#session),
    ];
  }

  #disconnect(): void {
    for (const one of this.#connected) one.dispose();
  }

  /** The page's snapshot; runs to compare are sent once. */
  #snapshot(): TrainingSnapshot {
    const compare = this.#compare;
    this.#compare = undefined;
    const telling = {
      progressInterval: setting("accessibility.progressInterval"),
      sounds: setting("accessibility.sounds"),
    };
    return { ...this.#session.snapshot(), telling, ...(compare === undefined ? {} : { compare }) };
  }

  #methods(): TrainingHostMethods {
    return {
      ...forwardControls(() => this.#control()),
      ...layerHistory(() => this.#session.directory),
      ...runTable(() => ({ directory: this.#session.directory, file: this.#session.record.file })),
      ready: () => {
        this.#ready = true;
        // The snapshot contains everything pending.
        this.#forget();
        return Promise.resolve(this.#snapshot());
      },
      evaluate: (checkpoint) => {
        const { directory } = this.#session;
        return runCommand(
          "layerwise.evaluateCheckpoint",
          checkpoint === undefined ? { directory } : { directory, checkpoint: this.#listed(checkpoint) },
        );
      },
      trainAgain: async () => {
        const { directory, record } = this.#session;
        const file = await sourceOfRun(directory, record);
        await runCommand("layerwise.train", { file, exportName: record.exportName });
      },
      runAgain: () => runCommand("layerwise.runAgain", { directory: this.#session.directory }),
      openVersion: () => runCommand("layerwise.openRunVersion", { directory: this.#session.directory }),
      resumeRun: () => runCommand("layerwise.resumeRun", { directory: this.#session.directory }),
      rollBack: () =>
        runCommand("layerwise.resumeRun", { directory: this.#session.directory, rollback: true }),
      attachRun: () => runCommand("layerwise.attachRun", { directory: this.#session.directory }),
      showLog: () => runCommand("layerwise.showLog"),
      openSource: (file, line = 1, column = 1) => this.#sources.open({ file, line, column }),
      revealCheckpoint: (checkpoint) =>
        runCommand("layerwise.revealCheckpoint", {
          directory: this.#session.directory,
          checkpoint: this.#listed(checkpoint),
        }),
      pictures: () => listPictures(this.#session.directory),
      picture: (file) => readPicture(this.#session.directory, file),
      diagram: async (look) => (await runDiagram(this.#previews, this.#session.directory, look)) ?? null,
      samples: async () => {
        const { directory, record } = this.#session;
        return (await readSamples(folderOfRun({ directory, file: record.file }), directory)) ?? null;
      },
    };
  }

  /** The run's own record of a checkpoint that the page has named. */
  #listed({ file }: CheckpointRecord): CheckpointRecord {
    return offered(this.#session.record.checkpoints, (one) => one.file === file, file);
  }

  #control(): RunControls {
    const { control, id } = this.#session;
    if (control === undefined) throw new EngineError({ code: "ended", message: `Run ${id} is over.` });
    return control;
  }

  #changed(change: SessionChange): void {
    if (change.kind === "record") this.#title();
    if (!this.#ready) return;
    if (change.kind === "restarted") {
      this.#sendSnapshot();
      return;
    }
    if (change.kind === "rows") this.#rows.push(change.rows);
    if (change.kind !== "evaluated") this.#throttle.mark(change.kind);
  }

  #sendSnapshot(): void {
    // The snapshot contains everything pending.
    this.#forget();
    if (this.#ready) void this.#view.snapshot.asEvent(this.#snapshot());
  }

  #send(kind: MessageKind): void {
    const { record, live, progress, waitsFor } = this.#session;
    if (kind === "rows") {
      void this.#view.rows.asEvent(this.#rows.rows);
      this.#rows = new SampledRows(ROWS_PER_MESSAGE);
    } else if (kind === "record") void this.#view.record.asEvent(record, live, [...waitsFor]);
    else if (kind === "progress" && progress !== undefined) void this.#view.progress.asEvent(progress);
  }

  #pageGone(): void {
    this.#ready = false;
    this.#forget();
  }

  #forget(): void {
    this.#throttle.clear();
    this.#rows = new SampledRows(ROWS_PER_MESSAGE);
  }

  #title(): void {
    const title = vscode.l10n.t("Training: {0}", runTitle(this.#session.record));
    // The title of an editor of a file is the file's, and VS Code's to set.
    if (this.panel.viewType !== PANELS.training) return;
    setTitle(this.panel, title);
  }
}
