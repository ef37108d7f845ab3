/** The output of print(model), with highlighted class names. */
import { html, type TemplateResult } from "lit";
import { strings } from "../shared/strings.ts";

/** "  (fc1): Linear(…" or "Net(…" or "(0-5): 6 x Block(…": indent, name, class, rest. */
const LINE = /^(\s*)(?:(\([^)]*\): (?:\d+ x )?))?([A-Za-z_]\w*)(\(.*)$/;

export function printed(text: string): TemplateResult {
  return html`<pre class="printed" tabindex="0" role="region" aria-label=${strings.architecture.printedLabel}>
${text.split("\n").map((line, index) => html`${index > 0 ? "\n" : ""}${printedLine(line)}`)}</pre>`;
}

function printedLine(line: string): TemplateResult | string {
  const [, indent = "", name = "", className, rest = ""] = LINE.exec(line) ?? [];
  if (className === undefined) return line;
  return html`${indent}${name}<b>${className}</b><span class="printed-rest">${rest}</span>`;
}
