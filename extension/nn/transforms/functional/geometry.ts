// Geometry of images: torchvision's `transforms.functional`.
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Call } from "../../arguments.ts";
import * as image from "../image.ts";
import { channelsOf, type Padding, type PaddingMode, type Size } from "../image.ts";
import * as parts from "../parts.ts";
import { resize as resized, type Interpolation } from "../resample.ts";

/**
 * Returns the channels, height and width of an image [..., C, H, W]; [H, W] has one channel.
 * @throws TensorError "Tensor is not a torch image."
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.get_dimensions.html
 */
export function getDimensions(img: Tensor): [channels: number, height: number, width: number] {
  return [channelsOf(img), ...(img.shape.slice(-2) as [number, number])];
}

/**
 * Returns the width and height of an image [..., H, W].
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.get_image_size.html
 */
export function getImageSize(img: Tensor): [width: number, height: number] {
  channelsOf(img);
  return [img.shape.at(-1)!, img.shape.at(-2)!];
}

/**
 * Returns the number of channels of an image [..., C, H, W]; [H, W] has one.
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.get_image_num_channels.html
 */
export function getImageNumChannels(img: Tensor): number {
  return channelsOf(img);
}

interface ResizeArguments {
  size: Size;
  interpolation?: Interpolation;
  maxSize?: number | null;
  antialias?: boolean | null;
}

/**
 * Resizes an image [..., H, W]: to one number for the shorter edge, keeping the ratio, or to `[height, width]`.
 *
 * ```ts
 * transforms.functional.resize(torch.rand(3, 32, 64), 16).shape; // [3, 16, 32]
 * ```
 * @param interpolation "bilinear" by default
 * @param maxSize maximum length of the longer edge; only with one number as `size`
 * @param antialias whether a smaller image is computed from all pixels; true by default
 * @throws TensorError for an image of another type than float32, or a `maxSize` that is not above `size`
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.resize.html
 */
export function resize(
  img: Tensor,
  size: Size,
  interpolation?: Interpolation,
  maxSize?: number | null,
  antialias?: boolean | null,
): Tensor;
export function resize(
  img: Tensor,
  ...args: Call<ResizeArguments, "size interpolation maxSize antialias">
): Tensor;
export function resize(img: Tensor, ...args: unknown[]): Tensor {
  const { size, interpolation, maxSize, antialias } = bind<ResizeArguments>("resize", args, {
    size: REQUIRED,
    interpolation: "bilinear",
    maxSize: null,
    antialias: true,
  });
  return resized(img, size, interpolation, maxSize, antialias === true);
}

interface PadArguments {
  padding: Padding;
  fill?: number;
  paddingMode?: PaddingMode;
}

/**
 * Adds pixels around an image [..., H, W].
 * @param padding of all sides; `[leftRight, topBottom]`; or `[left, top, right, bottom]`
 * @param fill value of the new pixels, for "constant"; 0 by default
 * @param paddingMode "constant" (default), "edge", "reflect" or "symmetric"
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.pad.html
 */
export function pad(img: Tensor, padding: Padding, fill?: number, paddingMode?: PaddingMode): Tensor;
export function pad(img: Tensor, ...args: Call<PadArguments, "padding fill paddingMode">): Tensor;
export function pad(img: Tensor, ...args: unknown[]): Tensor {
  const { padding, fill, paddingMode } = bind<PadArguments>("pad", args, {
    padding: REQUIRED,
    fill: 0,
    paddingMode: "constant",
  });
  return image.pad(img, padding, fill, paddingMode);
}

interface CropArguments {
  top: number;
  left: number;
  height: number;
  width: number;
}

/**
 * Returns a part of an image [..., H, W]; pixels from outside are 0.
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.crop.html
 */
export function crop(img: Tensor, top: number, left: number, height: number, width: number): Tensor;
export function crop(img: Tensor, ...args: Call<CropArguments, "top left height width">): Tensor;
export function crop(img: Tensor, ...args: unknown[]): Tensor {
  const { top, left, height, width } = bind<CropArguments>("crop", args, {
    top: REQUIRED,
    left: REQUIRED,
    height: REQUIRED,
    width: REQUIRED,
  });
  return image.crop(img, top, left, height, width);
}

interface CenterCropArguments {
  outputSize: Size;
}

/**
 * Returns the middle of an image [..., H, W]; a smaller image gets zeros around it.
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.center_crop.html
 */
export function centerCrop(img: Tensor, outputSize: Size): Tensor;
export function centerCrop(img: Tensor, ...args: Call<CenterCropArguments, "outputSize">): Tensor;
export function centerCrop(img: Tensor, ...args: unknown[]): Tensor {
  const { outputSize } = bind<CenterCropArguments>("center_crop", args, { outputSize: REQUIRED });
  return parts.centerCrop(img, outputSize);
}

interface ResizedCropArguments {
  top: number;
  left: number;
  height: number;
  width: number;
  size: Size;
  interpolation?: Interpolation;
  antialias?: boolean | null;
}

/**
 * Returns a part of an image [..., H, W], resized.
 * @param interpolation "bilinear" by default
 * @param antialias true by default
 * @throws TensorError for an image of another type than float32
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.resized_crop.html
 */
export function resizedCrop(
  img: Tensor,
  top: number,
  left: number,
  height: number,
  width: number,
  size: Size,
  interpolation?: Interpolation,
  antialias?: boolean | null,
): Tensor;
export function resizedCrop(
  img: Tensor,
  ...args: Call<ResizedCropArguments, "top left height width size interpolation antialias">
): Tensor;
export function resizedCrop(img: Tensor, ...args: unknown[]): Tensor {
  const { top, left, height, width, size, interpolation, antialias } = bind<ResizedCropArguments>(
    "resized_crop",
    args,
    {
      top: REQUIRED,
      left: REQUIRED,
      height: REQUIRED,
      width: REQUIRED,
      size: REQUIRED,
      interpolation: "bilinear",
      antialias: true,
    },
  );
  return resized(image.crop(img, top, left, height, width), size, interpolation, null, antialias === true);
}

interface FiveCropArguments {
  size: Size;
}

/**
 * Returns the four corners of an image [..., H, W] and its middle.
 * @throws TensorError "Requested crop size (9, 9) is bigger than input size (8, 8)"
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.five_crop.html
 */
export function fiveCrop(img: Tensor, size: Size): parts.Five;
export function fiveCrop(img: Tensor, ...args: Call<FiveCropArguments, "size">): parts.Five;
export function fiveCrop(img: Tensor, ...args: unknown[]): parts.Five {
  const { size } = bind<FiveCropArguments>("five_crop", args, { size: REQUIRED });
  return parts.fiveCrop(img, size);
}

interface TenCropArguments {
  size: Size;
  verticalFlip?: boolean;
}

/**
 * Returns the parts of {@link fiveCrop}, and those of the mirrored image.
 * @param verticalFlip whether it is mirrored upside down, instead of left to right
 * @throws TensorError "Requested crop size (9, 9) is bigger than input size (8, 8)"
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.ten_crop.html
 */
export function tenCrop(img: Tensor, size: Size, verticalFlip?: boolean): [...parts.Five, ...parts.Five];
export function tenCrop(
  img: Tensor,
  ...args: Call<TenCropArguments, "size verticalFlip">
): [...parts.Five, ...parts.Five];
export function tenCrop(img: Tensor, ...args: unknown[]): [...parts.Five, ...parts.Five] {
  const { size, verticalFlip } = bind<TenCropArguments>("ten_crop", args, {
    size: REQUIRED,
    verticalFlip: false,
  });
  return parts.tenCrop(img, size, verticalFlip);
}

interface EraseArguments {
  i: number;
  j: number;
  h: number;
  w: number;
  v: Tensor | number;
  inplace?: boolean;
}

/**
 * Replaces a part of an image [..., C, H, W].
 * @param i first row
 * @param j first column
 * @param h rows
 * @param w columns
 * @param v values that broadcast to [..., C, h, w]
 * @param inplace whether the image itself changes; false by default
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.functional.erase.html
 */
export function erase(
  img: Tensor,
  i: number,
  j: number,
  h: number,
  w: number,
  v: Tensor | number,
  inplace?: boolean,
): Tensor;
export function erase(img: Tensor, ...args: Call<EraseArguments, "i j h w v inplace">): Tensor;
export function erase(img: Tensor, ...args: unknown[]): Tensor {
  const { i, j, h, w, v, inplace } = bind<EraseArguments>("erase", args, {
    i: REQUIRED,
    j: REQUIRED,
    h: REQUIRED,
    w: REQUIRED,
    v: REQUIRED,
    inplace: false,
  });
  return parts.erase(img, [i, j, h, w], v, inplace);
}
