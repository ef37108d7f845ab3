// torchvision.transforms: the `transforms` that users import. They work on tensors, and are no part of a graph.
export { Compose, Grayscale, Lambda, Normalize, ToTensor, type RawImage, type Transform } from "./color.ts";
export {
  CenterCrop,
  Pad,
  RandomCrop,
  RandomHorizontalFlip,
  RandomRotation,
  RandomVerticalFlip,
  Resize,
  type RandomCropOptions,
  type ResizeOptions,
} from "./geometry.ts";
export type { Padding, PaddingMode, Size } from "./image.ts";
