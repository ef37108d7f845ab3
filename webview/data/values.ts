/** Values of samples: pictures, texts, series, classes, numbers. */
import { html, nothing, svg, type TemplateResult } from "lit";
import type { DataField, DataSample, DataView } from "../../extension/protocol/data/data.ts";
import { icon } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import { tensorView } from "../shared/tensorView.ts";

const text = strings.data.samples;
/** Most numbers of a row on a card. */
const CARD_NUMBERS = 6;
const WIDTH = 160;
const HEIGHT = 56;

export function valueView(view: DataView, alt: string, most = CARD_NUMBERS): TemplateResult {
  switch (view.kind) {
    case "string":
      return html`<p class="string">
        <span class="string-text">${view.text}</span>
        ${
          view.length > view.text.length
            ? html`<span class="secondary">${text.rest(view.length - view.text.length)}</span>`
            : nothing
        }
      </p>`;
    case "class":
      return html`<span class="class-name">${view.name}</span>`;
    case "series":
      return series(view, alt);
    case "image":
    case "text":
    case "numbers":
      return tensorView(view, alt, most);
  }
}

function series({ lines, shape }: DataView & { kind: "series" }, alt: string): TemplateResult {
  const finite = lines.flat().filter((value) => value !== null && Number.isFinite(value));
  const least = finite.reduce((a, b) => Math.min(a, b), Infinity);
  const range = finite.reduce((a, b) => Math.max(a, b), -Infinity) - least || 1;
  const path = (line: readonly (number | null)[]): string => {
    let begun = false;
    return line
      .map((value, i) => {
        if (value === null || !Number.isFinite(value)) {
          begun = false;
          return "";
        }
        const x = (WIDTH * i) / Math.max(1, line.length - 1);
        const y = HEIGHT - 2 - ((HEIGHT - 4) * (value - least)) / range;
        const move = begun ? "L" : "M";
        begun = true;
        return `${move}${x.toFixed(1)} ${y.toFixed(1)}`;
      })
      .join("");
  };
  return html`<svg
    class="series"
    viewBox="0 0 ${WIDTH} ${HEIGHT}"
    preserveAspectRatio="none"
    role="img"
    aria-label=${text.series(alt, Math.max(...shape))}
  >
    ${lines.map((line, i) => svg`<path class="line line-${i % 6}" d=${path(line)} />`)}
  </svg>`;
}

/** The fields of a sample: inputs, then targets with their names. */
export function sampleView(sample: DataSample, most?: number): TemplateResult {
  const { index, fields, error } = sample;
  if (error !== undefined)
    return html`<p class="sample-error">${icon("error")}<span>${error.message}</span></p>`;
  const inputs = fields.filter(({ role }) => role === "input");
  const named = (field: DataField): boolean => field.role === "target" || inputs.length > 1;
  return html`${fields.map(
    (field) =>
      html`<div class="field field-${field.role}">
        ${named(field) ? html`<span class="secondary">${field.name}</span>` : nothing}
        ${valueView(field.view, `${text.sample(index)}, ${field.name}`, most)}
      </div>`,
  )}`;
}
