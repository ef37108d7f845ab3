/** Details of the selected box, and the list of layers beside the diagram. */
import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import type { ModelReport, SummaryRow } from "../../extension/protocol/preview.ts";
import type { ArchitectureSnapshot } from "../../extension/protocol/views.ts";
import { formatBytes, formatCompact, formatCount } from "../shared/format.ts";
import { linkButton } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import { styles } from "../shared/styles.ts";
import type { RowChange } from "./diff.ts";
import type { Drawn } from "../diagram/diagramState.ts";
import { formulaOf, settingsOf } from "./formulas.ts";
import { pictureDetails } from "./layerPictures.ts";
import { layerTree, visibleLayers } from "./layerTree.ts";
import { mark, signed } from "./comparison.ts";
import type { MeasuredLayers } from "./measuredLayers.ts";
import type { ShownTraining } from "./training.ts";
import { measuredRows } from "./profile.ts";
import { values } from "./weightValues.ts";
import type { Actions } from "./actions.ts";

const text = strings.architecture;

export function details(
  drawn: Drawn<ModelReport>,
  selected: string,
  {
    snapshot,
    round,
    measured,
    training,
  }: {
    snapshot: ArchitectureSnapshot;
    round: number;
    measured: MeasuredLayers | undefined;
    training: ShownTraining;
  },
  actions: Actions,
): TemplateResult {
  const box = drawn.boxes.get(selected);
  if (box === undefined) return html`<p class="secondary details-hint">${text.selectHint}</p>`;
  const { node } = box;
  const row = node.kind === "module" ? drawn.rows.get(node.path) : undefined;
  const title = row === undefined ? node.name : row.path;
  const kind = row?.className ?? text.boxKinds[node.kind];
  const formula = row === undefined ? undefined : formulaOf(row.className);
  const change = row === undefined ? undefined : drawn.diff?.rows.get(row.path);
  return html`<div class="details-head">
      ${mark(change?.change ?? drawn.boxChanges.get(selected))}
      <h3>${title}</h3>
      <span class="class-name">${kind}</span>
    </div>
    ${
      row?.position === undefined
        ? nothing
        : html`<p>${linkButton(text.goToSource, () => actions.openLayer(row), text.openSource(row.path))}</p>`
    }
    ${(change?.notes ?? []).map((note) => html`<p class="change-notes">${note}</p>`)}
    ${formula === undefined ? nothing : html`<p class="formula">${formula}</p>`}
    ${pairs([...(row === undefined ? [] : numbersOf(row)), ...shapesOf(drawn, selected, row)])}
    ${row === undefined || measured?.of(row.path) === undefined ? nothing : titled(text.profile.measured, pairs(measuredRows(measured, row.path)))}
    ${pictureDetails(box, training.pictures, training.pictureColours, actions)}
    ${row === undefined ? nothing : training.details(row)}
    ${row === undefined || row.detail === "" ? nothing : titled(text.settings, pairs(settingsOf(row.className, row.detail)))}
    ${
      row?.weights === undefined
        ? nothing
        : html`${titled(text.weights, pairs(row.weights.map(({ name, shape, frozen }) => [name, frozen ? `${shape}, ${text.frozen}` : shape])))}
          ${values(row, snapshot, round, actions)}`
    }`;
}

const titled = (title: string, content: TemplateResult): TemplateResult =>
  html`<h4>${title}</h4>
    ${content}`;

const pairs = (all: readonly (readonly [string, string])[]): TemplateResult =>
  html`<dl class="pairs">
    ${all.map(
      ([name, value]) =>
        html`<div>
          <dt>${name || text.setting}</dt>
          <dd>${value}</dd>
        </div>`,
    )}
  </dl>`;

function shapesOf(drawn: Drawn<ModelReport>, id: string, row: SummaryRow | undefined): [string, string][] {
  const { edges } = drawn.shown;
  const shapes = (ends: readonly string[]): string => [...new Set(ends)].join(", ");
  const input = row?.inputShape ?? shapes(edges.filter(({ to }) => to === id).map(({ shape }) => shape));
  const output =
    row?.outputShape ?? shapes(edges.filter(({ from }) => from === id).map(({ shape }) => shape));
  return [
    ...(input === "" ? [] : [[text.input, input] satisfies [string, string]]),
    ...(output === "" ? [] : [[text.output, output] satisfies [string, string]]),
    ...(row?.outputAxes === undefined ? [] : [[text.axes, row.outputAxes] satisfies [string, string]]),
  ];
}

function numbersOf(row: SummaryRow): [string, string][] {
  const out: [string, string][] = [[text.parameters, formatCount(row.parameters)]];
  if (row.parameters !== row.trainable) out.push([text.trainable, formatCount(row.trainable)]);
  if (row.multiplyAdds !== undefined) out.push([text.multiplyAdds, formatCompact(row.multiplyAdds)]);
  if (row.memoryBytes !== undefined) out.push([text.memory, formatBytes(row.memoryBytes)]);
  if ((row.calls ?? 0) > 1) out.push([text.calls, formatCount(row.calls ?? 0)]);
  return out;
}

/** The list of layers; its selection is the diagram's. */
export function outline(
  drawn: Drawn<ModelReport>,
  selected: string,
  collapsed: ReadonlySet<string>,
  actions: Actions,
): TemplateResult {
  const path = drawn.boxes.get(selected)?.node.path;
  return html`<table class="table outline">
    <thead>
      <tr>
        <th scope="col">${text.layer}</th>
        <th scope="col">${text.outputShape}</th>
        <th scope="col" class="number">${text.parameters}</th>
      </tr>
    </thead>
    <tbody>
      ${repeat(
        visibleLayers(layerTree(drawn.model), collapsed),
        ({ layer }) => layer.row.path,
        ({ layer: { row, name }, depth }) =>
          html`<tr
            class="${row.path === path ? "selected" : ""} change-${drawn.diff?.rows.get(row.path)?.change ?? "none"}"
            data-path=${row.path}
            @click=${() => actions.selectPath(row.path)}
          >
            <th scope="row">
              <button
                class="layer-link"
                title="${row.path}: ${row.className}"
                aria-pressed=${row.path === path}
                ${styles({ "--depth": String(depth) })}
              >
                ${mark(drawn.diff?.rows.get(row.path)?.change)}<span class="name">${name}</span>
              </button>
            </th>
            <td class="shape">${row.outputShape ?? "–"}</td>
            <td class="number">
              ${row.parameters > 0 ? formatCompact(row.parameters) : "–"}
              ${changeOf(drawn.diff?.rows.get(row.path))}
            </td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

const changeOf = (change: RowChange | undefined): TemplateResult | typeof nothing =>
  change?.change === "changed" || change?.change === "inside"
    ? html`<span class="secondary">${signed(change.parameters, formatCompact)}</span>`
    : nothing;
