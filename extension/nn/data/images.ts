import { filled } from "../../tensor/core/dtype.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { numel, sameShape, type Shape } from "../../tensor/core/shape.ts";
import { fromHost, type Tensor } from "../../tensor/core/tensor.ts";
import { writeImage } from "../files.ts";
import { dataFiles } from "./access.ts";
import { toPlanes } from "./planes.ts";
import { unitTensor } from "./vision.ts";

/** How {@link makeGrid} lays out images. */
export interface GridOptions {
  /** Images in a row; 8 by default. */
  nrow?: number;
  /** Pixels between images, and around them; 2 by default. */
  padding?: number;
  /** Moves the values into [0, 1], from `valueRange` or, without one, from the least and the largest; false by default. */
  normalize?: boolean;
  valueRange?: readonly [min: number, max: number] | null;
  /** Normalises each image by itself; false by default. */
  scaleEach?: boolean;
  /** Value of the padding; 0 by default. */
  padValue?: number;
}

/** The channels of an image that is read: those of its file, or grey, grey and opacity, colours, or colours and opacity. */
export type ImageReadMode = "UNCHANGED" | "GRAY" | "GRAY_ALPHA" | "RGB" | "RGB_ALPHA";

const READ_CHANNELS = { GRAY: 1, GRAY_ALPHA: 2, RGB: 3, RGB_ALPHA: 4 } as const;

/**
 * Reads a PNG or JPEG file as [C, H, W] (torchvision.io.read_image): float32 from 0 to 1, where torchvision has bytes. An orientation
 * in EXIF data has no effect.
 *
 * ```ts
 * const image = data.readImage("cat.jpg", "RGB"); // [3, height, width]
 * ```
 * @param path relative to the `.nn.ts` file or to the working directory, or absolute
 * @throws TensorError for a file that is no image, is damaged or has more than 67 million pixels
 */
export function readImage(path: string, mode: ImageReadMode = "UNCHANGED"): Tensor {
  if (mode !== "UNCHANGED" && !(mode in READ_CHANNELS))
    throw new TensorError(
      "value",
      `data.readImage(): expected mode "UNCHANGED", ${Object.keys(READ_CHANNELS)
        .map((one) => `"${one}"`)
        .join(", ")}, got ${JSON.stringify(mode)}`,
    );
  const image = dataFiles("readImage").image(path);
  const channels = mode === "UNCHANGED" ? (image.channels ?? 4) : READ_CHANNELS[mode];
  return unitTensor(toPlanes(image, channels), [channels, image.height, image.width]);
}

/** Images in one size: values of each, channel by channel. */
interface Images {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly images: readonly Float32Array[];
}

/**
 * A grid of images as one image [C, H, W] (torchvision.utils.make_grid). Images are [N, C, H, W] or a list of
 * [C, H, W]; those of one channel become three equal ones. One image alone has no padding.
 *
 * ```ts
 * data.makeGrid(torch.rand(10, 1, 8, 8), { nrow: 5 }).shape; // [3, 22, 52]
 * ```
 * @throws TensorError for images of another number of dimensions, or of several sizes
 */
export function makeGrid(images: Tensor | readonly Tensor[], options: GridOptions = {}): Tensor {
  const { nrow = 8, padding = 2, padValue = 0 } = options;
  const { channels, height, width, images: all } = normalized(imagesOf(images), options);
  if (all.length === 1) return fromHost(all[0]!, [channels, height, width], "float32");
  const columns = Math.min(nrow, all.length);
  const rows = Math.ceil(all.length / columns);
  const shape = [
    channels,
    rows * (height + padding) + padding,
    columns * (width + padding) + padding,
  ] as const;
  const [, gridHeight, gridWidth] = shape;
  const grid = new Float32Array(numel(shape)).fill(padValue);
  all.forEach((image, i) => {
    const top = padding + Math.floor(i / columns) * (height + padding);
    const left = padding + (i % columns) * (width + padding);
    for (let line = 0; line < channels * height; line++) {
      const [channel, y] = [Math.floor(line / height), line % height];
      const to = (channel * gridHeight + top + y) * gridWidth + left;
      grid.set(image.subarray(line * width, (line + 1) * width), to);
    }
  });
  return fromHost(grid, shape, "float32");
}

/**
 * Writes images with values from 0 to 1 as one PNG file (torchvision.utils.save_image): several as a grid.
 *
 * ```ts
 * data.saveImage(generator(torch.randn(64, 100)).view(64, 1, 28, 28), "samples.png", { normalize: true });
 * ```
 * @param file ends in `.png`; relative to the working directory, or absolute. Its folder is made.
 * @throws TensorError as {@link makeGrid}, and for another ending; the file system's error
 */
export function saveImage(images: Tensor | readonly Tensor[], file: string, options?: GridOptions): void {
  if (!/\.png$/i.test(file))
    throw new TensorError("value", `saveImage(): expected the name of a .png file, got "${file}"`);
  const grid = makeGrid(images, options);
  const [channels, height, width] = grid.shape as [number, number, number];
  if (channels !== 3)
    throw new TensorError("shape", `saveImage(): expected images of 1 or 3 channels, got ${channels}`);
  const values = valuesOf(grid.value);
  const size = height * width;
  const data = new Uint8Array(3 * size);
  for (let i = 0; i < data.length; i++) {
    const value = Math.fround(Math.fround(values[(i % 3) * size + Math.floor(i / 3)]! * 255) + 0.5);
    data[i] = Math.max(0, Math.min(255, value));
  }
  writeImage(file, { width, height, data });
}

function imagesOf(given: Tensor | readonly Tensor[]): Images {
  if (!isList(given)) return split(given);
  const [first] = given;
  if (first === undefined) throw new TensorError("value", "makeGrid(): expected a non-empty list of images");
  const different = given.find(({ shape }) => !sameShape(shape, first.shape));
  if (different !== undefined)
    throw new TensorError(
      "shape",
      `stack expects each tensor to be equal size, but got [${first.shape.join(", ")}] at entry 0 and [${different.shape.join(", ")}] at entry ${given.indexOf(different)}`,
    );
  const parts = given.map(split);
  return { ...parts[0]!, images: parts.flatMap(({ images }) => images) };
}

const isList = (x: Tensor | readonly Tensor[]): x is readonly Tensor[] => Array.isArray(x);

/** A batch [N, C, H, W], an image [C, H, W] or a plane [H, W] as images of at least three channels. */
function split({ shape, value }: Tensor): Images {
  if (shape.length < 2 || shape.length > 4)
    throw new TensorError("shape", `makeGrid(): expected images [N, C, H, W], got [${shape.join(", ")}]`);
  const [height, width] = shape.slice(-2) as [number, number];
  const channels = shape.at(-3) ?? 1;
  const values = Float32Array.from(valuesOf(value));
  const size = channels * height * width;
  const images = Array.from({ length: count(shape) }, (_, i) => {
    const image = values.slice(i * size, (i + 1) * size);
    return channels === 1 ? filled(new Float32Array(3 * size), (at) => image[at % size]!) : image;
  });
  return { channels: channels === 1 ? 3 : channels, height, width, images };
}

const count = (shape: Shape): number => (shape.length === 4 ? shape[0]! : 1);

function normalized(
  given: Images,
  { normalize = false, valueRange = null, scaleEach = false }: GridOptions,
): Images {
  if (!normalize) return given;
  const [low, high] = valueRange ?? [undefined, undefined];
  const all = scaleEach ? undefined : rangeOf(given.images);
  return {
    ...given,
    images: given.images.map((image) => {
      const [min, max] = low === undefined ? (all ?? rangeOf([image])) : [low, high];
      return image.map((x) => Math.fround(Math.min(Math.max(x, min), max) - min) / Math.max(max - min, 1e-5));
    }),
  };
}

function rangeOf(images: readonly Float32Array[]): [min: number, max: number] {
  let [min, max] = [Infinity, -Infinity];
  for (const image of images)
    for (const x of image) {
      if (x < min) min = x;
      if (x > max) max = x;
    }
  return [min, max];
}
