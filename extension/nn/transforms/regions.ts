// Random parts of images.
import { TensorError } from "../../tensor/core/errors.ts";
import { normal_ } from "../../tensor/functions/creation/filling.ts";
import { fromHost, type Tensor } from "../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Call } from "../arguments.ts";
import { BuiltIn } from "../module/module.ts";
import { py, pyFloat } from "../module/repr.ts";
import { roundHalfEven } from "../rounding.ts";
import { warnOnce } from "../warnings.ts";
import {
  bothSides,
  channelsOf,
  crop,
  drawBelow,
  drawChance,
  drawSides,
  pad,
  planesOf,
  type Padding,
  type PaddingMode,
  type Range,
  type Size,
} from "./image.ts";
import { erase } from "./parts.ts";
import { checkInterpolation, resize, type Interpolation } from "./resample.ts";

/** A rectangle of an image. */
type Region = [top: number, left: number, height: number, width: number];

export interface RandomCropOptions {
  /** Pixels added around the image first. */
  padding?: Padding | null;
  /** Adds pixels to an image that is smaller than the crop; false by default. */
  padIfNeeded?: boolean;
  fill?: number;
  paddingMode?: PaddingMode;
}

interface RandomCropArguments extends RandomCropOptions {
  size: Size;
}

/**
 * A part of an image [..., H, W] at a random place, drawn as in torchvision: top, then left; nothing is drawn when there
 * is one place only.
 *
 * ```ts
 * new transforms.RandomCrop(8, { padding: 1 })(torch.rand(1, 8, 8)).shape; // [1, 8, 8]
 * ```
 * @throws TensorError "Required crop size (…) is larger than input image size (…)"
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomCrop.html
 */
export class RandomCrop extends BuiltIn {
  readonly size: readonly [height: number, width: number];
  readonly padding: Padding | null;
  readonly padIfNeeded: boolean;
  readonly fill: number;
  readonly paddingMode: PaddingMode;

  constructor(size: Size, options?: RandomCropOptions);
  constructor(...args: Call<RandomCropArguments, "size padding padIfNeeded fill paddingMode">);
  constructor(...args: unknown[]) {
    super();
    const bound = bind<RandomCropArguments>("RandomCrop", args, {
      size: REQUIRED,
      padding: null,
      padIfNeeded: false,
      fill: 0,
      paddingMode: "constant",
    });
    this.size = bothSides(bound.size);
    this.padding = bound.padding;
    this.padIfNeeded = bound.padIfNeeded;
    this.fill = bound.fill;
    this.paddingMode = bound.paddingMode;
  }

  /** Draws a part of a size, for `transforms.functional.crop`: the same one for an image and its mask. */
  static getParams(image: Tensor, outputSize: Size): Region {
    const [height, width] = bothSides(outputSize);
    const old = planesOf(image);
    if (old.height < height || old.width < width)
      throw new TensorError(
        "shape",
        `Required crop size ${py([height, width])} is larger than input image size ${py([old.height, old.width])}`,
      );
    if (old.height === height && old.width === width) return [0, 0, height, width];
    const top = drawBelow(old.height - height + 1);
    const left = drawBelow(old.width - width + 1);
    return [top, left, height, width];
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
    return crop(whole, ...RandomCrop.getParams(whole, this.size));
  }

  override extraRepr(): string {
    return `size=${py(this.size)}, padding=${py(this.padding)}`;
  }
}

export interface RandomResizedCropOptions {
  /** Range of the share of the area; [0.08, 1] by default. */
  scale?: Range;
  /** Range of width divided by height; [3 / 4, 4 / 3] by default. */
  ratio?: Range;
  /** "bilinear" by default. */
  interpolation?: Interpolation;
  /** Whether a smaller image is computed from all pixels instead of the nearest ones; true by default. */
  antialias?: boolean | null;
}

interface RandomResizedCropArguments extends RandomResizedCropOptions {
  size: Size;
}

/**
 * A random part of an image [..., H, W], resized to `[height, width]`, or to one number for both. Drawn as in torchvision:
 * area and ratio, up to ten times until such a part fits, then top and left; if none fits, the middle.
 *
 * ```ts
 * new transforms.RandomResizedCrop(8, { scale: [0.5, 1] })(torch.rand(3, 16, 16)).shape; // [3, 8, 8]
 * ```
 * @throws TensorError when it is no float image
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomResizedCrop.html
 */
export class RandomResizedCrop extends BuiltIn {
  readonly size: readonly [height: number, width: number];
  readonly scale: Range;
  readonly ratio: Range;
  readonly interpolation: Interpolation;
  readonly antialias: boolean | null;

  constructor(size: Size, options?: RandomResizedCropOptions);
  constructor(...args: Call<RandomResizedCropArguments, "size scale ratio interpolation antialias">);
  constructor(...args: unknown[]) {
    super();
    const bound = bind<RandomResizedCropArguments>("RandomResizedCrop", args, {
      size: REQUIRED,
      scale: [0.08, 1],
      ratio: [3 / 4, 4 / 3],
      interpolation: "bilinear",
      antialias: true,
    });
    this.size = bothSides(bound.size);
    checkInterpolation("RandomResizedCrop", bound.interpolation);
    checkRanges(bound.scale, bound.ratio);
    this.scale = bound.scale;
    this.ratio = bound.ratio;
    this.interpolation = bound.interpolation;
    this.antialias = bound.antialias;
  }

  /** Draws a part, for `transforms.functional.resizedCrop`. */
  static getParams(image: Tensor, scale: Range, ratio: Range): Region {
    const { height, width } = planesOf(image);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const [partWidth, partHeight] = drawSides(height * width, scale, ratio);
      if (!(partWidth > 0 && partWidth <= width && partHeight > 0 && partHeight <= height)) continue;
      const top = drawBelow(height - partHeight + 1);
      const left = drawBelow(width - partWidth + 1);
      return [top, left, partHeight, partWidth];
    }
    const [min, max] = [Math.min(...ratio), Math.max(...ratio)];
    const partHeight = width / height < min ? roundHalfEven(width / min) : height;
    const partWidth = width / height > max ? roundHalfEven(height * max) : width;
    return [(height - partHeight) >> 1, (width - partWidth) >> 1, partHeight, partWidth];
  }

  forward(image: Tensor): Tensor {
    const part = crop(image, ...RandomResizedCrop.getParams(image, this.scale, this.ratio));
    return resize(part, this.size, this.interpolation, null, this.antialias === true, "RandomResizedCrop");
  }

  override extraRepr(): string {
    const rounded = (range: Range): string =>
      `(${range.map((one) => pyFloat(roundHalfEven(one * 1e4) / 1e4)).join(", ")})`;
    const { size, scale, ratio, interpolation, antialias } = this;
    return `size=${py(size)}, scale=${rounded(scale)}, ratio=${rounded(ratio)}, interpolation=${interpolation}, antialias=${py(antialias)}`;
  }
}

/** How often sides are drawn until they fit. */
const ATTEMPTS = 10;

function checkRanges(scale: Range, ratio: Range): void {
  if (scale[0] > scale[1] || ratio[0] > ratio[1]) warnOnce("Scale and ratio should be of kind (min, max)");
}

export interface RandomErasingOptions {
  /** Probability; 0.5 by default. */
  p?: number;
  /** Range of the share of the area; [0.02, 0.33] by default. */
  scale?: Range;
  /** Range of height divided by width; [0.3, 3.3] by default. */
  ratio?: Range;
  /** Value of all pixels, or one for each channel; "random" draws each from the normal distribution. 0 by default. */
  value?: number | readonly number[] | "random";
  /** Whether the image itself changes; false by default. */
  inplace?: boolean;
}

/**
 * Replaces a random rectangle of an image [..., C, H, W] with probability p. Drawn as in torchvision: area and ratio, up to
 * ten times until the rectangle is smaller than the image, "random" values, then top and left; if none fits, nothing
 * changes.
 *
 * ```ts
 * new transforms.RandomErasing({ p: 1, value: "random" })(torch.zeros(3, 8, 8)).shape; // [3, 8, 8]
 * ```
 * @throws TensorError "Random erasing probability should be between 0 and 1", "Scale should be between 0 and 1"
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomErasing.html
 */
export class RandomErasing extends BuiltIn {
  readonly p: number;
  readonly scale: Range;
  readonly ratio: Range;
  readonly value: number | readonly number[] | "random";
  readonly inplace: boolean;

  constructor(options?: RandomErasingOptions);
  constructor(p?: number, options?: Omit<RandomErasingOptions, "p">);
  constructor(...args: Call<RandomErasingOptions, "p scale ratio value inplace">);
  constructor(...args: unknown[]) {
    super();
    const { p, scale, ratio, value, inplace } = bind<RandomErasingOptions>("RandomErasing", args, {
      p: 0.5,
      scale: [0.02, 0.33],
      ratio: [0.3, 3.3],
      value: 0,
      inplace: false,
    });
    if (typeof value === "string" && value !== "random")
      throw new TensorError("value", "If value is str, it should be 'random'");
    checkRanges(scale, ratio);
    if (scale[0] < 0 || scale[1] > 1) throw new TensorError("value", "Scale should be between 0 and 1");
    if (p < 0 || p > 1)
      throw new TensorError("value", "Random erasing probability should be between 0 and 1");
    this.p = p;
    this.scale = scale;
    this.ratio = ratio;
    this.value = value;
    this.inplace = inplace;
  }

  /**
   * Draws a rectangle and its values, for `transforms.functional.erase`.
   * @param value of each channel, or one of all; null draws them
   */
  static getParams(
    image: Tensor,
    scale: Range,
    ratio: Range,
    value: readonly number[] | null = null,
  ): [...Region, value: Tensor] {
    const { height, width } = planesOf(image);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const [partHeight, partWidth] = drawSides(height * width, scale, ratio);
      if (!(partHeight < height && partWidth < width)) continue;
      const shape = [channelsOf(image), partHeight, partWidth];
      const values =
        value === null
          ? normal_(fromHost(new Float32Array(shape[0]! * partHeight * partWidth), shape, "float32"))
          : fromHost(Float32Array.from(value), [value.length, 1, 1], "float32");
      const top = drawBelow(height - partHeight + 1);
      const left = drawBelow(width - partWidth + 1);
      return [top, left, partHeight, partWidth, values];
    }
    return [0, 0, height, width, image];
  }

  forward(image: Tensor): Tensor {
    if (!drawChance(this.p)) return image;
    let values: readonly number[] | null;
    if (this.value === "random") values = null;
    else values = typeof this.value === "number" ? [this.value] : this.value;
    const channels = channelsOf(image);
    if (values !== null && values.length !== 1 && values.length !== channels)
      throw new TensorError(
        "value",
        `If value is a sequence, it should have either a single value or ${channels} (number of input channels)`,
      );
    const [top, left, height, width, value] = RandomErasing.getParams(image, this.scale, this.ratio, values);
    return erase(image, [top, left, height, width], value, this.inplace);
  }

  override extraRepr(): string {
    const floats = (range: Range): string => `(${range.map(pyFloat).join(", ")})`;
    const { p, scale, ratio, value, inplace } = this;
    const shown = value === "random" ? value : py(value);
    return `p=${pyFloat(p)}, scale=${floats(scale)}, ratio=${floats(ratio)}, value=${shown}, inplace=${py(inplace)}`;
  }
}
