import { stat } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import * as vscode from "vscode";
import { rootOfRun } from "../files/runFiles.ts";
import { EngineError } from "../protocol/errors.ts";
import { MODEL_FILES, MODEL_FILE_SUFFIX, type MenuTarget, type SourceTarget } from "./ids.ts";
import { experimentsOf } from "./language/experiments.ts";
import { movedFile } from "./messages.ts";
import type { Previews } from "./previews.ts";
import { pick } from "./show.ts";
import { scanSource } from "../source/sourceScan.ts";

/** An experiment of a file, which a run trains or evaluates. */
export interface Experiment {
  document: vscode.TextDocument;
  exportName: string;
}

/** Normalizes a command's argument; a menu passes the file's URI. */
export function sourceTarget(target: SourceTarget | MenuTarget | undefined): SourceTarget {
  if (target === undefined) return {};
  return "fsPath" in target ? { file: target.fsPath } : target;
}

/** The folder whose `.layerwise` holds a file's runs: its workspace folder, or the file's own. */
export function folderOf(file: string): string {
  const folder = vscode.workspace.getWorkspaceFolder(vscode.Uri.file(file));
  return folder?.uri.fsPath ?? dirname(file);
}

/** The folder whose runs are beside a run; where it stands alone, that of its file. */
export function folderOfRun({ directory, file }: { directory: string; file: string }): string {
  const root = rootOfRun(directory);
  return root === resolve(directory) ? folderOf(file) : root;
}

/** The folders that may hold runs. */
export function runFolders(): string[] {
  const folders = vscode.workspace.workspaceFolders?.map((folder) => folder.uri.fsPath) ?? [];
  const open = vscode.workspace.textDocuments
    .filter((document) => document.uri.scheme === "file" && document.uri.path.endsWith(MODEL_FILE_SUFFIX))
    .map((document) => folderOf(document.uri.fsPath));
  return [...new Set([...folders, ...open])];
}

/** The message of a command that would change an untrusted workspace. */
export function untrustedText(): string {
  return vscode.l10n.t(
    "This command changes files of the workspace, which is not trusted. Trust the workspace first.",
  );
}

/** @throws EngineError if the workspace is not trusted: running its code needs trust */
export function requireTrust(): void {
  if (vscode.workspace.isTrusted) return;
  throw new EngineError({
    code: "untrusted",
    message: vscode.l10n.t(
      "This command runs code of the workspace, which is not trusted. Trust the workspace first.",
    ),
  });
}

/** Opens a file that a record names. @throws EngineError if it was moved or deleted: VS Code's error is about its own addresses */
export async function openFile(file: string): Promise<vscode.TextDocument> {
  try {
    return await vscode.workspace.openTextDocument(file);
  } catch (error) {
    // A file that is open is there, whatever the disk says.
    if ((await stat(file).catch(() => undefined)) === undefined) throw new EngineError(movedFile(file));
    throw error;
  }
}

/** Asks for a file other than `file` and returns its path. Undefined if cancelled. */
export async function chooseOtherFile(
  file: string,
  title = vscode.l10n.t("Compare with which file?"),
): Promise<string | undefined> {
  const others = (await findModelFiles()).filter(({ fsPath }) => fsPath !== file);
  if (others.length === 0)
    throw new EngineError({
      code: "no-file",
      message: vscode.l10n.t("There is no other .nn.ts file in this workspace."),
    });
  return (await pickFile(others, title))?.fsPath;
}

async function findModelFiles(): Promise<vscode.Uri[]> {
  return vscode.workspace.findFiles(MODEL_FILES, "**/node_modules/**", 500);
}

async function pickFile(found: readonly vscode.Uri[], title: string): Promise<vscode.Uri | undefined> {
  const items = found
    .map((uri) => ({ path: vscode.workspace.asRelativePath(uri), uri }))
    .sort((a, b) => a.path.localeCompare(b.path))
    .map(({ path, uri }) => ({
      label: basename(path),
      description: path.slice(0, -basename(path).length - 1),
      uri,
    }));
  return (await pick(items, { title }))?.uri;
}

/** Finds what a command is about: from its argument, else from what is active, else by asking the user. */
export class Targets {
  readonly #previews: Previews;
  readonly #panelFile: () => Promise<string | undefined>;

  /** @param panelFile finds the file of the panel that has the focus */
  constructor(previews: Previews, panelFile: () => Promise<string | undefined>) {
    this.#previews = previews;
    this.#panelFile = panelFile;
  }

  /** Returns the file: of the argument, the active editor or panel, or the user's choice. Undefined if cancelled. */
  async file(target: SourceTarget): Promise<vscode.TextDocument | undefined> {
    const active = vscode.window.activeTextEditor?.document;
    const edited = active?.uri.path.endsWith(MODEL_FILE_SUFFIX) === true ? active.uri.fsPath : undefined;
    const file = target.file ?? edited ?? (await this.#panelFile());
    if (file !== undefined) return openFile(file);
    const found = await findModelFiles();
    if (found.length === 0)
      throw new EngineError({
        code: "no-file",
        message: vscode.l10n.t("There is no .nn.ts file in this workspace."),
      });
    const picked = found.length === 1 ? found[0] : await pickFile(found, vscode.l10n.t("Which file?"));
    return picked && vscode.workspace.openTextDocument(picked);
  }

  /** Returns the experiment. Undefined if the user cancelled. */
  async experiment(target: SourceTarget): Promise<Experiment | undefined> {
    const document = await this.file(target);
    if (document === undefined) return undefined;
    if (target.exportName !== undefined) return { document, exportName: target.exportName };
    const scan = scanSource(document.getText());
    const { report } = this.#previews.get(document.uri);
    const names =
      target.model === undefined
        ? scan.experiments.map((experiment) => experiment.exportName)
        : experimentsOf(target.model, scan, report);
    if (names.length === 0) throw noExperiment(document, scan.models[0]?.line ?? 0);
    const exportName = names.length === 1 ? names[0] : await pickExperiment(names, target.model);
    return exportName === undefined ? undefined : { document, exportName };
  }

  /**
   * Returns an experiment to run, with all sources saved. Undefined if the user cancelled.
   * @throws EngineError with the file's syntax error, if its preview has found one: no run can begin
   */
  async experimentToRun(target: SourceTarget): Promise<Experiment | undefined> {
    const experiment = await this.experiment(target);
    if (experiment === undefined) return undefined;
    const { document } = experiment;
    const { report, source } = this.#previews.get(document.uri);
    // Not those of other files, which may have changed unnoticed.
    const error = report?.errors.find(
      ({ code, position }) => code === "syntax" && position?.file === document.uri.fsPath,
    );
    if (error !== undefined && source?.version === document.version) throw new EngineError(error);
    return (await saveSources(document)) ? experiment : undefined;
  }
}

async function pickExperiment(
  names: readonly string[],
  model: string | undefined,
): Promise<string | undefined> {
  const items = names
    .toSorted((a, b) => Number(b === "default") - Number(a === "default"))
    .map((name) => ({ label: name, name }));
  const title =
    model === undefined
      ? vscode.l10n.t("Which experiment?")
      : vscode.l10n.t("Which experiment of {0}?", model);
  return (await pick(items, { title }))?.name;
}

/** Saves all sources, since a run reads them from the disk. False if the file itself could not be saved. */
export async function saveSources(document: vscode.TextDocument): Promise<boolean> {
  const sources = vscode.workspace.textDocuments.filter(
    (open) => open.isDirty && !open.isUntitled && open.uri.path.endsWith(".ts"),
  );
  await Promise.all(sources.map((open) => open.save()));
  return !document.isDirty;
}

function noExperiment(document: vscode.TextDocument, line: number): EngineError {
  return new EngineError({
    code: "no-experiment",
    message: vscode.l10n.t(
      "{0} exports no experiment: add `export default experiment({ model, data, loss, optimizer, epochs })`.",
      basename(document.uri.path),
    ),
    position: { file: document.uri.fsPath, line: line + 1, column: 1 },
  });
}
