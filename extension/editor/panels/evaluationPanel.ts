import { runTitle } from "../../protocol/run.ts";
import { basename } from "node:path";
import * as v from "valibot";
import * as vscode from "vscode";
import { rootOfRun } from "../../files/runFiles.ts";
import { SampleQuery, Subject } from "../../protocol/evaluation.ts";
import { AblationQuery, ActivationQuery, InterventionQuery } from "../../protocol/interventions.ts";
import type {
  EvaluationHostMethods,
  EvaluationSnapshot,
  EvaluationViewMethods,
} from "../../protocol/views.ts";
import { EngineError } from "../../protocol/errors.ts";
import type { OpenTensor } from "../../protocol/tensorValues.ts";
import {
  listPictures,
  readEvaluation,
  readPicture,
  runOfCheckpoint,
} from "../../supervisor/runs/evaluationFiles.ts";
import { ModelSession } from "../../supervisor/engines/modelSession.ts";
import type { EngineOptions } from "../../supervisor/engines/process.ts";
import type { RunSession, SessionChange } from "../../supervisor/runs/session.ts";
import { isBelow, sourceOfRun, weightsOfRecord } from "../../supervisor/runs/sourceFile.ts";
import { runCommand } from "../commands.ts";
import { withheld } from "../consent.ts";
import { DisposableOwner } from "../disposable.ts";
import type { Messages } from "../messages.ts";
import type { Runs } from "../runs/runs.ts";
import { setting } from "../settings.ts";
import { setTitle } from "../show.ts";
import { requireTrust } from "../targets.ts";
import { KeptTensor } from "./keptTensor.ts";
import { OfferedSources } from "./offered.ts";
import type { ViewedTensor } from "./tensorPanel.ts";
import { MESSAGE_INTERVAL, Throttle } from "./throttle.ts";
import { connectPanel, noArguments, sourceArguments, type MethodSchemas } from "./webviewHost.ts";

const schemas: MethodSchemas<EvaluationHostMethods> = {
  ready: noArguments,
  samples: v.strictTuple([SampleQuery]),
  ask: v.strictTuple([Subject, v.boolean()]),
  intervene: v.strictTuple([InterventionQuery]),
  viewActivation: v.strictTuple([ActivationQuery]),
  rankUnits: v.strictTuple([AblationQuery]),
  stopRanking: noArguments,
  cancel: noArguments,
  picture: v.strictTuple([v.string()]),
  evaluateAgain: noArguments,
  attachRun: noArguments,
  openTraining: noArguments,
  showLog: noArguments,
  openSource: sourceArguments,
};

export interface EvaluationPanelOptions {
  extensionUri: vscode.Uri;
  engine: () => EngineOptions;
  messages: Messages;
  runs: Runs;
  showTensor: (tensor: ViewedTensor) => Promise<unknown>;
}

/**
 * One evaluation at a time, read from its run directory, and the evaluated model in a process of its own as long as
 * the panel asks it something. A hidden panel receives nothing: shown again, its page requests a new snapshot.
 */
export class EvaluationPanel extends DisposableOwner {
  readonly panel: vscode.WebviewPanel;
  readonly #options: EvaluationPanelOptions;
  readonly #view;
  readonly #sources = new OfferedSources(() => this.#snapshot());
  readonly #throttle = new Throttle<"snapshot" | "progress">(MESSAGE_INTERVAL, (kind) => {
    void this.#send(kind);
  });
  #session: RunSession;
  #unsubscribe: () => void;
  #model: ModelSession | undefined;
  #ready = false;

  constructor(panel: vscode.WebviewPanel, session: RunSession, options: EvaluationPanelOptions) {
    super();
    this.panel = panel;
    this.#options = options;
    this.#session = session;
    this.#unsubscribe = session.subscribe((change) => this.#changed(change));
    this.#view = connectPanel<EvaluationViewMethods, EvaluationHostMethods>(panel, {
      kind: "evaluation",
      extensionUri: options.extensionUri,
      log: options.messages.log,
      methods: this.#methods(),
      schemas,
      onError: (error) => this.#sources.note(error),
    });
    this.#title();
    this.own(
      panel.onDidChangeViewState(() => {
        if (panel.visible) return;
        this.#ready = false;
        this.#throttle.clear();
      }),
    );
    this.own({ dispose: () => this.#unsubscribe() });
    this.own({ dispose: () => this.#throttle.clear() });
    this.own({ dispose: () => void this.#model?.dispose() });
    panel.onDidDispose(() => this.dispose());
  }

  get session(): RunSession {
    return this.#session;
  }

  /** Shows another evaluation in this panel. */
  show(session: RunSession): void {
    if (session === this.#session) return;
    this.#unsubscribe();
    void this.#model?.dispose();
    this.#model = undefined;
    this.#session = session;
    this.#unsubscribe = session.subscribe((change) => this.#changed(change));
    this.#title();
    if (this.#ready) this.#throttle.mark("snapshot");
  }

  #methods(): EvaluationHostMethods {
    return {
      ready: () => {
        this.#ready = true;
        this.#throttle.clear();
        return this.#snapshot();
      },
      samples: async (query) => (await this.#asked()).samples(query),
      ask: async (subject, explain) => (await this.#asked()).ask(subject, explain),
      intervene: async (query) => (await this.#asked()).intervene(query),
      viewActivation: (query) => this.#viewActivation(query),
      rankUnits: async (query) => (await this.#asked()).rankUnits(query),
      stopRanking: async () => this.#model?.stopRanking(),
      cancel: async () => {
        await (this.#session.live ? this.#session.control?.stop() : this.#model?.cancel());
      },
      picture: (file) => readPicture(this.#training() ?? this.#session.directory, file),
      evaluateAgain: () => this.#evaluateAgain(),
      attachRun: () => runCommand("layerwise.attachRun", { directory: this.#session.directory }),
      openTraining: async () => {
        const directory = this.#training();
        if (directory !== undefined) await runCommand("layerwise.openRun", { directory });
      },
      showLog: () => runCommand("layerwise.showLog"),
      openSource: (file, line = 1, column = 1) => this.#sources.open({ file, line, column }),
    };
  }

  /** The model's process, which its first question starts. */
  async #asked(): Promise<ModelSession> {
    requireTrust();
    const session = this.#session;
    const { record, directory } = session;
    const file = await sourceOfRun(directory, record);
    // Another one may be shown by now.
    if (session !== this.#session) return this.#asked();
    const { messages, engine } = this.#options;
    this.#model ??= new ModelSession(
      {
        file,
        exportName: record.exportName,
        device: setting("device", vscode.Uri.file(file)),
        checkpoint: checkpointOf(session),
        directory,
        ...(record.seed === undefined ? {} : { seed: record.seed }),
      },
      engine,
      {
        onRanking: (progress) => {
          if (this.#ready) void this.#view.ranking.asEvent(progress);
        },
        onLog: (text) => messages.log.info(`[${this.#session.id}] ${text}`),
        onChange: () => {
          if (this.#ready) void this.#view.model.asEvent(this.#model?.state ?? "closed");
        },
      },
    );
    return this.#model;
  }

  async #viewActivation(query: ActivationQuery): Promise<void> {
    const model = await this.#asked();
    const opened = (): Promise<OpenTensor | undefined> => model.openActivation(query);
    const open = await opened();
    if (open === undefined) return;
    const { layer, call, subject, of, part } = query;
    const place = layer === "" ? vscode.l10n.t("model") : layer;
    const called = call === undefined ? place : vscode.l10n.t("{0}, call {1}", place, call);
    const name =
      of === "attention"
        ? vscode.l10n.t("{0}: attention", called)
        : part === "heads"
          ? vscode.l10n.t("{0}: heads", called)
          : called;
    const from =
      subject.kind === "sample"
        ? vscode.l10n.t("{0}, sample {1}", this.#session.id, subject.index)
        : this.#session.id;
    await this.#options.showTensor(new KeptTensor({ name, from }, model, open, opened));
  }

  async #evaluateAgain(): Promise<void> {
    requireTrust();
    const { directory, record } = this.#session;
    const file = await sourceOfRun(directory, record);
    const { exportName, on } = record;
    const session = await this.#options.runs.start({
      kind: "evaluate",
      file,
      exportName,
      checkpoint: checkpointOf({ directory, record }),
      on: on && { beside: on },
    });
    this.show(session);
  }

  /** The training that the evaluated weights are of. */
  #training(): string | undefined {
    const { directory, record } = this.#session;
    const { checkpoint } = record.settings;
    const training = typeof checkpoint === "string" ? runOfCheckpoint(checkpoint) : undefined;
    // The record may come from a stranger: it chooses no folder elsewhere.
    return training !== undefined && isBelow(rootOfRun(directory), training) ? training : undefined;
  }

  #changed(change: SessionChange): void {
    this.#title();
    if (!this.#ready || change.kind === "rows") return;
    this.#throttle.mark(change.kind === "progress" ? "progress" : "snapshot");
  }

  async #send(kind: "snapshot" | "progress"): Promise<void> {
    const { progress } = this.#session;
    if (kind === "snapshot") void this.#view.snapshot.asEvent(await this.#snapshot());
    else if (progress !== undefined) void this.#view.progress.asEvent(progress);
  }

  async #snapshot(): Promise<EvaluationSnapshot> {
    const { record, live, progress, directory, waitsFor } = this.#session;
    const training = this.#training();
    const [{ result, report }, pictures] = await Promise.all([
      live ? { result: undefined, report: undefined } : readEvaluation(directory),
      training === undefined ? [] : listPictures(training),
    ]);
    return {
      run: record,
      live,
      waitsFor: [...waitsFor],
      ...(progress === undefined ? {} : { progress }),
      ...(result === undefined ? {} : { result }),
      ...(report === undefined ? {} : { report }),
      pictures,
      model: this.#model?.state ?? "closed",
      manual: withheld(false) !== undefined,
    };
  }

  #title(): void {
    const title = vscode.l10n.t("Evaluation: {0}", runTitle(this.#session.record));
    setTitle(this.panel, title);
  }
}

function checkpointOf({ directory, record }: Pick<RunSession, "directory" | "record">): string {
  const weights = weightsOfRecord(directory, record);
  if (weights !== undefined) return weights;
  const { id } = record;
  const message = vscode.l10n.t("Evaluation {0} doesn't say which weights it was of.", basename(id));
  throw new EngineError({ code: "no-checkpoint", message });
}
