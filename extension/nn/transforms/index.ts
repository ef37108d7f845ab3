// torchvision.transforms: the `transforms` that users import. They work on tensors, and are no part of a graph.
export type { AugmentationOptions } from "./augmentation.ts";
export { AugMix, type AugMixOptions } from "./augMix.ts";
export {
  AutoAugment,
  RandAugment,
  TrivialAugmentWide,
  type AutoAugmentOptions,
  type RandAugmentOptions,
  type TrivialAugmentWideOptions,
} from "./autoAugment.ts";
export { AutoAugmentPolicy } from "./autoAugmentPolicies.ts";
export {
  ColorJitter,
  GaussianBlur,
  Grayscale,
  RandomAdjustSharpness,
  RandomAutocontrast,
  RandomEqualize,
  RandomGrayscale,
  RandomInvert,
  RandomPosterize,
  RandomSolarize,
  type ColorJitterOptions,
  type Jitter,
} from "./color.ts";
export { Compose, Lambda, RandomApply, RandomChoice, RandomOrder, type Transform } from "./compose.ts";
export type { RawImage } from "./convert.ts";
/** The changes of images that transforms make, without draws: torchvision's `transforms.functional`. */
export * as functional from "./functional/index.ts";
export {
  CenterCrop,
  FiveCrop,
  Pad,
  RandomHorizontalFlip,
  RandomVerticalFlip,
  Resize,
  TenCrop,
  type ResizeOptions,
} from "./geometry.ts";
export type { Padding, PaddingMode, Range, Size } from "./image.ts";
export {
  RandomCrop,
  RandomErasing,
  RandomResizedCrop,
  type RandomCropOptions,
  type RandomErasingOptions,
  type RandomResizedCropOptions,
} from "./regions.ts";
export { InterpolationMode, type Interpolation } from "./resample.ts";
export { ConvertImageDtype, LinearTransformation, Normalize, ToTensor } from "./scale.ts";
export {
  ElasticTransform,
  RandomAffine,
  RandomPerspective,
  RandomRotation,
  type ElasticTransformOptions,
  type RandomAffineOptions,
  type RandomPerspectiveOptions,
  type RandomRotationOptions,
} from "./turns.ts";
export type { Corners, Fill, Point, WarpInterpolation } from "./warp.ts";
