import * as v from "valibot";

/** Pictures of layers' outputs in a training (see engine/findings/layerPictures.ts), one {@link PictureRow} a line. */
export const PICTURES_FILE = "layer-pictures.jsonl";

/** Units, channels or heads of a layer that have a picture, the first of more. */
export const MAX_DRAWN = 8;
/** Numbers of a picture's longer side at most. */
export const MAX_SIDE = 32;
/** Points of the training data on a plane. */
export const MAX_POINTS = 150;
/** Stands for a number that isn't finite in {@link LayerPicture}'s values. */
export const NOT_FINITE = 0xff_ff;
/** The level of the greatest finite number. */
export const LEVELS = NOT_FINITE - 1;

const Count = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(2 ** 31));
const Side = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MAX_SIDE));
const Range = v.tuple([v.pipe(v.number(), v.finite()), v.pipe(v.number(), v.finite())]);

/** Two bytes a number, in base64. */
const MAX_TEXT = Math.ceil((MAX_DRAWN * MAX_SIDE * MAX_SIDE * 2) / 3) * 4;

/** Of one layer. */
export const LayerPicture = v.object({
  /** A unit's output over a plane of inputs, a channel's for one sample, or a head's attention of queries (rows) to keys. */
  kind: v.picklist(["plane", "map", "attention"]),
  /** Units, channels or heads that the layer has, and how many of them are drawn. */
  units: Count,
  drawn: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MAX_DRAWN)),
  /** Size of the picture and, in `size`, of the shown output: a picture of a larger output holds means. */
  height: Side,
  width: Side,
  size: v.tuple([Count, Count]),
  /** The least and the greatest number. */
  low: v.pipe(v.number(), v.finite()),
  high: v.pipe(v.number(), v.finite()),
  /** `drawn` pictures row by row, from `low` (0) to `high` ({@link LEVELS}): unsigned 16-bit little-endian, in base64. */
  values: v.pipe(v.string(), v.maxLength(MAX_TEXT)),
});
export type LayerPicture = v.InferOutput<typeof LayerPicture>;

/** Input of the model for the pictures. */
export const PictureInput = v.variant("kind", [
  /** The rectangle that the training data lies in, its first row at the greatest y; scaled as the model sees it. */
  v.object({
    kind: v.literal("plane"),
    names: v.tuple([v.string(), v.string()]),
    x: Range,
    y: Range,
    /** x, y and target of some training samples. */
    points: v.pipe(v.array(v.tuple([v.number(), v.number(), v.number()])), v.maxLength(MAX_POINTS)),
    /** Whether targets are classes. */
    classes: v.boolean(),
  }),
  /** A sample by its number in a split. */
  v.object({ kind: v.literal("sample"), split: v.picklist(["train", "validation"]), index: v.number() }),
]);
export type PictureInput = v.InferOutput<typeof PictureInput>;

export const PictureRow = v.object({
  step: v.number(),
  epoch: v.number(),
  input: PictureInput,
  /** By path of the module, with the suffix "#2" for its second call; "" is the model. */
  layers: v.record(v.string(), LayerPicture),
});
export type PictureRow = v.InferOutput<typeof PictureRow>;

/** Which row of the pictures a view has. */
export interface ShownPictures {
  /** Changes when earlier rows change, as those of a training that was resumed from an earlier step. */
  version: number;
  /** Absent if the run has none. */
  row?: PictureRow;
}

/** Of a view that has none yet. */
export const NO_PICTURES = { version: -1, step: -1 } as const;
/** In place of a step: the last one. */
export const LAST = -1;

export interface LayerPictureMethods {
  /**
   * The last pictures up to a step.
   * @param step {@link LAST} for the last of all
   * @param have The version and the step that the view has: null if these are still right
   */
  layerPictures(step: number, have: { version: number; step: number }): Promise<ShownPictures | null>;
  /** Opens a layer's pictures at a step in the tensor viewer. */
  openPicture(path: string, step: number): Promise<void>;
}

/** The numbers of a layer's pictures, NaN where they weren't finite; undefined if they are not as many as they should be. */
export function pictureValues({ values, low, high, ...one }: LayerPicture): Float32Array | undefined {
  const bytes = bytesOf(values);
  const count = one.drawn * one.height * one.width;
  if (bytes?.length !== 2 * count) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Float32Array.from({ length: count }, (_, i) => {
    const level = view.getUint16(2 * i, true);
    return level === NOT_FINITE ? NaN : low + ((high - low) * level) / LEVELS;
  });
}

function bytesOf(base64: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}
