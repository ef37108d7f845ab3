/** Parallel coordinates: a line for each trial through its values on all axes. Ranges of axes select trials. */
import { clipped } from "../../extension/protocol/text/clip.ts";
import { html, nothing, svg, type TemplateResult } from "lit";
import type { ShownTrial } from "../../extension/protocol/sweeps/views.ts";
import { button, empty, scroller, section } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import type { Actions } from "./actions.ts";
import type { Axis } from "./axes.ts";
import type { Derived, SweepState } from "./state.ts";

const text = strings.sweep.parallel;

const SPACING = 130;
const HEIGHT = 300;
const TOP = 34;
const BOTTOM = 24;
const SIDE = 64;
/** Half the width of the strip in which an axis is dragged. */
const GRIP = 14;
/** Shares of an axis: the smallest range, and what a key moves. */
const SMALLEST = 0.02;
const KEY_STEP = 0.05;

const yOf = (share: number): number => HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM);

export function parallelSection(state: SweepState, derived: Derived, actions: Actions): TemplateResult {
  const { trials } = state.snapshot;
  const { axes, levels, selected } = derived;
  const drawn = trials.filter(({ number }) => levels.has(number));
  const brushed = Object.keys(state.ui.brushes).length > 0;
  const width = 2 * SIDE + SPACING * (axes.length - 1);
  // The best are drawn last, and what is not selected first.
  const order = (trial: ShownTrial): number =>
    (selected.has(trial.number) ? 100 : 0) -
    (levels.get(trial.number) ?? 0) +
    (trial.number === state.hovered ? 1000 : 0);
  const chart = html`<svg
    class="parallel"
    width=${width}
    height=${HEIGHT}
    viewBox="0 0 ${width} ${HEIGHT}"
    role="group"
    aria-label=${text.chart(drawn.length)}
  >
    ${drawn.toSorted((a, b) => order(a) - order(b)).map((trial) => line(trial, state, derived, actions))}
    ${axes.map((axis, index) => axisOf(axis, SIDE + index * SPACING, state, actions))}
  </svg>`;
  return section(
    "parallel",
    text.title,
    drawn.length === 0
      ? empty(text.empty)
      : html`${scroller(text.title, chart)}
          <p class="hint">${text.hint}</p>`,
    brushed
      ? html`<div class="tools">
          <span>${strings.sweep.table.shown(selected.size, trials.length)}</span>${button({
            label: text.clear,
            icon: "clear-all",
            onClick: () => actions.setUi({ brushes: {} }),
          })}
        </div>`
      : nothing,
  );
}

function line(trial: ShownTrial, state: SweepState, { axes, levels, selected }: Derived, actions: Actions) {
  const points = axes.flatMap(({ position }, index) => {
    const at = position(trial);
    return at === undefined ? [] : [`${SIDE + index * SPACING},${yOf(at).toFixed(1)}`];
  });
  const faded = selected.has(trial.number) ? "" : "faded";
  const hovered = trial.number === state.hovered ? "hovered" : "";
  return svg`<polyline
    class="trial level-${levels.get(trial.number) ?? 0} ${trial.state} ${faded} ${hovered}"
    points=${points.join(" ")}
    @pointerenter=${() => actions.hover(trial.number)}
    @pointerleave=${() => actions.hover(undefined)}
    @click=${() => actions.openTrial(trial.number)}
  ><title>${strings.sweep.actions.openTrial(trial.number)}</title></polyline>`;
}

function axisOf({ id, label, ticks }: Axis, x: number, { ui }: SweepState, actions: Actions) {
  const brush = ui.brushes[id];
  return svg`<g class="axis">
    <text class="axis-name" x=${x} y="16" text-anchor="middle">${clipped(label, 17)}<title>${label}</title></text>
    <line x1=${x} x2=${x} y1=${yOf(1)} y2=${yOf(0)}></line>
    ${ticks.map(
      (tick) => svg`<line x1=${x - 4} x2=${x} y1=${yOf(tick.at)} y2=${yOf(tick.at)}></line>
        <text class="tick" x=${x - 8} y=${yOf(tick.at) + 4} text-anchor="end">${tick.label}</text>`,
    )}
    <rect
      class="grip"
      data-axis=${id}
      tabindex="0"
      role="slider"
      aria-label=${text.axis(label)}
      aria-orientation="vertical"
      aria-valuemin="0"
      aria-valuemax="100"
      aria-valuenow=${Math.round(100 * (brush?.[1] ?? 1))}
      aria-valuetext=${`${Math.round(100 * (brush?.[0] ?? 0))}–${Math.round(100 * (brush?.[1] ?? 1))} %`}
      x=${x - GRIP}
      y=${yOf(1)}
      width=${2 * GRIP}
      height=${yOf(0) - yOf(1)}
      @pointerdown=${(event: PointerEvent) => drag(event, id, actions)}
      @keydown=${(event: KeyboardEvent) => move(event, id, brush, actions)}
    ></rect>
    ${
      brush === undefined
        ? nothing
        : svg`<rect class="brush" x=${x - 6} y=${yOf(brush[1])} width="12" height=${Math.max(2, yOf(brush[0]) - yOf(brush[1]))}></rect>`
    }
  </g>`;
}

/** Follows the pointer until it is released. A click without a drag clears the range. */
function drag(event: PointerEvent, axis: string, actions: Actions): void {
  const grip = event.currentTarget as SVGRectElement;
  const shareAt = ({ clientY }: PointerEvent): number => {
    const { top, height } = grip.getBoundingClientRect();
    return Math.min(1, Math.max(0, 1 - (clientY - top) / height));
  };
  const start = shareAt(event);
  grip.setPointerCapture(event.pointerId);
  const follow = (moved: PointerEvent): void => {
    const now = shareAt(moved);
    const range = [Math.min(start, now), Math.max(start, now)] as const;
    actions.brush(axis, range[1] - range[0] < SMALLEST ? undefined : range);
  };
  const end = (last: PointerEvent): void => {
    follow(last);
    grip.removeEventListener("pointermove", follow);
    grip.removeEventListener("pointerup", end);
    grip.removeEventListener("pointercancel", end);
  };
  grip.addEventListener("pointermove", follow);
  grip.addEventListener("pointerup", end);
  grip.addEventListener("pointercancel", end);
}

function move(
  event: KeyboardEvent,
  axis: string,
  brush: readonly [number, number] | undefined,
  actions: Actions,
): void {
  if (event.key === "Escape") return actions.brush(axis, undefined);
  const step = { ArrowUp: KEY_STEP, ArrowDown: -KEY_STEP }[event.key];
  if (step === undefined) return;
  event.preventDefault();
  let [low, high] = brush ?? [0, 1];
  if (event.shiftKey) low = Math.min(high, Math.max(0, low + step));
  else high = Math.max(low, Math.min(1, high + step));
  actions.brush(axis, low <= 0 && high >= 1 ? undefined : [low, high]);
}
