import * as vscode from "vscode";
import { labelText } from "../../protocol/text/label.ts";
import { Markdown } from "../../protocol/text/markdown.ts";
import { DisposableOwner } from "../disposable.ts";
import { MODEL_FILES } from "../ids.ts";
import type { LiveFacts } from "./liveFacts.ts";
import { onSettingChange, setting } from "../settings.ts";
import { markdownString } from "../show.ts";
import { describeFact, outputLabel, parameterLabel, type Fact } from "./previewFacts.ts";

/** Inlay hints: shapes after a model's calls, and parameter counts after the lines that construct its layers. */
export class ModelHints extends DisposableOwner implements vscode.InlayHintsProvider {
  readonly #facts: LiveFacts;
  readonly #changed = this.own(new vscode.EventEmitter<void>());
  readonly onDidChangeInlayHints = this.#changed.event;

  constructor(facts: LiveFacts) {
    super();
    this.#facts = facts;
    const refresh = (): void => this.#changed.fire();
    this.own(facts.onDidChange(refresh));
    this.own(onSettingChange("hints", refresh));
    this.own(vscode.languages.registerInlayHintsProvider({ pattern: MODEL_FILES }, this));
  }

  provideInlayHints(document: vscode.TextDocument, range: vscode.Range): vscode.InlayHint[] {
    const { facts } = this.#facts.of(document);
    const shown = {
      call: setting("hints.shapes", document.uri),
      layer: setting("hints.parameters", document.uri),
    };
    const places = new Map<string, Fact[]>();
    for (const fact of facts) {
      if (!shown[fact.kind] || !range.contains(document.positionAt(fact.end))) continue;
      const key = `${fact.kind} ${fact.end}`;
      places.set(key, [...(places.get(key) ?? []), fact]);
    }
    const text = document.getText();
    return [...places.values()].flatMap((same) => hint(document, text, merged(same)) ?? []);
  }
}

/** Merges the facts of several models about one place. */
export function merged(facts: readonly Fact[]): Fact {
  return {
    ...facts[0]!,
    calls: facts.flatMap(({ calls }) => calls),
    rows: facts.flatMap(({ rows }) => rows),
  };
}

function hint(document: vscode.TextDocument, text: string, fact: Fact): vscode.InlayHint | undefined {
  const label = fact.kind === "call" ? outputLabel(fact.calls) : parameterLabel(fact.rows);
  if (label === undefined) return undefined;
  const result = new vscode.InlayHint(
    document.positionAt(fact.end),
    labelText(label),
    vscode.InlayHintKind.Type,
  );
  result.paddingLeft = true;
  result.tooltip = markdownString(new Markdown(describeFact(fact, text)));
  return result;
}
