// Transforms of sizes, and parts of images that aren't random.
import { TensorError } from "../../tensor/core/errors.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Call } from "../arguments.ts";
import { BuiltIn } from "../module/module.ts";
import { configured } from "../modules/configured.ts";
import { py, pyFloat } from "../module/repr.ts";
import { bothSides, drawChance, pad, type Padding, type PaddingMode, type Size } from "./image.ts";
import { centerCrop, fiveCrop, hflip, tenCrop, vflip, type Five } from "./parts.ts";
import { checkInterpolation, resize, type Interpolation } from "./resample.ts";

export interface ResizeOptions {
  /** "bilinear" by default. */
  interpolation?: Interpolation;
  /** Maximum length of the longer edge; only with one number as `size`. */
  maxSize?: number | null;
  /** Whether a smaller image is computed from all pixels instead of the nearest ones; true by default. */
  antialias?: boolean | null;
}

interface ResizeArguments extends ResizeOptions {
  size: Size;
}

/**
 * Resizes an image [..., H, W]: to one number for the shorter edge, keeping the ratio, or to `[height, width]`.
 *
 * ```ts
 * new transforms.Resize(16)(torch.rand(3, 32, 64)).shape; // [3, 16, 32]
 * ```
 * @throws TensorError when it is no float image, or `maxSize` is not above `size`
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.Resize.html
 */
export class Resize extends BuiltIn {
  readonly size: Size;
  readonly interpolation: Interpolation;
  readonly maxSize: number | null;
  readonly antialias: boolean | null;

  constructor(size: Size, options?: ResizeOptions);
  constructor(...args: Call<ResizeArguments, "size interpolation maxSize antialias">);
  constructor(...args: unknown[]) {
    super();
    const { size, interpolation, maxSize, antialias } = bind<ResizeArguments>("Resize", args, {
      size: REQUIRED,
      interpolation: "bilinear",
      maxSize: null,
      antialias: true,
    });
    const sizes: readonly number[] = typeof size === "number" ? [size] : size;
    if (sizes.length !== 1 && sizes.length !== 2)
      throw new TensorError("value", "If size is a sequence, it should have 1 or 2 values");
    checkInterpolation("Resize", interpolation);
    this.size = size;
    this.interpolation = interpolation;
    this.maxSize = maxSize;
    this.antialias = antialias;
  }

  forward(image: Tensor): Tensor {
    return resize(image, this.size, this.interpolation, this.maxSize, this.antialias === true, "Resize");
  }

  override extraRepr(): string {
    const { size, interpolation, maxSize, antialias } = this;
    return `size=${py(size)}, interpolation=${interpolation}, max_size=${py(maxSize)}, antialias=${py(antialias)}`;
  }
}

/** Base class of transforms whose first argument is a size of two sides. */
abstract class Cropping extends BuiltIn {
  readonly size: readonly [height: number, width: number];

  constructor(size: Size) {
    super();
    this.size = bothSides(size);
  }

  override extraRepr(): string {
    return `size=${py(this.size)}`;
  }
}

interface SizeArguments {
  size: Size;
}

/**
 * The middle of an image [..., H, W]; a smaller image gets zeros around it.
 *
 * ```ts
 * new transforms.CenterCrop(6)(torch.rand(1, 8, 8)).shape; // [1, 6, 6]
 * ```
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.CenterCrop.html
 */
export class CenterCrop extends Cropping {
  constructor(...args: Call<SizeArguments, "size">) {
    super(bind<SizeArguments>("CenterCrop", args, { size: REQUIRED }).size);
  }

  forward(image: Tensor): Tensor {
    return centerCrop(image, this.size);
  }
}

/**
 * The four corners of an image [..., H, W] and its middle, as a list of five images.
 *
 * ```ts
 * const crops = new transforms.FiveCrop(6)(torch.rand(3, 8, 8));
 * torch.stack(crops).shape; // [5, 3, 6, 6]
 * ```
 * @throws TensorError "Requested crop size (9, 9) is bigger than input size (8, 8)"
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.FiveCrop.html
 */
export class FiveCrop extends Cropping {
  constructor(...args: Call<SizeArguments, "size">) {
    super(bind<SizeArguments>("FiveCrop", args, { size: REQUIRED }).size);
  }

  forward(image: Tensor): Five {
    return fiveCrop(image, this.size);
  }
}

interface TenCropArguments extends SizeArguments {
  verticalFlip?: boolean;
}

/**
 * The images of {@link FiveCrop}, and those of the image mirrored left to right, or upside down with `verticalFlip`: a
 * list of ten images.
 *
 * ```ts
 * const crops = new transforms.TenCrop(6)(torch.rand(3, 8, 8));
 * torch.stack(crops).shape; // [10, 3, 6, 6]
 * ```
 * @throws TensorError "Requested crop size (9, 9) is bigger than input size (8, 8)"
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.TenCrop.html
 */
export class TenCrop extends Cropping {
  readonly verticalFlip: boolean;

  constructor(...args: Call<TenCropArguments, "size verticalFlip">) {
    const bound = bind<TenCropArguments>("TenCrop", args, { size: REQUIRED, verticalFlip: false });
    super(bound.size);
    this.verticalFlip = bound.verticalFlip;
  }

  forward(image: Tensor): [...Five, ...Five] {
    return tenCrop(image, this.size, this.verticalFlip);
  }

  override extraRepr(): string {
    return `${super.extraRepr()}, vertical_flip=${py(this.verticalFlip)}`;
  }
}

interface PadArguments {
  /** Of all sides; `[leftRight, topBottom]`; or `[left, top, right, bottom]`. */
  padding: Padding;
  /** Value of the new pixels, for "constant"; 0 by default. */
  fill?: number;
  paddingMode?: PaddingMode;
}

/**
 * Adds pixels around an image [..., H, W].
 *
 * ```ts
 * new transforms.Pad(2, 0, "reflect")(torch.rand(1, 8, 8)).shape; // [1, 12, 12]
 * ```
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.Pad.html
 */
export class Pad extends BuiltIn {
  readonly padding: Padding;
  readonly fill: number;
  readonly paddingMode: PaddingMode;

  /**
   * @param padding of all sides; `[leftRight, topBottom]`; or `[left, top, right, bottom]`
   * @param fill value of the new pixels, for "constant"; 0 by default
   */
  constructor(padding: Padding, fill?: number, paddingMode?: PaddingMode);
  constructor(...args: Call<PadArguments, "padding fill paddingMode">);
  constructor(...args: unknown[]) {
    super();
    const { padding, fill, paddingMode } = bind<PadArguments>("Pad", args, {
      padding: REQUIRED,
      fill: 0,
      paddingMode: "constant",
    });
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

/**
 * An image [..., H, W] mirrored left to right, with probability p, 0.5 by default: one draw of `torch.rand(1)` decides.
 *
 * ```ts
 * new transforms.RandomHorizontalFlip()(torch.rand(1, 8, 8));
 * ```
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomHorizontalFlip.html
 */
export class RandomHorizontalFlip extends configured<[p?: number]>()("p", 0.5) {
  forward(image: Tensor): Tensor {
    return drawChance(this.p) ? hflip(image) : image;
  }

  override extraRepr(): string {
    return `p=${pyFloat(this.p)}`;
  }
}

/**
 * An image [..., H, W] turned upside down, with probability p, 0.5 by default: one draw of `torch.rand(1)` decides.
 *
 * ```ts
 * new transforms.RandomVerticalFlip(0.1)(torch.rand(1, 8, 8));
 * ```
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomVerticalFlip.html
 */
export class RandomVerticalFlip extends configured<[p?: number]>()("p", 0.5) {
  forward(image: Tensor): Tensor {
    return drawChance(this.p) ? vflip(image) : image;
  }

  override extraRepr(): string {
    return `p=${pyFloat(this.p)}`;
  }
}
