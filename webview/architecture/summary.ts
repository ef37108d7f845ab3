/** The table of layers, which folds like a tree. */
import { html, nothing, type TemplateResult } from "lit";
import { classMap } from "lit/directives/class-map.js";
import { repeat } from "lit/directives/repeat.js";

import type { ModelReport, SummaryRow } from "../../extension/protocol/preview.ts";
import { formatCompact, formatCount, formatShare } from "../shared/format.ts";
import { icon, scroller } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import { styles } from "../shared/styles.ts";
import { mark, signed } from "./comparison.ts";
import type { ModelDiff, RowChange } from "./diff.ts";
import { type Layer, layerTree, visibleLayers } from "./layerTree.ts";
import type { Actions } from "./actions.ts";

const text = strings.architecture;

export function summaryTable(
  model: ModelReport,
  collapsed: ReadonlySet<string>,
  diff: ModelDiff | undefined,
  actions: Actions,
): TemplateResult {
  const rows = visibleLayers(layerTree(model), collapsed);
  const hasShapes = model.rows.some((row) => row.outputShape !== undefined);
  const hasCosts = model.rows.some((row) => row.multiplyAdds !== undefined);
  const table = html`<table class="table layers">
    <thead>
      <tr>
        <th scope="col">${text.layer}</th>
        <th scope="col" class="class-name">${text.type}</th>
        <th scope="col" class="detail-column">${text.settings}</th>
        ${hasShapes ? html`<th scope="col">${text.outputShape}</th>` : nothing}
        <th scope="col" class="number">${text.parameters}</th>
        <th scope="col" class="share-column">${text.share}</th>
        ${hasCosts ? html`<th scope="col" class="number cost-column">${text.multiplyAdds}</th>` : nothing}
      </tr>
    </thead>
    <tbody>
      ${repeat(
        rows,
        ({ layer }) => layer.row.path,
        ({ layer, depth }) => {
          const { row } = layer;
          const change = diff?.rows.get(row.path);
          const open = layer.children.length > 0 && !collapsed.has(row.path);
          return html`<tr
            class=${classMap({ container: open, linked: row.position !== undefined, [`change-${change?.change ?? "none"}`]: true })}
            title=${row.path}
            @click=${() => actions.openLayer(row)}
          >
            <th scope="row" data-type=${row.className} ${styles({ "--depth": String(depth) })}>
              ${layerName(layer, open, change, actions)}
            </th>
            <td class="class-name">${row.className}</td>
            <td class="detail-column" title=${row.detail}>
              ${change?.change === "changed" ? html`<span class="change-notes">${change.notes.join(", ")}</span>` : row.detail}
            </td>
            ${hasShapes ? html`<td class="shape" title=${shapes(row)}>${row.outputShape ?? "–"}</td>` : nothing}
            <td class="number">
              ${frozenTag(row)}
              ${row.parameters > 0 ? formatCount(row.parameters) : html`<span class="secondary">–</span>`}
              ${
                change?.change === "changed" || change?.change === "inside"
                  ? html`<span class="secondary">${signed(change.parameters)}</span>`
                  : nothing
              }
            </td>
            <td class="share-column">${open ? nothing : share(row.parameters, model.parameters.total)}</td>
            ${
              hasCosts
                ? html`<td class="number cost-column">
                    ${row.multiplyAdds ? formatCompact(row.multiplyAdds) : html`<span class="secondary">–</span>`}
                  </td>`
                : nothing
            }
          </tr>`;
        },
      )}
    </tbody>
  </table>`;
  return scroller(text.views.summary, table);
}

/** A tag if some or all of a layer's parameters are frozen. */
export function frozenTag({ parameters, trainable }: SummaryRow): TemplateResult | typeof nothing {
  const frozen = parameters - trainable;
  if (frozen === 0) return nothing;
  return html`<span class="tag">${frozen === parameters ? text.frozen : text.partlyFrozen(frozen)}</span>`;
}

const shapes = ({ inputShape, outputShape }: SummaryRow): string =>
  inputShape && outputShape ? `${inputShape} → ${outputShape}` : (outputShape ?? "");

function layerName(
  { row, name, children }: Layer,
  open: boolean,
  change: RowChange | undefined,
  actions: Actions,
): TemplateResult {
  const toggle = (event: Event): void => {
    event.stopPropagation();
    actions.toggleLayer(row.path);
  };
  const go = (event: Event): void => {
    event.stopPropagation();
    actions.openLayer(row);
  };
  return html`<div class="layer-name">
    ${
      children.length > 0
        ? html`<button
            class="twistie"
            aria-expanded=${open}
            aria-label=${open ? text.collapse(row.path) : text.expand(row.path)}
            @click=${toggle}
          >
            ${icon(open ? "chevron-down" : "chevron-right")}
          </button>`
        : html`<span class="twistie"></span>`
    }
    ${mark(change?.change)}
    ${
      row.position
        ? html`<button class="layer-link" aria-label=${text.openSource(row.path)} @click=${go}>
            ${name}
          </button>`
        : html`<span class="name">${name}</span>`
    }
  </div>`;
}

function share(parameters: number, total: number): TemplateResult | typeof nothing {
  if (parameters === 0 || total === 0) return nothing;
  const part = parameters / total;
  return html`<div class="share">
    <div class="bar"><div ${styles({ width: `${part * 100}%` })}></div></div>
    <span>${formatShare(part)}</span>
  </div>`;
}
