/** The confusion matrix: a grid whose cells lead to their samples. */
import { html, nothing, type TemplateResult } from "lit";
import { classMap } from "lit/directives/class-map.js";
import { guard } from "lit/directives/guard.js";
import { formatCount } from "../shared/format.ts";
import { linkButton, scroller, segmented } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import { largestConfusions, totalsOf } from "./confusion.ts";
import type { Actions, EvaluationUi } from "./state.ts";

const text = strings.evaluation.confusion;

/** Most classes whose cells have room for numbers, and whose cells are drawn; and confusions that are listed. */
const MAX_NUMBERED = 24;
const MAX_DRAWN = 150;
const MAX_LISTED = 100;

export function matrix(
  confusion: readonly (readonly number[])[],
  names: readonly string[],
  ui: EvaluationUi,
  actions: Actions,
): TemplateResult {
  const { total, correct } = totalsOf(confusion);
  const { shares, actual, predicted } = ui;
  const drawn = names.length <= MAX_DRAWN;
  return html`<div class="matrix">
    <div class="sub-head">
      <h3>${text.title}</h3>
      ${segmented(
        "cells",
        text.show,
        [
          { value: "counts", label: text.counts },
          { value: "shares", label: text.shares },
        ],
        shares ? "shares" : "counts",
        (value) => actions.setUi({ shares: value === "shares" }),
      )}
    </div>
    ${guard([confusion, names, shares, actual, predicted], () =>
      scroller(text.title, drawn ? grid(confusion, names, ui, actions) : list(confusion, names, ui, actions)),
    )}
    <p class="secondary matrix-summary">${text.summary(correct, total, drawn)}</p>
    <p class="secondary matrix-readout"></p>
  </div>`;
}

/** Of a matrix that is too large to be drawn: its largest confusions. */
function list(
  confusion: readonly (readonly number[])[],
  names: readonly string[],
  { shares, actual: chosenActual, predicted: chosenPredicted }: EvaluationUi,
  actions: Actions,
): TemplateResult {
  const { support } = totalsOf(confusion);
  return html`<p class="secondary">${text.largest(MAX_LISTED, names.length)}</p>
    <table class="table confusions">
      <thead>
        <tr>
          <th scope="col">${text.actual}</th>
          <th scope="col">${text.predicted}</th>
          <th scope="col" class="number">${shares ? text.shares : text.counts}</th>
        </tr>
      </thead>
      <tbody>
        ${largestConfusions(confusion, MAX_LISTED).map(
          ({ actual, predicted, count }) =>
            html`<tr aria-selected=${actual === chosenActual && predicted === chosenPredicted}>
              <td>${linkButton(nameAt(names, actual), () => actions.choose(actual, predicted))}</td>
              <td>${nameAt(names, predicted)}</td>
              <td class="number">
                ${shares ? `${Math.round((100 * count) / Math.max(1, support[actual] ?? 0))}` : formatCount(count)}
              </td>
            </tr>`,
        )}
      </tbody>
    </table>`;
}

function grid(
  confusion: readonly (readonly number[])[],
  names: readonly string[],
  { shares, actual: chosenActual, predicted: chosenPredicted }: EvaluationUi,
  actions: Actions,
): TemplateResult {
  const numbered = names.length <= MAX_NUMBERED;
  const entered = chosenActual >= 0 ? [chosenActual, chosenPredicted] : [0, 0];
  const cell = (row: readonly number[], sum: number, actual: number, predicted: number): TemplateResult => {
    const count = row[predicted] ?? 0;
    const share = sum > 0 ? count / sum : 0;
    const chosen = actual === chosenActual && predicted === chosenPredicted;
    const kind = `cell level-${level(share)}${actual === predicted ? " cell-correct" : ""}`;
    const shown = shares ? `${Math.round(share * 100)}` : formatCount(count);
    const label = text.cell(count, sum, nameAt(names, actual), nameAt(names, predicted));
    return html`<td
      role="gridcell"
      class=${chosen ? `${kind} cell-chosen` : kind}
      tabindex=${actual === entered[0] && predicted === entered[1] ? 0 : -1}
      data-actual=${actual}
      data-predicted=${predicted}
      aria-label=${label}
      aria-selected=${chosen}
    >
      ${numbered && count > 0 ? shown : nothing}
    </td>`;
  };
  return html`<table
    role="grid"
    aria-label=${text.title}
    class=${classMap({ confusion: true, "confusion-dense": !numbered })}
    @click=${(event: Event) => open(event, actions)}
    @keydown=${(event: KeyboardEvent) => move(event, names.length, actions)}
    @mouseover=${readOut}
    @focusin=${readOut}
  >
    <thead>
      <tr>
        <td></td>
        <th scope="colgroup" colspan=${names.length} class="axis-name">${text.predicted}</th>
      </tr>
      <tr>
        <td class="axis-name">${text.actual}</td>
        ${names.map((name) => html`<th scope="col" title=${name}>${name}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${confusion.map((row, actual) => {
        const sum = row.reduce((all, count) => all + count, 0);
        return html`<tr>
          <th scope="row" title=${nameAt(names, actual)}>${nameAt(names, actual)}</th>
          ${row.map((_count, predicted) => cell(row, sum, actual, predicted))}
        </tr>`;
      })}
    </tbody>
  </table>`;
}

const nameAt = (names: readonly string[], index: number): string => names[index] ?? String(index);

/**
 * One of eleven shades. A square root lifts small shares, so that a single mistake among hundreds is visible. A CSS class
 * instead of a style: a matrix may have ten thousand cells.
 */
const level = (share: number): number => (share > 0 ? Math.max(1, Math.round(10 * Math.sqrt(share))) : 0);

function cellOf(event: Event): HTMLElement | undefined {
  return (event.target as Element).closest<HTMLElement>("td.cell") ?? undefined;
}

function position({ dataset }: HTMLElement): [actual: number, predicted: number] {
  return [Number(dataset["actual"]), Number(dataset["predicted"])];
}

function open(event: Event, actions: Actions): void {
  const cell = cellOf(event);
  if (cell !== undefined) actions.choose(...position(cell));
}

const STEPS: Record<string, [number, number]> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

function move(event: KeyboardEvent, size: number, actions: Actions): void {
  const cell = cellOf(event);
  if (cell === undefined) return;
  const [actual, predicted] = position(cell);
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    actions.choose(actual, predicted);
    return;
  }
  const step = STEPS[event.key];
  if (step === undefined) return;
  event.preventDefault();
  const inside = (at: number): number => Math.max(0, Math.min(size - 1, at));
  const next = cell
    .closest("table")
    ?.querySelector<HTMLElement>(
      `[data-actual="${inside(actual + step[0])}"][data-predicted="${inside(predicted + step[1])}"]`,
    );
  if (!next || next === cell) return;
  cell.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

/** Writes a cell's text below the matrix, directly to the DOM: a redraw would visit ten thousand cells. */
function readOut(event: Event): void {
  const cell = cellOf(event);
  const place = cell?.closest(".matrix")?.querySelector(".matrix-readout");
  if (cell && place) place.textContent = cell.getAttribute("aria-label");
}
