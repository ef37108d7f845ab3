/** Statistics of each layer over the training: one measure of all layers, and the values of one. */
import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { VALUE_KINDS, type LayerHistoryMethods } from "../../extension/protocol/layers/history.ts";
import { formatValue, MEASURES, type LayerHistory, type Measure } from "../shared/layers/layerColumns.ts";
import { legend } from "../shared/layers/legend.ts";
import {
  checksOverTime,
  drawOverview,
  placeOf,
  readLayerColours,
  type LayerColours,
} from "../shared/layers/drawing.ts";
import { LayerSource } from "../shared/layers/layerSource.ts";
import { columnText, scrubber } from "../shared/layers/scrubber.ts";
import { layerStrings as text } from "../shared/strings/layer.ts";
import { ValuesFigure, type ValuesView } from "../shared/layers/valuesFigure.ts";
import { styles } from "../shared/styles.ts";
import { empty, icon, linkButton, section, segmented } from "../shared/widgets.ts";
import type { Actions } from "./actions.ts";
import type { TrainingState } from "./state.ts";

/** Places that a click can choose. */
const PICKS = 1000;
/** Pixels of a row of the table: see layers.css. */
const ROW = 22;
const VIEWS: readonly ValuesView[] = ["heat", "ridge"];

export class LayersSection {
  readonly source: LayerSource;
  readonly #overview = document.createElement("canvas");
  #colours: LayerColours | undefined;
  readonly #figures = new Map(
    VALUE_KINDS.map((kind) => [kind, new ValuesFigure(() => (this.#colours ??= readLayerColours()))]),
  );
  /** Inputs of the overview's last drawing. */
  #drawn: readonly unknown[] = [];
  #run: string | undefined;

  /** @param changed Called when there is something new to draw */
  constructor(host: LayerHistoryMethods, changed: () => void) {
    this.source = new LayerSource(host, changed);
    this.#overview.setAttribute("aria-hidden", "true");
  }

  /** Requests new columns of a run. */
  async refresh({ run, live }: TrainingState): Promise<void> {
    if (run.kind !== "train") return;
    if (this.#run !== run.id) this.source.reset();
    this.#run = run.id;
    const { history } = this.source;
    // An ended run has nothing new, once its last rows were read.
    if (live || history === undefined || this.#ended !== run.endedAt) await this.source.refresh();
    if (!live) this.#ended = run.endedAt;
  }

  #ended: string | undefined;

  view(state: TrainingState, actions: Actions): TemplateResult | typeof nothing {
    const { history } = this.source;
    if (state.run.kind !== "train" || history === undefined || this.#run !== state.run.id) return nothing;
    // Other tools' histograms need no setting here.
    if (history.steps.length === 0 && state.run.imported !== undefined) return nothing;
    if (history.steps.length === 0)
      return section("layers", text.title, html`${advice(history, actions)} ${empty(nothingOf(state))}`);
    const layer = selected(history, state);
    const measure = measureOf(state);
    const tools = html`<div class="tools">
      ${segmented(
        "layer-measure",
        text.measure,
        MEASURES.map((value) => ({ value, label: text.measures[value] })),
        measure,
        (layerMeasure) => actions.setUi({ layerMeasure }),
      )}
    </div>`;
    return section(
      "layers",
      text.title,
      html`${scrubber(history, state.layerStep, (step) => actions.moveTo(step))} ${advice(history, actions)}
      ${this.#table(history, measure, layer, state, actions)}
      ${this.#values(this.source.values?.path ?? layer, state, actions)}`,
      tools,
    );
  }

  /** Draws the canvases that {@link view} has put into the document. */
  draw(state: TrainingState): void {
    const { history, values } = this.source;
    if (history === undefined || history.steps.length === 0) return;
    const layer = selected(history, state);
    const measure = measureOf(state);
    this.source.select(layer).catch(() => undefined);
    this.#colours ??= readLayerColours();
    const drawn = [history, history.version, measure, this.#colours];
    if (!drawn.every((one, i) => one === this.#drawn[i])) {
      this.#drawn = drawn;
      drawOverview(this.#overview, history, measure, this.#colours);
      this.#overview.style.height = `${ROW * history.layers.size}px`;
    }
    if (values === undefined) return;
    const column = values.steps.findLastIndex((one) => one <= (state.layerStep ?? Infinity));
    const at = columnText(history, history.columnAt(state.layerStep));
    for (const [kind, figure] of this.#figures)
      figure.update({
        layer: nameOf(values.path),
        kind,
        view: viewOf(state),
        steps: values.steps,
        histograms: values.histograms[kind],
        column: Math.max(0, column),
        at,
      });
  }

  themeChanged(): void {
    this.#colours = undefined;
  }

  #table(
    history: LayerHistory,
    measure: Measure,
    layer: string,
    state: TrainingState,
    actions: Actions,
  ): TemplateResult {
    const column = history.columnAt(state.layerStep);
    const paths = [...history.layers.keys()];
    const pick = (event: PointerEvent): void => {
      const place = (event.currentTarget as Element).getBoundingClientRect();
      const part = (event.clientX - place.left) / place.width;
      const row = Math.floor(((event.clientY - place.top) / place.height) * paths.length);
      const { steps } = history;
      const [at = 0] = checksOverTime(steps, PICKS).slice(Math.floor(part * (PICKS - 1)));
      actions.setUi({ layer: [paths[row] ?? layer] });
      actions.moveTo(at >= steps.length - 1 ? undefined : steps[at]);
    };
    return html`<div class="layers-overview" role="region" tabindex="0" aria-label=${text.title}>
        <table class="table layers-table">
          <thead>
            <tr>
              <th scope="col">${text.layer}</th>
              ${MEASURES.map(
                (one) =>
                  html`<th
                    scope="col"
                    class="number ${one === measure ? "" : "optional"}"
                    title=${text.hints[one]}
                  >
                    ${text.measures[one]}
                  </th>`,
              )}
            </tr>
          </thead>
          <tbody>
            ${repeat(
              paths,
              (path) => path,
              (path) =>
                html`<tr class=${path === layer ? "selected" : ""}>
                  <th scope="row">
                    <button
                      class="layers-link"
                      title=${nameOf(path)}
                      aria-pressed=${path === layer}
                      @click=${() => actions.setUi({ layer: [path] })}
                    >
                      <span class="name">${nameOf(path)}</span>
                    </button>
                  </th>
                  ${MEASURES.map(
                    (one) =>
                      html`<td class="number ${one === measure ? "" : "optional"}">
                        ${formatValue(history.value(path, one, column), one)}
                      </td>`,
                  )}
                </tr>`,
            )}
          </tbody>
        </table>
        <div class="layers-strip">
          <div class="layers-strip-head">${legend(history, measure)}</div>
          <div class="layers-strip-body" @pointerdown=${pick}>
            ${this.#overview}
            <i
              class="layers-mark"
              ${styles({ left: `${100 * placeOf(history.steps, history.steps[column])}%` })}
            ></i>
          </div>
        </div>
      </div>
      ${history.omitted > 0 ? html`<p class="secondary">${text.omitted(history.omitted)}</p>` : nothing}`;
  }

  /** @param layer The one that is drawn: a new selection's values arrive later */
  #values(layer: string, state: TrainingState, actions: Actions): TemplateResult {
    return html`<div class="layer-values">
      <div class="section-head">
        <h3>${text.values(nameOf(layer))}</h3>
        <div class="tools">
          ${linkButton(text.download, () => actions.saveLayerValues(), text.downloadHint(nameOf(layer)))}
          ${segmented(
            "layer-view",
            text.view,
            VIEWS.map((value) => ({ value, label: text.views[value] })),
            viewOf(state),
            (layerView) => actions.setUi({ layerView }),
          )}
        </div>
      </div>
      <div class="values-figures">${[...this.#figures.values()].map(({ element }) => element)}</div>
    </div>`;
  }
}

const nameOf = (path: string): string => (path === "" ? text.model : path);

const measureOf = ({ ui }: TrainingState): Measure =>
  MEASURES.find((one) => one === ui.layerMeasure) ?? "gradNorm";
const viewOf = ({ ui }: TrainingState): ValuesView => VIEWS.find((one) => one === ui.layerView) ?? "heat";

/** Whether the experiment watches its layers; runs of others may be watched on request. */
const watches = ({ run: { settings } }: TrainingState): boolean =>
  settings["watch"] !== undefined && settings["watch"] !== false;

/** The layer that the user has chosen, else the first. */
function selected({ layers }: LayerHistory, { ui }: TrainingState): string {
  return ui.layer.find((path) => layers.has(path)) ?? layers.keys().next().value ?? "";
}

function advice(history: LayerHistory, actions: Actions): TemplateResult | typeof nothing {
  if (history.advice.length === 0) return nothing;
  return html`<ul class="layer-advice" aria-label=${text.advice}>
    ${history.advice.map(
      ({ layer, step, text: what }) =>
        html`<li>
          ${icon("lightbulb")}<span
            >${step === undefined ? nothing : html`<span class="secondary">${text.atStep(step)}</span>`}
            ${what}
            ${
              layer !== undefined && history.layers.has(layer)
                ? linkButton(nameOf(layer), () => actions.setUi({ layer: [layer] }), text.show(nameOf(layer)))
                : nothing
            }</span
          >
        </li>`,
    )}
  </ul>`;
}

/** Why there are no figures of the layers. */
function nothingOf(state: TrainingState): string {
  if (!watches(state)) return text.notWatched;
  return state.live ? text.notYet : text.never;
}
