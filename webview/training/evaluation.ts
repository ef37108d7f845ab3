/** The result of an evaluation: metrics, confusion matrix, and the measures of each class. */
import { html, nothing, type TemplateResult } from "lit";
import { classMap } from "lit/directives/class-map.js";
import { guard } from "lit/directives/guard.js";

import type { EvaluationResult } from "../../extension/protocol/engine.ts";
import { formatCount, formatMetric } from "../shared/format.ts";
import { scroller, section } from "../shared/kit.ts";
import { strings } from "../shared/strings.ts";
import { styles } from "../shared/styles.ts";
import { classMeasures, type Measures } from "./confusion.ts";

const text = strings.training.evaluation;

export function evaluationSection(result: EvaluationResult): TemplateResult {
  // The curves may redraw ten times a second; a matrix of 100 classes must not.
  return section("evaluation", text.title, html`${guard([result], () => evaluation(result))}`);
}

function evaluation(result: EvaluationResult): TemplateResult {
  const { samples, metrics, confusion, classes } = result;
  const names = confusion?.map((_row, index) => classes?.[index] ?? String(index)) ?? [];
  return html`<dl class="figures">
      ${Object.entries(metrics).map(
        ([name, value]) =>
          html`<div>
            <dt>${name}</dt>
            <dd>${formatMetric(value)}</dd>
          </div>`,
      )}
      <div>
        <dt>${text.samples}</dt>
        <dd>${formatCount(samples)}</dd>
      </div>
    </dl>
    ${
      confusion && names.length > 0
        ? html`<div class="evaluation-grid">${matrix(confusion, names)}${perClass(confusion, names)}</div>`
        : nothing
    }`;
}

/** Up to here the cells of the matrix have room for their numbers. */
const MAX_NUMBERED = 24;

function matrix(confusion: number[][], names: readonly string[]): TemplateResult {
  const total = confusion.flat().reduce((sum, count) => sum + count, 0);
  const correct = confusion.reduce((sum, row, index) => sum + (row[index] ?? 0), 0);
  const numbered = names.length <= MAX_NUMBERED;
  const table = html`<table class=${classMap({ confusion: true, "confusion-dense": !numbered })}>
    <caption class="visually-hidden">
      ${text.confusion}
    </caption>
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
        const rowTotal = row.reduce((sum, count) => sum + count, 0);
        return html`<tr>
          <th scope="row" title=${names[actual] ?? ""}>${names[actual]}</th>
          ${row.map((count, predicted) => {
            const share = rowTotal > 0 ? count / rowTotal : 0;
            const title = text.cell(count, rowTotal, names[actual] ?? "", names[predicted] ?? "");
            return html`<td
              class=${actual === predicted ? "cell cell-correct" : "cell"}
              ${styles({ "--share": shade(share) })}
              title=${title}
            >
              ${numbered ? (count > 0 ? formatCount(count) : html`<span class="zero">0</span>`) : nothing}
            </td>`;
          })}
        </tr>`;
      })}
    </tbody>
  </table>`;
  return html`<div class="matrix">
    <h3>${text.confusion}</h3>
    ${scroller(text.confusion, table)}
    <p class="secondary">${text.summary(correct, total)}</p>
  </div>`;
}

/** A single mistake among hundreds must still be seen, so small shares are lifted. */
const shade = (share: number): string => `${share > 0 ? Math.round(10 + 45 * Math.sqrt(share)) : 0}%`;

function perClass(confusion: number[][], names: readonly string[]): TemplateResult {
  const { classes, average } = classMeasures(confusion);
  const row = (name: string, measures: Measures): TemplateResult =>
    html`<tr>
      <th scope="row">${name}</th>
      <td class="number">${formatMetric(measures.precision)}</td>
      <td class="number">${formatMetric(measures.recall)}</td>
      <td class="number">${formatMetric(measures.f1)}</td>
      <td class="number">${formatCount(measures.support)}</td>
    </tr>`;
  const table = html`<table class="table">
    <thead>
      <tr>
        <th scope="col">${text.class}</th>
        <th scope="col" class="number">${text.precision}</th>
        <th scope="col" class="number">${text.recall}</th>
        <th scope="col" class="number">${text.f1}</th>
        <th scope="col" class="number">${text.support}</th>
      </tr>
    </thead>
    <tbody>
      ${classes.map((measures, index) => row(names[index] ?? String(index), measures))}
    </tbody>
    <tfoot>
      ${row(text.average, average)}
    </tfoot>
  </table>`;
  return html`<div class="per-class">
    <h3>${text.perClass}</h3>
    ${scroller(text.perClass, table)}
  </div>`;
}
