/** A training whose layers were watched: its figures colour the diagram, at any of its steps. */
import { html, nothing, type TemplateResult } from "lit";
import { keyed } from "lit/directives/keyed.js";
import { VALUE_KINDS, type LayerHistoryMethods } from "../../extension/protocol/layers/history.ts";
import type { LayerPictureMethods } from "../../extension/protocol/layers/pictures.ts";
import type { SummaryRow } from "../../extension/protocol/preview.ts";
import type { ArchitectureSnapshot } from "../../extension/protocol/views.ts";
import { readLayerColours, type LayerColours } from "../shared/layers/drawing.ts";
import {
  formatValue,
  MEASURES,
  type LayerHistory,
  type Measure,
  type WatchedLayers,
} from "../shared/layers/layerColumns.ts";
import { legend } from "../shared/layers/legend.ts";
import { LayerSource } from "../shared/layers/layerSource.ts";
import { readPictureColours, type PictureColours } from "../shared/layers/pictures.ts";
import { PictureSource } from "../shared/layers/pictureSource.ts";
import { columnText, scrubber } from "../shared/layers/scrubber.ts";
import { layerStrings as text } from "../shared/strings/layer.ts";
import { ValuesFigure } from "../shared/layers/valuesFigure.ts";
import { pictureStrings } from "../shared/strings/picture.ts";
import { checkbox, dropdown, pairs } from "../shared/widgets.ts";
import { BoxPictures } from "./boxPictures.ts";
import { isWatched, type Heat } from "./heat.ts";

export interface TrainingActions {
  /** Shows the figures of a training's layers; "" shows none. */
  chooseTraining(id: string): void;
  /** Moves through that training; undefined follows its end. */
  moveTo(step: number | undefined): void;
  /** Shows or hides pictures of the layers' outputs in the boxes. */
  showPictures(on: boolean): void;
}

/** The choice of no training: the widget takes an empty value for none that is set. */
const NONE = "-";
/** Pixels of a figure in the details. */
const FIGURE = 84;

export class ShownTraining {
  readonly source: LayerSource;
  readonly pictures: PictureSource;
  readonly boxPictures: BoxPictures;
  /** The selected step; undefined to follow the end. */
  step: number | undefined;
  #id: string | undefined;
  #colours: LayerColours | undefined;
  #pictureColours: PictureColours | undefined;
  readonly #figures = new Map(
    VALUE_KINDS.map((kind) => [
      kind,
      new ValuesFigure(() => (this.#colours ??= readLayerColours()), { height: FIGURE }),
    ]),
  );

  constructor(host: LayerHistoryMethods & LayerPictureMethods, changed: () => void) {
    this.source = new LayerSource(host, changed);
    this.pictures = new PictureSource(host, changed);
    this.boxPictures = new BoxPictures(this.pictures, () => this.pictureColours);
  }

  /** Follows the training that the host shows now; answers whether it is another one. */
  show({ training }: ArchitectureSnapshot): boolean {
    if (training === this.#id) return false;
    this.#id = training;
    this.step = undefined;
    this.source.reset();
    this.pictures.reset();
    return training !== undefined;
  }

  async refresh(): Promise<void> {
    if (this.#id !== undefined) await Promise.all([this.source.refresh(), this.pictures.show(this.step)]);
  }

  themeChanged(): void {
    this.#colours = undefined;
    this.#pictureColours = undefined;
    this.pictures.version++;
  }

  /** The theme's, the same object until it changes. */
  get pictureColours(): PictureColours {
    return (this.#pictureColours ??= readPictureColours());
  }

  /** Undefined without a training, and before its first figures. */
  get watched(): WatchedLayers | undefined {
    const { history } = this.source;
    if (this.#id === undefined || history === undefined || history.steps.length === 0) return undefined;
    const column = history.columnAt(this.step);
    return { history, column, key: `${this.#id} ${history.version} ${column}` };
  }

  /** The choice of a training, its slider, and the legend of the colours. */
  bar(
    { trainings = [], training }: ArchitectureSnapshot,
    round: number,
    { heat, pictures }: { heat: Heat; pictures: boolean },
    actions: TrainingActions,
  ): TemplateResult | typeof nothing {
    if (trainings.length === 0) return nothing;
    const { watched } = this;
    const choices = trainings.map(({ id, label }) => ({ value: id, label }));
    return html`<div class="training-bar">
      ${keyed(
        // A new one can't be selected in the same turn.
        `${round} ${choices.map(({ value }) => value).join()}`,
        dropdown(
          text.training,
          [{ value: NONE, label: text.noTraining }, ...choices],
          training ?? NONE,
          (id) => actions.chooseTraining(id === NONE ? "" : id),
        ),
      )}
      ${
        training === undefined
          ? nothing
          : watched === undefined
            ? html`<span class="secondary" role="status">${text.notYet}</span>`
            : html`${scrubber(watched.history, this.step, (step) => actions.moveTo(step))}
              ${isWatched(heat) ? legend(watched.history, heat) : nothing}
              ${
                this.pictures.row === undefined
                  ? nothing
                  : checkbox(pictureStrings.show, pictures, (on) => actions.showPictures(on))
              }`
      }
    </div>`;
  }

  /** The figures of a selected layer, in its details. */
  details({ path }: SummaryRow): TemplateResult | typeof nothing {
    const { watched } = this;
    this.source.select(watched?.history.layers.has(path) === true ? path : undefined).catch(() => undefined);
    if (watched === undefined) return nothing;
    const { history, column } = watched;
    const rows = MEASURES.flatMap((measure): [string, string][] => {
      const value = history.total(path, measure, column);
      return value === undefined ? [] : [[text.measures[measure], valueText(history, path, measure, column)]];
    });
    if (rows.length === 0) return nothing;
    const { values } = this.source;
    const at = columnText(history, column);
    if (values?.path === path)
      for (const [kind, figure] of this.#figures)
        figure.update({
          layer: path,
          kind,
          view: "heat",
          steps: values.steps,
          histograms: values.histograms[kind],
          column: Math.max(
            0,
            values.steps.findLastIndex((one) => one <= (this.step ?? Infinity)),
          ),
          at,
        });
    return html`<h4>${text.during(at)}</h4>
      ${pairs("pairs", rows)}
      ${
        values?.path === path
          ? html`<div class="values-figures">
              ${[...this.#figures.values()].map(({ element }) => element)}
            </div>`
          : nothing
      }`;
  }
}

/** Of dead units, how many too. */
function valueText(history: LayerHistory, path: string, measure: Measure, column: number): string {
  const value = formatValue(history.total(path, measure, column), measure);
  const layer = history.layers.get(path);
  const [dead, units] = [layer?.deadUnits[column], layer?.units[column]];
  return measure === "deadUnits" && dead !== undefined && units !== undefined
    ? `${value} (${text.units(dead, units)})`
    : value;
}
