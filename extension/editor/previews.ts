import * as vscode from "vscode";
import type { DiagramLook, FlowLayout } from "../protocol/flow.ts";
import { modelTitle } from "../protocol/modelForms.ts";
import type { FileReport, ModelReport, VersionSource } from "../protocol/preview.ts";
import type { PreviewEngine } from "../supervisor/engines/preview.ts";
import { withheld, type Withheld } from "./consent.ts";
import { DisposableOwner } from "./disposable.ts";
import { MODEL_FILE_SUFFIX } from "./ids.ts";
import { onSettingChange, setting } from "./settings.ts";

type Counts = { total: number; trainable: number };

/** A document as it was. */
export interface SourceVersion {
  readonly text: string;
  readonly version: number;
}

/** What is known of one open file. */
export interface Preview {
  /** The newest report, which may be of an older version of the text while a new one is on its way. */
  readonly report: FileReport | undefined;
  /** The text that the report is of. */
  readonly source: SourceVersion | undefined;
  /** Parameter counts of the last version in which each class could be built, by {@link modelTitle}. */
  readonly lastCounts: ReadonlyMap<string, Counts>;
  /** Of each model, by {@link modelTitle}, the last report in which its forward could be built. */
  readonly lastGood: ReadonlyMap<string, ModelReport>;
  /** A request is waiting or being worked at. */
  readonly busy: boolean;
  /** The text, or that of a file that it may import, has changed since, and nothing is built by itself. */
  readonly outdated: boolean;
  /** Why nothing is built by itself. */
  readonly withheld: Withheld | undefined;
}

interface Followed {
  report: FileReport | undefined;
  source: SourceVersion | undefined;
  lastCounts: Map<string, Counts>;
  lastGood: Map<string, ModelReport>;
  pending: number;
  outdated: boolean;
  /** Milliseconds that the last answer took; unknown before the first. */
  took: number;
  timer: NodeJS.Timeout | undefined;
}

const nothing = (): Preview => ({
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
 * Reports of the open `.nn.ts` files, kept up to date while they are typed. A file is followed from when it is seen, or
 * a view asks for it, until it is closed. A preview runs the file, so in an untrusted workspace there is none; and where
 * the user has switched off `preview.automatic`, only what is requested is built.
 */
export class Previews extends DisposableOwner {
  readonly #engine: PreviewEngine;
  readonly #files = new Map<string, Followed>();
  /** Files that a panel shows, with or without a tab of their own. */
  readonly #held = new Map<string, number>();
  readonly #changed = this.own(new vscode.EventEmitter<vscode.Uri>());
  /** Fires with the file whose preview changed. */
  readonly onDidChange = this.#changed.event;

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
      vscode.workspace.onDidSaveTextDocument((saved) => {
        // Other files may import the saved one.
        for (const document of vscode.workspace.textDocuments) {
          const followed = this.#files.get(document.uri.toString());
          if (followed !== undefined && document !== saved && isModelFile(saved))
            this.#schedule(document, followed, delayOf(followed));
        }
      }),
    );
    // VS Code waits for a moment before it asks for lenses and hints, and nobody asks for diagnostics.
    this.own(
      vscode.window.onDidChangeVisibleTextEditors((editors) => {
        for (const { document } of editors)
          if (setting("diagnostics.enabled", document.uri)) this.follow(document);
      }),
    );
    this.own(vscode.workspace.onDidCloseTextDocument((document) => this.#forget(document.uri)));
    // VS Code keeps a document for minutes after its last tab was closed.
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

  /** The file's preview as far as it is known; from now on it is kept up to date, where that is done by itself. */
  follow(document: vscode.TextDocument): Preview {
    const known = this.#files.get(document.uri.toString());
    if (known !== undefined) return view(known);
    if (!isModelFile(document) || withheld(false) !== undefined) return nothing();
    return view(this.#add(document, false));
  }

  /** Builds a file because the user asks for it: once, where that isn't done by itself. */
  request(document: vscode.TextDocument): void {
    if (!isModelFile(document)) return;
    const known = this.#files.get(document.uri.toString());
    if (known === undefined) this.#add(document, true);
    else if (withheld(false) !== undefined) void this.#inspect(document, known, true);
  }

  #add(document: vscode.TextDocument, asked: boolean): Followed {
    const followed: Followed = {
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

  /** What is known stays; nothing more is built. */
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

  /** Goes on following a file without a tab until the answer is disposed. */
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

  /** What is known of a file that may not be followed. */
  get(uri: vscode.Uri): Preview {
    const followed = this.#files.get(uri.toString());
    return followed === undefined ? nothing() : view(followed);
  }

  /**
   * Another version of a file, which is built with what it imported then, as far as that is known.
   * @param asked The user has asked for it just now
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

  /** Places for what is first shown of a model; undefined when the view has to find them. */
  layOut({ flow, rows }: ModelReport, look: DiagramLook): Promise<FlowLayout | undefined> {
    if (flow === undefined) return Promise.resolve(undefined);
    const named = rows.map(({ path, className, detail }) => ({ path, className, detail }));
    return this.#engine.layOut({ flow, rows: named, look });
  }

  /** Tells that a layout will be asked for soon. */
  prepareLayout(): void {
    this.#engine.prepareLayout();
  }

  #schedule(document: vscode.TextDocument, followed: Followed, delay: number): void {
    clearTimeout(followed.timer);
    followed.timer = undefined;
    if (withheld(false) === undefined) {
      followed.timer = setTimeout(() => void this.#inspect(document, followed, false), delay);
    } else if (!followed.outdated) {
      followed.outdated = true;
      this.#changed.fire(document.uri);
    }
  }

  async #inspect(document: vscode.TextDocument, followed: Followed, asked: boolean): Promise<void> {
    followed.timer = undefined;
    if (this.disposed || document.isClosed || withheld(asked) !== undefined) return;
    followed.pending++;
    followed.outdated = false;
    const file = document.uri.fsPath;
    // Not from the disk, even when there is nothing to save: while a save is under way, that is said too early.
    const source = { text: document.getText(), version: document.version };
    const request = { file, text: source.text, calls: true };
    const began = performance.now();
    const report = await this.#engine.inspect(request, setting("preview.timeLimit"));
    followed.pending--;
    if (report !== undefined) followed.took = performance.now() - began;
    if (this.disposed || this.#files.get(document.uri.toString()) !== followed) return;
    if (report !== undefined) {
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
    this.#engine.drop(uri.fsPath);
    this.#changed.fire(uri);
  }
}

/** Milliseconds after any key, however quickly the last version was built. */
const SHORTEST_DELAY = 40;

/** A file that is built in a moment needs no pause in typing; the setting is for those that take longer. */
const delayOf = ({ took }: Followed): number => Math.min(setting("preview.delay"), SHORTEST_DELAY + took / 2);

function hasTab(uri: vscode.Uri): boolean {
  const wanted = uri.toString();
  return vscode.window.tabGroups.all.some(({ tabs }) =>
    tabs.some(({ input }) => input instanceof vscode.TabInputText && input.uri.toString() === wanted),
  );
}

function view(followed: Followed): Preview {
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
