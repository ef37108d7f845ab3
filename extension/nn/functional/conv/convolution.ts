import { apply } from "../../../tensor/recording/apply.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { composed, named } from "../../../tensor/functions/pointwise/operands.ts";
import { conv2d as convolveImages, type Convolution } from "../../../tensor/ops/spatial/convolution.ts";
import { conv3d as convolveVolumes } from "../../../tensor/ops/spatial/volumes.ts";
import { formatShape } from "../../../tensor/core/shape.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, type Call } from "../../arguments.ts";
import {
  asImages,
  checkBias,
  checkSteps,
  checkWeight,
  dilations,
  paddings,
  restored,
  sizes,
  strideOf,
  withBatch,
  withBias,
  withRow,
  type Padding,
  type Size,
} from "./convolving.ts";

export interface ConvolutionOptions {
  bias?: Tensor | null;
  /** 1 by default. */
  stride?: Size;
  /** Zeros around the input; "same" keeps its size, "valid" adds none. 0 by default. */
  padding?: Padding;
  /** Distance of the filter's cells; 1 by default. */
  dilation?: Size;
  /** Input and output channels are divided into this many groups, each convolved alone. */
  groups?: number;
}

type ConvolutionArguments =
  | [bias?: Tensor | null, stride?: Size, padding?: Padding, dilation?: Size, groups?: number]
  | Call<ConvolutionOptions, "bias stride padding dilation groups">;

function convolution(
  name: string,
  count: number,
  input: Tensor,
  weight: Tensor,
  rest: readonly unknown[],
): Tensor {
  const { bias, groups, ...options } = bind<ConvolutionOptions>(name, rest, {
    bias: null,
    stride: 1,
    padding: 0,
    dilation: 1,
    groups: 1,
  });
  const stride = sizes("stride", options.stride, count).map(strideOf);
  const dilation = sizes("dilation", options.dilation, count);
  const around = paddings(options.padding, weight.shape.slice(2), dilation, stride);
  return composed(() => {
    const x = withBatch(name, input, weight, bias, count);
    checkSteps(stride, around, dilation, groups);
    checkWeight(x, weight, stride, groups);
    checkFit(x, weight, bias, groups, around, dilation);
    const attributes = {
      // The row is one high, and kernels for single channels have one stride.
      stride: withRow(stride, stride[0]!),
      padding: withRow(around, [0, 0]).flat(),
      ...dilations(withRow(dilation, 1)),
    };
    const inputs = [asImages(x), asImages(weight)];
    const y =
      count === 3
        ? apply(convolveVolumes, inputs, attributes)
        : apply(convolveImages, inputs, attributes as unknown as Convolution);
    return named(restored(withBias(y, bias), count, x === input), "ConvolutionBackward0");
  });
}

function checkFit(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  groups: number,
  padding: readonly (readonly [number, number])[],
  dilation: readonly number[],
): void {
  const size = formatShape(weight.shape);
  const channels = weight.shape[1]! * groups;
  if (x.shape[1] !== channels) {
    throw new TensorError(
      "shape",
      `Given groups=${groups}, weight of size ${size}, expected input${formatShape(x.shape)} to have ${channels} channels, but got ${x.shape[1]} channels instead`,
    );
  }
  checkBias(bias, weight.shape[0]!, `weight of size ${size}`);
  const lengths = padding.map(([before, after], d) => x.shape[d + 2]! + before + after);
  const kernel = dilation.map((step, d) => step * (weight.shape[d + 2]! - 1) + 1);
  if (kernel.some((length, d) => length > lengths[d]!)) {
    throw new TensorError(
      "shape",
      `Calculated padded input size per channel: (${lengths.join(" x ")}). Kernel size: (${kernel.join(" x ")}). Kernel size can't be greater than actual input size`,
    );
  }
}

/**
 * Cross-correlation of sequences [N, C, L] (or [C, L]) with filters [O, C / groups, k].
 * @throws TensorError "Given groups=1, weight of size …, expected input… to have … channels, but got … channels instead"
 */
export function conv1d(input: Tensor, weight: Tensor, options?: ConvolutionOptions): Tensor;
export function conv1d(input: Tensor, weight: Tensor, ...rest: ConvolutionArguments): Tensor;
export function conv1d(input: Tensor, weight: Tensor, ...rest: unknown[]): Tensor {
  return convolution("conv1d", 1, input, weight, rest);
}

/**
 * Cross-correlation of images [N, C, H, W] (or [C, H, W]) with filters [O, C / groups, kH, kW].
 * @throws TensorError "Given groups=1, weight of size [8, 3, 3, 3], expected input[1, 1, 8, 8] to have 3 channels, but got 1 channels instead"
 */
export function conv2d(input: Tensor, weight: Tensor, options?: ConvolutionOptions): Tensor;
export function conv2d(input: Tensor, weight: Tensor, ...rest: ConvolutionArguments): Tensor;
export function conv2d(input: Tensor, weight: Tensor, ...rest: unknown[]): Tensor {
  return convolution("conv2d", 2, input, weight, rest);
}

/**
 * Cross-correlation of volumes [N, C, D, H, W] (or [C, D, H, W]) with filters [O, C / groups, kD, kH, kW].
 * @throws TensorError "Given groups=1, weight of size …, expected input… to have … channels, but got … channels instead"
 */
export function conv3d(input: Tensor, weight: Tensor, options?: ConvolutionOptions): Tensor;
export function conv3d(input: Tensor, weight: Tensor, ...rest: ConvolutionArguments): Tensor;
export function conv3d(input: Tensor, weight: Tensor, ...rest: unknown[]): Tensor {
  return convolution("conv3d", 3, input, weight, rest);
}
