/** Renders the viewer from its state. */
import { html, nothing, type TemplateResult } from "lit";
import { retryBox } from "../shared/errorBox.ts";
import { button, checkbox, dropdown, empty, slider } from "../shared/widgets.ts";
import { foldable, notice } from "../shared/components.ts";
import { strings } from "../shared/strings.ts";
import { statisticsView } from "../shared/statistics.ts";
import { grid, valueText } from "./grid.ts";
import { placeOf, withAxis } from "./slice.ts";
import { selectionOf, type Actions, type TensorState } from "./state.ts";

const text = strings.tensor;

export function viewer(state: TensorState, actions: Actions): TemplateResult {
  const { tensor, ui, statistics, error } = state;
  const count = tensor.shape.reduce((product, extent) => product * extent, 1);
  return html`${header(state, count, actions)} ${notice(error, () => actions.dismiss())}
  ${
    statistics === null
      ? empty(text.noNumbers)
      : count === 0
        ? empty(text.empty)
        : html`${slices(state, actions)}
            <p id="grid-hint" class="visually-hidden">${text.hint}</p>
            ${grid(state, actions)} ${readout(state)}
            ${
              statistics === undefined
                ? nothing
                : foldable({
                    summary: text.statistics,
                    open: ui.details,
                    onToggle: (details) => actions.setUi({ details }),
                    content: () => statisticsView(tensor.name, statistics),
                    className: "statistics",
                  })
            }`
  }`;
}

function header({ tensor, ui, note }: TensorState, count: number, actions: Actions): TemplateResult {
  const { name, from, dtype, shape } = tensor;
  return html`<header class="header">
    <div class="title-row">
      <h1>${name}</h1>
      <div class="buttons" role="toolbar" aria-label=${name}>
        ${checkbox(text.colours, ui.colours, (colours) => actions.setUi({ colours }))}
        ${button({
          label: text.copySlice,
          description: text.copyHint,
          icon: "copy",
          disabled: count === 0,
          onClick: () => actions.copy(),
        })}
      </div>
    </div>
    <ul class="facts">
      <li>${from}</li>
      <li>${dtype}</li>
      <li>${shape.length === 0 ? text.scalar : `[${shape.join(", ")}]`}</li>
      <li>${text.values(count)}</li>
    </ul>
    <p class="secondary note" role="status">${note ?? ""}</p>
  </header>`;
}

/** Controls of the dimensions: rows, columns, and the index of each other one. */
function slices(
  { tensor: { shape, axes: names }, ui }: TensorState,
  actions: Actions,
): TemplateResult | typeof nothing {
  if (shape.length < 2) return nothing;
  const { slice } = ui;
  const axes = shape.map((extent, i) => ({ value: String(i), label: text.dimension(i, extent, names?.[i]) }));
  const choose = (which: "rowAxis" | "columnAxis", label: string): TemplateResult =>
    html`<span class="axis"
      ><span class="secondary">${label}</span>${dropdown(label, axes, String(slice[which]), (value) =>
        actions.setSlice(withAxis(slice, which, Number(value))),
      )}</span
    >`;
  return html`<div class="slices" role="group" aria-label=${text.slice}>
    ${shape.length > 1 ? html`${choose("rowAxis", text.rows)} ${choose("columnAxis", text.columns)}` : nothing}
    ${shape.map((extent, i) =>
      i === slice.rowAxis || i === slice.columnAxis || extent < 2
        ? nothing
        : slider({
            label: text.dimension(i, extent, names?.[i]),
            value: slice.at[i]!,
            minimum: 0,
            maximum: extent - 1,
            step: 1,
            text: text.index(slice.at[i]!, extent),
            onInput: (index) =>
              actions.setSlice({ ...slice, at: slice.at.map((one, j) => (i === j ? index : one)) }),
          }),
    )}
  </div>`;
}

/** The cell with the focus with all its digits, and the size of the selection. */
function readout({ tensor, ui, blocks }: TensorState): TemplateResult {
  const { cell, slice } = ui;
  const value = blocks.value(cell.row, cell.column);
  const { rows, columns } = selectionOf(ui);
  const place = tensor.shape.length === 0 ? "" : `${text.at(placeOf(slice, cell.row, cell.column))} = `;
  return html`<p class="readout">
    <span class="mono">${place}${value === undefined ? text.pending : digits(value, tensor.dtype)}</span>
    ${rows * columns > 1 ? html`<span class="secondary">${text.selected(rows, columns)}</span>` : nothing}
  </p>`;
}

/** All digits that a float32 has. */
function digits(value: number | string, dtype: string): string {
  if (typeof value === "string") return value;
  return /^(?:F32|F16|BF16|F8|float32)/.test(dtype)
    ? String(Number(value.toPrecision(9)))
    : valueText(value, true);
}

export function unreadable(message: string, actions: Actions): TemplateResult {
  return retryBox({ error: { code: "tensor", message }, title: text.failed }, text.retry, () =>
    actions.retry(),
  );
}
