/** The list of layers, shown instead of a diagram if the flow is unknown. */
import { html, nothing, type TemplateResult } from "lit";
import type { ModelReport } from "../../extension/protocol/preview.ts";
import { icon } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import { calledLayers, type Layer, layerTree, rootRow } from "./layerTree.ts";
import { frozenTag } from "./summary.ts";
import type { Actions } from "./actions.ts";

const text = strings.architecture;

export function layerList(model: ModelReport, actions: Actions): TemplateResult {
  const root = rootRow(model);
  return html`<p class="secondary">${text.callOrder}</p>
    <ol class="diagram">
      ${root?.inputShape ? endpoint(text.input, root.inputShape) : nothing}
      ${calledLayers(layerTree(model)).map((layer) => node(layer, actions))}
      ${root?.outputShape ? endpoint(text.output, root.outputShape) : nothing}
    </ol>`;
}

const endpoint = (name: string, shape: string): TemplateResult =>
  html`<li class="node-item">
    <div class="node node-endpoint"><span>${name}</span><span class="shape">${shape}</span></div>
  </li>`;

function node(layer: Layer, actions: Actions): TemplateResult {
  const { row, name } = layer;
  const inside = calledLayers(layer.children);
  const title = html`<span class="node-name">${name}</span><span class="class-name">${row.className}</span>`;
  const head = row.position
    ? html`<button
        class="node-head"
        aria-label=${text.openSource(row.path)}
        @click=${() => actions.openLayer(row)}
      >
        ${title}${icon("go-to-file", "node-go")}
      </button>`
    : html`<div class="node-head">${title}</div>`;
  if (inside.length > 0)
    return html`<li class="node-item">
      <div class="node-group">
        ${head}
        <ol class="diagram">
          ${inside.map((child) => node(child, actions))}
        </ol>
      </div>
    </li>`;
  return html`<li class="node-item">
    <div class="node">
      <div class="node-text">
        ${head}
        ${row.detail ? html`<span class="node-detail" title=${row.detail}>${row.detail}</span>` : nothing}
      </div>
      <div class="node-numbers">
        ${row.outputShape ? html`<span class="shape">${row.outputShape}</span>` : nothing}
        ${row.parameters > 0 ? html`<span class="node-detail">${text.count(row.parameters)}</span>` : nothing}
        ${frozenTag(row)}
      </div>
    </div>
  </li>`;
}
