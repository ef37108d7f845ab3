import * as vscode from "vscode";
import type { SourcePosition, UserError } from "../protocol/errors.ts";
import type { FileReport } from "../protocol/preview.ts";
import { DisposableOwner } from "./disposable.ts";
import type { Messages } from "./messages.ts";
import type { Previews } from "./previews.ts";
import { onSettingChange, setting } from "./settings.ts";

/** Errors of previews at the user's lines, as long as the file that caused them is followed. */
export class ModelDiagnostics extends DisposableOwner {
  readonly #previews: Previews;
  readonly #messages: Messages;
  /** The fault that was told of last: it would come again with every keystroke. */
  #fault: string | undefined;
  readonly #collection = this.own(vscode.languages.createDiagnosticCollection("layerwise"));
  /** For each followed file, what its preview said of which file: a model may fail in a file it imports. */
  readonly #bySource = new Map<string, Map<string, vscode.Diagnostic[]>>();

  constructor(previews: Previews, messages: Messages) {
    super();
    this.#previews = previews;
    this.#messages = messages;
    this.own(previews.onDidChange((uri) => this.#update(uri)));
    this.own(
      onSettingChange("diagnostics.enabled", () => {
        for (const document of vscode.workspace.textDocuments) this.#update(document.uri);
      }),
    );
  }

  #update(uri: vscode.Uri): void {
    const { report } = this.#previews.get(uri);
    if (report !== undefined) this.#tellFault(report);
    const enabled = setting("diagnostics.enabled", uri);
    const found =
      report === undefined || !enabled ? new Map<string, vscode.Diagnostic[]>() : diagnose(report);
    const before = this.#bySource.get(uri.toString());
    if (found.size === 0) this.#bySource.delete(uri.toString());
    else this.#bySource.set(uri.toString(), found);
    for (const file of new Set([...(before?.keys() ?? []), ...found.keys()])) this.#publish(file);
  }

  #tellFault(report: FileReport): void {
    const fault = report.errors.find(isFault);
    if (fault !== undefined && fault.message !== this.#fault) this.#messages.error(fault);
    this.#fault = fault?.message;
  }

  #publish(file: string): void {
    const all = [...this.#bySource.values()].flatMap((files) => files.get(file) ?? []);
    this.#collection.set(vscode.Uri.file(file), all);
  }
}

/** Nothing the user's text could mend: it belongs to no line. */
function isFault(error: UserError): boolean {
  return error.position === undefined && (error.code === "engine" || error.code === "internal");
}

function diagnose(report: FileReport): Map<string, vscode.Diagnostic[]> {
  const files = new Map<string, vscode.Diagnostic[]>();
  const seen = new Set<string>();
  const errors = [...report.errors, ...report.models.flatMap((model) => model.error ?? [])].filter(
    (error) => !isFault(error),
  );
  for (const error of errors) {
    const position = error.position ?? { file: report.file, line: 1, column: 1 };
    // Two models may fail at one line they share.
    const key = JSON.stringify([position, error.message]);
    if (seen.has(key)) continue;
    seen.add(key);
    files.set(position.file, [...(files.get(position.file) ?? []), diagnostic(error, position)]);
  }
  return files;
}

function diagnostic(error: UserError, position: SourcePosition): vscode.Diagnostic {
  const where = error.module === undefined ? "" : `\n${vscode.l10n.t("In module {0}.", error.module)}`;
  const hint = error.hint === undefined ? "" : `\n${error.hint}`;
  const result = new vscode.Diagnostic(rangeOf(position), `${error.message}${where}${hint}`);
  result.source = "Layerwise";
  result.code = error.code;
  result.relatedInformation = (error.stack ?? [])
    .filter((frame) => frame.file !== position.file || frame.line !== position.line)
    .slice(0, 8)
    .map(
      (frame) =>
        new vscode.DiagnosticRelatedInformation(
          new vscode.Location(vscode.Uri.file(frame.file), rangeOf(frame)),
          vscode.l10n.t("called from here"),
        ),
    );
  return result;
}

/** The position's own extent, else the word or the rest of the line, as far as the open text tells. */
function rangeOf(position: SourcePosition): vscode.Range {
  const line = Math.max(0, position.line - 1);
  const column = Math.max(0, position.column - 1);
  const start = new vscode.Position(line, column);
  if (position.endColumn !== undefined)
    return new vscode.Range(start, new vscode.Position(line, Math.max(column + 1, position.endColumn - 1)));
  const document = vscode.workspace.textDocuments.find(({ uri }) => uri.fsPath === position.file);
  if (document === undefined || line >= document.lineCount) return new vscode.Range(start, start);
  const { text, range } = document.lineAt(line);
  const expression = /^(?:this\.)?[\w$.]+(?:\([^()]*\))?/.exec(text.slice(column))?.[0];
  const end = expression === undefined ? text.trimEnd().length : column + expression.length;
  return end > column ? new vscode.Range(start, new vscode.Position(line, end)) : range;
}
