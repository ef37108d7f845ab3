/** The "Intervene" section: units of a layer to switch off or set, and the prediction before and after. */
import { html, nothing, type TemplateResult } from "lit";
import { classMap } from "lit/directives/class-map.js";
import type { Intervention, Outcome, UnitLayer } from "../../extension/protocol/interventions.ts";
import { foldable } from "../shared/components.ts";
import { errorBox } from "../shared/errorBox.ts";
import { formatMetric, formatShare, formatTick } from "../shared/format.ts";
import { strings } from "../shared/strings.ts";
import { styles } from "../shared/styles.ts";
import { tensorView } from "../shared/tensorView.ts";
import { button, dropdown, empty, section, segmented } from "../shared/widgets.ts";
import { chosenLayer } from "./intervening.ts";
import { rankingView } from "./rankingView.ts";
import { classNames, layerKey, type EvaluationState, type InterveneActions, type LayerAt } from "./state.ts";
import { classLabel, likeliest, MAX_BARS } from "./tryIt.ts";

const text = strings.evaluation.intervene;
/** Units, and changed units, that are shown before a click shows all. */
const FEW_UNITS = 128;
const FEW_CHANGES = 12;

export function interveneSection(
  state: EvaluationState,
  actions: InterveneActions,
  openSource: (file: string, line?: number, column?: number) => void,
): TemplateResult | typeof nothing {
  const { report, ui, asked, intervening } = state;
  if (!report || report.task === "generation") return nothing;
  if (report.input.kind === "none" && report.listed === 0) return nothing;
  const { answer, error, asking } = intervening;
  const content = (): TemplateResult => {
    if (asked.subject === undefined) return empty(text.choose);
    return html`<div class="intervene" aria-busy=${asking}>
      ${error ? errorBox({ error, title: text.title, open: openSource }) : nothing}
      ${answer ? answered(state, actions) : asking ? empty(text.computing) : nothing}
    </div>`;
  };
  return section(
    "intervene",
    text.title,
    foldable({
      summary: text.hint,
      open: ui.intervene,
      onToggle: (open) => actions.open(open),
      content,
      className: "intervene-fold",
    }),
    asking && answer ? html`<span class="secondary" role="status">${text.computing}</span>` : nothing,
  );
}

function answered(state: EvaluationState, actions: InterveneActions): TemplateResult {
  const { answer } = state.intervening;
  const layer = chosenLayer(state);
  const refused = answer?.refused ?? [];
  return html`<div class="intervene-columns">
      <div class="intervene-units">
        ${layer === undefined ? empty(text.noLayers) : unitsOf(state, layer, actions)}
        ${
          refused.length > 0
            ? html`<details class="refused">
                <summary>${text.refused(refused.length)}</summary>
                <ul>
                  ${refused.map(({ reason }) => html`<li>${reason}</li>`)}
                </ul>
              </details>`
            : nothing
        }
      </div>
      <div class="intervene-outcome">${changes(state, actions)} ${outcomes(state)}</div>
    </div>
    ${layer === undefined ? nothing : rankingView(state, layer, actions)}`;
}

/** "encoder.layers.0.self_attn: heads", "relu, call 2". */
export const layerName = ({ layer, part, call }: LayerAt): string => {
  const name = part === "heads" ? text.headsOf(layer === "" ? text.own : layer) : layer;
  return call === undefined ? name : text.callOf(name, call);
};

function unitsOf(state: EvaluationState, layer: UnitLayer, actions: InterveneActions): TemplateResult {
  const { ui, report, intervening } = state;
  const { answer, all } = intervening;
  const layers = (answer?.layers ?? []).map((one) => ({
    value: layerKey(one),
    label: text.layerOf(layerName(one), one.type, text.count(one.kind, one.units)),
  }));
  const listed = report?.listed ?? 0;
  const modes = (["zero", "mean", ...(listed > 0 ? (["sample"] as const) : [])] as const).map((value) => ({
    value,
    label: text.modes[value],
  }));
  const show = (key: string): void => {
    const found = answer?.layers.find((one) => layerKey(one) === key);
    if (found) actions.show(found);
  };
  const donor = (event: Event): void => {
    const { valueAsNumber } = event.target as HTMLInputElement;
    if (Number.isInteger(valueAsNumber) && valueAsNumber >= 0 && valueAsNumber < listed)
      actions.set({ donor: valueAsNumber });
  };
  const units = answer?.units;
  // Until the chosen layer's answer comes, the units of the last one stand there.
  const values = units !== undefined && layerKey(units) === layerKey(layer) ? units.values : [];
  const shown = all ? values.length : Math.min(values.length, FEW_UNITS);
  const drawn = layer.kind === "head" && units?.maps !== undefined;
  const viewed = drawn ? (["output", "attention"] as const) : (["output"] as const);
  return html`${dropdown(text.layer, layers, layerKey(layer), show)}
    <div class="intervene-tools">
      ${viewed.map((of) =>
        button({ label: text.view[of], icon: "table", onClick: () => actions.view(layer, of) }),
      )}
    </div>
    <div class="intervene-tools">
      <span class="secondary">${text.by}</span>
      ${segmented("replacement", text.by, modes, ui.replacement, (replacement) => actions.set({ replacement }))}
      ${
        ui.replacement === "sample"
          ? html`<label class="donor"
              ><span>${text.donor}</span
              ><input
                type="number"
                min="0"
                max=${listed - 1}
                step="1"
                title=${text.donorRange(listed)}
                .value=${String(ui.donor)}
                @change=${donor}
            /></label>`
          : nothing
      }
    </div>
    <div
      class=${classMap({ units: true, "units-maps": units?.maps !== undefined })}
      role="listbox"
      aria-multiselectable="true"
      aria-label=${text.units(layerName(layer))}
      @click=${(event: Event) => click(event, layer, actions)}
      @keydown=${(event: KeyboardEvent) => move(event, layer, actions)}
    >
      ${cells(state, layer, values.slice(0, shown), units?.maps)}
    </div>
    ${drawn ? html`<p class="secondary">${text.attention}</p>` : nothing}
    ${
      shown < values.length || values.length < layer.units
        ? html`<p class="list-foot">
            <span class="secondary">${text.first(shown, layer.units)}</span>
            ${
              shown < values.length
                ? button({
                    label: text.showAll(values.length),
                    icon: "chevron-down",
                    onClick: () => actions.showAll(),
                  })
                : nothing
            }
          </p>`
        : nothing
    }`;
}

function cells(
  state: EvaluationState,
  layer: UnitLayer,
  values: readonly number[],
  maps: readonly string[] | undefined,
): TemplateResult[] {
  const key = layerKey(layer);
  const changed = new Map(
    state.intervening.interventions.filter((one) => layerKey(one) === key).map((one) => [one.unit, one]),
  );
  const finite = values.filter(Number.isFinite);
  const high = finite.reduce((most, value) => Math.max(most, value), 0);
  const low = finite.reduce((least, value) => Math.min(least, value), 0);
  const range = high - low || 1;
  return values.map((value, unit) => {
    const one = changed.get(unit);
    const shown = formatTick(Number(value.toPrecision(4)));
    const title = text.activation(text.unit(layer.kind, unit), shown, one ? replacedBy(one) : "");
    const map = maps?.[unit];
    const bar = {
      top: `${(100 * (high - Math.max(value, 0))) / range}%`,
      height: `${(100 * Math.abs(value)) / range}%`,
    };
    return html`<div
      class=${classMap({ unit: true, "unit-changed": one !== undefined, "unit-negative": value < 0 })}
      role="option"
      tabindex=${unit === 0 ? 0 : -1}
      data-unit=${unit}
      aria-selected=${one !== undefined}
      title=${title}
    >
      ${
        map === undefined
          ? html`<span class="unit-bar"><span ${styles(bar)}></span></span>`
          : html`<img class="picture" src="data:image/png;base64,${map}" alt="" />`
      }
      <span class="unit-name"><span class="visually-hidden">${layer.kind} </span>${unit}</span>
      <span class="visually-hidden">${text.value(shown)}</span>
      ${one ? html`<span class="unit-value">${replacedBy(one, true)}</span>` : nothing}
    </div>`;
  });
}

/** "off", "mean", "sample 12"; in short "#12". */
function replacedBy({ by }: Intervention, short = false): string {
  if (by.mode === "sample") return short ? `#${by.sample}` : text.to.sample(by.sample);
  return text.to[by.mode];
}

const unitOf = (event: Event): HTMLElement | undefined =>
  (event.target as Element).closest<HTMLElement>("[data-unit]") ?? undefined;

function click(event: Event, layer: UnitLayer, actions: InterveneActions): void {
  const cell = unitOf(event);
  if (cell === undefined) return;
  focus(cell);
  actions.toggle(layer, Number(cell.dataset["unit"]));
}

/** Moves by arrow keys as in any grid; Enter and Space change the unit. */
function move(event: KeyboardEvent, layer: UnitLayer, actions: InterveneActions): void {
  const cell = unitOf(event);
  if (cell === undefined) return;
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    actions.toggle(layer, Number(cell.dataset["unit"]));
    return;
  }
  const all = [...(cell.parentElement?.querySelectorAll<HTMLElement>("[data-unit]") ?? [])];
  const row = all.filter(({ offsetTop }) => offsetTop === all[0]?.offsetTop).length;
  const steps: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -row, ArrowDown: row };
  const ends: Record<string, number> = { Home: 0, End: all.length - 1 };
  const step = steps[event.key];
  const at = step === undefined ? ends[event.key] : all.indexOf(cell) + step;
  if (at === undefined) return;
  event.preventDefault();
  const next = all[at];
  if (next !== undefined) focus(next);
}

/** The Tab key reaches one unit of the list: the last one with the focus. */
function focus(cell: HTMLElement): void {
  for (const one of cell.parentElement?.querySelectorAll<HTMLElement>('[tabindex="0"]') ?? [])
    one.tabIndex = -1;
  cell.tabIndex = 0;
  cell.focus();
}

function changes(
  { intervening: { interventions, answer } }: EvaluationState,
  actions: InterveneActions,
): TemplateResult {
  const kind = (one: Intervention): UnitLayer["kind"] =>
    answer?.layers.find((layer) => layerKey(layer) === layerKey(one))?.kind ?? "unit";
  const name = (one: Intervention): string => `${layerName(one)}, ${text.unit(kind(one), one.unit)}`;
  const shown = interventions.slice(0, FEW_CHANGES);
  return html`<div class="sub-head">
      <h3>${text.changes}</h3>
      ${button({
        label: text.reset,
        icon: "discard",
        disabled: interventions.length === 0,
        onClick: () => actions.reset(),
      })}
    </div>
    ${
      shown.length === 0
        ? html`<p class="secondary">${text.none}</p>`
        : html`<ul class="changes">
            ${shown.map(
              (one) =>
                html`<li class="badge">
                  ${name(one)}: ${replacedBy(one)}
                  ${button({
                    label: text.restore(name(one)),
                    icon: "close",
                    appearance: "icon",
                    onClick: () => actions.restore(one),
                  })}
                </li>`,
            )}
            ${
              interventions.length > shown.length
                ? html`<li class="secondary">${text.more(interventions.length - shown.length)}</li>`
                : nothing
            }
          </ul>`
    }`;
}

function outcomes(state: EvaluationState): TemplateResult {
  const { answer } = state.intervening;
  if (answer === undefined) return html``;
  const { before, after, labels } = answer;
  const names = labels ?? classNames(state);
  return html`<dl class="pairs">
      ${before.predicted === undefined ? nothing : pair(text.prediction, said(before, names), said(after, names))}
      ${before.loss === undefined ? nothing : pair(text.loss, formatMetric(before.loss), formatMetric(after.loss))}
    </dl>
    ${before.probabilities && after.probabilities ? bars(before.probabilities, after.probabilities, names) : outputs(before, after)}`;
}

const said = ({ predicted = 0, probabilities }: Outcome, names: readonly string[]): string =>
  `${classLabel(names, predicted)} (${formatShare(probabilities?.[predicted] ?? 0)})`;

const pair = (name: string, before: string, after: string): TemplateResult =>
  html`<div>
    <dt>${name}</dt>
    <dd>${before === after ? before : text.change(before, after)}</dd>
  </div>`;

/** Probabilities side by side. Of many classes, those that are likely before or after. */
function bars(before: readonly number[], after: readonly number[], names: readonly string[]): TemplateResult {
  const most = before.map((share, index) => Math.max(share, after[index] ?? 0));
  const order = before.length <= MAX_BARS ? before.map((_, index) => index) : likeliest(most);
  const [best] = likeliest(before, 1);
  const [now] = likeliest(after, 1);
  const cell = (share: number, chosen: boolean): TemplateResult =>
    html`<td class="bar-cell ${chosen ? "bar-best" : ""}">
        <span ${styles({ width: `${share * 100}%` })}></span>
      </td>
      <td class="number">${formatShare(share)}</td>`;
  return html`<table class="bars versus">
      <thead>
        <tr>
          <th scope="col"><span class="visually-hidden">${text.class}</span></th>
          <th scope="colgroup" colspan="2">${text.before}</th>
          <th scope="colgroup" colspan="2">${text.after}</th>
        </tr>
      </thead>
      <tbody>
        ${order.map(
          (index) =>
            html`<tr>
              <th scope="row">${classLabel(names, index)}</th>
              ${cell(before[index] ?? 0, index === best)} ${cell(after[index] ?? 0, index === now)}
            </tr>`,
        )}
      </tbody>
    </table>
    ${
      before.length > order.length
        ? html`<p class="secondary">${strings.evaluation.ask.others(before.length - order.length)}</p>`
        : nothing
    }`;
}

function outputs(before: Outcome, after: Outcome): TemplateResult {
  const figure = (name: string, { output }: Outcome): TemplateResult =>
    output === undefined
      ? html``
      : html`<figure>
          <figcaption>${name}</figcaption>
          ${tensorView(output, name)}
        </figure>`;
  return html`<div class="seen">${figure(text.before, before)} ${figure(text.after, after)}</div>`;
}
