/** Pictures of a training, one at a time, with a slider through them. */
import { html, nothing, type TemplateResult } from "lit";
import type { Picture } from "../../extension/protocol/views.ts";
import { strings } from "./strings.ts";
import { section, slider } from "./widgets.ts";

const text = strings.pictures;

export interface PictureSeries {
  pictures: readonly Picture[];
  index: number;
  /** PNG files in base64, by their names. */
  fetched: ReadonlyMap<string, string>;
  onMove: (index: number) => void;
}

export function pictureSeries(series: PictureSeries): TemplateResult | typeof nothing {
  const { pictures, fetched, onMove } = series;
  const at = Math.min(series.index, pictures.length - 1);
  const shown = pictures[at];
  if (shown === undefined) return nothing;
  const png = fetched.get(shown.file);
  return section(
    "pictures",
    text.title,
    html`<div class="drawn">
        ${png ? html`<img class="picture" src="data:image/png;base64,${png}" alt=${text.alt(shown)} />` : nothing}
      </div>
      <p class="secondary">${text.alt(shown)}</p>`,
    pictures.length > 1
      ? slider({
          label: text.units[shown.unit],
          value: at,
          minimum: 0,
          maximum: pictures.length - 1,
          step: 1,
          text: String(shown.at),
          onInput: onMove,
        })
      : html``,
  );
}
