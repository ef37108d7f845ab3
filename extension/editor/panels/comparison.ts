import { basename, join } from "node:path";
import * as vscode from "vscode";
import { readRunFile } from "../../files/runFiles.ts";
import type { FileReport, VersionSource } from "../../protocol/preview.ts";
import { SOURCE_FILE } from "../../protocol/run.ts";
import type { ArchitectureComparison, ModelSide } from "../../protocol/views.ts";
import { toUserError } from "../../supervisor/errors.ts";
import { EngineError } from "../../protocol/errors.ts";
import { findExecutable } from "../../processes/programs.ts";
import { committedText } from "../../supervisor/git.ts";
import { exists, runsRoot, type StoredRun } from "../../supervisor/runs/runDirectory.ts";
import { readLabels } from "../../supervisor/runs/runLabels.ts";
import { withheld } from "../consent.ts";
import { DisposableOwner } from "../disposable.ts";
import type { Previews } from "../previews.ts";
import { mayRunVersion } from "../runs/runVersions.ts";
import { chooseOtherFile, folderOf, requireTrust } from "../targets.ts";

/** Offered runs at most, the newest. */
const MOST_RUNS = 20;

export const WORKING = "working";
const HEAD = "head";
const RUN = "run:";
const FILE = "file:";
/** Another file: the user picks it. */
const ASK = "file";

/** The used part of the API of VS Code's git extension. */
interface GitExtension {
  getAPI(version: 1): { git: { path: string } };
}

/** Versions of a file's models, and the two that are compared. */
export class Comparison extends DisposableOwner {
  readonly #file: string;
  readonly #previews: Previews;
  readonly #changed: () => void;
  #chosen: { base: string; of: string } | undefined;
  /** Reports of versions that don't change. */
  readonly #reports = new Map<string, FileReport>();
  /** Other files, which are followed while they are compared. */
  readonly #held = new Map<string, vscode.Disposable>();

  /** @param changed Called when {@link current} has a new report */
  constructor(file: string, previews: Previews, changed: () => void) {
    super();
    this.#file = file;
    this.#previews = previews;
    this.#changed = changed;
    this.own(
      previews.onDidChange((uri) => {
        if (this.#held.has(uri.fsPath)) changed();
      }),
    );
    // A commit usually contains the file that was just saved.
    this.own(
      vscode.workspace.onDidSaveTextDocument(({ uri }) => {
        if (uri.path.endsWith(".ts") && this.#reports.has(HEAD)) void this.#load(HEAD, false);
      }),
    );
    this.own({ dispose: () => this.end() });
  }

  /** The versions to compare with: the typed file first, then git's, trainings' and other files. */
  async sides(runs: readonly StoredRun[]): Promise<ModelSide[]> {
    const found = await Promise.all(
      runs.slice(0, MOST_RUNS).map(async ({ directory, record }): Promise<ModelSide[]> => {
        if (!(await exists(join(directory, SOURCE_FILE)))) return [];
        const { name } = await readLabels(directory);
        return [{ id: `${RUN}${record.id}`, label: vscode.l10n.t("Run {0}", name || record.id) }];
      }),
    );
    return [
      { id: WORKING, label: vscode.l10n.t("Working file") },
      { id: HEAD, label: vscode.l10n.t("Git HEAD") },
      ...found.flat(),
      ...[...this.#held.keys()].map((path) => ({ id: `${FILE}${path}`, label: basename(path) })),
      { id: ASK, label: vscode.l10n.t("Another file…") },
    ];
  }

  /** Shows one side against another; false when the user gave up choosing. */
  async choose(base: string, of: string): Promise<boolean> {
    // Each version is built, and so run.
    requireTrust();
    const [left, right] = [await this.#asked(base), await this.#asked(of)];
    if (left === undefined || right === undefined) return false;
    for (const side of [left, right])
      if (side.startsWith(RUN) && !(await mayRunVersion(this.#directoryOf(side), this.#file))) return false;
    this.#chosen = { base: left, of: right };
    await Promise.all([this.#load(left, true), this.#load(right, true)]);
    return true;
  }

  end(): void {
    this.#chosen = undefined;
    this.#reports.clear();
    for (const held of this.#held.values()) held.dispose();
    this.#held.clear();
  }

  /** The comparison, and the report of its shown side unless that is the working file. */
  async current(): Promise<{ comparison: ArchitectureComparison; shown?: FileReport } | undefined> {
    if (this.#chosen === undefined) return undefined;
    const { base, of } = this.#chosen;
    const [report, shown] = [await this.#report(base), of === WORKING ? undefined : await this.#report(of)];
    return {
      comparison: { base, of, ...(report === undefined ? {} : { report }) },
      ...(shown === undefined ? {} : { shown }),
    };
  }

  async #asked(side: string): Promise<string | undefined> {
    if (side !== ASK) return side;
    const path = await chooseOtherFile(this.#file);
    return path === undefined ? undefined : `${FILE}${path}`;
  }

  async #report(side: string): Promise<FileReport | undefined> {
    if (side !== WORKING && !side.startsWith(FILE)) return this.#reports.get(side);
    const path = side === WORKING ? this.#file : side.slice(FILE.length);
    return this.#previews.follow(await vscode.workspace.openTextDocument(path)).report;
  }

  /** Builds a side. @param asked The user has chosen it just now */
  async #load(side: string, asked: boolean): Promise<void> {
    if (side === WORKING || side.startsWith(FILE)) {
      const path = side === WORKING ? this.#file : side.slice(FILE.length);
      const document = await vscode.workspace.openTextDocument(path);
      if (asked) this.#previews.request(document);
      if (side === WORKING) return;
      if (!this.#held.has(path)) this.#held.set(path, this.#previews.hold(vscode.Uri.file(path)));
      return;
    }
    const file = this.#file;
    if (withheld(asked) !== undefined) return;
    let report: FileReport | undefined;
    try {
      const version = await this.#version(side);
      report = await this.#previews.inspectVersion(file, { ...version, name: side }, asked);
    } catch (error) {
      report = { file, models: [], experiments: [], errors: [toUserError(error)] };
    }
    if (report === undefined) return;
    this.#reports.set(side, report);
    this.#changed();
  }

  /** The directory of a run whose version is a side. */
  #directoryOf(side: string): string {
    const id = side.slice(RUN.length);
    // A folder's name: never a path.
    if (!side.startsWith(RUN) || !/^\w[\w.-]*$/.test(id))
      throw new EngineError({ code: "internal", message: `internal: "${side}" is no version of a file` });
    return join(runsRoot(folderOf(this.#file)), id);
  }

  async #version(side: string): Promise<{ text: string; version: VersionSource }> {
    if (side === HEAD) {
      const git = findExecutable([gitPath() ?? "git"]);
      if (git === undefined)
        throw new EngineError({ code: "git", message: "There is no git on this machine." });
      return {
        text: await committedText(this.#file, git),
        version: { kind: "git", git, revision: "HEAD" },
      };
    }
    const directory = this.#directoryOf(side);
    return {
      text: (await readRunFile(directory, SOURCE_FILE)).toString("utf8"),
      version: { kind: "run", directory },
    };
  }
}

/** The git that VS Code uses, where it says so. */
function gitPath(): string | undefined {
  const extension = vscode.extensions.getExtension<GitExtension>("vscode.git");
  try {
    return extension?.isActive === true ? extension.exports.getAPI(1).git.path : undefined;
  } catch {
    // Git is switched off in the settings.
    return undefined;
  }
}
