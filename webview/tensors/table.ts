/** The table of tensors, with the values of expanded ones below them. */
import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import type { TensorStatistics } from "../../extension/protocol/tensorValues.ts";
import { formatBytes, formatCount, formatMetric } from "../shared/format.ts";
import { button, empty, icon, scroller, section } from "../shared/widgets.ts";
import { sortHead } from "../shared/components.ts";
import { strings } from "../shared/strings.ts";
import { isEmpty, statisticsView } from "../shared/statistics.ts";
import { type Column, listed, type ListedTensor, shapeText, type TensorsState } from "./state.ts";
import type { Actions } from "./actions.ts";

const text = strings.tensors;
/** Most tensors drawn at first. Models have hundreds; more are drawn on request. */
const MOST_ROWS = 500;

const COLUMNS: [id: Column, label: string, className: string][] = [
  ["name", text.columns.name, ""],
  ["dtype", text.columns.dtype, ""],
  ["shape", text.columns.shape, "shape"],
  ["elements", text.columns.elements, "number optional"],
  ["bytes", text.columns.bytes, "number"],
];

export function tensorTable(state: TensorsState, actions: Actions): TemplateResult {
  const { tensors, ui } = state;
  if (tensors.tensors.length === 0) return section("tensors", text.title, empty(text.empty));
  const rows = listed(tensors, ui);
  const shown = ui.showAll ? rows : rows.slice(0, MOST_ROWS);
  const table = html`<table class="table tensors">
    <thead>
      <tr>
        ${COLUMNS.map(([id, label, className]) => heading(id, label, className, state, actions))}
        <th scope="col" class="values">${text.columns.values}</th>
        <th scope="col"><span class="visually-hidden">${text.viewAll}</span></th>
      </tr>
    </thead>
    <tbody>
      ${repeat(
        shown,
        ({ index }) => index,
        (tensor) => row(tensor, state, actions),
      )}
    </tbody>
  </table>`;
  return section(
    "tensors",
    text.title,
    html`${rows.length === 0 ? empty(text.none) : scroller(text.title, table)}
    ${
      shown.length < rows.length
        ? html`<p class="rest">
            <span class="secondary">${text.shown(shown.length, rows.length)}</span>
            ${button({ label: text.showAll, icon: "unfold", onClick: () => actions.setUi({ showAll: true }) })}
          </p>`
        : nothing
    }`,
    html`<input
      class="input"
      type="search"
      aria-label=${text.filter}
      placeholder=${text.filter}
      .value=${ui.filter}
      @input=${(event: Event) => actions.setUi({ filter: (event.target as HTMLInputElement).value })}
    />`,
  );
}

/** A column's head: clicks sort ascending, descending, then in the order of the file. */
function heading(
  id: Column,
  label: string,
  className: string,
  { ui }: TensorsState,
  actions: Actions,
): TemplateResult {
  const sorted = ui.sort === id;
  const sort = (): void => {
    if (!sorted) actions.setUi({ sort: id, descending: false });
    else actions.setUi(ui.descending ? { sort: "place", descending: false } : { descending: true });
  };
  return sortHead({ label, className, descending: sorted ? ui.descending : undefined, onClick: sort });
}

function row(tensor: ListedTensor, state: TensorsState, actions: Actions): TemplateResult {
  const { name, dtype, shape, elements, bytes, index } = tensor;
  const statistics = state.statistics.get(index);
  const open = state.ui.open.includes(name);
  return html`<tr class=${open ? "open" : ""}>
      <th scope="row">
        <span class="tensor-name"
          ><button
            class="twistie"
            aria-expanded=${open}
            aria-label=${open ? text.fold(name) : text.look(name)}
            ?disabled=${state.work !== undefined && !open}
            @click=${() => actions.toggle(index)}
          >
            ${icon(open ? "chevron-down" : "chevron-right")}</button
          ><span>${name}</span></span
        >
      </th>
      <td>${dtype}</td>
      <td class="shape">${shapeText(shape)}</td>
      <td class="number optional">${formatCount(elements)}</td>
      <td class="number">${formatBytes(bytes)}</td>
      <td class="values">${statistics === undefined ? nothing : summary(statistics)}</td>
      <td class="view">
        ${button({
          label: text.view(name),
          icon: "table",
          appearance: "icon",
          onClick: () => actions.view(index),
        })}
      </td>
    </tr>
    ${
      open && statistics !== undefined
        ? html`<tr class="looked">
            <td colspan="7">
              ${statistics === null ? empty(text.noNumbers) : statisticsView(name, statistics)}
            </td>
          </tr>`
        : nothing
    }`;
}

/** Mean and standard deviation in one line, and NaN and infinite values. */
function summary(statistics: TensorStatistics | null): TemplateResult {
  if (statistics === null) return html`<span class="secondary">${text.noNumbersShort}</span>`;
  const { mean, std, nans, infinities } = statistics;
  if (isEmpty(statistics)) return html`<span class="secondary">${text.noElements}</span>`;
  const bad = text.suspicious(nans, infinities);
  return html`<span>${formatMetric(mean)} ± ${formatMetric(std)}</span>
    ${bad === "" ? nothing : html`<span class="suspicious">${icon("warning")}${bad}</span>`}`;
}
