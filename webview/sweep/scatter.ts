/** Each parameter against the metric, and how much the metric depends on it. */
import { html, svg, type TemplateResult } from "lit";
import { empty, section } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import { styles } from "../shared/styles.ts";
import type { Actions } from "./actions.ts";
import type { Axis } from "./axes.ts";
import type { Derived, SweepState } from "./state.ts";

const text = strings.sweep;

const WIDTH = 280;
const HEIGHT = 190;
const LEFT = 48;
const RIGHT = 14;
const TOP = 10;
const BOTTOM = 26;

const xOf = (share: number): number => LEFT + share * (WIDTH - LEFT - RIGHT);
const yOf = (share: number): number => HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM);

export function scatterSection(state: SweepState, derived: Derived, actions: Actions): TemplateResult {
  const metric = derived.axes.at(-1)!;
  const parameters = derived.axes.slice(0, -1);
  if (derived.levels.size === 0) return section("scatter", text.scatter.title, empty(text.parallel.empty));
  return section(
    "scatter",
    text.scatter.title,
    html`<div class="scatters">
      ${parameters.map((axis) => scatter(axis, metric, state, derived, actions))}
    </div>`,
  );
}

function scatter(
  axis: Axis,
  metric: Axis,
  state: SweepState,
  derived: Derived,
  actions: Actions,
): TemplateResult {
  const { levels, selected } = derived;
  const points = state.snapshot.trials.flatMap((trial) => {
    const [x, y] = [axis.position(trial), metric.position(trial)];
    if (x === undefined || y === undefined) return [];
    const classes = [
      `level-${levels.get(trial.number) ?? 0}`,
      trial.state,
      selected.has(trial.number) ? "" : "faded",
      trial.number === state.hovered ? "hovered" : "",
    ];
    return [
      svg`<circle
        class="point ${classes.join(" ")}"
        cx=${xOf(x).toFixed(1)}
        cy=${yOf(y).toFixed(1)}
        r="4"
        @pointerenter=${() => actions.hover(trial.number)}
        @pointerleave=${() => actions.hover(undefined)}
        @click=${() => actions.openTrial(trial.number)}
      ><title>${text.actions.openTrial(trial.number)}</title></circle>`,
    ];
  });
  const ends = axis.ticks.length > 5 ? [axis.ticks[0]!, axis.ticks.at(-1)!] : axis.ticks;
  return html`<figure class="scatter">
    <figcaption>${axis.label}</figcaption>
    <svg
      viewBox="0 0 ${WIDTH} ${HEIGHT}"
      role="img"
      aria-label=${text.scatter.chart(axis.label, metric.label)}
    >
      <g class="axis">
        <line x1=${LEFT} x2=${WIDTH - RIGHT} y1=${yOf(0)} y2=${yOf(0)}></line>
        <line x1=${LEFT} x2=${LEFT} y1=${yOf(0)} y2=${yOf(1)}></line>
        ${ends.map(
          ({ at, label }) =>
            svg`<text class="tick" x=${xOf(at)} y=${HEIGHT - 8} text-anchor="middle">${label}</text>`,
        )}
        ${metric.ticks.map(
          ({ at, label }) =>
            svg`<text class="tick" x=${LEFT - 6} y=${yOf(at) + 4} text-anchor="end">${label}</text>`,
        )}
      </g>
      ${points}
    </svg>
  </figure>`;
}

export function importanceSection({ snapshot }: SweepState): TemplateResult {
  const { importances } = snapshot;
  if (importances.length === 0)
    return section("importance", text.importance.title, empty(text.importance.few));
  return section(
    "importance",
    text.importance.title,
    html`<dl class="importances">
        ${importances.map(
          ({ name, value }) =>
            html`<div>
              <dt>${name}</dt>
              <dd>
                <span class="importance-bar"><span ${styles({ width: `${100 * value}%` })}></span></span
                >${value.toFixed(2)}
              </dd>
            </div>`,
        )}
      </dl>
      <p class="hint">${text.importance.explanation}</p>`,
  );
}
