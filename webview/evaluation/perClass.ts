/** Precision, recall, F1 and support of each class, sortable by any of them. */
import { html, type TemplateResult } from "lit";
import { formatCount, formatMetric } from "../shared/format.ts";
import { scroller } from "../shared/widgets.ts";
import { sortHead } from "../shared/components.ts";
import { strings } from "../shared/strings.ts";
import { classMeasures, sortedClasses, type Measures } from "./confusion.ts";
import type { Actions, EvaluationUi, SortKey } from "./state.ts";

const text = strings.evaluation.classes;
const COLUMNS: readonly SortKey[] = ["class", "precision", "recall", "f1", "support"];

export function perClass(
  confusion: readonly (readonly number[])[],
  names: readonly string[],
  ui: EvaluationUi,
  actions: Actions,
): TemplateResult {
  const { classes, average } = classMeasures(confusion);
  const numbers = ({ precision, recall, f1, support }: Measures): TemplateResult =>
    html`<td class="number">${formatMetric(precision)}</td>
      <td class="number">${formatMetric(recall)}</td>
      <td class="number">${formatMetric(f1)}</td>
      <td class="number">${formatCount(support)}</td>`;
  const table = html`<table class="table">
    <thead>
      <tr>
        ${COLUMNS.map((column) => heading(column, ui, actions))}
      </tr>
    </thead>
    <tbody>
      ${sortedClasses(classes, ui).map(
        (index) =>
          html`<tr>
            <th scope="row">${names[index] ?? index}</th>
            ${numbers(classes[index]!)}
          </tr>`,
      )}
    </tbody>
    <tfoot>
      <tr>
        <th scope="row">${text.average}</th>
        ${numbers(average)}
      </tr>
    </tfoot>
  </table>`;
  return html`<div class="per-class">
    <div class="sub-head"><h3>${text.title}</h3></div>
    ${scroller(text.title, table)}
  </div>`;
}

function heading(column: SortKey, { sort, descending }: EvaluationUi, actions: Actions): TemplateResult {
  const sorted = column === sort;
  // Measures sort ascending first: the worst classes matter most.
  const click = (): void =>
    actions.setUi(sorted ? { descending: !descending } : { sort: column, descending: false });
  return sortHead({
    label: text[column],
    className: column === "class" ? "" : "number",
    descending: sorted ? descending : undefined,
    onClick: click,
  });
}
