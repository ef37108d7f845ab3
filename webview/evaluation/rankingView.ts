/** "Which Units Matter?": the units of a layer, sorted by what switching each off changes. */
import { html, nothing, type TemplateResult } from "lit";
import type { Ranking, UnitLayer } from "../../extension/protocol/interventions.ts";
import { progressBar } from "../shared/components.ts";
import { errorBox } from "../shared/errorBox.ts";
import { formatMetric, formatShare } from "../shared/format.ts";
import { strings } from "../shared/strings.ts";
import { styles } from "../shared/styles.ts";
import { button, scroller, segmented } from "../shared/widgets.ts";
import { rankedClass } from "./intervening.ts";
import { classNames, layerKey, type EvaluationState, type InterveneActions } from "./state.ts";
import { classLabel } from "./tryIt.ts";

const text = strings.evaluation.intervene.ranking;
const unitText = strings.evaluation.intervene.unit;
/** Units that are shown before a click shows all. */
const FEW = 16;

export function rankingView(
  state: EvaluationState,
  layer: UnitLayer,
  actions: InterveneActions,
): TemplateResult {
  const { ui, report, intervening } = state;
  const { running, progress, result, error } = intervening.ranking;
  const actual = rankedClass(state);
  const scopes = [
    { value: "subject" as const, label: text.scopes.subject },
    ...(actual === undefined
      ? []
      : [{ value: "class" as const, label: text.scopes.class(classLabel(classNames(state), actual)) }]),
    ...((report?.listed ?? 0) > 0 ? [{ value: "set" as const, label: text.scopes.set }] : []),
  ];
  const scope = scopes.some(({ value }) => value === ui.rankFor) ? ui.rankFor : "subject";
  return html`<div class="ranking" aria-busy=${running}>
    <div class="sub-head">
      <h3>${text.title}</h3>
    </div>
    <p class="secondary">${text.hint}</p>
    <div class="intervene-tools">
      <span class="secondary">${text.of}</span>
      ${segmented("rank-for", text.of, scopes, scope, (kind) => actions.rankFor(kind))}
      ${
        running
          ? button({ label: text.stop, icon: "debug-stop", onClick: () => actions.stop() })
          : button({
              label: text.start,
              icon: "list-ordered",
              needsTrust: true,
              onClick: () => actions.rank(),
            })
      }
    </div>
    ${
      running
        ? html`<div class="progress">
            ${progressBar({
              label: text.progress,
              share: progress && progress.of > 0 ? progress.done / progress.of : undefined,
              moves: progress === undefined,
            })}
          </div>`
        : nothing
    }
    ${error ? errorBox({ error, title: text.title, open: () => undefined }) : nothing}
    ${result && layerKey(result) === layerKey(layer) ? ranked(state, result, actions) : nothing}
  </div>`;
}

function ranked(state: EvaluationState, result: Ranking, actions: InterveneActions): TemplateResult {
  const { interventions, ranking } = state.intervening;
  const changed = new Set(
    interventions.filter((one) => layerKey(one) === layerKey(result)).map(({ unit }) => unit),
  );
  const [first] = result.ranked;
  const measure: Measure =
    first?.loss !== undefined ? "loss" : first?.probability !== undefined ? "probability" : "output";
  const largest = result.ranked.reduce((most, one) => Math.max(most, size(one[measure])), 0) || 1;
  const rows = result.ranked.slice(0, ranking.all ? undefined : FEW);
  const facts = [
    text.samples(result.samples, result.of),
    ...(result.loss === undefined ? [] : [text.loss0(formatMetric(result.loss))]),
    ...(result.ablated < result.units ? [text.ablated(result.ablated, result.units)] : []),
    ...(result.alone ? [text.alone] : []),
  ];
  const others = first?.changed !== undefined && result.samples > 1;
  return html`<p class="secondary">${facts.join("; ")}</p>
    ${scroller(
      text.title,
      html`<table class="table ranked">
        <thead>
          <tr>
            <th scope="col">${text.unit}</th>
            <th scope="col" colspan="2">${text[measure]}</th>
            ${measure === "loss" && first?.probability !== undefined ? html`<th scope="col" class="number probability">${text.probability}</th>` : nothing}
            ${others ? html`<th scope="col" class="number">${text.changed}</th>` : nothing}
          </tr>
        </thead>
        <tbody>
          ${rows.map((one) => {
            const { unit, probability } = one;
            const value = one[measure];
            const name = unitText(result.kind, unit);
            return html`<tr>
              <th scope="row">
                <button
                  class="ranked-unit"
                  aria-pressed=${changed.has(unit)}
                  title=${text.toggle(name)}
                  @click=${() => actions.toggle(result, unit)}
                >
                  ${name}
                </button>
              </th>
              <td class="bar-cell ${value !== undefined && value < 0 ? "bar-negative" : ""}">
                <span
                  ${styles({ width: `${(100 * Math.min(size(value), largest)) / largest}%` })}
                  @click=${() => actions.toggle(result, unit)}
                ></span>
              </td>
              <td class="number">
                ${measure === "probability" ? signedShare(value) : measure === "output" ? formatMetric(value) : signed(value)}
              </td>
              ${measure === "loss" && probability !== undefined ? html`<td class="number probability">${signedShare(probability)}</td>` : nothing}
              ${others ? html`<td class="number">${text.shares(one.changed ?? 0, result.samples)}</td>` : nothing}
            </tr>`;
          })}
        </tbody>
      </table>`,
    )}
    ${
      rows.length < result.ranked.length
        ? button({
            label: strings.evaluation.intervene.showAll(result.ranked.length),
            icon: "chevron-down",
            onClick: () => actions.showAllRanked(),
          })
        : nothing
    }`;
}

type Measure = "loss" | "probability" | "output";

/** An infinite change has the longest bar. */
const size = (value: number | undefined): number => {
  if (value === undefined || Number.isNaN(value)) return 0;
  return Math.min(Math.abs(value), Number.MAX_VALUE);
};

const signed = (value: number | undefined): string =>
  value !== undefined && value > 0 ? `+${formatMetric(value)}` : formatMetric(value).replace("-", "−");

const signedShare = (value: number | undefined): string =>
  value === undefined
    ? "–"
    : value > 0
      ? `+${formatShare(value)}`
      : value < 0
        ? `−${formatShare(-value)}`
        : formatShare(0);
