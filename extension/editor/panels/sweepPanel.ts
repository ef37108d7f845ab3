import { basename, join } from "node:path";
import * as v from "valibot";
import * as vscode from "vscode";
import { rootOfRun } from "../../files/runFiles.ts";
import { EngineError } from "../../protocol/errors.ts";
import type { TrialRow } from "../../protocol/sweeps/sweep.ts";
import type { SweepHostMethods, SweepSnapshot, SweepViewMethods } from "../../protocol/sweeps/views.ts";
import { runsRoot } from "../../supervisor/runs/runDirectory.ts";
import { sourceOfRun } from "../../supervisor/runs/sourceFile.ts";
import { SweepFollower } from "../../supervisor/sweeps/follow.ts";
import { runCommand } from "../commands.ts";
import { DisposableOwner } from "../disposable.ts";
import { defaultEdits } from "../language/applySettings.ts";
import { setTitle, type Log } from "../show.ts";
import { openFile, requireTrust } from "../targets.ts";
import { offered } from "./offered.ts";
import { connectPanel, noArguments, type MethodSchemas } from "./webviewHost.ts";

const trialArguments = v.strictTuple([v.pipe(v.number(), v.integer(), v.minValue(0))]);

const schemas: MethodSchemas<SweepHostMethods> = {
  ready: noArguments,
  openTrial: trialArguments,
  apply: trialArguments,
  resume: noArguments,
  stop: noArguments,
  openSource: noArguments,
};

export interface SweepPanelOptions {
  extensionUri: vscode.Uri;
  log: Log;
  /** Ends a sweep that this window has started; undefined for another's. */
  stopper: (directory: string) => (() => void) | undefined;
  /** Called when trials have begun or ended: watchers of some file systems are slow. */
  stored: () => void;
}

/** Milliseconds between two looks at a sweep that runs, and at one that doesn't. */
const LIVE = 1000;
const IDLE = 3000;

/** The panel of one sweep, which it follows on disk while it is visible. */
export class SweepPanel extends DisposableOwner {
  readonly panel: vscode.WebviewPanel;
  readonly directory: string;
  readonly #follower: SweepFollower;
  readonly #options: SweepPanelOptions;
  readonly #view;
  #snapshot: SweepSnapshot | undefined;
  #sent = "";
  #timer: NodeJS.Timeout | undefined;

  constructor(panel: vscode.WebviewPanel, directory: string, options: SweepPanelOptions) {
    super();
    this.panel = panel;
    this.directory = directory;
    this.#options = options;
    this.#follower = new SweepFollower(directory);
    setTitle(panel, vscode.l10n.t("Sweep: {0}", basename(directory)));
    this.#view = connectPanel<SweepViewMethods, SweepHostMethods>(panel, {
      kind: "sweep",
      extensionUri: options.extensionUri,
      log: options.log,
      methods: this.#methods(),
      schemas,
    });
    this.own({ dispose: () => clearTimeout(this.#timer) });
    this.own(
      panel.onDidChangeViewState(() => {
        // A page that is shown again requests its snapshot.
        if (!panel.visible) clearTimeout(this.#timer);
      }),
    );
    panel.onDidDispose(() => this.dispose());
  }

  #methods(): SweepHostMethods {
    return {
      ready: async () => {
        const snapshot = await this.#look();
        this.#sent = JSON.stringify(snapshot);
        this.#schedule();
        return snapshot;
      },
      openTrial: async (number) => {
        const { run } = this.#trial(number);
        if (run !== "")
          await runCommand("layerwise.openRun", {
            directory: join(runsRoot(rootOfRun(this.directory)), run),
          });
      },
      apply: (number) => this.#apply(this.#trial(number)),
      resume: () => runCommand("layerwise.resumeSweep", { directory: this.directory }),
      stop: () => {
        this.#options.stopper(this.directory)?.();
        return Promise.resolve();
      },
      openSource: async () => {
        await vscode.window.showTextDocument(await this.#source());
      },
    };
  }

  async #look(): Promise<SweepSnapshot> {
    const found = await this.#follower.look();
    if (standing(found.trials) !== standing(this.#snapshot?.trials)) this.#options.stored();
    this.#snapshot = {
      ...found,
      stoppable: found.live && this.#options.stopper(this.directory) !== undefined,
    };
    return this.#snapshot;
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.disposed || !this.panel.visible) return;
    this.#timer = setTimeout(() => void this.#refresh(), this.#snapshot?.live === true ? LIVE : IDLE);
  }

  async #refresh(): Promise<void> {
    try {
      const snapshot = await this.#look();
      if (this.disposed) return;
      const text = JSON.stringify(snapshot);
      if (text !== this.#sent && this.panel.visible) void this.#view.snapshot.asEvent(snapshot);
      this.#sent = text;
    } catch (error) {
      this.#options.log.warn(String(error));
    }
    this.#schedule();
  }

  #trial(number: number): TrialRow {
    return offered(this.#snapshot?.trials ?? [], (one) => one.number === number, `trial ${number}`);
  }

  /** The sweep's file. @throws EngineError if it isn't in the sweep's folder: a stranger's record could name any */
  async #source(): Promise<vscode.TextDocument> {
    const sweep = this.#snapshot?.sweep;
    if (sweep === undefined) throw new EngineError({ code: "no-sweep", message: "There is no sweep." });
    return openFile(await sourceOfRun(this.directory, sweep));
  }

  async #apply({ settings }: TrialRow): Promise<void> {
    requireTrust();
    const document = await this.#source();
    const exportName = this.#snapshot?.sweep.exportName ?? "default";
    const edits = defaultEdits(document.getText(), exportName, settings);
    if ("missing" in edits)
      throw new EngineError({
        code: "no-sweep",
        message:
          edits.missing === undefined
            ? vscode.l10n.t("The experiment {0} declares no sweep in this file.", exportName)
            : vscode.l10n.t("The sweep in this file has no parameter {0}.", edits.missing),
      });
    const edit = new vscode.WorkspaceEdit();
    for (const { start, end, code } of edits)
      edit.replace(
        document.uri,
        new vscode.Range(document.positionAt(start), document.positionAt(end)),
        code,
      );
    const first = Math.min(...edits.map(({ start }) => start));
    await vscode.workspace.applyEdit(edit);
    const at = document.positionAt(first);
    const editor = await vscode.window.showTextDocument(document, { viewColumn: vscode.ViewColumn.One });
    editor.revealRange(new vscode.Range(at, at), vscode.TextEditorRevealType.InCenterIfOutsideViewport);
  }
}

/** The states of trials, for comparison. */
const standing = (trials: readonly TrialRow[] = []): string =>
  trials.map(({ number, state }) => `${number} ${state}`).join();
