/** The differences between the file and another one. */
import { html, nothing, type TemplateResult } from "lit";
import type { TensorChange } from "../../extension/protocol/tensorFile.ts";
import { baseName, formatMetric } from "../shared/format.ts";
import { button, icon, scroller, section } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import { shapeText, type TensorsState } from "./state.ts";
import type { Actions } from "./actions.ts";

const text = strings.tensors;
/** Most rows that are shown. */
const MOST_ROWS = 500;

const ICONS: Record<TensorChange["change"], string> = {
  added: "diff-added",
  removed: "diff-removed",
  shape: "diff-modified",
  type: "diff-modified",
  values: "diff-modified",
};

export function comparisonSection(
  { other, comparison }: TensorsState,
  actions: Actions,
): TemplateResult | typeof nothing {
  if (other === undefined || comparison === undefined) return nothing;
  const { changes, same } = comparison;
  const title = text.comparison(baseName(other));
  const table = html`<table class="table changes">
    <thead>
      <tr>
        <th scope="col">${text.columns.name}</th>
        <th scope="col">${text.change}</th>
        <th scope="col">${text.what}</th>
      </tr>
    </thead>
    <tbody>
      ${changes.slice(0, MOST_ROWS).map(
        (one) =>
          html`<tr>
            <th scope="row">${one.name}</th>
            <td class="change change-${one.change}">${icon(ICONS[one.change])}${text.changes[one.change]}</td>
            <td>${what(one)}</td>
          </tr>`,
      )}
    </tbody>
  </table>`;
  return section(
    "comparison",
    title,
    html`${changes.length > 0 ? scroller(title, table) : nothing}
      ${changes.length > MOST_ROWS ? html`<p class="secondary">${text.shown(MOST_ROWS, changes.length)}</p>` : nothing}
      <p class="secondary">${changes.length === 0 ? text.identical : text.same(same)}</p>`,
    button({
      label: text.closeComparison,
      icon: "close",
      appearance: "icon",
      onClick: () => actions.closeComparison(),
    }),
  );
}

function what(change: TensorChange): string {
  switch (change.change) {
    case "added":
    case "removed":
      return `${change.dtype} ${shapeText(change.shape)}`;
    case "shape":
      return `${shapeText(change.shape)} → ${shapeText(change.other)}`;
    case "type":
      return [
        `${change.dtype} → ${change.other}`,
        ...(change.changed === undefined ? [] : [values(change)]),
      ].join("; ");
    case "values":
      return values(change);
  }
}

function values({
  changed = 0,
  elements = 0,
  largest,
}: Omit<TensorChange & { change: "type" }, "change" | "name" | "dtype" | "other">): string {
  // Infinite numbers arrive as null.
  const by = Number.isNaN(largest) ? Infinity : largest;
  return text.changed(changed, elements, changed === 0 || by === undefined ? undefined : formatMetric(by));
}
