import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, type Arguments } from "../../arguments.ts";
import type { Size } from "../../functional/conv/convolving.ts";
import {
  interpolate,
  type InterpolateOptions,
  type InterpolationMode,
} from "../../functional/vision/interpolate.ts";
import { BuiltIn } from "../../module/module.ts";
import { py, pyFloat } from "../../module/repr.ts";

type UpsampleOptions = Omit<InterpolateOptions, "antialias">;

/**
 * Resizes sequences, images or volumes [N, C, spatial…] to `size` or by `scaleFactor`, of which one must be given.
 *
 * - `mode` is "nearest" (default), "nearest-exact", "linear" (3D input), "bilinear" or "bicubic" (4D), "trilinear" (5D)
 *   or "area"
 * - `alignCorners` puts the outermost elements of input and output onto each other; false by default
 * - `recomputeScaleFactor` computes with the ratio of the rounded lengths instead of `scaleFactor` itself
 *
 * ```ts
 * new nn.Upsample({ scaleFactor: 2, mode: "bilinear" })(torch.randn(1, 3, 4, 5)).shape; // [1, 3, 8, 10]
 * ```
 * @throws TensorError "only one of size or scale_factor should be defined"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Upsample.html
 */
export class Upsample extends BuiltIn {
  size: Size | null;
  scaleFactor: Size | null;
  mode: InterpolationMode;
  alignCorners: boolean | null;
  recomputeScaleFactor: boolean | null;

  constructor(
    size?: Size | null,
    scaleFactor?: Size | null,
    mode?: InterpolationMode,
    alignCorners?: boolean | null,
    recomputeScaleFactor?: boolean | null,
  );
  constructor(...args: Arguments<UpsampleOptions, "size scaleFactor mode alignCorners recomputeScaleFactor">);
  constructor(...args: unknown[]) {
    super();
    const bound = bind<UpsampleOptions>(this.constructor.name, args, {
      size: null,
      scaleFactor: null,
      mode: "nearest",
      alignCorners: null,
      recomputeScaleFactor: null,
    });
    this.size = bound.size;
    this.scaleFactor = bound.scaleFactor;
    this.mode = bound.mode;
    this.alignCorners = bound.alignCorners;
    this.recomputeScaleFactor = bound.recomputeScaleFactor;
  }

  forward(input: Tensor): Tensor {
    const { size, scaleFactor, mode, alignCorners, recomputeScaleFactor } = this;
    return interpolate(input, { size, scaleFactor, mode, alignCorners, recomputeScaleFactor });
  }

  override extraRepr(): string {
    const { scaleFactor, mode } = this;
    const factors = typeof scaleFactor === "number" ? pyFloat(scaleFactor) : scaleFactor;
    const text =
      typeof factors === "object" && factors !== null ? `(${factors.map(pyFloat).join(", ")})` : factors;
    return `${text === null ? `size=${py(this.size)}` : `scale_factor=${text}`}, mode=${py(mode)}`;
  }
}

type Upsampling2dOptions = Pick<UpsampleOptions, "size" | "scaleFactor">;

const bound2d = (callee: string, args: readonly unknown[]): Required<Upsampling2dOptions> =>
  bind<Upsampling2dOptions>(callee, args, { size: null, scaleFactor: null });

/**
 * {@link Upsample} of images with mode "nearest".
 *
 * ```ts
 * new nn.UpsamplingNearest2d({ scaleFactor: 2 })(torch.randn(1, 3, 4, 5)).shape; // [1, 3, 8, 10]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.UpsamplingNearest2d.html
 */
export class UpsamplingNearest2d extends Upsample {
  constructor(size?: Size | null, scaleFactor?: Size | null);
  constructor(...args: Arguments<Upsampling2dOptions, "size scaleFactor">);
  constructor(...args: unknown[]) {
    super({ ...bound2d("UpsamplingNearest2d", args), mode: "nearest" });
  }
}

/**
 * {@link Upsample} of images with mode "bilinear" and aligned corners.
 *
 * ```ts
 * new nn.UpsamplingBilinear2d({ size: [8, 8] })(torch.randn(1, 3, 4, 5)).shape; // [1, 3, 8, 8]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.UpsamplingBilinear2d.html
 */
export class UpsamplingBilinear2d extends Upsample {
  constructor(options: Upsampling2dOptions);
  constructor(size?: Size | null, scaleFactor?: Size | null);
  constructor(...args: Arguments<Upsampling2dOptions, "size scaleFactor">);
  constructor(...args: unknown[]) {
    super({ ...bound2d("UpsamplingBilinear2d", args), mode: "bilinear", alignCorners: true });
  }
}
