import { basename, join } from "node:path";
import * as v from "valibot";
import * as vscode from "vscode";
import type { EngineOptions } from "../../supervisor/engines/process.ts";
import { sourceOfRun } from "../../supervisor/runs/sourceFile.ts";
import { exists, runsRoot } from "../../supervisor/runs/runDirectory.ts";
import { sweepsRoot } from "../../supervisor/sweeps/sweepDirectory.ts";
import type { RunSession } from "../../supervisor/runs/session.ts";
import { DisposableOwner } from "../disposable.ts";
import { PANELS } from "../ids.ts";
import type { Messages } from "../messages.ts";
import type { Previews } from "../previews.ts";
import { FollowedImports } from "../runs/followedImports.ts";
import type { Runs } from "../runs/runs.ts";
import { folderOf } from "../targets.ts";
import type { DataFilePanel } from "./dataFilePanel.ts";
import type { DataPanel, DataTarget } from "./dataPanel.ts";
import type { ArchitecturePanel, ArchitectureTarget } from "./architecturePanel.ts";
import type { EvaluationPanel } from "./evaluationPanel.ts";
import type { SweepPanel, SweepPanelOptions } from "./sweepPanel.ts";
import type { TensorPanel, ViewedTensor } from "./tensorPanel.ts";
import type { TrainingPanel } from "./trainingPanel.ts";

/** States that views save (see protocol/views.ts); an older version's may be anything. */
const RunState = v.object({ runId: v.pipe(v.string(), v.regex(/^[\w.-]+$/)), file: v.string() });
const SweepState = v.object({ sweepId: RunState.entries.runId, file: v.string() });
const ArchitectureState = v.object({
  file: v.string(),
  model: v.optional(v.string()),
  locked: v.optional(v.boolean(), false),
});

const TensorState = v.object({ file: v.string(), name: v.string() });
const DataFileState = v.object({ path: v.string() });
const DataState = v.object({ file: v.string(), exportName: v.string() });

/** The panel of a training, or of an evaluation. */
export type RunPanel = TrainingPanel | EvaluationPanel;

/** A panel as agents see it. */
export interface OpenPanel {
  kind: "training" | "evaluation" | "architecture" | "sweep" | "data";
  run?: string;
  sweep?: string;
  file?: string;
  active: boolean;
}

export interface PanelServices {
  extensionUri: vscode.Uri;
  engine: () => EngineOptions;
  messages: Messages;
  previews: Previews;
  runs: Runs;
  memory: vscode.Memento;
  /** Returns the function that ends a sweep of this window. */
  stopper: SweepPanelOptions["stopper"];
  /** Called when a sweep's trials have begun or ended. */
  stored: () => void;
}

/** The open panels, and their restoration after a reload. The first panel loads their code. */
export class Panels extends DisposableOwner {
  readonly #services: PanelServices;
  readonly #training = new Set<TrainingPanel>();
  readonly #evaluation = new Set<EvaluationPanel>();
  readonly #architecture = new Set<ArchitecturePanel>();
  readonly #sweeps = new Set<SweepPanel>();
  readonly #data = new Set<DataPanel>();
  readonly #dataFiles = new Set<DataFilePanel>();
  readonly #imports;
  /** The run that a panel has shown before another one. */
  readonly #before = new WeakMap<RunSession, RunSession>();

  constructor(services: PanelServices) {
    super();
    this.#services = services;
    this.own(
      services.runs.onDidChange((session) => {
        if (session.refused) this.leave(session);
      }),
    );
    this.#imports = this.own(new FollowedImports(services.engine, services.messages.log));
    for (const kind of ["training", "evaluation"] as const)
      this.own(
        vscode.window.registerWebviewPanelSerializer(PANELS[kind], {
          deserializeWebviewPanel: (panel, state) =>
            this.#restore(panel, () => this.#restoreRun(panel, state)),
        }),
      );
    this.own(
      vscode.window.registerWebviewPanelSerializer(PANELS.sweep, {
        deserializeWebviewPanel: (panel, state) =>
          this.#restore(panel, () => this.#restoreSweep(panel, state)),
      }),
    );
    this.own(
      vscode.window.registerWebviewPanelSerializer(PANELS.data, {
        deserializeWebviewPanel: (panel, state) =>
          this.#restore(panel, () => this.#restoreData(panel, state)),
      }),
    );
    this.own(
      vscode.window.registerWebviewPanelSerializer(PANELS.dataFile, {
        deserializeWebviewPanel: (panel, state) =>
          this.#restore(panel, () => this.#restoreDataFile(panel, state)),
      }),
    );
    this.own(
      vscode.window.registerWebviewPanelSerializer(PANELS.tensor, {
        deserializeWebviewPanel: (panel, state) =>
          this.#restore(panel, () => this.#restoreTensor(panel, state)),
      }),
    );
    this.own(
      vscode.window.registerWebviewPanelSerializer(PANELS.architecture, {
        deserializeWebviewPanel: (panel, state) =>
          this.#restore(panel, () => this.#restoreArchitecture(panel, state)),
      }),
    );
  }

  /** The model file of the panel that has the focus. */
  async activeFile(): Promise<string | undefined> {
    const run = [...this.#training, ...this.#evaluation].find(({ panel }) => panel.active)?.session;
    if (run !== undefined) {
      const source = await sourceOfRun(run.directory, run.record).catch(() => "");
      return (await exists(source)) ? source : undefined;
    }
    const data = [...this.#data].find(({ panel }) => panel.active);
    return data?.target.file ?? [...this.#architecture].find(({ panel }) => panel.active)?.file;
  }

  /** Whether a panel that is on the screen shows a run. */
  isShown(session: RunSession): boolean {
    return [...this.#training, ...this.#evaluation].some(
      (one) => one.panel.visible && one.session === session,
    );
  }

  /** The open panels, for agents. */
  get open(): OpenPanel[] {
    const runs = [...this.#training, ...this.#evaluation].map(({ panel, session }) => ({
      kind: session.record.kind === "train" ? ("training" as const) : ("evaluation" as const),
      run: session.id,
      active: panel.active,
    }));
    const models = [...this.#architecture].map(({ panel, file }) => ({
      kind: "architecture" as const,
      file: vscode.workspace.asRelativePath(file, false),
      active: panel.active,
    }));
    const sweeps = [...this.#sweeps].map(({ panel, directory }) => ({
      kind: "sweep" as const,
      sweep: basename(directory),
      active: panel.active,
    }));
    const data = [...this.#data].map(({ panel, target }) => ({
      kind: "data" as const,
      file: vscode.workspace.asRelativePath(target.file, false),
      active: panel.active,
    }));
    return [...runs, ...models, ...sweeps, ...data];
  }

  /** Shows a run: in its panel, in that of an earlier run of the same experiment which is over, or in a new one. */
  async showRun(session: RunSession): Promise<RunPanel> {
    const { createPanel } = await import("./webviewHost.ts");
    const { kind, file, exportName } = session.record;
    const view = kind === "train" ? "training" : "evaluation";
    const panels: readonly RunPanel[] = [...(kind === "train" ? this.#training : this.#evaluation)];
    const found =
      panels.find((panel) => panel.session.directory === session.directory) ??
      panels.find(
        ({ panel: { viewType }, session: { live, record } }) =>
          // An editor of a run's own file stays with it.
          viewType === PANELS.training && !live && record.file === file && record.exportName === exportName,
      );
    if (found === undefined)
      return this.#addRun(createPanel(view, "Layerwise", this.#services.extensionUri), session);
    // A run opened twice from disk has two sessions. The panel's own knows more, unless another process has resumed the run.
    const { directory, live, record } = found.session;
    const { state, step, endedAt } = session.record;
    const isNewer =
      session.live || state !== record.state || step !== record.step || endedAt !== record.endedAt;
    if (directory !== session.directory) this.#before.set(session, found.session);
    if (directory !== session.directory || (!live && isNewer)) found.show(session);
    found.panel.reveal(undefined, true);
    return found;
  }

  /** Closes the panel of a run that could not begin, or shows the run again that it has shown before. */
  leave(session: RunSession): void {
    const before = this.#before.get(session);
    for (const one of [...this.#training, ...this.#evaluation]) {
      if (one.session !== session) continue;
      if (before === undefined) one.panel.dispose();
      else one.show(before);
    }
  }

  /** Shows a run in a panel that VS Code has made. */
  async adopt(panel: vscode.WebviewPanel, session: RunSession): Promise<void> {
    await this.#addRun(panel, session);
  }

  /** Shows a file's models: in its panel, in one that isn't locked, or in a new one. */
  async showArchitecture(
    document: vscode.TextDocument,
    model: string | undefined,
  ): Promise<ArchitecturePanel> {
    const { createPanel } = await import("./webviewHost.ts");
    const file = document.uri.fsPath;
    // Built while VS Code makes the panel.
    this.#services.previews.request(document);
    this.#services.previews.prepareLayout();
    const open = [...this.#architecture];
    const free = open.filter(({ locked }) => !locked);
    const found =
      open.find((panel) => panel.file === file) ?? free.find(({ panel }) => panel.visible) ?? free[0];
    if (found === undefined) {
      const panel = createPanel("architecture", "Layerwise", this.#services.extensionUri);
      return this.#addArchitecture(panel, { file, model });
    }
    found.show({ file, model });
    found.panel.reveal(undefined, true);
    return found;
  }

  /** Shows a sweep: in its panel, or in a new one. */
  async showSweep(directory: string): Promise<SweepPanel> {
    const { createPanel } = await import("./webviewHost.ts");
    const found = [...this.#sweeps].find((panel) => panel.directory === directory);
    if (found === undefined)
      return this.#addSweep(createPanel("sweep", "Layerwise", this.#services.extensionUri), directory);
    found.panel.reveal(undefined, true);
    return found;
  }

  /** Shows the data of an experiment: in its panel, or in a new one. */
  async showData(target: DataTarget): Promise<DataPanel> {
    const { createPanel } = await import("./webviewHost.ts");
    const found = [...this.#data].find(
      ({ target: { file, exportName } }) => file === target.file && exportName === target.exportName,
    );
    if (found === undefined)
      return this.#addData(createPanel("data", "Layerwise", this.#services.extensionUri), target, true);
    found.panel.reveal(undefined, true);
    void found.read();
    return found;
  }

  /** Shows the form that puts a file of data into a model. */
  async showDataFile(path: string): Promise<void> {
    const { createPanel } = await import("./webviewHost.ts");
    const found = [...this.#dataFiles].find((one) => one.path === path);
    if (found === undefined)
      await this.#addDataFile(createPanel("dataFile", "Layerwise", this.#services.extensionUri), path);
    else found.panel.reveal();
  }

  async #restoreDataFile(panel: vscode.WebviewPanel, state: unknown): Promise<void> {
    const { path } = v.parse(DataFileState, state);
    demandKnown(path);
    await this.#addDataFile(panel, path);
  }

  async #addDataFile(panel: vscode.WebviewPanel, path: string): Promise<DataFilePanel> {
    const { DataFilePanel } = await import("./dataFilePanel.ts");
    const { extensionUri, engine, messages } = this.#services;
    return keep(this.#dataFiles, new DataFilePanel(panel, path, { extensionUri, engine, messages }));
  }

  async #restoreData(panel: vscode.WebviewPanel, state: unknown): Promise<void> {
    const target = v.parse(DataState, state);
    demandKnown(target.file);
    await vscode.workspace.fs.stat(vscode.Uri.file(target.file));
    await this.#addData(panel, target, false);
  }

  async #addData(panel: vscode.WebviewPanel, target: DataTarget, asked: boolean): Promise<DataPanel> {
    const { DataPanel } = await import("./dataPanel.ts");
    const { extensionUri, engine, messages } = this.#services;
    const showTensor = (tensor: ViewedTensor): Promise<void> => this.showTensor(tensor);
    return keep(
      this.#data,
      new DataPanel(panel, target, asked, { extensionUri, engine, messages, showTensor }),
    );
  }

  /** Shows the values of a tensor, in a panel of its own. */
  async showTensor(tensor: ViewedTensor): Promise<void> {
    const { createPanel } = await import("./webviewHost.ts");
    await this.#addTensor(createPanel("tensor", "Layerwise", this.#services.extensionUri), tensor);
  }

  /** Shows a tensor of a file. */
  async showFileTensor(file: string, name: string): Promise<void> {
    const { FileTensor } = await import("./fileTensor.ts");
    await this.showTensor(new FileTensor(file, name, this.#services.engine));
  }

  /** Only a tensor of a file can be shown again. */
  async #restoreTensor(panel: vscode.WebviewPanel, state: unknown): Promise<void> {
    const { file, name } = v.parse(TensorState, state);
    demandKnown(file);
    await vscode.workspace.fs.stat(vscode.Uri.file(file));
    const { FileTensor } = await import("./fileTensor.ts");
    await this.#addTensor(panel, new FileTensor(file, name, this.#services.engine));
  }

  async #addTensor(panel: vscode.WebviewPanel, tensor: ViewedTensor): Promise<TensorPanel> {
    const { TensorPanel } = await import("./tensorPanel.ts");
    const { extensionUri, messages } = this.#services;
    return new TensorPanel(panel, tensor, { extensionUri, log: messages.log });
  }

  async #restoreSweep(panel: vscode.WebviewPanel, state: unknown): Promise<void> {
    const { sweepId, file } = v.parse(SweepState, state);
    demandKnown(file);
    await this.#addSweep(panel, join(sweepsRoot(folderOf(file)), sweepId));
  }

  async #addSweep(panel: vscode.WebviewPanel, directory: string): Promise<SweepPanel> {
    const { SweepPanel } = await import("./sweepPanel.ts");
    const { extensionUri, messages, stopper, stored } = this.#services;
    const options = { extensionUri, log: messages.log, stopper, stored };
    return keep(this.#sweeps, new SweepPanel(panel, directory, options));
  }

  /** A panel that can't be restored is closed: a blank one says nothing. */
  async #restore(panel: vscode.WebviewPanel, restore: () => Promise<unknown>): Promise<void> {
    try {
      await restore();
    } catch (error) {
      this.#services.messages.log.warn(`A panel was not restored: ${String(error)}`);
      panel.dispose();
    }
  }

  async #restoreRun(panel: vscode.WebviewPanel, state: unknown): Promise<void> {
    const { runId, file } = v.parse(RunState, state);
    demandKnown(file);
    await this.#addRun(panel, await this.#services.runs.open(join(runsRoot(folderOf(file)), runId)));
  }

  async #restoreArchitecture(panel: vscode.WebviewPanel, state: unknown): Promise<void> {
    const { locked, ...target } = v.parse(ArchitectureState, state);
    demandKnown(target.file);
    await vscode.workspace.fs.stat(vscode.Uri.file(target.file));
    await this.#addArchitecture(panel, target, locked);
  }

  async #addRun(panel: vscode.WebviewPanel, session: RunSession): Promise<RunPanel> {
    if (session.record.kind === "train") {
      const { TrainingPanel } = await import("./trainingPanel.ts");
      const { extensionUri, messages, previews } = this.#services;
      const follow = (shown: RunSession): vscode.Disposable => this.#imports.follow(shown);
      return keep(
        this.#training,
        new TrainingPanel(panel, session, { extensionUri, log: messages.log, previews, follow }),
      );
    }
    const { EvaluationPanel } = await import("./evaluationPanel.ts");
    const showTensor = (tensor: ViewedTensor): Promise<void> => this.showTensor(tensor);
    const services = { ...this.#services, showTensor };
    return keep(this.#evaluation, new EvaluationPanel(panel, session, services));
  }

  async #addArchitecture(
    panel: vscode.WebviewPanel,
    target: ArchitectureTarget,
    locked = false,
  ): Promise<ArchitecturePanel> {
    const { extensionUri, messages, previews, engine, memory, runs } = this.#services;
    const { ArchitecturePanel } = await import("./architecturePanel.ts");
    const showTensor = (tensor: ViewedTensor): Promise<void> => this.showTensor(tensor);
    const services = { extensionUri, log: messages.log, previews, engine, memory, runs, showTensor };
    const added = new ArchitecturePanel(panel, target, locked, services);
    this.#architecture.add(added);
    panel.onDidDispose(() => this.#architecture.delete(added));
    return added;
  }
}

/** Throws unless a saved file is in the workspace or open: a page writes its own saved state. */
function demandKnown(file: string): void {
  const opened = (input: unknown): boolean =>
    input instanceof vscode.TabInputText && input.uri.scheme === "file" && input.uri.fsPath === file;
  const known =
    vscode.workspace.getWorkspaceFolder(vscode.Uri.file(file)) !== undefined ||
    vscode.window.tabGroups.all.some(({ tabs }) => tabs.some((tab) => opened(tab.input)));
  if (!known) throw new Error(`${JSON.stringify(file)} is neither in the workspace nor open.`);
}

function keep<Panel extends { panel: vscode.WebviewPanel }>(panels: Set<Panel>, added: Panel): Panel {
  panels.add(added);
  added.panel.onDidDispose(() => panels.delete(added));
  return added;
}
