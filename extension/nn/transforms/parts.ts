// Parts of images, mirrored images, and images with a part replaced.
import { TensorError } from "../../tensor/core/errors.ts";
import { expand } from "../../tensor/functions/shape/shape.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { fromHost, Tensor } from "../../tensor/core/tensor.ts";
import { roundHalfEven } from "../rounding.ts";
import { py } from "../module/repr.ts";
import { bothSides, crop, gathered, pad, planesOf, type Size } from "./image.ts";

/**
 * Mirrors an image [..., H, W] left to right.
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.hflip.html
 */
export function hflip(img: Tensor): Tensor {
  const { height, width } = planesOf(img);
  return gathered(img, [height, width], (y, x) => y * width + (width - 1 - x));
}

/**
 * Turns an image [..., H, W] upside down.
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.vflip.html
 */
export function vflip(img: Tensor): Tensor {
  const { height, width } = planesOf(img);
  return gathered(img, [height, width], (y, x) => (height - 1 - y) * width + x);
}

/** The middle of an image; a smaller image gets zeros around it. */
export function centerCrop(image: Tensor, size: Size): Tensor {
  const [height, width] = bothSides(size);
  const old = planesOf(image);
  const [more, wider] = [Math.max(height - old.height, 0), Math.max(width - old.width, 0)];
  const whole = pad(image, [wider >> 1, more >> 1, (wider + 1) >> 1, (more + 1) >> 1], 0, "constant");
  const top = roundHalfEven((old.height + more - height) / 2);
  const left = roundHalfEven((old.width + wider - width) / 2);
  return crop(whole, top, left, height, width);
}

/** Five parts of one image. */
export type Five = [
  topLeft: Tensor,
  topRight: Tensor,
  bottomLeft: Tensor,
  bottomRight: Tensor,
  center: Tensor,
];

export function fiveCrop(image: Tensor, size: Size): Five {
  const [height, width] = bothSides(size);
  const old = planesOf(image);
  if (width > old.width || height > old.height)
    throw new TensorError(
      "shape",
      `Requested crop size ${py([height, width])} is bigger than input size ${py([old.height, old.width])}`,
    );
  const [bottom, right] = [old.height - height, old.width - width];
  return [
    crop(image, 0, 0, height, width),
    crop(image, 0, right, height, width),
    crop(image, bottom, 0, height, width),
    crop(image, bottom, right, height, width),
    centerCrop(image, [height, width]),
  ];
}

export function tenCrop(image: Tensor, size: Size, verticalFlip: boolean): [...Five, ...Five] {
  const mirrored = verticalFlip ? vflip(image) : hflip(image);
  return [...fiveCrop(image, size), ...fiveCrop(mirrored, size)];
}

/** An image whose part is replaced by a value that broadcasts to it. */
export function erase(
  image: Tensor,
  [top, left, height, width]: readonly [top: number, left: number, height: number, width: number],
  value: Tensor | number,
  inplace: boolean,
): Tensor {
  const { values, count, height: fullHeight, width: fullWidth } = planesOf(image);
  const [firstRow, rows] = sliced(top, height, fullHeight);
  const [firstColumn, columns] = sliced(left, width, fullWidth);
  const size = rows * columns;
  const inside =
    value instanceof Tensor
      ? valuesOf(expand(value, [...image.shape.slice(0, -2), rows, columns]).value)
      : new Float32Array(count * size).fill(value);
  const out = values.slice();
  for (let i = 0; i < count * size; i++) {
    const [plane, at] = [Math.floor(i / size), i % size];
    const y = firstRow + Math.floor(at / columns);
    out[(plane * fullHeight + y) * fullWidth + firstColumn + (at % columns)] = inside[i]!;
  }
  const result = fromHost(out, image.shape, image.dtype);
  return inplace ? image.write(result) : result;
}

/** First place and length of Python's slice `[from : from + length]`, where negative places count from the end. */
function sliced(from: number, length: number, size: number): readonly [first: number, length: number] {
  const place = (at: number): number => Math.min(Math.max(at < 0 ? at + size : at, 0), size);
  return [place(from), Math.max(place(from + length) - place(from), 0)];
}
