import * as v from "valibot";
import * as vscode from "vscode";
import { DiagramLook } from "../../protocol/flow.ts";
import type { ModelReport } from "../../protocol/preview.ts";
import type {
  ArchitectureHostMethods,
  ArchitectureSnapshot,
  ArchitectureViewMethods,
  GivenLayout,
  ImageFormat,
} from "../../protocol/views.ts";
import { listRuns } from "../../supervisor/runDirectory.ts";
import type { EngineOptions } from "../../supervisor/process.ts";
import { runCommand } from "../commands.ts";
import { DisposableOwner } from "../disposable.ts";
import { openPosition } from "../messages.ts";
import type { Previews } from "../previews.ts";
import { folderOf } from "../targets.ts";
import { Comparison } from "./comparison.ts";
import { Profiles } from "./profiles.ts";
import { MESSAGE_INTERVAL, Throttle } from "./throttle.ts";
import { connectPanel, noArguments, sourceArguments, type MethodSchemas } from "./webviewHost.ts";
import { Weights } from "./weights.ts";

const schemas: MethodSchemas<ArchitectureHostMethods> = {
  ready: v.strictTuple([DiagramLook]),
  select: v.tuple([v.string()]),
  openSource: sourceArguments,
  revealSource: sourceArguments,
  train: v.tuple([v.string()]),
  compare: v.strictTuple([v.string(), v.string()]),
  endComparison: noArguments,
  profile: v.strictTuple([v.string()]),
  endProfile: noArguments,
  chooseWeights: v.strictTuple([v.string()]),
  saveImage: v.tuple([v.string(), v.picklist(["svg", "png"]), v.string()]),
};

export interface ArchitecturePanelOptions {
  extensionUri: vscode.Uri;
  log: vscode.LogOutputChannel;
  previews: Previews;
  engine: () => EngineOptions;
  memory: vscode.Memento;
}

/** Where the font of the last diagram is remembered: the next one is laid out before its page is there. */
const FONT = "layerwise.diagramFont";
const Font = v.pick(DiagramLook, ["font", "widths"]);

/** The models of one file, drawn anew at each change of its text. */
export class ArchitecturePanel extends DisposableOwner {
  readonly panel: vscode.WebviewPanel;
  /** Absolute path of the file. */
  readonly file: string;
  readonly #previews: Previews;
  readonly #view;
  readonly #comparison: Comparison;
  readonly #weights: Weights;
  readonly #profiles: Profiles;
  readonly #throttle = new Throttle<"snapshot">(MESSAGE_INTERVAL, () => void this.#send());
  #choices: Pick<ArchitectureSnapshot, "sides" | "weightFiles"> = {};
  #model: string | undefined;
  #ready = false;
  readonly #memory: vscode.Memento;
  /** How the page draws, or will draw. */
  #look: DiagramLook | undefined;
  #layout: { model: ModelReport; look: DiagramLook; given: Promise<GivenLayout | undefined> } | undefined;
  /** The page has what it draws first. */
  #drawn = false;

  constructor(
    panel: vscode.WebviewPanel,
    file: string,
    model: string | undefined,
    options: ArchitecturePanelOptions,
  ) {
    super();
    this.panel = panel;
    this.file = file;
    this.#model = model;
    this.#previews = options.previews;
    this.#memory = options.memory;
    const font = v.safeParse(Font, options.memory.get(FONT));
    if (font.success) this.#look = { ...font.output, opened: [], closed: [], unfolded: [] };
    const changed = (): void => {
      if (this.#ready) this.#throttle.mark("snapshot");
      else void this.#sendAhead();
    };
    this.#comparison = this.own(new Comparison(file, options.previews, changed));
    this.#weights = this.own(new Weights(options.engine, changed));
    this.#profiles = this.own(new Profiles(file, options, changed));
    this.#view = connectPanel<ArchitectureViewMethods, ArchitectureHostMethods>(panel, {
      kind: "architecture",
      extensionUri: options.extensionUri,
      log: options.log,
      schemas,
      methods: {
        ready: (look) => {
          this.#ready = true;
          this.#learn(look);
          void this.#lookForChoices();
          return this.#first();
        },
        select: (name) => {
          this.#select(name);
          return Promise.resolve();
        },
        openSource: (path, line = 1, column = 1) => openPosition({ file: path, line, column }),
        revealSource: (path, line = 1, column = 1) => openPosition({ file: path, line, column }, true),
        train: (exportName) => runCommand("layerwise.train", { file, exportName }),
        compare: (base, of) => this.compare(base, of),
        endComparison: () => {
          this.#comparison.end();
          changed();
          return Promise.resolve();
        },
        profile: (name) => runCommand("layerwise.profile", { file, model: name }),
        endProfile: () => {
          this.#profiles.end();
          return Promise.resolve();
        },
        chooseWeights: async (id) => {
          await this.#weights.choose(id);
          await this.#lookForChoices();
        },
        saveImage: (name, format, content) => this.#saveImage(name, format, content),
      },
    });
    this.own(options.previews.hold(vscode.Uri.file(file)));
    this.own(
      options.previews.onDidChange((uri) => {
        if (uri.fsPath === file) changed();
      }),
    );
    this.own(
      vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
        if (document.uri.fsPath === file && contentChanges.length > 0) this.#profiles.outdate();
      }),
    );
    this.own(
      panel.onDidChangeViewState(() => {
        if (panel.visible) return void this.#sendAhead();
        this.#ready = false;
        this.#drawn = false;
        this.#throttle.clear();
      }),
    );
    this.own(
      vscode.window.onDidChangeTextEditorSelection(({ textEditor, selections: [selection], kind }) => {
        // What our own links select is selected in the view already.
        if (kind === undefined || kind === vscode.TextEditorSelectionChangeKind.Command) return;
        if (textEditor.document.uri.fsPath === file && selection !== undefined && this.#ready)
          void this.#view.cursor.asEvent(selection.active.line + 1);
      }),
    );
    this.own({ dispose: () => this.#throttle.clear() });
    panel.onDidDispose(() => this.dispose());
    void this.#sendAhead();
  }

  /** Shows another of the file's models. */
  select(model: string | undefined): void {
    if (model !== undefined) this.#select(model);
  }

  /** Shows the models of one side as changes of another's. */
  async compare(base: string, of: string): Promise<void> {
    if (await this.#comparison.choose(base, of)) await this.#lookForChoices();
  }

  /** Measures a training step of an experiment. */
  profile(exportName: string): Promise<void> {
    return this.#profiles.measure(exportName);
  }

  /** Reads which runs there are: not at each letter that is typed. */
  async #lookForChoices(): Promise<void> {
    const runs = (await listRuns(folderOf(this.file))).filter(
      ({ record }) => record.kind === "train" && record.file === this.file,
    );
    const [sides, weightFiles] = await Promise.all([this.#comparison.sides(runs), this.#weights.files(runs)]);
    this.#choices = { sides, weightFiles };
    if (this.#ready) this.#throttle.mark("snapshot");
  }

  #select(model: string): void {
    this.#model = model;
    if (this.#ready) this.#throttle.mark("snapshot");
  }

  async #saveImage(name: string, format: ImageFormat, content: string): Promise<void> {
    const folder = vscode.Uri.joinPath(vscode.Uri.file(this.file), "..");
    const target = await vscode.window.showSaveDialog({
      defaultUri: vscode.Uri.joinPath(folder, `${name.replaceAll(/[^\w.-]/g, "_")}.${format}`),
      filters: { [format.toUpperCase()]: [format] },
    });
    if (target !== undefined)
      await vscode.workspace.fs.writeFile(target, Buffer.from(content, format === "svg" ? "utf8" : "base64"));
  }

  async #send(): Promise<void> {
    void this.#view.snapshot.asEvent(await (this.#drawn ? this.#snapshot() : this.#first()));
  }

  /** Sends the first picture as soon as it is known: VS Code keeps it until the page can take it. */
  async #sendAhead(): Promise<void> {
    const wanted = (): boolean => !this.disposed && !this.#ready && this.panel.visible;
    if (!wanted() || this.#look === undefined) return;
    // What is wrong is told when the page asks.
    const snapshot = await this.#first().catch(() => undefined);
    if (snapshot?.layout !== undefined && wanted()) void this.#view.snapshot.asEvent(snapshot);
  }

  #learn(look: DiagramLook): void {
    const { font, widths } = look;
    if (font !== this.#look?.font) void this.#memory.update(FONT, { font, widths });
    if (JSON.stringify(look) !== JSON.stringify(this.#look)) this.#look = look;
  }

  /** What a page draws first, with its layout: the page can do without an engine for that. */
  async #first(): Promise<ArchitectureSnapshot> {
    const snapshot = await this.#snapshot();
    const { report, model: wanted, lastGood, comparison } = snapshot;
    const shown = report?.models.find(({ name }) => name === wanted) ?? report?.models[0];
    const model = shown === undefined || shown.error !== undefined ? (lastGood ?? shown) : shown;
    const look = this.#look;
    if (model?.flow === undefined || look === undefined || comparison !== undefined) return snapshot;
    if (this.#layout?.model !== model || this.#layout.look !== look) {
      const given = this.#previews.layOut(model, look).then((places) => places && { look, places });
      this.#layout = { model, look, given };
    }
    const layout = await this.#layout.given;
    if (layout === undefined) this.#layout = undefined;
    this.#drawn = this.#ready;
    return layout === undefined ? snapshot : { ...snapshot, layout };
  }

  async #snapshot(): Promise<ArchitectureSnapshot> {
    // VS Code closes documents that no editor shows, so the panel opens its own again when it needs it.
    const document = await vscode.workspace.openTextDocument(this.file);
    const preview = this.#previews.follow(document);
    const compared = await this.#comparison.current();
    const report = compared?.shown ?? preview.report;
    const { lastGood, busy } = compared?.shown === undefined ? preview : { lastGood: new Map(), busy: false };
    // A class that is a part of models has no report of its own.
    const known = [...(report?.models.map(({ name }) => name) ?? []), ...lastGood.keys()];
    const wanted = known.find((name) => name === this.#model) ?? known[0];
    const shown = report?.models.find((model) => model.name === wanted);
    const error = report?.errors[0] ?? shown?.error;
    const good = wanted === undefined ? undefined : lastGood.get(wanted);
    const weights = this.#weights.current;
    const profile = this.#profiles.current;
    return {
      file: this.file,
      busy,
      ...this.#choices,
      ...(compared === undefined ? {} : { comparison: compared.comparison }),
      ...(weights === undefined ? {} : { weights }),
      ...(profile === undefined ? {} : { profile }),
      ...(wanted === undefined ? {} : { model: wanted }),
      ...(report === undefined ? {} : { report }),
      ...(good === undefined ? {} : { lastGood: good }),
      ...(error === undefined ? {} : { error }),
    };
  }
}
