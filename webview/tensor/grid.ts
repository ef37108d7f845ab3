/** The table of values. It is virtual: only visible cells are elements. */
import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { formatMetric } from "../shared/format.ts";
import { strings } from "../shared/strings.ts";
import { styles } from "../shared/styles.ts";
import { contentSize, firstAt, revealed, scrollTo } from "./scroll.ts";
import { columnsOf, rowsOf } from "./slice.ts";
import { selectionOf, type Actions, type Cell, type TensorState } from "./state.ts";

const text = strings.tensor;
export const ROW = 22;
export const COLUMN = 92;
const HEAD = 76;
/** Room for a scrollbar and the borders. */
const SCROLLBAR = 18;
/** The strongest colour of a cell, on which text stays readable. */
const STRONGEST = 38;

const px = (value: number): string => `${Math.round(value)}px`;

export function grid(state: TensorState, actions: Actions): TemplateResult {
  const { tensor, ui, viewport, blocks, statistics } = state;
  const { rows, columns, width, height, top, left } = placeOf(state);
  const shownRows = numbers(Math.floor(top), Math.min(rows, Math.ceil(top + height / ROW) + 1));
  const shownColumns = numbers(Math.floor(left), Math.min(columns, Math.ceil(left + width / COLUMN) + 1));
  const largest =
    statistics === undefined || statistics === null
      ? 0
      : Math.max(Math.abs(statistics.min), Math.abs(statistics.max));
  const x = (column: number): number => viewport.left + HEAD + (column - left) * COLUMN;
  const y = (row: number): number => viewport.top + ROW + (row - top) * ROW;
  const selection = selectionOf(ui);
  const whole = !/^(?:F|BF|float)/i.test(tensor.dtype);
  return html`<div
    class="grid"
    role="grid"
    tabindex="0"
    aria-label=${text.grid(tensor.name)}
    aria-describedby="grid-hint"
    aria-rowcount=${rows}
    aria-colcount=${columns}
    aria-multiselectable="true"
    aria-activedescendant=${cellId(ui.cell)}
    @scroll=${(event: Event) => actions.scrolled(event.currentTarget as HTMLElement)}
    @keydown=${(event: KeyboardEvent) => actions.key(event)}
    @pointerdown=${(event: PointerEvent) => actions.point(event, true)}
    @pointermove=${(event: PointerEvent) => actions.point(event, false)}
    ${styles({ "max-height": px(contentSize(rows, ROW) + ROW + SCROLLBAR) })}
  >
    <div
      class="space"
      role="presentation"
      ${styles({
        width: px(contentSize(columns, COLUMN) + HEAD),
        height: px(contentSize(rows, ROW) + ROW),
      })}
    ></div>
    ${repeat(
      shownRows,
      (row) => row,
      (row) =>
        html`<div class="grid-row" role="row" aria-rowindex=${row + 1}>
          ${repeat(
            shownColumns,
            (column) => column,
            (column) => {
              const value = blocks.value(row, column);
              const focused = ui.cell.row === row && ui.cell.column === column;
              return html`<div
                class="cell ${classOf(value)} ${focused ? "focused" : ""}"
                role="gridcell"
                id=${cellId({ row, column })}
                data-row=${row}
                data-column=${column}
                aria-colindex=${column + 1}
                aria-selected=${inside(selection, row, column)}
                ${styles({
                  transform: `translate(${px(x(column))}, ${px(y(row))})`,
                  "--share": `${ui.colours ? share(value, largest) : 0}%`,
                })}
              >
                ${value === undefined ? nothing : valueText(value, whole)}
              </div>`;
            },
          )}
          <div
            class="row-head"
            role="rowheader"
            ${styles({ transform: `translate(${px(viewport.left)}, ${px(y(row))})` })}
          >
            ${row}
          </div>
        </div>`,
    )}
    <div class="grid-row" role="row">
      ${repeat(
        shownColumns,
        (column) => column,
        (column) =>
          html`<div
            class="column-head"
            role="columnheader"
            ${styles({ transform: `translate(${px(x(column))}, ${px(viewport.top)})` })}
          >
            ${column}
          </div>`,
      )}
      <div
        class="corner"
        role="columnheader"
        aria-label=${text.rows}
        ${styles({ transform: `translate(${px(viewport.left)}, ${px(viewport.top)})` })}
      ></div>
    </div>
  </div>`;
}

const cellId = ({ row, column }: Cell): string => `cell-${row}-${column}`;

const numbers = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);

const inside = (
  { top, left, rows, columns }: ReturnType<typeof selectionOf>,
  row: number,
  column: number,
): boolean => row >= top && row < top + rows && column >= left && column < left + columns;

function classOf(value: number | string | undefined): string {
  if (value === undefined) return "pending";
  if (typeof value === "string") return /^-?(?:nan|inf)$/.test(value) ? "bad" : "";
  return value < 0 ? "negative" : value > 0 ? "positive" : "zero";
}

/** The distance of a value from 0, relative to the largest one. */
function share(value: number | string | undefined, largest: number): number {
  return typeof value === "number" && largest > 0 ? Math.round((STRONGEST * Math.abs(value)) / largest) : 0;
}

export function valueText(value: number | string, whole: boolean): string {
  return typeof value === "string" ? value : whole ? String(value) : formatMetric(value);
}

/** The scroll positions at which a cell is visible. */
export function revealing(state: TensorState, { row, column }: Cell): { top: number; left: number } {
  const { viewport } = state;
  const { rows, columns, width, height, top, left } = placeOf(state);
  const [newTop, newLeft] = [
    revealed(row, top, rows, ROW, height),
    revealed(column, left, columns, COLUMN, width),
  ];
  return {
    top: newTop === top ? viewport.top : scrollTo(newTop, rows, ROW, height),
    left: newLeft === left ? viewport.left : scrollTo(newLeft, columns, COLUMN, width),
  };
}

/** Whether a part of the cell is visible. */
export function isVisible(state: TensorState, { row, column }: Cell): boolean {
  const { width, height, top, left } = placeOf(state);
  const within = (item: number, first: number, seen: number): boolean =>
    item + 1 > first && item < first + seen;
  return within(row, top, height / ROW) && within(column, left, width / COLUMN);
}

/** The visible part of the table: its size in pixels, and its first row and column, perhaps partly visible. */
function placeOf({ tensor, ui, viewport }: Pick<TensorState, "tensor" | "ui" | "viewport">): {
  rows: number;
  columns: number;
  width: number;
  height: number;
  top: number;
  left: number;
} {
  const [rows, columns] = [rowsOf(tensor.shape, ui.slice), columnsOf(tensor.shape, ui.slice)];
  const [width, height] = [viewport.width - HEAD, viewport.height - ROW];
  const top = firstAt(viewport.top, rows, ROW, height);
  const left = firstAt(viewport.left, columns, COLUMN, width);
  return { rows, columns, width, height, top, left };
}
