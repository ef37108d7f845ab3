import * as vscode from "vscode";
import { commandLink } from "../commands.ts";
import { labelText } from "../../protocol/text/label.ts";
import { DisposableOwner } from "../disposable.ts";
import { formatCount } from "../format.ts";
import { MODEL_FILES, type SourceTarget } from "../ids.ts";
import { lensesOf, type LensAction } from "./lensModel.ts";
import type { Previews } from "../previews.ts";
import { onSettingChange, setting } from "../settings.ts";
import { scanSource, type SourceScan } from "../../source/sourceScan.ts";

/** Lenses above models and experiments: found in the text at once, with counts from the newest preview. */
export class ModelLenses extends DisposableOwner implements vscode.CodeLensProvider {
  readonly #previews: Previews;
  readonly #scans = new WeakMap<vscode.TextDocument, { version: number; scan: SourceScan }>();
  readonly #changed = this.own(new vscode.EventEmitter<void>());
  readonly onDidChangeCodeLenses = this.#changed.event;

  constructor(previews: Previews) {
    super();
    this.#previews = previews;
    const refresh = (): void => this.#changed.fire();
    this.own(previews.onDidChange(refresh));
    this.own(onSettingChange("lenses.enabled", refresh));
    this.own(vscode.workspace.onDidGrantWorkspaceTrust(refresh));
    this.own(vscode.languages.registerCodeLensProvider({ pattern: MODEL_FILES }, this));
  }

  /** Scans by document version: a new report of the same text needs no new scan. */
  #scan(document: vscode.TextDocument): SourceScan {
    const known = this.#scans.get(document);
    if (known?.version === document.version) return known.scan;
    const scan = scanSource(document.getText());
    this.#scans.set(document, { version: document.version, scan });
    return scan;
  }

  provideCodeLenses(document: vscode.TextDocument): vscode.CodeLens[] {
    if (!setting("lenses.enabled", document.uri)) return [];
    const preview = this.#previews.follow(document);
    const lenses = lensesOf(this.#scan(document), {
      trusted: vscode.workspace.isTrusted,
      report: preview.report,
      lastCounts: preview.lastCounts,
      counted: preview.withheld === undefined,
      busy: preview.busy,
    });
    return lenses.map(
      ({ line, action }) => new vscode.CodeLens(new vscode.Range(line, 0, line, 0), link(document, action)),
    );
  }
}

function link(document: vscode.TextDocument, action: LensAction): vscode.Command {
  const target: SourceTarget = { file: document.uri.fsPath };
  if (action.model !== undefined) target.model = action.model;
  if (action.kind === "parameters") {
    const link = commandLink("layerwise.preview", countTitle(action), target);
    return action.reason === undefined ? link : { ...link, tooltip: labelText(action.reason) };
  }
  if (action.kind === "preview")
    return commandLink("layerwise.preview", vscode.l10n.t("$(type-hierarchy) Preview"), target);
  if (action.kind === "run") return commandLink("layerwise.run", vscode.l10n.t("$(play) Run"), target);
  if (action.exportName !== undefined) target.exportName = action.exportName;
  if (action.kind === "sweep")
    return commandLink("layerwise.sweep", vscode.l10n.t("$(list-tree) Sweep"), target);
  if (action.kind === "data")
    return commandLink("layerwise.showData", vscode.l10n.t("$(database) Data"), target);
  return action.kind === "train"
    ? commandLink("layerwise.train", vscode.l10n.t("$(play) Train"), target)
    : commandLink("layerwise.evaluate", vscode.l10n.t("$(beaker) Evaluate"), target);
}

function countTitle({ count, most, reason }: LensAction & { kind: "parameters" }): string {
  if (reason !== undefined) return vscode.l10n.t("Parameters unknown");
  // A placeholder of about the same width, so that the lenses beside it stay where they are.
  if (count === undefined) return vscode.l10n.t("… parameters");
  // Each experiment has its own lens for its form of the class.
  if (most !== undefined)
    return vscode.l10n.t("{0} to {1} parameters", formatCount(count.total), formatCount(most));
  const total = vscode.l10n.t("{0} parameters", formatCount(count.total));
  const frozen = count.total - count.trainable;
  return frozen === 0 ? total : vscode.l10n.t("{0}, {1} frozen", total, formatCount(frozen));
}
