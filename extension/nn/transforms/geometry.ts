import { TensorError } from "../../tensor/core/errors.ts";
import { roundHalfEven } from "../rounding.ts";
import { rand } from "../../tensor/functions/creation/random.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { BuiltIn } from "../module/module.ts";
import { py, pyFloat } from "../module/repr.ts";
import {
  bothSides,
  crop,
  drawBelow,
  drawBetween,
  gathered,
  pad,
  planesOf,
  type Padding,
  type PaddingMode,
  type Size,
} from "./image.ts";
import { resampled } from "./resample.ts";

export interface ResizeOptions {
  interpolation?: "nearest" | "bilinear";
  /** Maximum length of the longer edge; only with one number as `size`. */
  maxSize?: number | null;
  /** Whether a smaller image is computed from all pixels instead of the nearest ones; true by default. */
  antialias?: boolean;
}

/**
 * Resizes an image [..., H, W]: to one number for the shorter edge, keeping the ratio, or to `[height, width]`.
 *
 * ```ts
 * new transforms.Resize(16)(torch.rand(3, 32, 64)).shape; // [3, 16, 32]
 * ```
 * @throws TensorError when it is no float image, or `maxSize` is not above `size`
 */
export class Resize extends BuiltIn {
  readonly size: Size;
  readonly interpolation: "nearest" | "bilinear";
  readonly maxSize: number | null;
  readonly antialias: boolean;

  constructor(size: Size, options: ResizeOptions = {}) {
    super();
    const { interpolation = "bilinear", maxSize = null, antialias = true } = options;
    if (typeof size !== "number" && size.length !== 2)
      throw new TensorError("value", "If size is a sequence, it should have 1 or 2 values");
    if (interpolation !== "nearest" && interpolation !== "bilinear")
      throw new TensorError("unsupported", `Resize(): expected interpolation "nearest" or "bilinear"`);
    this.size = size;
    this.interpolation = interpolation;
    this.maxSize = maxSize;
    this.antialias = antialias;
  }

  forward(image: Tensor): Tensor {
    if (image.dtype !== "float32")
      throw new TensorError("dtype", `Resize(): expected a float image, got torch.${image.dtype}`);
    const { height, width } = planesOf(image);
    const [newHeight, newWidth] = this.outputSize(height, width);
    if (newHeight === height && newWidth === width) return image;
    return resampled(image, [newHeight, newWidth], this.interpolation, this.antialias);
  }

  private outputSize(height: number, width: number): readonly [number, number] {
    const { size, maxSize } = this;
    if (typeof size !== "number") return size;
    const [short, long] = width <= height ? [width, height] : [height, width];
    let [newShort, newLong] = [size, Math.trunc((size * long) / short)];
    if (maxSize !== null) {
      if (maxSize <= size)
        throw new TensorError(
          "value",
          `max_size = ${maxSize} must be strictly greater than the requested size for the smaller edge size = ${size}`,
        );
      if (newLong > maxSize) [newShort, newLong] = [Math.trunc((maxSize * newShort) / newLong), maxSize];
    }
    return width <= height ? [newLong, newShort] : [newShort, newLong];
  }

  override extraRepr(): string {
    const { size, interpolation, maxSize, antialias } = this;
    return `size=${py(size)}, interpolation=${interpolation}, max_size=${py(maxSize)}, antialias=${py(antialias)}`;
  }
}

/**
 * The middle of an image [..., H, W]; a smaller image gets zeros around it.
 *
 * ```ts
 * new transforms.CenterCrop(6)(torch.rand(1, 8, 8)).shape; // [1, 6, 6]
 * ```
 */
export class CenterCrop extends BuiltIn {
  readonly size: readonly [height: number, width: number];

  constructor(size: Size) {
    super();
    this.size = bothSides(size);
  }

  forward(image: Tensor): Tensor {
    const [height, width] = this.size;
    const old = planesOf(image);
    const [more, wider] = [Math.max(height - old.height, 0), Math.max(width - old.width, 0)];
    const whole = pad(image, [wider >> 1, more >> 1, (wider + 1) >> 1, (more + 1) >> 1], 0, "constant");
    const top = roundHalfEven((old.height + more - height) / 2);
    const left = roundHalfEven((old.width + wider - width) / 2);
    return crop(whole, top, left, height, width);
  }

  override extraRepr(): string {
    return `size=${py(this.size)}`;
  }
}

/**
 * Adds pixels around an image [..., H, W].
 *
 * ```ts
 * new transforms.Pad(2, 0, "reflect")(torch.rand(1, 8, 8)).shape; // [1, 12, 12]
 * ```
 */
export class Pad extends BuiltIn {
  readonly padding: Padding;
  readonly fill: number;
  readonly paddingMode: PaddingMode;

  /**
   * @param padding of all sides; `[leftRight, topBottom]`; or `[left, top, right, bottom]`
   * @param fill value of the new pixels, for "constant"; 0 by default
   */
  constructor(padding: Padding, fill = 0, paddingMode: PaddingMode = "constant") {
    super();
    this.padding = padding;
    this.fill = fill;
    this.paddingMode = paddingMode;
  }

  forward(image: Tensor): Tensor {
    return pad(image, this.padding, this.fill, this.paddingMode);
  }

  override extraRepr(): string {
    return `padding=${py(this.padding)}, fill=${py(this.fill)}, padding_mode=${this.paddingMode}`;
  }
}

export interface RandomCropOptions {
  /** Pixels added around the image first. */
  padding?: Padding | null;
  /** Adds pixels to an image that is smaller than the crop; false by default. */
  padIfNeeded?: boolean;
  fill?: number;
  paddingMode?: PaddingMode;
}

/**
 * A part of an image [..., H, W] at a random place, drawn as in torchvision: top, then left; nothing is drawn when there
 * is one place only.
 *
 * ```ts
 * new transforms.RandomCrop(8, { padding: 1 })(torch.rand(1, 8, 8)).shape; // [1, 8, 8]
 * ```
 * @throws TensorError "Required crop size (…) is larger than input image size (…)"
 */
export class RandomCrop extends BuiltIn {
  readonly size: readonly [height: number, width: number];
  readonly padding: Padding | null;
  readonly padIfNeeded: boolean;
  readonly fill: number;
  readonly paddingMode: PaddingMode;

  constructor(size: Size, options: RandomCropOptions = {}) {
    super();
    this.size = bothSides(size);
    this.padding = options.padding ?? null;
    this.padIfNeeded = options.padIfNeeded ?? false;
    this.fill = options.fill ?? 0;
    this.paddingMode = options.paddingMode ?? "constant";
  }

  forward(image: Tensor): Tensor {
    const [height, width] = this.size;
    const { fill, paddingMode } = this;
    let whole = this.padding === null ? image : pad(image, this.padding, fill, paddingMode);
    if (this.padIfNeeded) {
      const missing = (size: number, old: number): number => Math.max(size - old, 0);
      whole = pad(whole, [missing(width, planesOf(whole).width), 0], fill, paddingMode);
      whole = pad(whole, [0, missing(height, planesOf(whole).height)], fill, paddingMode);
    }
    const old = planesOf(whole);
    if (old.height < height || old.width < width)
      throw new TensorError(
        "shape",
        `Required crop size ${py([height, width])} is larger than input image size ${py([old.height, old.width])}`,
      );
    if (old.height === height && old.width === width) return whole;
    const top = drawBelow(old.height - height + 1);
    const left = drawBelow(old.width - width + 1);
    return crop(whole, top, left, height, width);
  }

  override extraRepr(): string {
    return `size=${py(this.size)}, padding=${py(this.padding)}`;
  }
}

/** Base class of random flips: one draw of `torch.rand(1)` decides. */
abstract class RandomFlip extends BuiltIn {
  readonly p: number;

  /** @param p probability; 0.5 by default */
  constructor(p = 0.5) {
    super();
    this.p = p;
  }

  forward(image: Tensor): Tensor {
    if (!(valuesOf(rand(1).value)[0]! < this.p)) return image;
    const { height, width } = planesOf(image);
    return gathered(image, [height, width], (y, x) => this.source(y, x, height, width));
  }

  protected abstract source(y: number, x: number, height: number, width: number): number;

  override extraRepr(): string {
    return `p=${pyFloat(this.p)}`;
  }
}

/**
 * An image [..., H, W] mirrored left to right, with probability p.
 *
 * ```ts
 * new transforms.RandomHorizontalFlip()(torch.rand(1, 8, 8));
 * ```
 */
export class RandomHorizontalFlip extends RandomFlip {
  protected source(y: number, x: number, _height: number, width: number): number {
    return y * width + (width - 1 - x);
  }
}

/**
 * An image [..., H, W] turned upside down, with probability p.
 *
 * ```ts
 * new transforms.RandomVerticalFlip(0.1)(torch.rand(1, 8, 8));
 * ```
 */
export class RandomVerticalFlip extends RandomFlip {
  protected source(y: number, x: number, height: number, width: number): number {
    return (height - 1 - y) * width + x;
  }
}

/**
 * An image [..., H, W] turned by a random angle, to the nearest pixels; pixels from outside are `fill`. The angle is
 * drawn as in torchvision, uniformly.
 *
 * ```ts
 * new transforms.RandomRotation(15)(torch.rand(1, 28, 28));
 * ```
 */
export class RandomRotation extends BuiltIn {
  readonly degrees: readonly [from: number, to: number];
  readonly fill: number;

  /**
   * @param degrees the range of angles, counter-clockwise; one number d stands for −d to d
   * @throws TensorError "If degrees is a single number, it must be positive."
   */
  constructor(degrees: number | readonly [from: number, to: number], options: { fill?: number } = {}) {
    super();
    if (typeof degrees === "number" && degrees < 0)
      throw new TensorError("value", "If degrees is a single number, it must be positive.");
    if (typeof degrees !== "number" && degrees.length !== 2)
      throw new TensorError("value", "degrees should be a sequence of length 2.");
    this.degrees = typeof degrees === "number" ? [-degrees, degrees] : degrees;
    this.fill = options.fill ?? 0;
  }

  forward(image: Tensor): Tensor {
    return rotated(image, drawBetween(...this.degrees), this.fill);
  }

  override extraRepr(): string {
    const [from, to] = this.degrees;
    return `degrees=[${pyFloat(from)}, ${pyFloat(to)}], interpolation=nearest, expand=False, fill=${py(this.fill)}`;
  }
}

/** In float32, in the order of torchvision's grid: then the nearest pixel is the same one. */
function rotated(image: Tensor, degrees: number, fill: number): Tensor {
  const { height, width } = planesOf(image);
  const f = Math.fround;
  const angle = (-degrees * Math.PI) / 180;
  const [cos, sin] = [f(Math.cos(angle)), f(Math.sin(angle))];
  const across = [f(cos / f(0.5 * width)), f(sin / f(0.5 * width))] as const;
  const down = [f(-sin / f(0.5 * height)), f(cos / f(0.5 * height))] as const;
  const nearest = (coordinate: number, size: number): number =>
    nearbyInteger(f(f(f(f(coordinate + 1) * size) - 1) / 2));
  return gathered(
    image,
    [height, width],
    (row, column) => {
      const [x, y] = [column - width * 0.5 + 0.5, row - height * 0.5 + 0.5];
      const fromX = nearest(f(f(x * across[0]) + y * across[1]), width);
      const fromY = nearest(f(f(x * down[0]) + y * down[1]), height);
      return fromX < 0 || fromY < 0 || fromX >= width || fromY >= height ? -1 : fromY * width + fromX;
    },
    fill,
  );
}

function nearbyInteger(x: number): number {
  return x < 0 ? -roundHalfEven(-x) : roundHalfEven(x);
}
