// Transforms of colours, most of them random.
import { TensorError } from "../../tensor/core/errors.ts";
import { randperm } from "../../tensor/functions/creation/random.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Call } from "../arguments.ts";
import { BuiltIn } from "../module/module.ts";
import { configured } from "../modules/configured.ts";
import { py, pyFloat } from "../module/repr.ts";
import { adjustSharpness, gaussianBlur } from "./filter.ts";
import { channelsOf, drawBetween, drawChance, type Range } from "./image.ts";
import * as pixels from "./pixels.ts";

/**
 * Grey: 0.2989 red + 0.587 green + 0.114 blue, as one channel or three equal ones. Of [..., 1 or 3, H, W].
 *
 * ```ts
 * new transforms.Grayscale()(torch.rand(3, 8, 8)).shape; // [1, 8, 8]
 * ```
 * @throws TensorError for another number of channels
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.Grayscale.html
 */
export class Grayscale extends configured<[numOutputChannels?: number]>()("numOutputChannels", 1) {
  forward(image: Tensor): Tensor {
    return pixels.grayscale(image, this.numOutputChannels);
  }

  override extraRepr(): string {
    return `num_output_channels=${this.numOutputChannels}`;
  }
}

/**
 * An image [..., 1 or 3, H, W] in grey with probability p, 0.1 by default; it keeps its number of channels.
 *
 * ```ts
 * new transforms.RandomGrayscale(0.2)(torch.rand(3, 8, 8)).shape; // [3, 8, 8]
 * ```
 * @throws TensorError for another number of channels
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomGrayscale.html
 */
export class RandomGrayscale extends configured<[p?: number]>()("p", 0.1) {
  forward(image: Tensor): Tensor {
    const channels = channelsOf(image);
    return drawChance(this.p) ? pixels.grayscale(image, channels) : image;
  }

  override extraRepr(): string {
    return `p=${pyFloat(this.p)}`;
  }
}

/** Amount of a change: one number, around what changes nothing, or a range. */
export type Jitter = number | Range;

export interface ColorJitterOptions {
  /** Range of the factor of brightness; one number b stands for max(0, 1 − b) to 1 + b. 0 by default: unchanged. */
  brightness?: Jitter;
  /** Range of the factor of contrast, in the same way. */
  contrast?: Jitter;
  /** Range of the factor of saturation, in the same way. */
  saturation?: Jitter;
  /** Range of the turn of the hue, within −0.5 and 0.5; one number h stands for −h to h. */
  hue?: Jitter;
}

/** Changes in a random order, and their factors; null for one that isn't made. */
type JitterParameters = [
  order: Tensor,
  brightness: number | null,
  contrast: number | null,
  saturation: number | null,
  hue: number | null,
];

/**
 * Changes brightness, contrast, saturation and hue of an image [..., 1 or 3, H, W] of numbers from 0 to 1 at random, in
 * a random order. Drawn as in torchvision: the order by `torch.randperm(4)`, then each factor uniformly.
 *
 * ```ts
 * new transforms.ColorJitter({ brightness: 0.5, hue: 0.3 })(torch.rand(3, 8, 8)).shape; // [3, 8, 8]
 * ```
 * @throws TensorError "If brightness is a single number, it must be non negative.", or for a range that is out of bounds
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.ColorJitter.html
 */
export class ColorJitter extends BuiltIn {
  readonly brightness: Range | null;
  readonly contrast: Range | null;
  readonly saturation: Range | null;
  readonly hue: Range | null;

  constructor(options?: ColorJitterOptions);
  constructor(brightness?: Jitter, contrast?: Jitter, saturation?: Jitter, hue?: Jitter);
  constructor(...args: Call<ColorJitterOptions, "brightness contrast saturation hue">);
  constructor(...args: unknown[]) {
    super();
    const bound = bind<ColorJitterOptions>("ColorJitter", args, {
      brightness: 0,
      contrast: 0,
      saturation: 0,
      hue: 0,
    });
    this.brightness = jitterRange("brightness", bound.brightness);
    this.contrast = jitterRange("contrast", bound.contrast);
    this.saturation = jitterRange("saturation", bound.saturation);
    this.hue = jitterRange("hue", bound.hue);
  }

  /** Draws the order of the changes and their factors; no factor for a range that is null. */
  static getParams(
    brightness: Range | null,
    contrast: Range | null,
    saturation: Range | null,
    hue: Range | null,
  ): JitterParameters {
    const order = randperm(4);
    const factor = (range: Range | null): number | null => (range === null ? null : drawBetween(...range));
    return [order, factor(brightness), factor(contrast), factor(saturation), factor(hue)];
  }

  forward(image: Tensor): Tensor {
    const [order, ...factors] = ColorJitter.getParams(
      this.brightness,
      this.contrast,
      this.saturation,
      this.hue,
    );
    let result = image;
    for (const i of valuesOf(order.value)) {
      const factor = factors[i]!;
      if (factor !== null) result = JITTERS[i]!(result, factor);
    }
    return result;
  }

  override extraRepr(): string {
    const text = (range: Range | null): string => (range === null ? "None" : floats(range));
    return `brightness=${text(this.brightness)}, contrast=${text(this.contrast)}, saturation=${text(this.saturation)}, hue=${text(this.hue)}`;
  }
}

/** In the order of their numbers. */
const JITTERS = [
  pixels.adjustBrightness,
  pixels.adjustContrast,
  pixels.adjustSaturation,
  pixels.adjustHue,
] as const;

const floats = (range: readonly number[]): string => `(${range.map(pyFloat).join(", ")})`;

function jitterRange(name: keyof ColorJitterOptions, value: Jitter): Range | null {
  const center = name === "hue" ? 0 : 1;
  const bounds: Range = name === "hue" ? [-0.5, 0.5] : [0, Infinity];
  if (typeof value === "number" && value < 0)
    throw new TensorError("value", `If ${name} is a single number, it must be non negative.`);
  if (typeof value !== "number" && value.length !== 2)
    throw new TensorError("value", `${name} should be a single number or a list/tuple with length 2.`);
  let [min, max] = typeof value === "number" ? [center - value, center + value] : value;
  if (typeof value === "number" && name !== "hue") min = Math.max(min, 0);
  if (!(bounds[0] <= min && min <= max && max <= bounds[1])) {
    const shown = name === "hue" ? "(-0.5, 0.5)" : "(0, inf)";
    throw new TensorError(
      "value",
      `${name} values should be between ${shown}, but got [${pyFloat(min)}, ${pyFloat(max)}].`,
    );
  }
  return min === center && max === center ? null : [min, max];
}

interface GaussianBlurArguments {
  kernelSize: number | readonly [width: number, height: number];
  sigma?: Jitter;
}

/**
 * An image [..., H, W] blurred by a Gaussian kernel, whose standard deviation is drawn uniformly; the edges are reflected.
 *
 * ```ts
 * new transforms.GaussianBlur(5, { sigma: [0.1, 5] })(torch.rand(3, 8, 8)).shape; // [3, 8, 8]
 * ```
 * @throws TensorError "Kernel size value should be an odd and positive number.", or for an image that is smaller than
 * half the kernel
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.GaussianBlur.html
 */
export class GaussianBlur extends BuiltIn {
  readonly kernelSize: readonly [width: number, height: number];
  readonly sigma: Range;

  /** @param sigma standard deviation, or its range; [0.1, 2] by default */
  constructor(kernelSize: GaussianBlurArguments["kernelSize"], sigma?: Jitter);
  constructor(...args: Call<GaussianBlurArguments, "kernelSize sigma">);
  constructor(...args: unknown[]) {
    super();
    const { kernelSize, sigma } = bind<GaussianBlurArguments>("GaussianBlur", args, {
      kernelSize: REQUIRED,
      sigma: [0.1, 2],
    });
    const sizes: readonly number[] = typeof kernelSize === "number" ? [kernelSize] : kernelSize;
    const [width, height = width] = sizes;
    if (width === undefined || height === undefined || sizes.length > 2)
      throw new TensorError("value", "Kernel size should be a tuple/list of two integers");
    if ([width, height].some((one) => one <= 0 || one % 2 === 0))
      throw new TensorError("value", "Kernel size value should be an odd and positive number.");
    if (typeof sigma === "number" && sigma <= 0)
      throw new TensorError("value", "If sigma is a single number, it must be positive.");
    if (typeof sigma !== "number" && sigma.length !== 2)
      throw new TensorError("value", "sigma should be a single number or a list/tuple with length 2.");
    const range: Range = typeof sigma === "number" ? [sigma, sigma] : sigma;
    if (!(range[0] > 0 && range[0] <= range[1]))
      throw new TensorError("value", "sigma values should be positive and of the form (min, max).");
    this.kernelSize = [width, height];
    this.sigma = range;
  }

  /** Draws a standard deviation. */
  static getParams(sigmaMin: number, sigmaMax: number): number {
    return drawBetween(sigmaMin, sigmaMax);
  }

  forward(image: Tensor): Tensor {
    const sigma = GaussianBlur.getParams(...this.sigma);
    return gaussianBlur(image, this.kernelSize, [sigma, sigma]);
  }

  override extraRepr(): string {
    return `kernel_size=${py(this.kernelSize)}, sigma=${floats(this.sigma)}`;
  }
}

/**
 * An image [..., 1 or 3, H, W] of numbers from 0 to 1 in inverted colours, with probability p, 0.5 by default.
 *
 * ```ts
 * new transforms.RandomInvert(1)(torch.zeros(3, 8, 8)).min().item(); // 1
 * ```
 * @throws TensorError for another number of channels
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomInvert.html
 */
export class RandomInvert extends configured<[p?: number]>()("p", 0.5) {
  forward(image: Tensor): Tensor {
    return drawChance(this.p) ? pixels.invert(image) : image;
  }

  override extraRepr(): string {
    return `p=${pyFloat(this.p)}`;
  }
}

/**
 * An image [..., 1 or 3, H, W] of numbers from 0 to 1 with fewer colours, with probability p, 0.5 by default: `bits` of
 * each channel are kept. As images here are floats, the results are those of `torchvision.transforms.v2`.
 *
 * ```ts
 * new transforms.RandomPosterize(2, { p: 1 })(torch.rand(3, 8, 8)); // 0, 0.25, 0.5 and 0.75
 * ```
 * @throws TensorError "The number if bits should be between 0 and 8. Got 9"
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomPosterize.html
 */
export class RandomPosterize extends configured<[bits: number, p?: number]>()("bits p", 0.5) {
  forward(image: Tensor): Tensor {
    return drawChance(this.p) ? pixels.posterize(image, this.bits) : image;
  }

  override extraRepr(): string {
    return `bits=${this.bits},p=${pyFloat(this.p)}`;
  }
}

/**
 * An image [..., 1 or 3, H, W] of numbers from 0 to 1 whose values of at least a threshold are inverted, with probability
 * p, 0.5 by default.
 *
 * ```ts
 * new transforms.RandomSolarize(0.5, { p: 1 })(torch.rand(3, 8, 8)).max().item() <= 0.5; // true
 * ```
 * @throws TensorError "Threshold should be less than bound of img.", for a threshold above 1
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomSolarize.html
 */
export class RandomSolarize extends configured<[threshold: number, p?: number]>()("threshold p", 0.5) {
  forward(image: Tensor): Tensor {
    return drawChance(this.p) ? pixels.solarize(image, this.threshold) : image;
  }

  override extraRepr(): string {
    return `threshold=${pyFloat(this.threshold)},p=${pyFloat(this.p)}`;
  }
}

/**
 * An image [..., 1 or 3, H, W] of numbers from 0 to 1, sharpened or blurred with probability p, 0.5 by default. A factor of
 * 0 blurs, 1 leaves the image, 2 doubles the sharpness.
 *
 * ```ts
 * new transforms.RandomAdjustSharpness(2)(torch.rand(3, 8, 8)).shape; // [3, 8, 8]
 * ```
 * @throws TensorError "sharpness_factor (-1.0) is not non-negative."
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomAdjustSharpness.html
 */
export class RandomAdjustSharpness extends configured<[sharpnessFactor: number, p?: number]>()(
  "sharpnessFactor p",
  0.5,
) {
  forward(image: Tensor): Tensor {
    return drawChance(this.p) ? adjustSharpness(image, this.sharpnessFactor) : image;
  }

  override extraRepr(): string {
    return `sharpness_factor=${pyFloat(this.sharpnessFactor)},p=${pyFloat(this.p)}`;
  }
}

/**
 * An image [..., 1 or 3, H, W] of numbers from 0 to 1 whose channels are stretched to reach from 0 to 1, with probability
 * p, 0.5 by default.
 *
 * ```ts
 * new transforms.RandomAutocontrast(1)(torch.rand(3, 8, 8)).max().item(); // 1
 * ```
 * @throws TensorError for another number of channels
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomAutocontrast.html
 */
export class RandomAutocontrast extends configured<[p?: number]>()("p", 0.5) {
  forward(image: Tensor): Tensor {
    return drawChance(this.p) ? pixels.autocontrast(image) : image;
  }

  override extraRepr(): string {
    return `p=${pyFloat(this.p)}`;
  }
}

/**
 * An image [..., 1 or 3, H, W] of numbers from 0 to 1 whose 256 levels become about equally frequent, with probability p,
 * 0.5 by default. As images here are floats, the results are those of `torchvision.transforms.v2`.
 *
 * ```ts
 * new transforms.RandomEqualize()(torch.rand(3, 8, 8)).shape; // [3, 8, 8]
 * ```
 * @throws TensorError for another number of channels
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomEqualize.html
 */
export class RandomEqualize extends configured<[p?: number]>()("p", 0.5) {
  forward(image: Tensor): Tensor {
    return drawChance(this.p) ? pixels.equalize(image) : image;
  }

  override extraRepr(): string {
    return `p=${pyFloat(this.p)}`;
  }
}
