// Colours of images: torchvision's `transforms.functional`.
import type { DType } from "../../../tensor/core/dtype.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Call } from "../../arguments.ts";
import * as convert from "../convert.ts";
import { adjustSharpness as sharpen, blurArguments, gaussianBlur as blur } from "../filter.ts";
import * as pixels from "../pixels.ts";

interface AdjustBrightnessArguments {
  brightnessFactor: number;
}

/**
 * Makes an image [..., 1 or 3, H, W] of numbers from 0 to 1 brighter or darker.
 *
 * ```ts
 * transforms.functional.adjustBrightness(torch.full([3, 1, 1], 0.4), 2).max().item(); // 0.8
 * ```
 * @param brightnessFactor 0 gives black, 1 the image, 2 twice the brightness
 * @throws TensorError "brightness_factor (-1.0) is not non-negative."
 * @throws TensorError for an image of another type than float32, or of other than 1 or 3 channels
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.adjust_brightness.html
 */
export function adjustBrightness(img: Tensor, brightnessFactor: number): Tensor;
export function adjustBrightness(
  img: Tensor,
  ...args: Call<AdjustBrightnessArguments, "brightnessFactor">
): Tensor;
export function adjustBrightness(img: Tensor, ...args: unknown[]): Tensor {
  const { brightnessFactor } = bind<AdjustBrightnessArguments>("adjust_brightness", args, {
    brightnessFactor: REQUIRED,
  });
  return pixels.adjustBrightness(img, brightnessFactor);
}

interface AdjustContrastArguments {
  contrastFactor: number;
}

/**
 * Changes the contrast of an image [..., 1 or 3, H, W] of numbers from 0 to 1: the distance from its mean grey.
 * @param contrastFactor 0 gives grey, 1 the image, 2 twice the contrast
 * @throws TensorError "contrast_factor (-1.0) is not non-negative."
 * @throws TensorError for an image of another type than float32, or of other than 1 or 3 channels
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.adjust_contrast.html
 */
export function adjustContrast(img: Tensor, contrastFactor: number): Tensor;
export function adjustContrast(img: Tensor, ...args: Call<AdjustContrastArguments, "contrastFactor">): Tensor;
export function adjustContrast(img: Tensor, ...args: unknown[]): Tensor {
  const { contrastFactor } = bind<AdjustContrastArguments>("adjust_contrast", args, {
    contrastFactor: REQUIRED,
  });
  return pixels.adjustContrast(img, contrastFactor);
}

interface AdjustSaturationArguments {
  saturationFactor: number;
}

/**
 * Changes the saturation of an image [..., 1 or 3, H, W] of numbers from 0 to 1. One channel stays unchanged.
 * @param saturationFactor 0 gives grey, 1 the image, 2 twice the saturation
 * @throws TensorError "saturation_factor (-1.0) is not non-negative."
 * @throws TensorError for an image of another type than float32, or of other than 1 or 3 channels
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.adjust_saturation.html
 */
export function adjustSaturation(img: Tensor, saturationFactor: number): Tensor;
export function adjustSaturation(
  img: Tensor,
  ...args: Call<AdjustSaturationArguments, "saturationFactor">
): Tensor;
export function adjustSaturation(img: Tensor, ...args: unknown[]): Tensor {
  const { saturationFactor } = bind<AdjustSaturationArguments>("adjust_saturation", args, {
    saturationFactor: REQUIRED,
  });
  return pixels.adjustSaturation(img, saturationFactor);
}

interface AdjustHueArguments {
  hueFactor: number;
}

/**
 * Turns the hue of an image [..., 1 or 3, H, W] of numbers from 0 to 1. One channel stays unchanged.
 * @param hueFactor share of the circle of hues, from -0.5 to 0.5; 0 gives the image, ±0.5 complementary hues
 * @throws TensorError "hue_factor (0.6) is not in [-0.5, 0.5]."
 * @throws TensorError for an image of another type than float32, or of other than 1 or 3 channels
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.adjust_hue.html
 */
export function adjustHue(img: Tensor, hueFactor: number): Tensor;
export function adjustHue(img: Tensor, ...args: Call<AdjustHueArguments, "hueFactor">): Tensor;
export function adjustHue(img: Tensor, ...args: unknown[]): Tensor {
  const { hueFactor } = bind<AdjustHueArguments>("adjust_hue", args, { hueFactor: REQUIRED });
  return pixels.adjustHue(img, hueFactor);
}

interface AdjustGammaArguments {
  gamma: number;
  gain?: number;
}

/**
 * Corrects the gamma of an image [..., 1 or 3, H, W]: gain · image ^ gamma, from 0 to 1.
 * @param gamma above 1 makes shadows darker, below 1 lighter
 * @param gain factor; 1 by default
 * @throws TensorError "Gamma should be a non-negative real number"
 * @throws TensorError for an image of another type than float32, or of other than 1 or 3 channels
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.adjust_gamma.html
 */
export function adjustGamma(img: Tensor, gamma: number, gain?: number): Tensor;
export function adjustGamma(img: Tensor, ...args: Call<AdjustGammaArguments, "gamma gain">): Tensor;
export function adjustGamma(img: Tensor, ...args: unknown[]): Tensor {
  const { gamma, gain } = bind<AdjustGammaArguments>("adjust_gamma", args, { gamma: REQUIRED, gain: 1 });
  return pixels.adjustGamma(img, gamma, gain);
}

interface AdjustSharpnessArguments {
  sharpnessFactor: number;
}

/**
 * Sharpens or blurs an image [..., 1 or 3, H, W] of numbers from 0 to 1. Pixels at the edge stay unchanged, as does an
 * image with a side of at most 2.
 * @param sharpnessFactor 0 gives a blurred image, 1 the image, 2 twice the sharpness
 * @throws TensorError "sharpness_factor (-1.0) is not non-negative."
 * @throws TensorError for an image of another type than float32, or of other than 1 or 3 channels
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.adjust_sharpness.html
 */
export function adjustSharpness(img: Tensor, sharpnessFactor: number): Tensor;
export function adjustSharpness(
  img: Tensor,
  ...args: Call<AdjustSharpnessArguments, "sharpnessFactor">
): Tensor;
export function adjustSharpness(img: Tensor, ...args: unknown[]): Tensor {
  const { sharpnessFactor } = bind<AdjustSharpnessArguments>("adjust_sharpness", args, {
    sharpnessFactor: REQUIRED,
  });
  return sharpen(img, sharpnessFactor);
}

interface GaussianBlurArguments {
  kernelSize: number | readonly [width: number, height: number];
  sigma?: number | readonly number[] | null;
}

/**
 * Blurs an image [..., H, W] with a Gaussian kernel; its edges are reflected.
 * @param kernelSize odd sizes
 * @param sigma standard deviation, or `[horizontal, vertical]`; 0.15 · kernelSize + 0.35 by default
 * @throws TensorError "kernel_size should have odd and positive integers. Got [2, 2]", "sigma should have positive values. Got [0.0, 0.0]"
 * @throws TensorError for an image of another type than float32, or smaller than half the kernel
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.gaussian_blur.html
 */
export function gaussianBlur(
  img: Tensor,
  kernelSize: number | readonly [width: number, height: number],
  sigma?: number | readonly number[] | null,
): Tensor;
export function gaussianBlur(img: Tensor, ...args: Call<GaussianBlurArguments, "kernelSize sigma">): Tensor;
export function gaussianBlur(img: Tensor, ...args: unknown[]): Tensor {
  const { kernelSize, sigma } = bind<GaussianBlurArguments>("gaussian_blur", args, {
    kernelSize: REQUIRED,
    sigma: null,
  });
  const [kernel, deviations] = blurArguments(kernelSize, sigma);
  return blur(img, kernel, deviations);
}

interface RgbToGrayscaleArguments {
  numOutputChannels?: number;
}

/**
 * Turns an image [..., 1 or 3, H, W] into grey: 0.2989 red + 0.587 green + 0.114 blue.
 * @param numOutputChannels 1 (default), or 3 equal ones
 * @throws TensorError "num_output_channels should be either 1 or 3"
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.rgb_to_grayscale.html
 */
export function rgbToGrayscale(img: Tensor, numOutputChannels?: number): Tensor;
export function rgbToGrayscale(
  img: Tensor,
  ...args: Call<RgbToGrayscaleArguments, "numOutputChannels">
): Tensor;
export function rgbToGrayscale(img: Tensor, ...args: unknown[]): Tensor {
  const { numOutputChannels } = bind<RgbToGrayscaleArguments>("rgb_to_grayscale", args, {
    numOutputChannels: 1,
  });
  return pixels.grayscale(img, numOutputChannels);
}

/**
 * Inverts the colours of an image [..., 1 or 3, H, W]: 1 − image.
 * @throws TensorError for an image of another type than float32, or of other than 1 or 3 channels
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.invert.html
 */
export function invert(img: Tensor): Tensor {
  return pixels.invert(img);
}

interface PosterizeArguments {
  bits: number;
}

/**
 * Keeps some bits of each channel of an image [..., 1 or 3, H, W] of numbers from 0 to 1: 2 ^ bits levels. As images here
 * are floats, the results are those of `torchvision.transforms.v2`.
 * @param bits 0 to 8
 * @throws TensorError "The number if bits should be between 0 and 8. Got 9"
 * @throws TensorError for an image of another type than float32, or of other than 1 or 3 channels
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.posterize.html
 */
export function posterize(img: Tensor, bits: number): Tensor;
export function posterize(img: Tensor, ...args: Call<PosterizeArguments, "bits">): Tensor;
export function posterize(img: Tensor, ...args: unknown[]): Tensor {
  const { bits } = bind<PosterizeArguments>("posterize", args, { bits: REQUIRED });
  return pixels.posterize(img, bits);
}

interface SolarizeArguments {
  threshold: number;
}

/**
 * Inverts the values of an image [..., 1 or 3, H, W] that are at least a threshold.
 * @param threshold at most 1
 * @throws TensorError "Threshold should be less than bound of img."
 * @throws TensorError for an image of another type than float32, or of other than 1 or 3 channels
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.solarize.html
 */
export function solarize(img: Tensor, threshold: number): Tensor;
export function solarize(img: Tensor, ...args: Call<SolarizeArguments, "threshold">): Tensor;
export function solarize(img: Tensor, ...args: unknown[]): Tensor {
  const { threshold } = bind<SolarizeArguments>("solarize", args, { threshold: REQUIRED });
  return pixels.solarize(img, threshold);
}

/**
 * Stretches the values of each channel of an image [..., 1 or 3, H, W], so that they reach from 0 to 1.
 * @throws TensorError for an image of another type than float32, or of other than 1 or 3 channels
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.autocontrast.html
 */
export function autocontrast(img: Tensor): Tensor {
  return pixels.autocontrast(img);
}

/**
 * Makes 256 levels of each channel of an image [..., 1 or 3, H, W] of numbers from 0 to 1 about equally frequent. As images
 * here are floats, the results are those of `torchvision.transforms.v2`.
 * @throws TensorError for an image of another type than float32, or of other than 1 or 3 channels
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.equalize.html
 */
export function equalize(img: Tensor): Tensor {
  return pixels.equalize(img);
}

/**
 * Converts an image of 8 bits a channel to float32 [C, H, W] from 0 to 1; a tensor is returned unchanged.
 * @throws TensorError when the values aren't whole channels of height × width
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.to_tensor.html
 */
export function toTensor(pic: Tensor | convert.RawImage): Tensor {
  return convert.toTensor(pic);
}

interface ConvertImageDtypeArguments {
  dtype?: DType;
}

/**
 * Converts the dtype of an image, and its scale. Images of files are float32 from 0 to 1 already. White is 1 in float32 and
 * bool, and 2⁶³ − 1 in int64.
 * @param dtype float32 by default
 * @throws TensorError "The cast from torch.float32 to torch.int64 cannot be performed safely."
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.convert_image_dtype.html
 */
export function convertImageDtype(image: Tensor, dtype?: DType): Tensor;
export function convertImageDtype(image: Tensor, ...args: Call<ConvertImageDtypeArguments, "dtype">): Tensor;
export function convertImageDtype(image: Tensor, ...args: unknown[]): Tensor {
  const { dtype } = bind<ConvertImageDtypeArguments>("convert_image_dtype", args, { dtype: "float32" });
  return convert.convertImageDtype(image, dtype);
}

interface NormalizeArguments {
  mean: readonly number[];
  std: readonly number[];
  inplace?: boolean;
}

/**
 * (x − mean) / std, channel by channel. Of [..., C, H, W]; `mean` and `std` have C numbers, or one.
 * @param inplace whether the image itself changes; false by default
 * @throws TensorError for a std of 0, another type than float32, or fewer than 3 dimensions
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.normalize.html
 */
export function normalize(
  tensor: Tensor,
  mean: readonly number[],
  std: readonly number[],
  inplace?: boolean,
): Tensor;
export function normalize(tensor: Tensor, ...args: Call<NormalizeArguments, "mean std inplace">): Tensor;
export function normalize(tensor: Tensor, ...args: unknown[]): Tensor {
  const { mean, std, inplace } = bind<NormalizeArguments>("normalize", args, {
    mean: REQUIRED,
    std: REQUIRED,
    inplace: false,
  });
  return convert.normalize(tensor, mean, std, inplace);
}
