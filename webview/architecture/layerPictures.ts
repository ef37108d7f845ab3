/** The pictures of the selected layer, in its details. */
import { html, nothing, type TemplateResult } from "lit";
import { ref } from "lit/directives/ref.js";
import type { ShownBox } from "../../extension/diagram/flow.ts";
import type { LayerPicture, PictureRow } from "../../extension/protocol/layers/pictures.ts";
import { formatShare } from "../shared/format.ts";
import { formatShort } from "../shared/layers/layerColumns.ts";
import {
  decisionsOf,
  isDecision,
  paintDecision,
  paintPicture,
  rangeOfPart,
  type PictureColours,
} from "../shared/layers/pictures.ts";
import type { PictureSource } from "../shared/layers/pictureSource.ts";
import { layerStrings } from "../shared/strings/layer.ts";
import { pictureStrings as text } from "../shared/strings/picture.ts";
import { styles } from "../shared/styles.ts";
import { pictureOf } from "./boxPictures.ts";

export interface PictureActions {
  /** Opens the numbers of a layer's pictures at a step. */
  openPicture(path: string, step: number): void;
}

/** Pixels of a picture's longer side, and of a decision boundary's. */
const SIDE = 64;
const LARGE = 200;
const LEAST = 10;

export function pictureDetails(
  box: ShownBox,
  source: PictureSource,
  colours: PictureColours,
  actions: PictureActions,
): TemplateResult | typeof nothing {
  const { row } = source;
  const found = row && pictureOf(box, source);
  if (row === undefined || found === undefined) return nothing;
  const { path, picture, values } = found;
  const at = layerStrings.at(row.step, row.epoch);
  const open = (): void => actions.openPicture(path, row.step);
  const layer = path === "" ? text.model : path;
  return html`<section class="layer-pictures" aria-label=${text.title[picture.kind]}>
    <h4>${isDecision(path, picture, row.input) ? text.decision : text.title[picture.kind]}</h4>
    ${
      isDecision(path, picture, row.input) && row.input.kind === "plane"
        ? decision(picture, values, row.input, at, colours, open)
        : nothing
    }
    <ul>
      ${Array.from({ length: picture.drawn }, (_, index) => {
        const { low, high } = rangeOfPart(picture, values, index);
        const { kind } = picture;
        const label =
          low > high
            ? text.nothing(kind, index, layer, at)
            : text.describe(kind, index, layer, at, formatShort(low), formatShort(high));
        return html`<li>
          <button class="layer-picture" aria-label=${label} title=${label} @click=${open}>
            <canvas
              aria-hidden="true"
              ${styles(sizeOf(picture))}
              ${ref((canvas) => {
                if (canvas instanceof HTMLCanvasElement)
                  paintPicture(canvas, picture, values, index, colours);
              })}
            ></canvas>
            <span aria-hidden="true">${index}</span>
          </button>
        </li>`;
      })}
    </ul>
    <p class="secondary">${notes(picture, row).join(" ")}</p>
    ${legend(picture, colours)}
  </section>`;
}

function decision(
  picture: LayerPicture,
  values: Float32Array,
  input: Extract<PictureRow["input"], { kind: "plane" }>,
  at: string,
  colours: PictureColours,
  open: () => void,
): TemplateResult {
  const decisions = decisionsOf(picture, values);
  const shares = Array.from({ length: picture.units }, (_, one) =>
    text.region(one, formatShare(decisions.filter((cell) => cell === one).length / decisions.length)),
  );
  const label = text.regions(at, shares.join(", "));
  return html`<button class="layer-picture decision" aria-label=${label} title=${label} @click=${open}>
    <canvas
      aria-hidden="true"
      ${styles({ width: `${LARGE}px`, height: `${LARGE}px` })}
      ${ref((canvas) => {
        if (canvas instanceof HTMLCanvasElement)
          paintDecision(canvas, decisions, picture, input, { colours, side: LARGE, points: true });
      })}
    ></canvas>
  </button>`;
}

function sizeOf({ size: [height, width] }: LayerPicture): Record<string, string> {
  const longer = Math.max(height, width);
  const side = (one: number): string => `${Math.max(LEAST, Math.round((SIDE * one) / longer))}px`;
  return { width: side(width), height: side(height) };
}

function notes(picture: LayerPicture, { input }: PictureRow): string[] {
  const { kind, units, drawn, size, height, width } = picture;
  return [
    ...(units > drawn ? [text.of(drawn, units)] : []),
    input.kind === "plane" ? text.plane(...input.names) : text.sample[input.split](input.index),
    ...(kind === "attention" ? [text.attention] : []),
    ...(size[0] !== height || size[1] !== width ? [text.shrunk(text.size(...size))] : []),
  ];
}

function legend({ low, high }: LayerPicture, { above, below }: PictureColours): TemplateResult {
  const swatch = (colour: readonly number[], label: string): TemplateResult =>
    html`<span
        class="picture-swatch"
        aria-hidden="true"
        ${styles({ "background-color": `rgb(${colour.join(" ")})` })}
      ></span
      >${label}`;
  const most = formatShort(Math.max(Math.abs(low), Math.abs(high)));
  return html`<p class="secondary picture-legend">
    ${swatch(above, text.above)} ${low < 0 ? swatch(below, text.below) : nothing}
    <span>${text.strongest(most)}</span>
  </p>`;
}
