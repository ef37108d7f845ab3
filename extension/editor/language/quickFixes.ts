import * as vscode from "vscode";
import { labelText } from "../../protocol/text/label.ts";
import { dataCalls } from "./deprecatedCalls.ts";
import { LayerDiagnostic } from "./diagnostics.ts";
import { DisposableOwner } from "../disposable.ts";
import { MODEL_FILES } from "../ids.ts";
import { maskSource } from "../../source/sourceMask.ts";
import { argumentsOf, calleeName, callSpan, isLiteral, type Span } from "../../source/textSpans.ts";

/**
 * Quick fixes for errors that state the correction: a layer's size if it is a literal in its constructor, a tensor's dtype.
 * Also replaces deprecated calls.
 */
export class QuickFixes extends DisposableOwner implements vscode.CodeActionProvider {
  constructor() {
    super();
    this.own(
      vscode.languages.registerCodeActionsProvider({ pattern: MODEL_FILES }, this, {
        providedCodeActionKinds: [vscode.CodeActionKind.QuickFix],
      }),
    );
  }

  provideCodeActions(document: vscode.TextDocument, range: vscode.Range): vscode.CodeAction[] {
    const diagnostics = vscode.languages.getDiagnostics(document.uri);
    const fixes = diagnostics
      .filter((one) => one instanceof LayerDiagnostic && one.range.intersection(range) !== undefined)
      .flatMap((one) => {
        const diagnostic = one as LayerDiagnostic;
        return sizeFix(diagnostic) ?? castFix(document, diagnostic) ?? [];
      });
    return [...fixes, ...dataFixes(document, range, diagnostics)];
  }
}

/** Replaces `x.data()` by `x.toTypedArray()`: at the cursor, or in the whole file. */
function dataFixes(
  document: vscode.TextDocument,
  range: vscode.Range,
  diagnostics: readonly vscode.Diagnostic[],
): vscode.CodeAction[] {
  const places = diagnostics.map(({ code, range }) => ({
    code: typeof code === "object" ? code.value : code,
    start: document.offsetAt(range.start),
    end: document.offsetAt(range.end),
  }));
  const calls = dataCalls(maskSource(document.getText()), places);
  const rangeOf = ({ start, end }: Span): vscode.Range =>
    new vscode.Range(document.positionAt(start), document.positionAt(end));
  const here = calls.filter((call) => rangeOf(call).intersection(range) !== undefined);
  if (here.length === 0) return [];
  const action = (title: string, spans: readonly Span[]): vscode.CodeAction => {
    const one = new vscode.CodeAction(labelText(title), vscode.CodeActionKind.QuickFix);
    one.edit = new vscode.WorkspaceEdit();
    for (const span of spans) one.edit.replace(document.uri, rangeOf(span), "toTypedArray");
    return one;
  };
  const single = action(vscode.l10n.t("Replace .data() by .toTypedArray()"), here);
  single.isPreferred = true;
  if (calls.length === here.length) return [single];
  const title = vscode.l10n.t(
    "Replace .data() by .toTypedArray() in the whole file ({0} calls)",
    calls.length,
  );
  return [single, action(title, calls)];
}

function sizeFix(diagnostic: LayerDiagnostic): vscode.CodeAction | undefined {
  const { layer } = diagnostic;
  const { fix, position } = layer ?? {};
  if (layer === undefined || fix === undefined || position === undefined) return undefined;
  const document = vscode.workspace.textDocuments.find(({ uri }) => uri.fsPath === position.file);
  if (document === undefined) return undefined;
  const masked = maskSource(document.getText());
  const start = document.offsetAt(new vscode.Position(position.line - 1, position.column - 1));
  const call = callSpan(masked, start);
  // A layer made by another one of the library has its sizes from that one's arguments.
  if (calleeName(masked, call) !== layer.className) return undefined;
  const argument = argumentsOf(masked, call)[fix.argument];
  const old = argument === undefined ? "" : masked.slice(argument.start, argument.end);
  if (argument === undefined || !isLiteral(old)) return undefined;
  const title = vscode.l10n.t(
    "Change {0} of {1} from {2} to {3}",
    fix.option,
    layer.className,
    old,
    fix.value,
  );
  return replacement(diagnostic, document, title, argument, String(fix.value));
}

/** Converts the argument of the rejected call, if it has only one. */
function castFix(document: vscode.TextDocument, diagnostic: LayerDiagnostic): vscode.CodeAction | undefined {
  const cast = diagnostic.layer?.cast;
  if (cast === undefined) return undefined;
  const text = document.getText();
  const masked = maskSource(text);
  const [argument, ...others] = argumentsOf(
    masked,
    callSpan(masked, document.offsetAt(diagnostic.range.start)),
  );
  // In other expressions, a method call would bind to their last operand only.
  if (argument === undefined || others.length > 0) return undefined;
  if (!/^[\w$.]+(?:\([^()]*\))?$/.test(masked.slice(argument.start, argument.end))) return undefined;
  const title = vscode.l10n.t("Convert the argument to {0}", cast);
  const converted = `${text.slice(argument.start, argument.end)}.to("${cast}")`;
  return replacement(diagnostic, document, title, argument, converted);
}

function replacement(
  diagnostic: vscode.Diagnostic,
  document: vscode.TextDocument,
  title: string,
  { start, end }: Span,
  text: string,
): vscode.CodeAction {
  const action = new vscode.CodeAction(labelText(title), vscode.CodeActionKind.QuickFix);
  action.diagnostics = [diagnostic];
  action.isPreferred = true;
  action.edit = new vscode.WorkspaceEdit();
  const range = new vscode.Range(document.positionAt(start), document.positionAt(end));
  action.edit.replace(document.uri, range, text);
  return action;
}
