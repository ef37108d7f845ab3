import * as vscode from "vscode";
import { modelTitle } from "../../protocol/modelForms.ts";
import type { ModelReport } from "../../protocol/preview.ts";
import { DisposableOwner } from "../disposable.ts";
import { isModelFile, type Previews, type SourceVersion } from "../previews.ts";
import { shifted, type TextChange } from "../../source/textSpans.ts";
import { factsOf, type Fact } from "./previewFacts.ts";

interface Known {
  facts: Fact[];
  /** The report that the facts come from, by class. */
  models: Map<string, ModelReport>;
  source: SourceVersion;
}

interface Edit {
  readonly version: number;
  readonly changes: readonly TextChange[];
}

/**
 * The facts that previews found in open files, shifted by later edits. A model's facts stay until its next preview replaces
 * them, so they survive errors in the text.
 */
export class LiveFacts extends DisposableOwner {
  readonly #previews: Previews;
  readonly #known = new Map<string, Known>();
  /** Edits since the text of the last preview. */
  readonly #edits = new Map<string, Edit[]>();
  readonly #changed = this.own(new vscode.EventEmitter<vscode.Uri>());
  /** Fires with the file whose facts changed. */
  readonly onDidChange = this.#changed.event;

  constructor(previews: Previews) {
    super();
    this.#previews = previews;
    this.own(previews.onDidChange((uri) => this.#update(uri)));
    this.own(
      vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
        if (contentChanges.length > 0 && isModelFile(document)) this.#edit(document, contentChanges);
      }),
    );
    this.own(
      vscode.workspace.onDidCloseTextDocument(({ uri }) => {
        this.#known.delete(uri.toString());
        this.#edits.delete(uri.toString());
      }),
    );
  }

  /** Returns the facts at their current places in the document, and keeps them up to date from now on. */
  of(document: vscode.TextDocument): { facts: readonly Fact[]; models: readonly ModelReport[] } {
    this.#previews.follow(document);
    const known = this.#known.get(document.uri.toString());
    return { facts: known?.facts ?? [], models: [...(known?.models.values() ?? [])] };
  }

  #edit(document: vscode.TextDocument, changes: readonly TextChange[]): void {
    const key = document.uri.toString();
    const edit = { version: document.version, changes };
    this.#edits.set(key, [...(this.#edits.get(key) ?? []), edit]);
    const known = this.#known.get(key);
    if (known !== undefined) known.facts = moved(known.facts, [edit]);
  }

  #update(uri: vscode.Uri): void {
    const key = uri.toString();
    const { report, source } = this.#previews.get(uri);
    if (report === undefined || source === undefined) {
      // The file is no longer followed.
      this.#known.delete(key);
      this.#edits.delete(key);
      this.#changed.fire(uri);
      return;
    }
    const before = this.#known.get(key);
    if (before?.source === source) return;
    const edits = (this.#edits.get(key) ?? []).filter(({ version }) => version > source.version);
    this.#edits.set(key, edits);
    const failed = report.errors.length > 0;
    const built = new Set(report.models.map(modelTitle));
    const kept = failed ? (before?.facts ?? []).filter(({ model }) => !built.has(model)) : [];
    const models = new Map(failed ? before?.models : []);
    for (const model of report.models) models.set(modelTitle(model), model);
    this.#known.set(key, {
      facts: [...kept, ...moved(factsOf(report, source.text), edits)],
      models,
      source,
    });
    this.#changed.fire(uri);
  }
}

function moved(facts: readonly Fact[], edits: readonly Edit[]): Fact[] {
  return facts.flatMap((fact) => {
    let span: Fact | undefined = fact;
    for (const { changes } of edits)
      for (const change of changes) {
        span = span === undefined ? undefined : shiftedFact(span, change);
      }
    return span ?? [];
  });
}

function shiftedFact(fact: Fact, change: TextChange): Fact | undefined {
  const next = shifted(fact, change);
  if (next === undefined || next === fact) return next;
  const name = shifted({ start: fact.start, end: fact.nameEnd + 1 }, change);
  return { ...next, nameEnd: name === undefined ? next.start : name.end - 1 };
}
