import * as vscode from "vscode";
import type { FailedLayer, SourcePosition, UserError } from "../../protocol/errors.ts";
import type { CodeWarning, FileReport } from "../../protocol/preview.ts";
import { plainText } from "../../protocol/text/plain.ts";
import { DisposableOwner } from "../disposable.ts";
import type { Messages } from "../messages.ts";
import type { Previews } from "../previews.ts";
import { onSettingChange, setting } from "../settings.ts";
import { maskSource } from "../../source/sourceMask.ts";
import { callSpan } from "../../source/textSpans.ts";

export const SOURCE = "Layerwise";

/** The page of PyTorch's documentation that explains a warning. */
const TORCH = "https://docs.pytorch.org/docs/stable/generated";
const PAGES: Partial<Record<CodeWarning["code"], string>> = {
  softmaxBeforeLoss: `${TORCH}/torch.nn.CrossEntropyLoss.html`,
  targetSize: `${TORCH}/torch.nn.MSELoss.html`,
  zeroGrad: `${TORCH}/torch.optim.Optimizer.zero_grad.html`,
  noBackward: `${TORCH}/torch.Tensor.backward.html`,
  unusedLayer: `${TORCH}/torch.nn.Module.html`,
};

/** Shows errors of previews at the user's lines while the file that caused them is followed. */
export class ModelDiagnostics extends DisposableOwner {
  readonly #previews: Previews;
  readonly #messages: Messages;
  /** The last internal error that was shown: it would repeat with every keystroke. */
  #fault: string | undefined;
  readonly #collection = this.own(vscode.languages.createDiagnosticCollection("layerwise"));
  /** Diagnostics by followed file, then by the file they are in: a model may fail in a file it imports. */
  readonly #bySource = new Map<string, Map<string, vscode.Diagnostic[]>>();

  constructor(previews: Previews, messages: Messages) {
    super();
    this.#previews = previews;
    this.#messages = messages;
    this.own(previews.onDidChange((uri) => this.#update(uri)));
    for (const name of ["diagnostics.enabled", "warnings"] as const)
      this.own(
        onSettingChange(name, () => {
          for (const document of vscode.workspace.textDocuments) this.#update(document.uri);
        }),
      );
  }

  #update(uri: vscode.Uri): void {
    const { report } = this.#previews.get(uri);
    if (report !== undefined) this.#tellFault(report);
    const enabled = setting("diagnostics.enabled", uri);
    const found =
      report === undefined || !enabled
        ? new Map<string, vscode.Diagnostic[]>()
        : diagnose(report, (warning) => shows(warning, uri));
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

/** Whether an error is not the user's code's, and so belongs to no line. */
function isFault(error: UserError): boolean {
  return error.position === undefined && (error.code === "engine" || error.code === "internal");
}

/** Whether the settings let a warning be shown. */
function shows({ code }: CodeWarning, uri: vscode.Uri): boolean {
  return setting("warnings.enabled", uri) && setting(`warnings.${code}`, uri);
}

function diagnose(
  report: FileReport,
  shown: (warning: CodeWarning) => boolean,
): Map<string, vscode.Diagnostic[]> {
  const files = new Map<string, vscode.Diagnostic[]>();
  const seen = new Set<string>();
  const errors = [...report.errors, ...report.models.flatMap((model) => model.error ?? [])].filter(
    (error) => !isFault(error),
  );
  for (const error of errors) {
    const position = error.position ?? { file: report.file, line: 1, column: 1 };
    // Two models may fail at one shared line.
    const key = JSON.stringify([position, error.message]);
    if (seen.has(key)) continue;
    seen.add(key);
    files.set(position.file, [...(files.get(position.file) ?? []), diagnostic(error, position)]);
  }
  for (const one of (report.warnings ?? []).filter(shown)) {
    const { file } = one.position;
    files.set(file, [...(files.get(file) ?? []), warning(one)]);
  }
  return files;
}

/** A diagnostic with the data of its quick fix. */
export class LayerDiagnostic extends vscode.Diagnostic {
  layer: FailedLayer | undefined;
}

function diagnostic(error: UserError, position: SourcePosition): vscode.Diagnostic {
  const { layer } = error;
  const where = error.module === undefined ? "" : `\n${vscode.l10n.t("In module {0}.", error.module)}`;
  const what =
    layer === undefined
      ? ""
      : `\n${vscode.l10n.t("{0}({1}) received {2}.", layer.className, layer.detail, layer.inputs.join(", "))}`;
  const hint = error.hint === undefined ? "" : `\n${error.hint}`;
  const range = layer === undefined ? rangeOf(position) : (callRange(position) ?? rangeOf(position));
  const result = new LayerDiagnostic(range, plainText(`${error.message}${where}${what}${hint}`));
  result.source = SOURCE;
  result.code = error.code;
  result.layer = layer;
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
  if (layer?.position !== undefined)
    result.relatedInformation.unshift(
      new vscode.DiagnosticRelatedInformation(
        new vscode.Location(vscode.Uri.file(layer.position.file), rangeOf(layer.position)),
        vscode.l10n.t("the layer is constructed here"),
      ),
    );
  return result;
}

function warning({ code, message, position, unused }: CodeWarning): vscode.Diagnostic {
  const severity =
    code === "noValidation" ? vscode.DiagnosticSeverity.Information : vscode.DiagnosticSeverity.Warning;
  const result = new vscode.Diagnostic(
    callRange(position) ?? rangeOf(position),
    plainText(message),
    severity,
  );
  result.source = SOURCE;
  const page = PAGES[code];
  result.code = page === undefined ? code : { value: code, target: vscode.Uri.parse(page) };
  if (unused === true) result.tags = [vscode.DiagnosticTag.Unnecessary];
  return result;
}

/** The range of the call at a position, arguments included, if its file is open and it is on one line. */
function callRange(position: SourcePosition): vscode.Range | undefined {
  const document = vscode.workspace.textDocuments.find(({ uri }) => uri.fsPath === position.file);
  if (document === undefined) return undefined;
  const start = new vscode.Position(position.line - 1, position.column - 1);
  const { end } = callSpan(maskSource(document.getText()), document.offsetAt(start));
  const range = new vscode.Range(start, document.positionAt(end));
  return range.isEmpty || !range.isSingleLine ? undefined : range;
}

/** The position's own range, else the word there, else the rest of the line. */
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
