import { TensorError } from "../../tensor/core/errors.ts";
import { uniform_ } from "../../tensor/functions/creation/filling.ts";
import { rand, randint } from "../../tensor/functions/creation/random.ts";
import type { HostArray } from "../../tensor/core/dtype.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { formatShape, numel } from "../../tensor/core/shape.ts";
import { fromHost, type Tensor } from "../../tensor/core/tensor.ts";
import { roundHalfEven } from "../rounding.ts";

/** Height and width of an image; one number stands for both. */
export type Size = number | readonly [height: number, width: number];

export type PaddingMode = "constant" | "edge" | "reflect" | "symmetric";

/** An image [..., H, W] on the host, as planes of pixels. */
export interface Planes {
  readonly values: HostArray;
  readonly count: number;
  readonly height: number;
  readonly width: number;
}

/** @throws TensorError when it has no height and width */
export function planesOf(image: Tensor): Planes {
  const { shape } = image;
  if (shape.length < 2) throw new TensorError("shape", "Tensor is not a torch image.");
  const [height, width] = shape.slice(-2) as [number, number];
  return { values: valuesOf(image.value), count: numel(shape.slice(0, -2)), height, width };
}

/** Number of channels of an image [..., C, H, W], 1 of [H, W]. @throws TensorError when it has no height and width */
export function channelsOf({ shape }: Tensor): number {
  if (shape.length < 2) throw new TensorError("shape", "Tensor is not a torch image.");
  return shape.length === 2 ? 1 : shape.at(-3)!;
}

/** @throws TensorError "Input image tensor permitted channel values are [1, 3], but found 2" */
export function checkChannels(image: Tensor, permitted: readonly number[] = [1, 3]): number {
  const channels = channelsOf(image);
  if (!permitted.includes(channels))
    throw new TensorError(
      "shape",
      `Input image tensor permitted channel values are ${formatShape(permitted)}, but found ${channels}`,
    );
  return channels;
}

/** @throws TensorError "Input image tensor should have at least 3 dimensions, but found 2" */
export function checkDimensions({ shape }: Tensor): void {
  if (shape.length < 3)
    throw new TensorError(
      "shape",
      `Input image tensor should have at least 3 dimensions, but found ${shape.length}`,
    );
}

/** Values of a float image: there are no images of 8 bits. @throws TensorError for another type */
export function floatsOf(callee: string, image: Tensor): HostArray {
  if (image.dtype !== "float32")
    throw new TensorError("dtype", `${callee}(): expected a float image, got torch.${image.dtype}`);
  return valuesOf(image.value);
}

/**
 * Another image of the same planes, pixel by pixel.
 * @param source Index in the plane that a pixel is taken from; below 0 for `fill`
 */
export function gathered(
  image: Tensor,
  [height, width]: readonly [number, number],
  source: (y: number, x: number) => number,
  fill = 0,
): Tensor {
  const { values, count, height: oldHeight, width: oldWidth } = planesOf(image);
  const index = new Int32Array(height * width);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) index[y * width + x] = source(y, x);
  const out = new (values.constructor as Float32ArrayConstructor)(count * index.length);
  for (let plane = 0; plane < count; plane++) {
    const from = plane * oldHeight * oldWidth;
    const to = plane * index.length;
    for (let i = 0; i < index.length; i++) {
      const at = index[i]!;
      out[to + i] = at < 0 ? fill : values[from + at]!;
    }
  }
  return fromHost(out, [...image.shape.slice(0, -2), height, width], image.dtype);
}

/** A part of an image; what is outside of it is 0. */
export function crop(image: Tensor, top: number, left: number, height: number, width: number): Tensor {
  const { height: oldHeight, width: oldWidth } = planesOf(image);
  return gathered(image, [height, width], (y, x) => {
    const [from, at] = [y + top, x + left];
    return from < 0 || at < 0 || from >= oldHeight || at >= oldWidth ? -1 : from * oldWidth + at;
  });
}

/** One number for all sides; left and right, top and bottom; or left, top, right, bottom. */
export type Padding =
  | number
  | readonly [all: number]
  | readonly [leftRight: number, topBottom: number]
  | readonly [left: number, top: number, right: number, bottom: number];

/** An image with more pixels around it. @throws TensorError for a reflection of more than there is */
export function pad(image: Tensor, padding: Padding, fill: number, mode: PaddingMode): Tensor {
  const [left, top, right, bottom] = sides(padding);
  const { height, width } = planesOf(image);
  const row = padIndex(mode, height);
  const column = padIndex(mode, width);
  if (mode === "reflect" && (Math.max(left, right) >= width || Math.max(top, bottom) >= height))
    throw new TensorError(
      "shape",
      `Padding size should be less than the corresponding input dimension, but got: padding (${left}, ${right}, ${top}, ${bottom}) of input ${formatShape(image.shape)}`,
    );
  return gathered(
    image,
    [height + top + bottom, width + left + right],
    (y, x) => {
      const [from, at] = [row(y - top), column(x - left)];
      return from < 0 || at < 0 ? -1 : from * width + at;
    },
    fill,
  );
}

function sides(padding: Padding): readonly [number, number, number, number] {
  if (typeof padding === "number") return [padding, padding, padding, padding];
  if (padding.length === 4) return padding;
  const [horizontal, vertical = horizontal] = padding;
  if (padding.length <= 2 && horizontal !== undefined) return [horizontal, vertical, horizontal, vertical];
  throw new TensorError(
    "value",
    `Padding must be an int or a 1, 2, or 4 element tuple, not a ${(padding as readonly number[]).length} element tuple`,
  );
}

/** Where a pixel outside of 0 … size − 1 is taken from; −1 for none. */
function padIndex(mode: PaddingMode, size: number): (at: number) => number {
  switch (mode) {
    case "constant":
      return (at) => (at < 0 || at >= size ? -1 : at);
    case "edge":
      return (at) => Math.min(Math.max(at, 0), size - 1);
    case "reflect":
      return (at) => (at < 0 ? -at : at >= size ? 2 * (size - 1) - at : at);
    case "symmetric":
      return (at) => {
        const period = ((at % (2 * size)) + 2 * size) % (2 * size);
        return period < size ? period : 2 * size - 1 - period;
      };
    default:
      throw new TensorError("value", "Padding mode should be either constant, edge, reflect or symmetric");
  }
}

/** @throws TensorError "Please provide only two dimensions (h, w) for size." */
export function bothSides(size: Size): readonly [height: number, width: number] {
  if (typeof size === "number") return [size, size];
  const [height, width = height, ...rest] = size as readonly number[];
  if (height === undefined || width === undefined || rest.length > 0)
    throw new TensorError("value", "Please provide only two dimensions (h, w) for size.");
  return [height, width];
}

/** The nearest whole number; the even one where two are as near: Python's `round`. */
export function nearbyInteger(x: number): number {
  return x < 0 ? -roundHalfEven(-x) : roundHalfEven(x);
}

/** Whether a draw of `torch.rand(1)` is below a probability, or `inclusive` equal to it. */
export function drawChance(p: number, inclusive = false): boolean {
  const drawn = valuesOf(rand(1).value)[0]!;
  const limit = Math.fround(p);
  return inclusive ? drawn <= limit : drawn < limit;
}

/** A number below `high`, drawn as `torch.randint(0, high, (1,))`. */
export function drawBelow(high: number): number {
  return valuesOf(randint(0, high, [1]).value)[0]!;
}

/** A number of [from, to), drawn as `torch.empty(1).uniform_(from, to)`. */
export function drawBetween(from: number, to: number): number {
  return valuesOf(uniform_(fromHost(new Float32Array(1), [1], "float32"), from, to).value)[0]!;
}

/** A range of numbers. */
export type Range = readonly [min: number, max: number];

/**
 * A share of an area, drawn uniformly, and a ratio of its sides, drawn uniformly by its logarithm: the sides of a
 * rectangle of that size, rounded, the first divided by the second being about the ratio.
 */
export function drawSides(
  area: number,
  scale: Range,
  ratio: Range,
): readonly [first: number, second: number] {
  const part = area * drawBetween(...scale);
  const [from, to] = ratio.map((one) => Math.fround(Math.log(Math.fround(one)))) as unknown as Range;
  const quotient = Math.fround(Math.exp(drawBetween(from, to)));
  return [roundHalfEven(Math.sqrt(part * quotient)), roundHalfEven(Math.sqrt(part / quotient))];
}
