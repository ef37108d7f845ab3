import * as vscode from "vscode";
import { LayerDiagnostic } from "./diagnostics.ts";
import { DisposableOwner } from "./disposable.ts";
import { MODEL_FILES } from "./ids.ts";
import { maskSource } from "./sourceMask.ts";
import { argumentsOf, callSpan, isLiteral } from "./textSpans.ts";

/** Mends what an error tells how to: a layer's size, where it is a number in its constructor. */
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
    return vscode.languages
      .getDiagnostics(document.uri)
      .filter((one) => one instanceof LayerDiagnostic && one.range.intersection(range) !== undefined)
      .flatMap((one) => fixOf(one as LayerDiagnostic) ?? []);
  }
}

function fixOf(diagnostic: LayerDiagnostic): vscode.CodeAction | undefined {
  const { layer } = diagnostic;
  const { fix, position } = layer ?? {};
  if (layer === undefined || fix === undefined || position === undefined) return undefined;
  const document = vscode.workspace.textDocuments.find(({ uri }) => uri.fsPath === position.file);
  if (document === undefined) return undefined;
  const masked = maskSource(document.getText());
  const start = document.offsetAt(new vscode.Position(position.line - 1, position.column - 1));
  const argument = argumentsOf(masked, callSpan(masked, start))[fix.argument];
  const old = argument === undefined ? "" : masked.slice(argument.start, argument.end);
  if (argument === undefined || !isLiteral(old)) return undefined;
  const title = vscode.l10n.t(
    "Change {0} of {1} from {2} to {3}",
    fix.option,
    layer.className,
    old,
    fix.value,
  );
  const action = new vscode.CodeAction(title, vscode.CodeActionKind.QuickFix);
  action.diagnostics = [diagnostic];
  action.isPreferred = true;
  action.edit = new vscode.WorkspaceEdit();
  action.edit.replace(
    document.uri,
    new vscode.Range(document.positionAt(argument.start), document.positionAt(argument.end)),
    String(fix.value),
  );
  return action;
}
