import * as vscode from "vscode";
import type { DiagramLook, FlowLayout } from "../protocol/flow.ts";
import { modelTitle } from "../protocol/modelForms.ts";
import type { FileReport, ModelReport, VersionSource } from "../protocol/preview.ts";
import type { PreviewEngine } from "../supervisor/engines/preview.ts";
import { withheld, type Withheld } from "./consent.ts";
import { DisposableOwner } from "./disposable.ts";
import { MODEL_FILE_SUFFIX } from "./ids.ts";
import { onSettingChange, setting } from "./settings.ts";
import { WatchedFiles } from "./watchedFiles.ts";

type Counts = { total: number; trainable: number };

/** The text of a document at one version. */
export interface SourceVersion {
  readonly text: string;
  readonly version: number;
}

/** The preview of one open file. */
export interface Preview {
  /** The newest report; it may describe an older version of the text while a new one is being built. */
  readonly report: FileReport | undefined;
  /** The text that the report describes. */
  readonly source: SourceVersion | undefined;
  /** Parameter counts from the last version in which each class could be built, by {@link modelTitle}. */
  readonly lastCounts: ReadonlyMap<string, Counts>;
  /** The last report of each model without an error in its forward, by {@link modelTitle}. */
  readonly lastGood: ReadonlyMap<string, ModelReport>;
  /** A request is waiting or running. */
  readonly busy: boolean;
  /** The text, or that of a file that it imports, has changed since the report, and automatic previews are off. */
  readonly outdated: boolean;
  /** Why the file isn't built automatically. */
  readonly withheld: Withheld | undefined;
}

interface FollowedFile {
  /** Files that the newest build read, apart from packages. */
  imported: ReadonlySet<string>;
  report: FileReport | undefined;
  source: SourceVersion | undefined;
  lastCounts: Map<string, Counts>;
  lastGood: Map<string, ModelReport>;
  pending: number;
  outdated: boolean;
  /** Milliseconds that the last preview took; infinite before the first. */
  took: number;
  timer: NodeJS.Timeout | undefined;
}

const emptyPreview = (): Preview => ({
  report: undefined,
  source: undefined,
  lastCounts: new Map(),
  lastGood: new Map(),
  busy: false,
  outdated: false,
  withheld: withheld(false),
});

export function isModelFile(document: vscode.TextDocument): boolean {
  return document.uri.scheme === "file" && document.uri.path.endsWith(MODEL_FILE_SUFFIX);
}

/**
 * Keeps reports of the open `.nn.ts` files up to date while you type. A file is followed from when it becomes visible, or a
 * view needs it, until it is closed. A preview runs the file, so an untrusted workspace has none. With `preview.automatic`
 * off, a file is built on request only.
 */
export class Previews extends DisposableOwner {
  readonly #engine: PreviewEngine;
  readonly #files = new Map<string, FollowedFile>();
  /** Number of panels that show each file, whether or not it has a tab. */
  readonly #held = new Map<string, number>();
  readonly #changed = this.own(new vscode.EventEmitter<vscode.Uri>());
  /** Fires with the file whose preview changed. */
  readonly onDidChange = this.#changed.event;
  readonly #edited = this.own(new vscode.EventEmitter<vscode.Uri>());
  /** Fires with a followed file whose text, or that of a file that it imports, changed. */
  readonly onDidEdit = this.#edited.event;
  /** Imported files change without an editor too, as by git. */
  readonly #imported = this.own(new WatchedFiles((file) => this.#rebuildImporters(file)));

  constructor(engine: PreviewEngine) {
    super();
    this.#engine = engine;
    this.own(
      vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
        const followed = this.#files.get(document.uri.toString());
        if (followed !== undefined && contentChanges.length > 0)
          this.#schedule(document, followed, delayOf(followed));
      }),
    );
    this.own(
      // Watchers of some file systems are slow, or report nothing.
      vscode.workspace.onDidSaveTextDocument(({ uri }) => this.#rebuildImporters(uri.fsPath)),
    );
    // VS Code requests lenses and hints only after a delay, and never requests diagnostics.
    this.own(
      vscode.window.onDidChangeVisibleTextEditors((editors) => {
        for (const { document } of editors)
          if (setting("diagnostics.enabled", document.uri)) this.follow(document);
      }),
    );
    this.own(vscode.workspace.onDidCloseTextDocument((document) => this.#forget(document.uri)));
    // VS Code keeps a document open for minutes after its last tab is closed.
    this.own(
      vscode.window.tabGroups.onDidChangeTabs(({ closed }) => {
        for (const { input } of closed)
          if (
            input instanceof vscode.TabInputText &&
            !this.#held.has(input.uri.toString()) &&
            !hasTab(input.uri)
          )
            this.#forget(input.uri);
      }),
    );
    this.own(vscode.workspace.onDidGrantWorkspaceTrust(() => this.#followOpen()));
    this.own(
      onSettingChange("preview.automatic", () => {
        if (withheld(false) === undefined) this.#followOpen();
        else this.#stop();
      }),
    );
    this.own({
      dispose: () => {
        for (const { timer } of this.#files.values()) clearTimeout(timer);
      },
    });
  }

  /** Returns the file's current preview, and keeps it up to date from now on if automatic previews are allowed. */
  follow(document: vscode.TextDocument): Preview {
    const known = this.#files.get(document.uri.toString());
    if (known !== undefined) return previewOf(known);
    if (!isModelFile(document) || withheld(false) !== undefined) return emptyPreview();
    return previewOf(this.#add(document, false));
  }

  /** Builds a file on the user's request; once if automatic previews are off. */
  request(document: vscode.TextDocument): void {
    if (!isModelFile(document)) return;
    const known = this.#files.get(document.uri.toString());
    if (known === undefined) this.#add(document, true);
    else if (withheld(false) !== undefined) void this.#inspect(document, known, true);
  }

  #add(document: vscode.TextDocument, asked: boolean): FollowedFile {
    const followed: FollowedFile = {
      imported: new Set(),
      report: undefined,
      source: undefined,
      lastCounts: new Map(),
      lastGood: new Map(),
      pending: 0,
      outdated: false,
      took: Number.POSITIVE_INFINITY,
      timer: undefined,
    };
    this.#files.set(document.uri.toString(), followed);
    void this.#inspect(document, followed, asked);
    return followed;
  }

  /** Brings the open files up to date. */
  #followOpen(): void {
    for (const document of vscode.workspace.textDocuments) {
      const followed = this.#files.get(document.uri.toString());
      if (followed === undefined) this.follow(document);
      else if (followed.outdated) this.#schedule(document, followed, 0);
      this.#changed.fire(document.uri);
    }
  }

  /** Stops building; reports are kept. */
  #stop(): void {
    for (const document of vscode.workspace.textDocuments) {
      const followed = this.#files.get(document.uri.toString());
      if (followed !== undefined) {
        followed.outdated ||= followed.timer !== undefined || followed.pending > 0;
        clearTimeout(followed.timer);
        followed.timer = undefined;
        this.#engine.drop(document.uri.fsPath);
      }
      this.#changed.fire(document.uri);
    }
  }

  /** Keeps following a file, even without a tab, until the returned object is disposed. */
  hold(uri: vscode.Uri): vscode.Disposable {
    const key = uri.toString();
    this.#held.set(key, (this.#held.get(key) ?? 0) + 1);
    return new vscode.Disposable(() => {
      const left = (this.#held.get(key) ?? 1) - 1;
      if (left > 0) this.#held.set(key, left);
      else {
        this.#held.delete(key);
        if (!hasTab(uri)) this.#forget(uri);
      }
    });
  }

  /** Returns a file's preview without following the file. */
  get(uri: vscode.Uri): Preview {
    const followed = this.#files.get(uri.toString());
    return followed === undefined ? emptyPreview() : previewOf(followed);
  }

  /**
   * Builds another version of a file, with the imports of that version where they are known.
   * @param asked Whether the user requested it
   */
  inspectVersion(
    file: string,
    { text, version, name }: { text: string; version: VersionSource; name: string },
    asked: boolean,
  ): Promise<FileReport | undefined> {
    if (withheld(asked) !== undefined) return Promise.resolve(undefined);
    const request = { file, text, version };
    return this.#engine.inspect(request, setting("preview.timeLimit"), `${name} of ${file}`);
  }

  /** Lays out a model's first diagram; undefined if the view must do it. */
  layOut({ flow, rows }: ModelReport, look: DiagramLook): Promise<FlowLayout | undefined> {
    if (flow === undefined) return Promise.resolve(undefined);
    const named = rows.map(({ path, className, detail, parameters }) => ({
      path,
      className,
      detail,
      parameters,
    }));
    return this.#engine.layOut({ flow, rows: named, look });
  }

  /** Starts the layout engine, since a layout will be needed soon. */
  prepareLayout(): void {
    this.#engine.prepareLayout();
  }

  #rebuildImporters(file: string): void {
    for (const document of vscode.workspace.textDocuments) {
      const followed = this.#files.get(document.uri.toString());
      if (followed?.imported.has(file) === true) this.#schedule(document, followed, delayOf(followed));
    }
  }

  #watchImported(): void {
    this.#imported.watch([...this.#files.values()].flatMap(({ imported }) => [...imported]));
  }

  #schedule(document: vscode.TextDocument, followed: FollowedFile, delay: number): void {
    this.#edited.fire(document.uri);
    clearTimeout(followed.timer);
    followed.timer = undefined;
    if (withheld(false) === undefined) {
      followed.timer = setTimeout(() => void this.#inspect(document, followed, false), delay);
    } else if (!followed.outdated) {
      followed.outdated = true;
      this.#changed.fire(document.uri);
    }
  }

  async #inspect(document: vscode.TextDocument, followed: FollowedFile, asked: boolean): Promise<void> {
    followed.timer = undefined;
    if (this.disposed || document.isClosed || withheld(asked) !== undefined) return;
    followed.pending++;
    followed.outdated = false;
    const file = document.uri.fsPath;
    // Not read from the disk, even if the document isn't dirty: VS Code clears that flag before a save is complete.
    const source = { text: document.getText(), version: document.version };
    const request = { file, text: source.text, calls: true };
    const began = performance.now();
    const report = await this.#engine.inspect(request, setting("preview.timeLimit"));
    followed.pending--;
    if (report !== undefined) followed.took = performance.now() - began;
    if (this.disposed || this.#files.get(document.uri.toString()) !== followed) return;
    if (report !== undefined) {
      if (report.imported !== undefined) {
        followed.imported = new Set(report.imported);
        this.#watchImported();
      }
      followed.report = report;
      followed.source = source;
      for (const model of report.models) {
        followed.lastCounts.set(modelTitle(model), model.parameters);
        if (model.error === undefined) followed.lastGood.set(modelTitle(model), model);
      }
    }
    this.#changed.fire(document.uri);
  }

  #forget(uri: vscode.Uri): void {
    const followed = this.#files.get(uri.toString());
    if (followed === undefined) return;
    clearTimeout(followed.timer);
    this.#files.delete(uri.toString());
    this.#watchImported();
    this.#engine.drop(uri.fsPath);
    this.#changed.fire(uri);
  }
}

/** Minimum delay after a keystroke in milliseconds. */
const SHORTEST_DELAY = 40;

/** Files that build quickly are previewed sooner than the setting says. */
const delayOf = ({ took }: FollowedFile): number =>
  Math.min(setting("preview.delay"), SHORTEST_DELAY + took / 2);

function hasTab(uri: vscode.Uri): boolean {
  const wanted = uri.toString();
  return vscode.window.tabGroups.all.some(({ tabs }) =>
    tabs.some(({ input }) => input instanceof vscode.TabInputText && input.uri.toString() === wanted),
  );
}

function previewOf(followed: FollowedFile): Preview {
  return {
    report: followed.report,
    source: followed.source,
    lastCounts: followed.lastCounts,
    lastGood: followed.lastGood,
    busy: followed.pending > 0 || followed.timer !== undefined,
    outdated: followed.outdated,
    withheld: withheld(false),
  };
}
