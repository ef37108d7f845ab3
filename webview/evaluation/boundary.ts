/** The decision boundary of a classifier of two numbers, with its samples. */
import { html, svg, type SVGTemplateResult, type TemplateResult } from "lit";
import { guard } from "lit/directives/guard.js";
import { ref } from "lit/directives/ref.js";
import type { BoundaryReport } from "../../extension/protocol/evaluation.ts";
import { formatShare } from "../shared/format.ts";
import { scroller, section } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import { styles } from "../shared/styles.ts";
import { themeValue } from "../shared/theme.ts";
import { axes, dots, PLOT, scale } from "./plots.ts";
import { nameOf } from "./state.ts";

const text = strings.evaluation.boundary;
const COLOURS = ["blue", "orange", "green", "red", "purple", "yellow"] as const;

export const bytesOf = (base64: string): Uint8Array =>
  Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

/** Each class's share of the plane, and the model's mean confidence there. */
export function areas(
  { predicted, confidence }: BoundaryReport,
  classes: number,
): { share: number; sure: number }[] {
  const where = bytesOf(predicted);
  const sure = bytesOf(confidence);
  return Array.from({ length: classes }, (_, one) => {
    let cells = 0;
    let sum = 0;
    where.forEach((found, i) => {
      if (found !== one) return;
      cells++;
      sum += sure[i] ?? 0;
    });
    return { share: cells / where.length, sure: cells === 0 ? 0 : sum / cells / 255 };
  });
}

/** @param theme Changes with the theme, so that the plane is repainted in its colours */
export function boundarySection(
  boundary: BoundaryReport,
  names: readonly string[],
  theme: number,
): TemplateResult {
  return section(
    "boundary",
    text.title,
    html`${guard([boundary, names, theme], () => picture(boundary, names))}`,
  );
}

function picture(boundary: BoundaryReport, names: readonly string[]): TemplateResult {
  const [xName, yName] = boundary.names;
  const x = scale(boundary.x, PLOT.x0, PLOT.x1);
  const y = scale(boundary.y, PLOT.y0, PLOT.y1);
  const of = (wanted: (actual: number, predicted: number) => boolean): (readonly [number, number])[] =>
    boundary.points.flatMap(([a, b, actual, predicted]) =>
      wanted(actual, predicted) ? [[a, b] as const] : [],
    );
  return html`<div class="plots">
    <figure class="boundary">
      <canvas
        width=${boundary.size}
        height=${boundary.size}
        aria-hidden="true"
        ${ref((canvas) => paint(canvas, boundary))}
      ></canvas>
      <svg class="plot" viewBox=${PLOT.viewBox} role="img" aria-label=${text.label(xName, yName)}>
        ${axes(boundary.x, boundary.y, xName, yName)}
        <path
          class="dots dots-wrong"
          d=${dots(
            of((actual, predicted) => actual !== predicted),
            x,
            y,
          )}
        ></path>
        <path
          class="dots dots-edge"
          d=${dots(
            of(() => true),
            x,
            y,
          )}
        ></path>
        ${names.map((_, index) =>
          classDots(
            index,
            dots(
              of((actual) => actual === index),
              x,
              y,
            ),
          ),
        )}
      </svg>
    </figure>
    <div>
      ${scroller(text.table, table(boundary, names))}
      <p class="secondary">${text.wrong}</p>
    </div>
  </div>`;
}

const classDots = (index: number, path: string): SVGTemplateResult =>
  svg`<path class="dots dots-class" ${styles({ "--colour": variable(index) })} d=${path}></path>`;

const variable = (index: number): string => `var(--vscode-charts-${COLOURS[index % COLOURS.length]})`;

function table(boundary: BoundaryReport, names: readonly string[]): TemplateResult {
  return html`<table class="table">
    <thead>
      <tr>
        <th scope="col">${text.class}</th>
        <th scope="col" class="number">${text.area}</th>
        <th scope="col" class="number">${text.confidence}</th>
      </tr>
    </thead>
    <tbody>
      ${areas(boundary, names.length).map(
        ({ share, sure }, index) =>
          html`<tr>
            <th scope="row">
              <span class="swatch" ${styles({ "--colour": variable(index) })}></span>${nameOf(names, index)}
            </th>
            <td class="number">${formatShare(share)}</td>
            <td class="number">${formatShare(sure)}</td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

/** Paints the classes in their colours, paler where the model is less confident. */
function paint(canvas: Element | undefined, { size, predicted, confidence }: BoundaryReport): void {
  const context = (canvas as HTMLCanvasElement | undefined)?.getContext("2d");
  if (!context) return;
  const where = bytesOf(predicted);
  const sure = bytesOf(confidence);
  context.clearRect(0, 0, size, size);
  const colours = COLOURS.map((name) => themeValue(`--vscode-charts-${name}`));
  where.forEach((found, i) => {
    context.globalAlpha = 0.1 + 0.4 * ((sure[i] ?? 0) / 255) ** 2;
    context.fillStyle = colours[found % COLOURS.length] ?? "";
    // The smallest y is the bottom row.
    context.fillRect(i % size, size - 1 - Math.floor(i / size), 1, 1);
  });
}
