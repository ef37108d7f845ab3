import { basename, join } from "node:path";
import * as v from "valibot";
import * as vscode from "vscode";
import { runsRoot } from "../../supervisor/runDirectory.ts";
import type { EngineOptions } from "../../supervisor/process.ts";
import type { RunSession } from "../../supervisor/session.ts";
import { DisposableOwner } from "../disposable.ts";
import { PANELS } from "../ids.ts";
import type { Messages } from "../messages.ts";
import type { Previews } from "../previews.ts";
import type { Runs } from "../runs.ts";
import { folderOf } from "../targets.ts";
import type { ArchitecturePanel } from "./architecturePanel.ts";
import type { TrainingPanel } from "./trainingPanel.ts";

/** What views keep of themselves (see protocol/views.ts); written by an older version, it may be anything. */
const TrainingState = v.object({ runId: v.pipe(v.string(), v.regex(/^[\w.-]+$/)), file: v.string() });
const ArchitectureState = v.object({ file: v.string(), model: v.optional(v.string()) });

export interface PanelServices {
  extensionUri: vscode.Uri;
  messages: Messages;
  previews: Previews;
  runs: Runs;
  engine: () => EngineOptions;
}

/** The open panels, and how they come back after a reload. Their code is loaded with the first of them. */
export class Panels extends DisposableOwner {
  readonly #services: PanelServices;
  readonly #training = new Set<TrainingPanel>();
  readonly #architecture = new Set<ArchitecturePanel>();

  constructor(services: PanelServices) {
    super();
    this.#services = services;
    this.own(
      vscode.window.registerWebviewPanelSerializer(PANELS.training, {
        deserializeWebviewPanel: (panel, state) =>
          this.#restore(panel, () => this.#restoreTraining(panel, state)),
      }),
    );
    this.own(
      vscode.window.registerWebviewPanelSerializer(PANELS.architecture, {
        deserializeWebviewPanel: (panel, state) =>
          this.#restore(panel, () => this.#restoreArchitecture(panel, state)),
      }),
    );
  }

  /** Shows a run: in its panel, in that of an earlier run of the same experiment which is over, or in a new one. */
  async showRun(session: RunSession): Promise<TrainingPanel> {
    const { createPanel } = await import("./webviewHost.ts");
    const panels = [...this.#training];
    const { file, exportName } = session.record;
    const found =
      panels.find((panel) => panel.session.directory === session.directory) ??
      panels.find(
        ({ panel: { viewType }, session: { live, record } }) =>
          // An editor of a run's own file stays with it.
          viewType === PANELS.training && !live && record.file === file && record.exportName === exportName,
      );
    if (found !== undefined) {
      // A run opened twice from disk has two sessions; the panel's own knows more, unless the run goes on again.
      const resumed = session.live && !found.session.live;
      if (resumed || found.session.directory !== session.directory) found.show(session);
      found.panel.reveal(undefined, true);
      return found;
    }
    const panel = createPanel("training", "Layerwise", this.#services.extensionUri);
    return this.#addTraining(panel, session);
  }

  /** Shows a run in a panel that VS Code has made. */
  async adopt(panel: vscode.WebviewPanel, session: RunSession): Promise<void> {
    await this.#addTraining(panel, session);
  }

  async showArchitecture(
    document: vscode.TextDocument,
    model: string | undefined,
  ): Promise<ArchitecturePanel> {
    const { createPanel } = await import("./webviewHost.ts");
    const file = document.uri.fsPath;
    const found = [...this.#architecture].find((panel) => panel.file === file);
    if (found === undefined) {
      const title = vscode.l10n.t("Architecture: {0}", basename(file));
      const panel = createPanel("architecture", title, this.#services.extensionUri);
      return this.#addArchitecture(panel, file, model);
    }
    found.select(model);
    found.panel.reveal(undefined, true);
    return found;
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

  async #restoreTraining(panel: vscode.WebviewPanel, state: unknown): Promise<void> {
    const { runId, file } = v.parse(TrainingState, state);
    const session = await this.#services.runs.open(join(runsRoot(folderOf(file)), runId));
    await this.#addTraining(panel, session);
  }

  async #restoreArchitecture(panel: vscode.WebviewPanel, state: unknown): Promise<void> {
    const { file, model } = v.parse(ArchitectureState, state);
    await vscode.workspace.fs.stat(vscode.Uri.file(file));
    await this.#addArchitecture(panel, file, model);
  }

  async #addTraining(panel: vscode.WebviewPanel, session: RunSession): Promise<TrainingPanel> {
    const { extensionUri, messages } = this.#services;
    const { TrainingPanel } = await import("./trainingPanel.ts");
    const added = new TrainingPanel(panel, session, { extensionUri, log: messages.log });
    this.#training.add(added);
    panel.onDidDispose(() => this.#training.delete(added));
    return added;
  }

  async #addArchitecture(
    panel: vscode.WebviewPanel,
    file: string,
    model: string | undefined,
  ): Promise<ArchitecturePanel> {
    const { extensionUri, messages, previews, engine } = this.#services;
    const { ArchitecturePanel } = await import("./architecturePanel.ts");
    const log = messages.log;
    const added = new ArchitecturePanel(panel, file, model, { extensionUri, log, previews, engine });
    this.#architecture.add(added);
    panel.onDidDispose(() => this.#architecture.delete(added));
    return added;
  }
}
