/** One kind of a layer's values over the training: a heat or ridge picture with its caption. */
import { html, render } from "lit";
import type { ShownHistogram, ValueKind } from "../../../extension/protocol/layers/history.ts";
import { formatShort } from "./layerColumns.ts";
import {
  drawBars,
  drawHeat,
  drawRidges,
  heatImage,
  rangeOf,
  type LayerColours,
  type ValuesPicture,
} from "./drawing.ts";
import { layerStrings } from "../strings/layer.ts";

export type ValuesView = "heat" | "ridge";

export interface ValuesModel {
  layer: string;
  kind: ValueKind;
  view: ValuesView;
  steps: readonly number[];
  histograms: readonly (ShownHistogram | null)[];
  column: number;
  /** The column in words. */
  at: string;
}

/** Pixels of the picture, unless it is to be smaller, and of the histogram above it. */
const HEIGHT = 180;
const BARS = 44;

export class ValuesFigure {
  readonly element = document.createElement("figure");
  readonly #caption = document.createElement("figcaption");
  readonly #canvas = document.createElement("canvas");
  readonly #bars = document.createElement("canvas");
  readonly #place = document.createElement("div");
  readonly #colours: () => LayerColours;
  readonly #height: number;
  #model: ValuesModel | undefined;
  #width = 0;
  /** All that the drawing depends on. */
  #drawn: readonly unknown[] = [];
  #image: { histograms: unknown; colours: unknown; drawn: OffscreenCanvas | undefined } | undefined;

  /** @param colours Answers the theme's, the same object until it changes */
  constructor(colours: () => LayerColours, { height = HEIGHT }: { height?: number } = {}) {
    this.#colours = colours;
    this.#height = height;
    for (const { style } of [this.#place, this.#canvas]) style.height = `${height}px`;
    this.element.className = "values-figure";
    this.#place.className = "values-place";
    this.#canvas.setAttribute("role", "img");
    this.#bars.setAttribute("aria-hidden", "true");
    this.#bars.className = "values-bars";
    this.#place.append(this.#canvas);
    this.element.append(this.#caption, this.#bars, this.#place);
    // Reading the width while drawing would have the whole page laid out in each frame.
    new ResizeObserver(([entry]) => {
      this.#width = entry?.contentRect.width ?? 0;
      this.#draw();
    }).observe(this.#place);
  }

  update(model: ValuesModel): void {
    this.#model = model;
    const { kind, layer, at } = model;
    const now = model.histograms[model.column];
    const [mean, std] = now ? [formatShort(now.mean), formatShort(now.std)] : ["–", "–"];
    const known = model.histograms.some((one) => one !== null);
    this.#canvas.setAttribute(
      "aria-label",
      layerStrings.describe(layerStrings.kinds[kind], layer, at, mean, std),
    );
    this.#place.hidden = this.#bars.hidden = !known;
    render(
      html`<h4>${layerStrings.kinds[kind]}</h4>
        <span class="secondary"
          >${known ? (now ? layerStrings.meanStd(mean, std) : layerStrings.none) : layerStrings.noKind[kind]}</span
        >`,
      this.#caption,
    );
    this.#draw();
  }

  #draw(): void {
    const model = this.#model;
    const width = this.#width;
    if (model === undefined || width === 0) return;
    const colours = this.#colours();
    const { steps, histograms, column, view } = model;
    const drawn = [histograms, column, view, width, colours, devicePixelRatio];
    if (drawn.every((one, i) => one === this.#drawn[i])) return;
    this.#drawn = drawn;
    const shown = { steps, histograms, column, width, height: this.#height, colours, format: formatShort };
    if (view === "heat") drawHeat(this.#canvas, this.#heat(shown), shown);
    else drawRidges(this.#canvas, shown);
    drawBars(this.#bars, histograms[column], rangeOf(histograms), { width, height: BARS, colours });
  }

  #heat({ steps, histograms, colours }: ValuesPicture): OffscreenCanvas | undefined {
    if (this.#image?.histograms !== histograms || this.#image.colours !== colours)
      this.#image = { histograms, colours, drawn: heatImage({ steps, histograms }, colours) };
    return this.#image.drawn;
  }
}
