// What the automatic augmentations have in common.
import type { Tensor } from "../../tensor/core/tensor.ts";
import { BuiltIn } from "../module/module.ts";
import { py } from "../module/repr.ts";
import { augmented, type Limits, type Operation } from "./autoAugmentOperations.ts";
import { checkChannels, checkDimensions, drawBelow, floatsOf } from "./image.ts";
import { interpolationText } from "./resample.ts";
import type { Fill, WarpInterpolation } from "./warp.ts";

/** Number of magnitudes that the policies of `AutoAugment` and the severity of `AugMix` count. */
export const BINS = 10;

/** Options of all automatic augmentations. */
export interface AugmentationOptions {
  /** Of rotations, shears and shifts: "nearest" by default, "bilinear" by default of `AugMix`. */
  interpolation?: WarpInterpolation;
  /** Value of pixels from outside, or one for each channel; 0 by default. */
  fill?: Fill | null;
}

/** Base class of the automatic augmentations. */
export abstract class Augmentation extends BuiltIn {
  readonly interpolation: WarpInterpolation;
  readonly fill: Fill | null;

  constructor({ interpolation, fill }: { interpolation: WarpInterpolation; fill: Fill | null }) {
    super();
    this.interpolation = interpolation;
    this.fill = fill;
  }

  forward(image: Tensor): Tensor {
    checkDimensions(image);
    checkChannels(image);
    floatsOf(this.constructor.name, image);
    return this.augment(image);
  }

  protected abstract augment(image: Tensor): Tensor;

  /** The image after one of several operations, which is drawn before its magnitude. */
  protected drawn(
    image: Tensor,
    choices: readonly Operation[],
    limits: Limits,
    bins: number,
    index: () => number,
  ): Tensor {
    return augmented(image, choices[drawBelow(choices.length)]!, limits, bins, index, this);
  }

  override extraRepr(): string {
    return `interpolation=${interpolationText(this.interpolation)}, fill=${py(this.fill)}`;
  }
}
