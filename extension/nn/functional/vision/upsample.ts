// Names from before `interpolate`.
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind } from "../../arguments.ts";
import { warnOnce } from "../../warnings.ts";
import type { Size } from "../conv/convolving.ts";
import { interpolate, type InterpolateOptions } from "./interpolate.ts";

type Sizes = Pick<InterpolateOptions, "size" | "scaleFactor">;
type UpsampleOptions = Sizes & Pick<InterpolateOptions, "mode" | "alignCorners">;

function warn(name: string): void {
  warnOnce(`\`nn.functional.${name}\` is deprecated. Use \`nn.functional.interpolate\` instead.`);
}

/**
 * The same as {@link interpolate}.
 * @deprecated by PyTorch
 * @throws TensorError "either size or scale_factor should be defined"
 */
export function upsample(input: Tensor, options: UpsampleOptions): Tensor;
export function upsample(input: Tensor, size: Size | null, options?: UpsampleOptions): Tensor;
export function upsample(input: Tensor, ...rest: unknown[]): Tensor {
  warn("upsample");
  const bound = bind<UpsampleOptions>("upsample", rest, {
    size: null,
    scaleFactor: null,
    mode: "nearest",
    alignCorners: null,
  });
  return interpolate(input, bound);
}

function resized(name: string, input: Tensor, rest: readonly unknown[], more: UpsampleOptions): Tensor {
  warn(name);
  const bound = bind<Sizes>(name, rest, { size: null, scaleFactor: null });
  return interpolate(input, { ...bound, ...more });
}

/**
 * {@link interpolate} by the nearest elements.
 * @deprecated by PyTorch
 */
export function upsampleNearest(input: Tensor, options: Sizes): Tensor;
export function upsampleNearest(input: Tensor, size: Size | null, options?: Sizes): Tensor;
export function upsampleNearest(input: Tensor, ...rest: unknown[]): Tensor {
  return resized("upsample_nearest", input, rest, { mode: "nearest" });
}

/**
 * {@link interpolate} of images, bilinear, with aligned corners.
 * @deprecated by PyTorch
 */
export function upsampleBilinear(input: Tensor, options: Sizes): Tensor;
export function upsampleBilinear(input: Tensor, size: Size | null, options?: Sizes): Tensor;
export function upsampleBilinear(input: Tensor, ...rest: unknown[]): Tensor {
  return resized("upsample_bilinear", input, rest, { mode: "bilinear", alignCorners: true });
}
