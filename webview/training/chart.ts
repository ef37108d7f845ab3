/** One metric's chart: uPlot, with a legend that reads the values at the cursor. */
import { html, nothing, render, type TemplateResult } from "lit";
import uPlot from "uplot";
import { formatCompact, formatDuration, formatMetric, formatTick } from "../shared/format.ts";
import { strings } from "../shared/strings.ts";
import { styles } from "../shared/styles.ts";
import type { ChartLine, ChartModel } from "./chartModel.ts";
import { colourOf, type Palette, plotOptions, readPalette } from "./chartStyle.ts";
import { type Axis, isRate } from "./curves.ts";
import { nearest, type Range } from "./decimate.ts";
import { PlotData } from "./plotData.ts";

export interface ChartEvents {
  /** Called with the part of x that was selected; undefined shows everything again. */
  onZoom(range: Range | undefined): void;
  /** Called when this chart's cursor moves, with x or, when it leaves, undefined. */
  onCursor(chart: Chart, x: number | undefined): void;
  /** For screen readers: the values at the cursor that the keyboard moved. */
  announce(text: string): void;
}

const text = strings.training.charts;

export class Chart {
  readonly element = document.createElement("figure");
  readonly #caption = document.createElement("figcaption");
  readonly #host = document.createElement("div");
  readonly #note = document.createElement("p");
  readonly #events: ChartEvents;
  readonly #resize: ResizeObserver;
  #palette: Palette;
  #model: ChartModel | undefined;
  #zoom: Range | undefined;
  #plot: uPlot | undefined;
  /** Key of the lines and axes that the plot was built for; another key needs a new plot. */
  #built = "";
  readonly #data = new PlotData();
  /** Key of all that the drawing depends on. */
  #drawn = "";
  #due = false;
  #inSight = true;
  readonly #sight: IntersectionObserver;
  /** x at the cursor. */
  #cursor: number | undefined;

  constructor(events: ChartEvents, helpId: string) {
    this.#events = events;
    this.#palette = readPalette();
    this.element.className = "chart";
    this.#host.className = "plot";
    this.#host.tabIndex = 0;
    this.#host.setAttribute("role", "group");
    this.#host.setAttribute("aria-roledescription", "chart");
    this.#host.setAttribute("aria-describedby", helpId);
    this.#host.addEventListener("keydown", (event) => this.#onKey(event));
    this.#host.addEventListener("dblclick", () => events.onZoom(undefined));
    this.#host.addEventListener("blur", () => this.#moveCursor(undefined));
    this.#note.className = "chart-note";
    this.element.append(this.#caption, this.#host, this.#note);
    this.#resize = new ResizeObserver(() => {
      if (this.#model) this.update(this.#model, this.#zoom);
    });
    this.#resize.observe(this.#host);
    this.#sight = new IntersectionObserver((entries) => {
      this.#inSight = entries.at(-1)?.isIntersecting ?? true;
      if (this.#inSight) this.settle();
    });
    this.#sight.observe(this.#host);
  }

  update(model: ChartModel, zoom: Range | undefined): void {
    this.#model = model;
    this.#zoom = zoom;
    const { clientWidth: width, clientHeight: height } = this.#host;
    if (width === 0 || height === 0) return;
    this.#drawCaption();
    this.#host.setAttribute("aria-label", this.#describe(model));
    this.#note.textContent = model.note ?? "";
    this.#note.hidden = model.note === undefined;
    this.#due = true;
    if (this.#inSight) this.settle();
  }

  /** Draws pending changes; a chart that is out of sight waits. */
  settle(): void {
    if (!this.#due || !this.#model) return;
    this.#due = false;
    const { clientWidth: width, clientHeight: height } = this.#host;
    if (width === 0 || height === 0) return;
    const model = this.#model;
    const shape = JSON.stringify([
      model.axis,
      model.logarithmic,
      model.lines.map(({ style, slot }) => [style, slot]),
    ]);
    const ends = model.lines.map(({ x, y }) => [x.length, x[1], x.at(-1), y.at(-1)]);
    const { smoothing, best, events } = model;
    const content = JSON.stringify([shape, width, height, this.#zoom, ends, smoothing, best, events]);
    // Most of the ten messages a second concern other metrics.
    if (content === this.#drawn) return;
    this.#drawn = content;
    const data = this.#data.table(model, width, this.#zoom);
    if (this.#plot && shape === this.#built) {
      if (this.#plot.width !== width || this.#plot.height !== height) this.#plot.setSize({ width, height });
      this.#plot.setData(data);
    } else {
      this.#plot?.destroy();
      this.#built = shape;
      this.#plot = new uPlot(this.#options(model, width, height), data, this.#host);
    }
  }

  /** Shows the cursor of another chart here as well. */
  showCursor(x: number | undefined): void {
    this.#cursor = x;
    this.#setCursor(x, false);
    this.#drawCaption();
  }

  /** Colours and fonts are read once per plot. */
  themeChanged(): void {
    this.#palette = readPalette();
    this.#built = this.#drawn = "";
    if (this.#model) this.update(this.#model, this.#zoom);
  }

  /** The plot's canvas. */
  get canvas(): HTMLCanvasElement | undefined {
    return this.#plot?.ctx.canvas;
  }

  destroy(): void {
    this.#resize.disconnect();
    this.#sight.disconnect();
    this.#plot?.destroy();
    this.element.remove();
  }

  #options(model: ChartModel, width: number, height: number): uPlot.Options {
    return {
      ...plotOptions(model, this.#palette, {
        range: () => this.#zoom,
        best: () => this.#model?.best,
        events: () => this.#model?.events ?? [],
        onCursor: (x) => this.#readAt(x),
        onSelect: (range) => this.#events.onZoom(range),
      }),
      width,
      height,
    };
  }

  #readAt(x: number | undefined): void {
    if (x === this.#cursor) return;
    this.#cursor = x;
    this.#drawCaption();
    this.#events.onCursor(this, x);
  }

  /** Value of each named line at the cursor, else the latest. */
  #readings(model: ChartModel): { line: ChartLine; label: string; value: number | undefined }[] {
    return model.lines
      .filter((line) => line.style !== "raw")
      .sort((a, b) => (a.slot ?? -1) - (b.slot ?? -1))
      .map((line) => {
        const { label, x, y } = line;
        const index = this.#cursor === undefined ? y.length - 1 : nearest(x, this.#cursor);
        return { line, label, value: y[index] };
      });
  }

  #drawCaption(): void {
    const model = this.#model;
    if (!model) return;
    render(
      html`<h3>${model.name}</h3>
        ${
          this.#cursor === undefined
            ? nothing
            : html`<span class="cursor-x">${axisText(model.axis, this.#cursor)}</span>`
        }
        <ul class="legend">
          ${this.#readings(model).map(
            ({ line, label, value }) =>
              html`<li>
                ${swatch(line, this.#palette)}<span>${label}</span><b>${valueText(model, value)}</b>
              </li>`,
          )}
        </ul>`,
      this.#caption,
    );
  }

  /** The chart in words. */
  #describe(model: ChartModel): string {
    const points = Math.max(0, ...model.lines.map((line) => line.y.length));
    const values = model.lines
      .filter((line) => line.style !== "raw" && line.slot === undefined)
      .map((line) => `${line.label} ${valueText(model, line.y.at(-1))}`);
    const others = new Set(model.lines.map(({ slot }) => slot));
    others.delete(undefined);
    if (others.size > 0) values.push(text.besides(others.size));
    return [model.name, ...values, text.points(points)].join(", ");
  }

  #onKey(event: KeyboardEvent): void {
    const plot = this.#plot;
    const xs = plot?.data[0];
    if (!plot || !xs || xs.length === 0) return;
    const current = this.#cursor === undefined ? xs.length - 1 : nearest(xs, this.#cursor);
    const jump = event.shiftKey ? 10 : 1;
    const targets: Record<string, number> = {
      ArrowLeft: current - jump,
      ArrowRight: this.#cursor === undefined ? current : current + jump,
      Home: 0,
      End: xs.length - 1,
    };
    const target = targets[event.key];
    if (target !== undefined) this.#moveCursor(xs[Math.min(xs.length - 1, Math.max(0, target))]);
    else if (event.key === "Escape") {
      this.#moveCursor(undefined);
      this.#events.onZoom(undefined);
    } else if (event.key === "+" || event.key === "=") this.#scale(0.5, xs[current] ?? 0);
    else if (event.key === "-") this.#scale(2, xs[current] ?? 0);
    else return;
    event.preventDefault();
  }

  #setCursor(x: number | undefined, fire: boolean): void {
    const plot = this.#plot;
    const shown = x !== undefined;
    plot?.setCursor(
      { left: shown ? plot.valToPos(x, "x") : -10, top: shown ? plot.over.clientHeight / 2 : -10 },
      fire,
    );
  }

  /** Moves the cursor by the keyboard, and announces its values. */
  #moveCursor(x: number | undefined): void {
    this.#setCursor(x, true);
    if (x === undefined || !this.#model) return;
    const model = this.#model;
    const values = this.#readings(model).map(({ label, value }) => `${label} ${valueText(model, value)}`);
    this.#events.announce([axisText(model.axis, x), ...values].join(", "));
  }

  #scale(factor: number, around: number): void {
    const { min = 0, max = 0 } = this.#plot?.scales["x"] ?? {};
    const all = this.#model?.lines.flatMap((line) => [line.x[0] ?? around, line.x.at(-1) ?? around]) ?? [];
    const minimum = Math.max(Math.min(...all), around - (around - min) * factor);
    const maximum = Math.min(Math.max(...all), around + (max - around) * factor);
    if (maximum <= minimum) return;
    const everything = minimum <= Math.min(...all) && maximum >= Math.max(...all);
    this.#events.onZoom(everything ? undefined : { minimum, maximum });
  }
}

/** Formats metrics as everywhere; rates and speeds with no more digits than they need. */
function valueText({ name }: ChartModel, value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return formatMetric(value);
  if (isRate(name)) return formatTick(value);
  return name.endsWith("/s") ? formatCompact(value) : formatMetric(value);
}

function swatch(line: ChartLine, palette: Palette): TemplateResult {
  const colour = line.slot === undefined ? {} : { "--swatch": colourOf(line, palette) };
  return html`<i
    class="swatch swatch-${line.style} ${line.slot === undefined ? "" : "swatch-other"}"
    ${styles(colour)}
  ></i>`;
}

function axisText(axis: Axis, x: number): string {
  const name = text.axes[axis].toLowerCase();
  if (axis === "time") return `${name} ${formatDuration(x)}`;
  return `${name} ${axis === "step" ? Math.round(x).toLocaleString("en-US") : formatTick(Number(x.toFixed(2)))}`;
}
