import { basename } from "node:path";
import * as v from "valibot";
import * as vscode from "vscode";
import { DiagramLook } from "../../protocol/flow.ts";
import { shownOf } from "../../protocol/modelForms.ts";
import type { ModelReport } from "../../protocol/preview.ts";
import type {
  ArchitectureHostMethods,
  ArchitectureSnapshot,
  ArchitectureViewMethods,
  GivenLayout,
} from "../../protocol/views.ts";
import { runCommand } from "../commands.ts";
import { DisposableOwner } from "../disposable.ts";
import { setTitle } from "../show.ts";
import { ArchitectureSubject, type SubjectServices } from "./architectureSubject.ts";
import { layerHistory, layerPictures, layerSchemas, pictureSchemas } from "./layers.ts";
import { OfferedSources } from "./offered.ts";
import type { ViewedTensor } from "./tensorPanel.ts";
import { MESSAGE_INTERVAL, Throttle } from "./throttle.ts";
import { imageArguments, saveImage } from "./saveImage.ts";
import { connectPanel, noArguments, sourceArguments, type MethodSchemas } from "./webviewHost.ts";

const schemas: MethodSchemas<ArchitectureHostMethods> = {
  ...layerSchemas,
  ...pictureSchemas,
  ready: v.strictTuple([DiagramLook]),
  select: v.tuple([v.string()]),
  openSource: sourceArguments,
  revealSource: sourceArguments,
  build: noArguments,
  manageTrust: noArguments,
  train: v.tuple([v.string()]),
  showData: v.strictTuple([v.string()]),
  compare: v.strictTuple([v.string(), v.string()]),
  endComparison: noArguments,
  profile: v.strictTuple([v.string()]),
  endProfile: noArguments,
  lock: v.strictTuple([v.boolean()]),
  chooseWeights: v.strictTuple([v.string()]),
  chooseTraining: v.strictTuple([v.string()]),
  saveImage: imageArguments,
};

export interface ArchitecturePanelOptions extends SubjectServices {
  extensionUri: vscode.Uri;
  memory: vscode.Memento;
  showTensor: (tensor: ViewedTensor) => Promise<unknown>;
}

/** The file and the model that a panel shows. */
export interface ArchitectureTarget {
  /** Absolute path. */
  file: string;
  model?: string | undefined;
}

/** Key of the last diagram's font: the next diagram is laid out before its page exists. */
const FONT = "layerwise.diagramFont";
const Font = v.pick(DiagramLook, ["font", "widths"]);

/** Draws the models of a file at each change of its text. An unlocked panel follows the next file. */
export class ArchitecturePanel extends DisposableOwner {
  readonly panel: vscode.WebviewPanel;
  /** Whether the panel stays with its file. */
  locked: boolean;
  readonly #options: ArchitecturePanelOptions;
  readonly #view;
  readonly #sources = new OfferedSources(() => this.#snapshot());
  readonly #throttle = new Throttle<"snapshot">(MESSAGE_INTERVAL, () => void this.#send());
  #subject: ArchitectureSubject;
  #ready = false;
  /** The page's look, or the expected one before the page exists. */
  #look: DiagramLook | undefined;
  #layout: { model: ModelReport; look: DiagramLook; given: Promise<GivenLayout | undefined> } | undefined;
  /** Whether the page has the first snapshot of the subject. */
  #drawn = false;

  constructor(
    panel: vscode.WebviewPanel,
    target: ArchitectureTarget,
    locked: boolean,
    options: ArchitecturePanelOptions,
  ) {
    super();
    this.panel = panel;
    this.locked = locked;
    this.#options = options;
    const font = v.safeParse(Font, options.memory.get(FONT));
    if (font.success) this.#look = lookOf(font.output);
    this.#subject = this.#take(target);
    this.#view = connectPanel<ArchitectureViewMethods, ArchitectureHostMethods>(panel, {
      kind: "architecture",
      extensionUri: options.extensionUri,
      log: options.log,
      schemas,
      onError: (error) => this.#sources.note(error),
      methods: {
        ...layerHistory(() => this.#subject.trainings.directory),
        ...layerPictures(() => this.#subject.trainings.shown, options.showTensor),
        ready: async (look) => {
          this.#ready = true;
          this.#learn(look);
          void this.#subject.lookForChoices();
          const first = await this.#first();
          // They may have been sent while the first picture was laid out.
          return { ...first, ...this.#subject.choices };
        },
        select: (name) => {
          this.#select(name);
          return Promise.resolve();
        },
        openSource: (path, line = 1, column = 1) => this.#sources.open({ file: path, line, column }),
        revealSource: (path, line = 1, column = 1) => this.#sources.open({ file: path, line, column }, true),
        build: () => runCommand("layerwise.preview", { file: this.file }),
        manageTrust: async () => {
          await vscode.commands.executeCommand("workbench.trust.manage");
        },
        train: (exportName) => runCommand("layerwise.train", { file: this.file, exportName }),
        showData: (exportName) => runCommand("layerwise.showData", { file: this.file, exportName }),
        compare: (base, of) => {
          for (const side of [base, of]) this.#subject.demandOffered("sides", side);
          return this.compare(base, of);
        },
        endComparison: () => {
          this.#subject.comparison.end();
          this.#changed();
          return Promise.resolve();
        },
        profile: (name) => runCommand("layerwise.profile", { file: this.file, model: name }),
        endProfile: () => {
          this.#subject.profiles.end();
          return Promise.resolve();
        },
        chooseWeights: async (id) => {
          const subject = this.#subject;
          // The empty id: none any more.
          if (id !== "") subject.demandOffered("weightFiles", id);
          await subject.weights.choose(id);
          await subject.lookForChoices();
        },
        chooseTraining: (id) => {
          if (id !== "") this.#subject.demandOffered("trainings", id);
          this.#subject.trainings.choose(id);
          this.#changed();
          return Promise.resolve();
        },
        lock: (locked) => {
          this.locked = locked;
          this.#changed();
          return Promise.resolve();
        },
        saveImage: (name, format, content) => saveImage(this.file, name, format, content),
      },
    });
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
        // Selections by our own links are selected in the view already.
        if (kind === undefined || kind === vscode.TextEditorSelectionChangeKind.Command) return;
        if (textEditor.document.uri.fsPath === this.file && selection !== undefined && this.#ready)
          void this.#view.cursor.asEvent(selection.active.line + 1);
      }),
    );
    this.own({
      dispose: () => {
        this.#throttle.clear();
        this.#subject.dispose();
      },
    });
    panel.onDidDispose(() => this.dispose());
    void this.#sendAhead();
  }

  /** Absolute path of the file that is shown. */
  get file(): string {
    return this.#subject.file;
  }

  /** Shows a model, of this file or of another. */
  show({ file, model }: ArchitectureTarget): void {
    if (file === this.file) {
      if (model !== undefined) this.#select(model);
      return;
    }
    this.#subject.dispose();
    this.#subject = this.#take({ file, model });
    this.#drawn = false;
    if (this.#look !== undefined) this.#look = lookOf(this.#look);
    this.#throttle.clear();
    if (!this.#ready) return void this.#sendAhead();
    void this.#subject.lookForChoices();
    void this.#send();
  }

  /** Shows the models of one side as changes of another's. */
  async compare(base: string, of: string): Promise<void> {
    const subject = this.#subject;
    if (await subject.comparison.choose(base, of)) await subject.lookForChoices();
  }

  /** Measures a training step of an experiment. */
  profile(exportName: string): Promise<void> {
    return this.#subject.profiles.measure(exportName);
  }

  #take({ file, model }: ArchitectureTarget): ArchitectureSubject {
    setTitle(this.panel, vscode.l10n.t("Architecture: {0}", basename(file)));
    return new ArchitectureSubject(file, model, this.#options, () => this.#changed());
  }

  #changed(): void {
    if (this.#ready) this.#throttle.mark("snapshot");
    else void this.#sendAhead();
  }

  #select(model: string): void {
    this.#subject.model = model;
    this.#changed();
  }

  async #send(): Promise<void> {
    const snapshot = await (this.#drawn ? this.#snapshot() : this.#first());
    if (snapshot.file === this.file) void this.#view.snapshot.asEvent(snapshot);
  }

  /** Sends the first picture as soon as it is known: VS Code keeps it until the page can take it. */
  async #sendAhead(): Promise<void> {
    const wanted = (): boolean => !this.disposed && !this.#ready && this.panel.visible;
    if (!wanted() || this.#look === undefined) return;
    // The page receives errors when it requests its snapshot.
    const snapshot = await this.#first().catch(() => undefined);
    if (snapshot?.layout !== undefined && wanted()) void this.#view.snapshot.asEvent(snapshot);
  }

  #learn(look: DiagramLook): void {
    const { font, widths } = look;
    if (font !== this.#look?.font) void this.#options.memory.update(FONT, { font, widths });
    if (JSON.stringify(look) !== JSON.stringify(this.#look)) this.#look = look;
  }

  /** The first snapshot of a file, with its layout: the page needs no layout engine to draw it. */
  async #first(): Promise<ArchitectureSnapshot> {
    const snapshot = await this.#snapshot();
    const { report, model: wanted, lastGood, comparison } = snapshot;
    const shown = shownOf(report?.models ?? [], wanted);
    const model = shown === undefined || shown.error !== undefined ? (lastGood ?? shown) : shown;
    const look = this.#look;
    if (model?.flow === undefined || look === undefined || comparison !== undefined) return snapshot;
    if (this.#layout?.model !== model || this.#layout.look !== look) {
      const given = this.#options.previews.layOut(model, look).then((places) => places && { look, places });
      this.#layout = { model, look, given };
    }
    const layout = await this.#layout.given;
    // Another file has taken its place meanwhile.
    if (snapshot.file !== this.file) return this.#first();
    if (layout === undefined) this.#layout = undefined;
    this.#drawn = this.#ready;
    return layout === undefined ? snapshot : { ...snapshot, layout };
  }

  async #snapshot(): Promise<ArchitectureSnapshot> {
    return { ...(await this.#subject.snapshot()), locked: this.locked };
  }
}

/** The look of a file without manual changes. */
const lookOf = ({ font, widths }: v.InferOutput<typeof Font>): DiagramLook => ({
  font,
  widths,
  opened: [],
  closed: [],
  unfolded: [],
});
