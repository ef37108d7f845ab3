import * as vscode from "vscode";
import { Markdown } from "../../protocol/text/markdown.ts";
import { DisposableOwner } from "../disposable.ts";
import { MODEL_FILES } from "../ids.ts";
import { merged } from "./inlayHints.ts";
import type { LiveFacts } from "./liveFacts.ts";
import { setting } from "../settings.ts";
import { markdownString } from "../show.ts";
import { describeFact, typesLabel, type Fact } from "./previewFacts.ts";
import { variableTypes } from "./variableTypes.ts";

/** Hovers with the shapes and sizes of a layer, a call or a tensor. */
export class ModelHovers extends DisposableOwner implements vscode.HoverProvider {
  readonly #facts: LiveFacts;

  constructor(facts: LiveFacts) {
    super();
    this.#facts = facts;
    this.own(vscode.languages.registerHoverProvider({ pattern: MODEL_FILES }, this));
  }

  provideHover(document: vscode.TextDocument, position: vscode.Position): vscode.Hover | undefined {
    if (!setting("hovers.enabled", document.uri)) return undefined;
    const { facts, models } = this.#facts.of(document);
    const text = document.getText();
    const offset = document.offsetAt(position);
    const here = facts.filter((fact) => isOn(fact, text, offset));
    if (here.length > 0) return hover(new Markdown(describeFact(merged(here), text)));
    const types = variableTypes(text, offset, facts, models);
    return types === undefined ? undefined : hover(typesLabel(types));
  }
}

/** Whether an offset is on the name of a call or layer, or on the property that holds the layer. */
function isOn({ kind, start, nameEnd }: Fact, text: string, offset: number): boolean {
  if (offset > nameEnd) return false;
  if (offset >= start) return true;
  if (kind === "call") return false;
  const property = /[\w$.]+\s*(?::[^=;\n]*)?=\s*$/.exec(text.slice(Math.max(0, start - 200), start))?.[0];
  return property !== undefined && offset >= start - property.length;
}

const hover = (markdown: Markdown): vscode.Hover => new vscode.Hover(markdownString(markdown));
