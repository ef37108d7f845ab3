import { stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import * as v from "valibot";
import * as vscode from "vscode";
import {
  DataFile,
  DataUse,
  type DataFileHostMethods,
  type DataFileSnapshot,
  type DataFileViewMethods,
  type WrittenCode,
} from "../../protocol/data/dataFile.ts";
import { EngineError } from "../../protocol/errors.ts";
import type { EngineOptions } from "../../supervisor/engines/process.ts";
import { callTool } from "../../supervisor/engines/tool.ts";
import { demandTrust } from "../../supervisor/trust.ts";
import { firstUse, insertion, newFileFolder, problemOf, variableName, wholeFile } from "../dataCode.ts";
import { DisposableOwner } from "../disposable.ts";
import { fileNameProblems } from "../fileNames.ts";
import { MODEL_FILES } from "../ids.ts";
import type { Messages } from "../messages.ts";
import { setTitle } from "../show.ts";
import { checkFileName, freeFileName, modelFileName } from "../templates.ts";
import { offered } from "./offered.ts";
import { connectPanel, noArguments } from "./webviewHost.ts";

/** Milliseconds that reading the file may take, and files that are offered. */
const LIMIT = 60_000;
const MOST_FILES = 200;

export interface DataFilePanelOptions {
  extensionUri: vscode.Uri;
  engine: () => EngineOptions;
  messages: Messages;
}

/** A form that puts a file of data, or a folder of images, into a model. */
export class DataFilePanel extends DisposableOwner {
  readonly panel: vscode.WebviewPanel;
  /** Absolute path of the data. */
  readonly path: string;
  readonly #options: DataFilePanelOptions;
  readonly #reading = new AbortController();
  #data: Promise<DataFile> | undefined;
  /** The version of the file that {@link #data} is of. */
  #stamp = "";
  #files: DataFileSnapshot["files"] = [];

  constructor(panel: vscode.WebviewPanel, path: string, options: DataFilePanelOptions) {
    super();
    this.panel = panel;
    this.path = path;
    this.#options = options;
    setTitle(panel, vscode.l10n.t("Use {0} in a Model", basename(path)));
    connectPanel<DataFileViewMethods, DataFileHostMethods>(panel, {
      kind: "dataFile",
      extensionUri: options.extensionUri,
      log: options.messages.log,
      schemas: { ready: noArguments, code: v.strictTuple([DataUse]), save: v.strictTuple([DataUse]) },
      methods: {
        ready: () => this.#snapshot(),
        code: (use) => this.#code(use),
        save: (use) => this.#save(use),
      },
    });
    this.own({ dispose: () => this.#reading.abort() });
    panel.onDidDispose(() => this.dispose());
  }

  async #snapshot(): Promise<DataFileSnapshot> {
    const { mtimeMs, size } = await stat(this.path);
    const stamp = `${mtimeMs} ${size}`;
    if (stamp !== this.#stamp) this.#data = undefined;
    this.#stamp = stamp;
    const data = await this.#read();
    const found = await vscode.workspace.findFiles(MODEL_FILES, "**/node_modules/**", MOST_FILES);
    this.#files = found
      .map(({ fsPath: file }) => ({ file, label: vscode.workspace.asRelativePath(file) }))
      .sort((a, b) => a.label.localeCompare(b.label));
    const name = freeFileName(variableName(this.path), await this.#taken());
    return { data, use: firstUse(data, name), files: this.#files };
  }

  /** A process reads the file: it may be large, and hostile. */
  #read(): Promise<DataFile> {
    const { engine, messages } = this.#options;
    const signal = AbortSignal.any([this.#reading.signal, AbortSignal.timeout(LIMIT)]);
    this.#data ??= callTool(
      { ...engine(), signal, onLog: (_, text) => messages.log.info(`[data] ${text}`) },
      async (tool) => v.parse(DataFile, await tool.describeDataFile(this.path)),
    ).catch((error: unknown) => {
      // Tried again when the page asks again.
      this.#data = undefined;
      throw error;
    });
    return this.#data;
  }

  /** Of a new file. */
  get #folder(): string {
    const folders = vscode.workspace.workspaceFolders ?? [];
    return newFileFolder(
      this.path,
      folders.map(({ uri }) => uri.fsPath),
    );
  }

  async #taken(): Promise<string[]> {
    const entries = await vscode.workspace.fs.readDirectory(vscode.Uri.file(this.#folder));
    return entries.map(([name]) => name);
  }

  async #code(use: DataUse): Promise<WrittenCode> {
    const data = await this.#read();
    const problem = problemText(problemOf(data, use)) ?? (await this.#nameProblem(use));
    const { into } = use;
    const written = problem === undefined ? {} : { problem };
    if (into.kind === "new") {
      const name = modelFileName(into.name);
      const code = wholeFile(data, use, this.#folder);
      return { file: name, path: join(this.#folder, name), code, ...written };
    }
    const { file, label } = this.#known(into.file);
    const document = await vscode.workspace.openTextDocument(file);
    const { code } = insertion(document.getText(), data, use, dirname(file));
    return { file: label, path: file, code, ...written };
  }

  async #nameProblem({ into }: DataUse): Promise<string | undefined> {
    if (into.kind !== "new") return undefined;
    const problem = checkFileName(into.name, await this.#taken());
    return problem && fileNameProblems()[problem];
  }

  #known(file: string): DataFileSnapshot["files"][number] {
    return offered(this.#files, (one) => one.file === file, file);
  }

  async #save(use: DataUse): Promise<void> {
    demandTrust();
    const { code, path, problem } = await this.#code(use);
    if (problem !== undefined) throw new EngineError({ code: "usage", message: problem });
    const { into } = use;
    const edit = new vscode.WorkspaceEdit();
    const target = vscode.Uri.file(path);
    let line = 0;
    if (into.kind === "new") edit.createFile(target, { contents: Buffer.from(code), overwrite: false });
    else {
      const document = await vscode.workspace.openTextDocument(target);
      const at = insertion(document.getText(), await this.#read(), use, dirname(target.fsPath));
      const position = document.positionAt(at.offset);
      edit.insert(target, position, at.code);
      line = position.line + 1;
    }
    if (!(await vscode.workspace.applyEdit(edit)))
      throw new EngineError({
        code: "file",
        message: vscode.l10n.t("{0} could not be written.", target.fsPath),
      });
    const editor = await vscode.window.showTextDocument(target, {
      preview: false,
      viewColumn: vscode.ViewColumn.One,
    });
    const shown = new vscode.Range(line, 0, line, 0);
    editor.revealRange(shown, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
  }
}

function problemText(problem: ReturnType<typeof problemOf>): string | undefined {
  if (problem === undefined) return undefined;
  return {
    target: vscode.l10n.t("Choose the column to predict."),
    numbers: vscode.l10n.t("A regression predicts numbers: choose a column of numbers, or classification."),
    classes: vscode.l10n.t("Each folder needs a PNG or JPEG image: remove the empty ones."),
  }[problem];
}
