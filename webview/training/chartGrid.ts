/** The charts of all metrics and their controls. Charts are kept and updated: a new one would lose the cursor. */
import { html, nothing, type TemplateResult } from "lit";
import { button, checkbox, empty, linkButton, section, segmented, slider } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import type { Actions, ExportFormat } from "./actions.ts";
import { Chart, type ChartEvents } from "./chart.ts";
import { readPalette } from "./chartStyle.ts";
import { type ChartModel, chartModel } from "./chartModel.ts";
import type { Axis, Curves, MetricCurves } from "./curves.ts";
import { runName } from "./runList.ts";
import type { TrainingState } from "./state.ts";

const text = strings.training.charts;
const HELP_ID = "chart-help";
const FORMATS: readonly [ExportFormat, string][] = [
  ["csv", "CSV"],
  ["png", "PNG"],
  ["svg", "SVG"],
  ["pgfplots", "pgfplots"],
];
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

  draw(state: TrainingState): void {
    const metrics = shown(state);
    for (const metric of metrics) this.#chart(metric.name).update(modelOf(metric, state), state.zoom);
    const names = new Set(metrics.map(({ name }) => name));
    for (const [name, chart] of this.#charts)
      if (!names.has(name)) {
        chart.destroy();
        this.#charts.delete(name);
      }
  }

  /** A picture of all charts below each other, as they are on the screen. */
  picture(): HTMLCanvasElement {
    for (const chart of this.#charts.values()) chart.settle();
    const { background, text: colour } = readPalette();
    const charts = [...this.#charts.entries()].flatMap(([name, { canvas }]) =>
      canvas ? [{ name, canvas }] : [],
    );
    const title = 28 * devicePixelRatio;
    const picture = document.createElement("canvas");
    picture.width = Math.max(1, ...charts.map(({ canvas }) => canvas.width));
    picture.height = Math.max(
      1,
      charts.reduce((sum, { canvas }) => sum + canvas.height + title, 0),
    );
    const context = picture.getContext("2d");
    if (!context) return picture;
    context.fillStyle = background;
    context.fillRect(0, 0, picture.width, picture.height);
    context.fillStyle = colour;
    context.font = `bold ${13 * devicePixelRatio}px sans-serif`;
    let top = 0;
    for (const { name, canvas } of charts) {
      context.fillText(name, 8 * devicePixelRatio, top + 0.7 * title);
      context.drawImage(canvas, 0, top + title);
      top += canvas.height + title;
    }
    return picture;
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
      <div class="exports" role="group" aria-label=${text.exportTitle}>
        <span class="secondary" aria-hidden="true">${text.exportTitle}</span>
        ${FORMATS.map(([format, label]) =>
          linkButton(label, () => actions.exportAs(format), text.exportAs(label)),
        )}
      </div>
    </div>`;
  }
}

/** The charts as they are drawn, for exports. */
export const models = (state: TrainingState): ChartModel[] =>
  shown(state).map((metric) => modelOf(metric, state));

function modelOf(metric: MetricCurves, { ui, run, runs, others, curves }: TrainingState): ChartModel {
  const beside = ui.compare.flatMap((id, slot) => {
    const listed = runs.find((one) => one.run.id === id);
    if (!others.has(id) || id === run.id) return [];
    const found = charted(others.get(id)).find(({ name }) => name === metric.name);
    return [{ name: listed ? runName(listed) : id, slot, metric: found }];
  });
  return chartModel(metric, ui, run.best, { others: beside, events: curves.events });
}

/** All that has a chart, the throughput at the end. */
export function charted(curves: Curves | undefined): MetricCurves[] {
  if (!curves) return [];
  const throughput = curves.throughput();
  return [...curves.metrics(), ...(throughput ? [throughput] : [])];
}

/** Metrics with a value at least. */
const shown = ({ curves }: TrainingState): MetricCurves[] =>
  charted(curves).filter(({ steps, epochs, validation }) => (steps ?? epochs ?? validation)?.length);
