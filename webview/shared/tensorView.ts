/** Pictures, texts and numbers of samples. */
import { html, nothing, type TemplateResult } from "lit";
import type { TensorView } from "../../extension/protocol/evaluation.ts";
import { formatTick } from "./format.ts";

/** Shows a tensor as an image, a text or a table. */
export function tensorView(view: TensorView, alt: string, most = Number.POSITIVE_INFINITY): TemplateResult {
  if (view.kind === "image")
    return html`<img
      class="picture"
      src="data:image/png;base64,${view.png}"
      width=${view.width}
      height=${view.height}
      alt=${alt}
    />`;
  if (view.kind === "text")
    return html`<p class="tokens">${view.tokens.map((token) => html`<span>${visible(token)}</span> `)}</p>`;
  const { names, values, shape } = view;
  const shown = values.slice(0, most);
  const total = shape.reduce((product, extent) => product * extent, 1);
  const rest = total - shown.length;
  return html`<div class="numbers">
    ${
      names
        ? html`<dl>
            ${shown.map(
              (value, i) =>
                html`<div>
                  <dt>${names[i]}</dt>
                  <dd>${formatTick(value)}</dd>
                </div>`,
            )}
          </dl>`
        : html`<p>${shown.map((value) => formatTick(Number(value.toPrecision(4)))).join(", ")}</p>`
    }
    ${rest > 0 ? html`<p class="secondary">… [${shape.join(", ")}]</p>` : nothing}
  </div>`;
}

/** Makes whitespace tokens visible. */
const visible = (token: string): string => token.replaceAll("\n", "↵").replaceAll(" ", "␣");
