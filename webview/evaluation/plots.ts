/** Plots of a regression: predicted against actual values, and the distribution of residuals. */
import { html, svg, type SVGTemplateResult, type TemplateResult } from "lit";
import { guard } from "lit/directives/guard.js";
import type { RegressionReport } from "../../extension/protocol/evaluation.ts";
import { formatCount, formatMetric, formatTick } from "../shared/format.ts";
import { dropdown, scroller, section } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import type { Actions, EvaluationState } from "./state.ts";
import { ticksBetween } from "./ticks.ts";

const text = strings.evaluation.regression;

/** Size of a plot in its own units, and the room for its axes. */
const SIZE = { width: 460, height: 340, left: 56, right: 12, top: 10, bottom: 44 };
const [X0, X1] = [SIZE.left, SIZE.width - SIZE.right];
const [Y0, Y1] = [SIZE.height - SIZE.bottom, SIZE.top];

export function regressionSection(state: EvaluationState, actions: Actions): TemplateResult {
  const reports = state.report?.regression ?? [];
  const chosen = reports[state.ui.output] ?? reports[0]!;
  const tools =
    reports.length > 1
      ? dropdown(
          text.output,
          reports.map(({ name }, index) => ({ value: String(index), label: name })),
          String(reports.indexOf(chosen)),
          (value) => actions.setUi({ output: Number(value) }),
        )
      : html``;
  const drawn = chosen.points.length;
  const all = chosen.residuals.counts.reduce((sum, count) => sum + count, 0);
  return section(
    "regression",
    text.title,
    html`<dl class="pairs">
        ${(["meanAbsoluteError", "rootMeanSquaredError", "r2", "bias"] as const).map(
          (name) =>
            html`<div>
              <dt>${text[name]}</dt>
              <dd>${formatMetric(chosen[name])}</dd>
            </div>`,
        )}
      </dl>
      ${guard(
        [chosen],
        () =>
          html`<div class="plots">
            <figure>${scatter(chosen)}</figure>
            <figure>
              ${histogram(chosen)}
              <details>
                <summary>${text.table}</summary>
                ${scroller(text.table, residualTable(chosen))}
              </details>
            </figure>
          </div>`,
      )}
      ${drawn < all ? html`<p class="secondary">${text.sampled(drawn, all)}</p>` : ""}`,
    tools,
  );
}

/** Maps a value to a position on an axis. */
export type Scale = (value: number) => number;
export const scale =
  ([low, high]: readonly [number, number], from: number, to: number): Scale =>
  (value) =>
    from + ((value - low) / (high - low || 1)) * (to - from);

/** Points as one SVG path: thousands of elements would be slow. */
export const dots = (points: readonly (readonly [number, number])[], x: Scale, y: Scale): string =>
  points.map(([a, b]) => `M${x(a).toFixed(1)} ${y(b).toFixed(1)}h0`).join("");

export function axes(
  xRange: readonly [number, number],
  yRange: readonly [number, number],
  xName: string,
  yName: string,
): SVGTemplateResult {
  const x = scale(xRange, X0, X1);
  const y = scale(yRange, Y0, Y1);
  return svg`<g class="axes">
    ${ticksBetween(...xRange).map(
      (tick) => svg`<path d="M${x(tick)} ${Y0}V${Y1}"></path>
        <text x=${x(tick)} y=${Y0 + 16} text-anchor="middle">${formatTick(tick)}</text>`,
    )}
    ${ticksBetween(...yRange).map(
      (tick) => svg`<path d="M${X0} ${y(tick)}H${X1}"></path>
        <text x=${X0 - 6} y=${y(tick) + 4} text-anchor="end">${formatTick(tick)}</text>`,
    )}
    <text class="axis-title" x=${(X0 + X1) / 2} y=${SIZE.height - 6} text-anchor="middle">${xName}</text>
    <text class="axis-title" transform="translate(12 ${(Y0 + Y1) / 2}) rotate(-90)" text-anchor="middle">${yName}</text>
  </g>`;
}

export const PLOT = { x0: X0, x1: X1, y0: Y0, y1: Y1, viewBox: `0 0 ${SIZE.width} ${SIZE.height}` };

function scatter({ points }: RegressionReport): TemplateResult {
  const finite = points.filter((point) => point.every(Number.isFinite));
  const values = finite.flat();
  const low = values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const high = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const margin = 0.04 * (high - low) || 1;
  const range: [number, number] = finite.length > 0 ? [low - margin, high + margin] : [0, 1];
  const x = scale(range, X0, X1);
  const y = scale(range, Y0, Y1);
  return html`<svg class="plot" viewBox=${PLOT.viewBox} role="img" aria-label=${text.scatter(points.length)}>
    ${axes(range, range, text.actual, text.predicted)}
    <path class="ideal" d="M${x(range[0])} ${y(range[0])}L${x(range[1])} ${y(range[1])}"></path>
    <path class="dots" d=${dots(finite, x, y)}></path>
  </svg>`;
}

function histogram({ residuals: { minimum, maximum, counts } }: RegressionReport): TemplateResult {
  const most = counts.reduce((a, b) => Math.max(a, b), 1);
  const range: [number, number] = minimum < maximum ? [minimum, maximum] : [-1, 1];
  const x = scale(range, X0, X1);
  const y = scale([0, most], Y0, Y1);
  const width = (X1 - X0) / counts.length;
  return html`<svg class="plot" viewBox=${PLOT.viewBox} role="img" aria-label=${text.histogram}>
    ${axes(range, [0, most], text.residual, text.count)}
    ${counts.map(
      (count, i) =>
        svg`<rect class="bar" x=${X0 + i * width + 0.5} y=${y(count)} width=${Math.max(1, width - 1)} height=${Y0 - y(count)}></rect>`,
    )}
    <path class="ideal" d="M${x(0)} ${Y0}V${Y1}"></path>
  </svg>`;
}

function residualTable({ residuals: { minimum, maximum, counts } }: RegressionReport): TemplateResult {
  const edge = (i: number): string =>
    formatTick(Number((minimum + (i / counts.length) * (maximum - minimum)).toPrecision(3)));
  return html`<table class="table">
    <thead>
      <tr>
        <th scope="col" class="number">${text.from}</th>
        <th scope="col" class="number">${text.to}</th>
        <th scope="col" class="number">${text.count}</th>
      </tr>
    </thead>
    <tbody>
      ${counts.map((count, i) =>
        count === 0
          ? ""
          : html`<tr>
              <td class="number">${edge(i)}</td>
              <td class="number">${edge(i + 1)}</td>
              <td class="number">${formatCount(count)}</td>
            </tr>`,
      )}
    </tbody>
  </table>`;
}
