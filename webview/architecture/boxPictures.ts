/** The small pictures in the boxes of the diagram. */
import type { ShownBox } from "../../extension/diagram/flow.ts";
import type { LayerPicture, PictureInput } from "../../extension/protocol/layers/pictures.ts";
import type { Room } from "../../extension/diagram/boxText.ts";
import type { BoxPicture, ShownPictures } from "../diagram/canvas.ts";
import type { Rooms } from "../diagram/diagramState.ts";
import {
  decisionsOf,
  imageOf,
  isDecision,
  paintDecision,
  type PictureColours,
} from "../shared/layers/pictures.ts";
import type { PictureSource } from "../shared/layers/pictureSource.ts";
import { pictureStrings as text } from "../shared/strings/picture.ts";

/** Pixels of a picture's longer and least side, between two, and of a row with the number of those left out. */
const SIDE = 30;
const LEAST = 6;
const GAP = 4;
const ROW = 4;
const NOTE = 15;
/** Device pixels of a drawn one: diagrams are zoomed. */
const SHARP = 2;

/** The operation whose result the weights of an attention are. */
const ATTENTION = /\bsoftmax\b/i;

/** A box's pictures: of a module, of the attention that an operation computes, or of the model's output. */
export function pictureOf(
  { node }: Pick<ShownBox, "node">,
  source: PictureSource,
): { path: string; picture: LayerPicture; values: Float32Array } | undefined {
  const call = node.kind === "module" ? (/#\d+$/.exec(node.id)?.[0] ?? "") : "";
  const path = node.kind === "output" ? "" : `${node.path}${call}`;
  const found = node.kind === "input" ? undefined : source.of(path);
  if (found === undefined) return undefined;
  const { kind } = found.picture;
  if (node.kind === "op" && !(kind === "attention" && ATTENTION.test(node.name))) return undefined;
  if (node.kind === "output" && kind !== "plane") return undefined;
  return { path, ...found };
}

/** Lays out and draws the pictures in the boxes. */
export class BoxPictures implements ShownPictures {
  readonly #source: PictureSource;
  readonly #colours: () => PictureColours;
  #rooms: Rooms | undefined;
  readonly #drawn = new WeakMap<LayerPicture, { colours: PictureColours; drawn: BoxPicture }>();

  /** @param colours Answers the theme's, the same object until it changes */
  constructor(source: PictureSource, colours: () => PictureColours) {
    this.#source = source;
    this.#colours = colours;
  }

  /** Changes with what is drawn. */
  get key(): string {
    return this.#source.row === undefined ? "" : `${this.#source.version}`;
  }

  /** The space that boxes need; the same object until it changes. */
  get rooms(): Rooms | undefined {
    const { row } = this.#source;
    if (row === undefined) return (this.#rooms = undefined);
    const key = JSON.stringify(
      Object.entries(row.layers).map(([path, one]) => [
        path,
        one.kind,
        ...Object.values(placeOf(path, one, row.input)),
      ]),
    );
    if (this.#rooms?.key !== key)
      this.#rooms = {
        key,
        rooms: (box) => {
          const found = box.open ? undefined : pictureOf(box, this.#source);
          return found && placeOf(found.path, found.picture, this.#source.row!.input);
        },
      };
    return this.#rooms;
  }

  of(box: ShownBox): BoxPicture | undefined {
    const { row } = this.#source;
    const found = row && pictureOf(box, this.#source);
    if (row === undefined || found === undefined) return undefined;
    const colours = this.#colours();
    const known = this.#drawn.get(found.picture);
    if (known?.colours === colours) return known.drawn;
    const drawn = draw(found, row.input, colours);
    this.#drawn.set(found.picture, { colours, drawn });
    return drawn;
  }
}

interface Place extends Room {
  columns: number;
  count: number;
  cellWidth: number;
  cellHeight: number;
  more: number;
}

function placeOf(path: string, picture: LayerPicture, input: PictureInput): Place {
  const { units, drawn } = picture;
  const [height, width] = picture.size;
  const decision = isDecision(path, picture, input);
  const count = decision ? 1 : drawn;
  const longer = Math.max(width, height);
  const side = (one: number): number => Math.max(LEAST, Math.round((SIDE * one) / longer));
  const columns = Math.min(ROW, count);
  const rows = Math.ceil(count / columns);
  const more = decision ? 0 : units - drawn;
  const [cellWidth, cellHeight] = [side(width), side(height)];
  return {
    columns,
    count,
    cellWidth,
    cellHeight,
    more,
    width: columns * (cellWidth + GAP) - GAP,
    height: rows * (cellHeight + GAP) + 4 + (more > 0 ? NOTE : 0),
  };
}

function draw(
  { path, picture, values }: { path: string; picture: LayerPicture; values: Float32Array },
  input: PictureInput,
  colours: PictureColours,
): BoxPicture {
  const place = placeOf(path, picture, input);
  const { columns, count, cellWidth, cellHeight, more } = place;
  const rows = Math.ceil(count / columns);
  const size = { width: place.width, height: rows * (cellHeight + GAP) - GAP };
  const canvas = document.createElement("canvas");
  canvas.width = size.width * SHARP;
  canvas.height = size.height * SHARP;
  const context = canvas.getContext("2d");
  const small = document.createElement("canvas");
  if (context !== null) {
    context.imageSmoothingEnabled = false;
    for (let index = 0; index < count; index++) {
      if (isDecision(path, picture, input) && input.kind === "plane")
        paintDecision(small, decisionsOf(picture, values), picture, input, {
          colours,
          side: SIDE,
          points: false,
        });
      else {
        [small.width, small.height] = [picture.width, picture.height];
        small.getContext("2d")?.putImageData(imageOf(picture, values, index, colours), 0, 0);
      }
      const x = (index % columns) * (cellWidth + GAP);
      const y = Math.floor(index / columns) * (cellHeight + GAP);
      context.drawImage(small, x * SHARP, y * SHARP, cellWidth * SHARP, cellHeight * SHARP);
    }
  }
  return { ...size, href: canvas.toDataURL(), note: more > 0 ? text.more(more) : "" };
}
