import { randomInt } from "node:crypto";
import * as v from "valibot";
import { basename } from "node:path";
import * as vscode from "vscode";
import {
  DataQuery,
  MAX_DATA_PAGE,
  SamplePlace,
  type DataHostMethods,
  type DataReading,
  type DataSnapshot,
  type DataSummary,
  type DataViewMethods,
} from "../../protocol/data/data.ts";
import type { UserError } from "../../protocol/errors.ts";
import { DataSession } from "../../supervisor/engines/dataSession.ts";
import type { EngineOptions } from "../../supervisor/engines/process.ts";
import { toUserError } from "../../supervisor/errors.ts";
import { runCommand } from "../commands.ts";
import { withheld } from "../consent.ts";
import { DisposableOwner } from "../disposable.ts";
import type { Messages } from "../messages.ts";
import { setting } from "../settings.ts";
import { setTitle } from "../show.ts";
import { openFile, requireTrust, saveSources } from "../targets.ts";
import { KeptTensor } from "./keptTensor.ts";
import { OfferedSources } from "./offered.ts";
import type { ViewedTensor } from "./tensorPanel.ts";
import { MESSAGE_INTERVAL, Throttle } from "./throttle.ts";
import { connectPanel, noArguments, sourceArguments, type MethodSchemas } from "./webviewHost.ts";

const schemas: MethodSchemas<DataHostMethods> = {
  ready: noArguments,
  read: noArguments,
  samples: v.strictTuple([DataQuery]),
  places: v.strictTuple([v.pipe(v.array(SamplePlace), v.maxLength(MAX_DATA_PAGE))]),
  draw: v.strictTuple([SamplePlace]),
  cancel: noArguments,
  train: noArguments,
  viewTensor: v.strictTuple([SamplePlace, v.string()]),
  openSource: sourceArguments,
};

/** Milliseconds that a question about samples may take; reading the data has limits of its own. */
const LIMIT = 60_000;

export interface DataTarget {
  /** Absolute path. */
  file: string;
  exportName: string;
}

export interface DataPanelOptions {
  extensionUri: vscode.Uri;
  engine: () => EngineOptions;
  messages: Messages;
  showTensor: (tensor: ViewedTensor) => Promise<unknown>;
}

/** The data of one experiment, which a process reads and keeps while the panel asks about it. */
export class DataPanel extends DisposableOwner {
  readonly panel: vscode.WebviewPanel;
  readonly target: DataTarget;
  readonly #options: DataPanelOptions;
  readonly #view;
  readonly #sources = new OfferedSources(() => this.#snapshot());
  readonly #throttle = new Throttle<"snapshot">(MESSAGE_INTERVAL, () => {
    void this.#view.snapshot.asEvent(this.#snapshot());
  });
  #session: DataSession | undefined;
  #summary: DataSummary | undefined;
  #reading: { progress?: DataReading } | undefined;
  #error: UserError | undefined;
  #outdated = false;
  #ready = false;
  /** Seeds an experiment that sets no seed: a process restarted after idle time draws the same data. */
  readonly #seed = randomInt(2 ** 32);

  /** @param asked Whether the user requested it: else its code runs on request only, if the settings say so */
  constructor(panel: vscode.WebviewPanel, target: DataTarget, asked: boolean, options: DataPanelOptions) {
    super();
    this.panel = panel;
    this.target = target;
    this.#options = options;
    const { file, exportName } = target;
    const name = basename(file);
    setTitle(panel, vscode.l10n.t("Data: {0}", exportName === "default" ? name : `${name} ${exportName}`));
    this.#view = connectPanel<DataViewMethods, DataHostMethods>(panel, {
      kind: "data",
      extensionUri: options.extensionUri,
      log: options.messages.log,
      methods: this.#methods(),
      schemas,
      onError: (error) => this.#sources.note(error),
    });
    this.own(
      panel.onDidChangeViewState(() => {
        if (panel.visible) return;
        this.#ready = false;
        this.#throttle.clear();
      }),
    );
    this.own(
      vscode.workspace.onDidSaveTextDocument(({ uri }) => {
        // A file that it imports counts too.
        if (this.#summary === undefined || !uri.path.endsWith(".ts")) return;
        this.#outdated = true;
        this.#changed();
      }),
    );
    this.own({
      dispose: () => {
        this.#throttle.clear();
        void this.#session?.dispose();
      },
    });
    panel.onDidDispose(() => this.dispose());
    if (withheld(asked) === undefined) void this.read();
  }

  /** Reads the data, from the file as it is now. */
  async read(): Promise<void> {
    const { file, exportName } = this.target;
    const session = await this.#begin();
    if (session === undefined) return;
    try {
      await saveSources(await openFile(file));
      const summary = await session.summary();
      if (session !== this.#session) return;
      if (summary !== undefined) this.#summary = summary;
    } catch (error) {
      if (session !== this.#session) return;
      this.#error = toUserError(error);
      this.#options.messages.log.error(`[data ${basename(file)} ${exportName}] ${this.#error.message}`);
    }
    this.#reading = undefined;
    this.#changed();
  }

  /** A new process, in place of the one before. */
  async #begin(): Promise<DataSession | undefined> {
    requireTrust();
    const { file, exportName } = this.target;
    const { engine, messages } = this.#options;
    const session: DataSession = new DataSession(
      { file, exportName, device: setting("device", vscode.Uri.file(file)), defaultSeed: this.#seed },
      engine,
      {
        limit: LIMIT,
        onLog: (text) => messages.log.info(`[data] ${text}`),
        onReading: (progress) => {
          if (session !== this.#session || this.#reading === undefined) return;
          this.#reading = { progress };
          this.#changed();
        },
      },
    );
    const before = this.#session;
    this.#session = session;
    this.#summary = undefined;
    this.#error = undefined;
    this.#outdated = false;
    this.#reading = {};
    this.#changed();
    await before?.dispose();
    return this.disposed || session !== this.#session ? undefined : session;
  }

  #methods(): DataHostMethods {
    const { file, exportName } = this.target;
    return {
      ready: () => {
        this.#ready = true;
        this.#throttle.clear();
        return Promise.resolve(this.#snapshot());
      },
      read: () => this.read(),
      samples: async (query) => this.#asked()?.samples(query),
      places: async (places) => this.#asked()?.places(places),
      draw: async (place) => this.#asked()?.draw(place),
      cancel: async () => {
        await this.#session?.cancel();
      },
      train: () => runCommand("layerwise.train", { file, exportName }),
      viewTensor: (place, name) => this.#viewTensor(place, name),
      openSource: (path, line = 1, column = 1) => this.#sources.open({ file: path, line, column }),
    };
  }

  async #viewTensor({ split, index }: SamplePlace, name: string): Promise<void> {
    const session = this.#asked();
    const open = await session?.openTensor({ split, index }, name);
    if (session === undefined || open === undefined) return;
    const from = vscode.l10n.t("{0}, {1} sample {2}", basename(this.target.file), split, index);
    await this.#options.showTensor(new KeptTensor({ name, from }, session, open));
  }

  /** The process with the data, which a question starts again after some idle time. */
  #asked(): DataSession | undefined {
    requireTrust();
    return this.#session;
  }

  #changed(): void {
    if (this.#ready) this.#throttle.mark("snapshot");
  }

  #snapshot(): DataSnapshot {
    const [summary, reading, error] = [this.#summary, this.#reading, this.#error];
    return {
      ...this.target,
      ...(summary === undefined ? {} : { summary }),
      ...(reading === undefined ? {} : { reading }),
      ...(error === undefined ? {} : { error }),
      ...(this.#outdated ? { outdated: true } : {}),
    };
  }
}
