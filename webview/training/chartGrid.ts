/** The charts of all metrics and their controls. Charts are kept and updated: a new one would lose the cursor. */
import { html, nothing, type TemplateResult } from "lit";
import { button, checkbox, empty, section, segmented, slider } from "../shared/kit.ts";
import { strings } from "../shared/strings.ts";
import type { Actions } from "./actions.ts";
import { Chart, type ChartEvents } from "./chart.ts";
import { chartModel } from "./chartModel.ts";
import type { Axis, MetricCurves } from "./curves.ts";
import type { TrainingState } from "./state.ts";

const text = strings.training.charts;
const HELP_ID = "chart-help";
const AXES: readonly Axis[] = ["step", "epoch", "time"];

export class ChartGrid {
  readonly #charts = new Map<string, Chart>();
  readonly #events: ChartEvents;

  constructor(events: Omit<ChartEvents, "onCursor">) {
    this.#events = { ...events, onCursor: (from, x) => this.#shareCursor(from, x) };
  }

  /** The section with a place for each chart; `draw` fills them once they are in the document. */
  view(state: TrainingState, actions: Actions): TemplateResult | typeof nothing {
    const { run, live, curves } = state;
    const metrics = shown(state);
    if (metrics.length === 0 && run.kind === "evaluate") return nothing;
    const note = live ? text.empty : text.emptyEnded;
    const content =
      curves.rows === 0
        ? empty(note)
        : html`<div class="charts ${metrics.length === 1 ? "charts-single" : ""}">
            ${metrics.map(({ name }) => this.#chart(name).element)}
          </div>`;
    return section(
      "curves",
      text.title,
      html`${content}
        <p id=${HELP_ID} class="visually-hidden">${text.keyboard}</p>`,
      curves.rows === 0 ? nothing : this.#tools(state, actions),
    );
  }

  draw({ curves, ui, zoom, run, ...rest }: TrainingState): void {
    const metrics = shown({ curves, ui, zoom, run, ...rest });
    for (const metric of metrics) this.#chart(metric.name).update(chartModel(metric, ui, run.best), zoom);
    const names = new Set(metrics.map(({ name }) => name));
    for (const [name, chart] of this.#charts)
      if (!names.has(name)) {
        chart.destroy();
        this.#charts.delete(name);
      }
  }

  themeChanged(): void {
    for (const chart of this.#charts.values()) chart.themeChanged();
  }

  /** All charts read at the same x. */
  #shareCursor(from: Chart, x: number | undefined): void {
    for (const chart of this.#charts.values()) if (chart !== from) chart.showCursor(x);
  }

  #chart(name: string): Chart {
    let chart = this.#charts.get(name);
    if (!chart) this.#charts.set(name, (chart = new Chart(this.#events, HELP_ID)));
    return chart;
  }

  #tools({ ui, zoom }: TrainingState, actions: Actions): TemplateResult {
    return html`<div class="tools">
      ${
        zoom
          ? button({
              label: text.resetZoom,
              icon: "zoom-out",
              appearance: "icon",
              onClick: () => actions.zoom(undefined),
            })
          : nothing
      }
      ${segmented(
        "axis",
        text.axis,
        AXES.map((value) => ({ value, label: text.axes[value] })),
        ui.axis,
        (axis) => actions.setUi({ axis }),
      )}
      ${slider({
        label: text.smoothing,
        value: ui.smoothing,
        minimum: 0,
        maximum: 0.99,
        step: 0.01,
        text: ui.smoothing.toFixed(2),
        onInput: (smoothing) => actions.setUi({ smoothing }),
      })}
      ${checkbox(text.logScale, ui.logScale, (logScale) => actions.setUi({ logScale }))}
    </div>`;
  }
}

/** Metrics with a value at least. */
const shown = ({ curves }: TrainingState): MetricCurves[] =>
  curves.metrics().filter(({ steps, epochs, validation }) => (steps ?? epochs ?? validation)?.length);
