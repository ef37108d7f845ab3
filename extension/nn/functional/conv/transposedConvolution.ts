import { apply } from "../../../tensor/recording/apply.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { composed, named, toFloat } from "../../../tensor/functions/pointwise/operands.ts";
import { conv2dInputGrad, type Convolution } from "../../../tensor/ops/spatial/convolution.ts";
import { dilatedShape } from "../../../tensor/ops/spatial/groups.ts";
import { conv3dInputGrad } from "../../../tensor/ops/spatial/volumes.ts";
import { pad } from "../../../tensor/ops/movement/movement.ts";
import { formatShape, type Shape } from "../../../tensor/core/shape.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, type Call } from "../../arguments.ts";
import {
  asImages,
  checkBias,
  checkSteps,
  checkWeight,
  dilations,
  restored,
  sizes,
  strideOf,
  withBatch,
  withBias,
  withRow,
  type Size,
} from "./convolving.ts";

export interface TransposedOptions {
  bias?: Tensor | null;
  /** Distance of the places where filters are laid down; 1 by default. */
  stride?: Size;
  /** Cells cut off around the output; 0 by default. */
  padding?: Size;
  /** Cells added at the end: which of the sizes that convolve to the input's is meant. */
  outputPadding?: Size;
  /** Input and output channels are divided into this many groups, each on its own. */
  groups?: number;
  /** Distance of the filter's cells; 1 by default. */
  dilation?: Size;
}

type TransposedArguments =
  | [
      bias?: Tensor | null,
      stride?: Size,
      padding?: Size,
      outputPadding?: Size,
      groups?: number,
      dilation?: Size,
    ]
  | Call<TransposedOptions, "bias stride padding outputPadding groups dilation">;

const AXES = ["depth", "height", "width"];

/** One value per dimension as PyTorch spells it: `stride_height: 2 stride_width: 2`. */
const spelled = (name: string, values: readonly number[]): string =>
  values.map((n, d) => `${name}_${AXES[AXES.length - values.length + d]}: ${n}`).join(" ");

function transposed(
  name: string,
  count: number,
  input: Tensor,
  weight: Tensor,
  rest: readonly unknown[],
): Tensor {
  const { bias, groups, ...options } = bind<TransposedOptions>(name, rest, {
    bias: null,
    stride: 1,
    padding: 0,
    outputPadding: 0,
    groups: 1,
    dilation: 1,
  });
  // Sequences are images of one row from here on, in errors too.
  const stride = withRow(sizes("stride", options.stride, count).map(strideOf), 1);
  const dilation = withRow(sizes("dilation", options.dilation, count), 1);
  const padding = withRow(sizes("padding", options.padding, count), 0);
  const extra = withRow(sizes("output_padding", options.outputPadding, count), 0);
  return composed(() => {
    const batch = withBatch(name, input, weight, bias, count);
    checkSteps(stride, [padding], dilation, groups);
    if (extra.some((n) => n < 0)) {
      throw new TensorError("value", "negative output_padding is not supported");
    }
    checkWeight(batch, weight, sizes("stride", options.stride, count), groups);
    const size = `transposed=1, weight of size ${formatShape(weight.shape)}`;
    if (batch.shape[1] !== weight.shape[0]) {
      throw new TensorError(
        "shape",
        `Given ${size}, expected input${formatShape(batch.shape)} to have ${weight.shape[0]} channels, but got ${batch.shape[1]} channels instead`,
      );
    }
    checkBias(bias, weight.shape[1]! * groups, size);
    if (extra.some((n, d) => n >= stride[d]! && n >= dilation[d]!)) {
      throw new TensorError(
        "value",
        `output padding must be smaller than either stride or dilation, but got ${spelled("output_padding", extra)} ${spelled("stride", stride)} ${spelled("dilation", dilation)}`,
      );
    }
    const x = asImages(batch);
    const w = asImages(weight);
    const lengths = outputLengths(x.shape, dilatedShape(w.shape, dilation), stride, padding, extra);
    // Cells from a whole stride on are none that a convolution sees: they take the padding's place, or are zeros after it.
    const beyond = extra.map((n, d) => (n < stride[d]! ? 0 : Math.max(n - padding[d]!, 0)));
    const attributes = {
      stride,
      padding: padding.flatMap((p, d) => [p, extra[d]! < stride[d]! ? p : Math.max(p - extra[d]!, 0)]),
      ...dilations(dilation),
      shape: [x.shape[0]!, weight.shape[1]! * groups, ...lengths.map((length, d) => length - beyond[d]!)],
    };
    const seen =
      count === 3
        ? apply(conv3dInputGrad, [x, w], attributes)
        : apply(conv2dInputGrad, [x, w], attributes as unknown as Convolution & { shape: Shape });
    const none = [0, 0, ...beyond.map(() => 0)];
    const y = beyond.every((n) => n === 0)
      ? seen
      : apply(pad, [seen], { before: none, after: [0, 0, ...beyond], value: 0 });
    return named(
      restored(withBias(y, bias && toFloat(bias)), count, batch === input),
      "ConvolutionBackward0",
    );
  });
}

/** @param weight the filter's shape with the zeros of its dilation @throws TensorError when nothing is left */
function outputLengths(
  input: Shape,
  weight: Shape,
  stride: readonly number[],
  padding: readonly number[],
  extra: readonly number[],
): number[] {
  const before = input.slice(2);
  const lengths = before.map(
    (length, d) => (length - 1) * stride[d]! - 2 * padding[d]! + weight[d + 2]! + extra[d]!,
  );
  if (lengths.some((length) => length < 0)) {
    throw new TensorError(
      "shape",
      `Given input size per channel: (${before.join(" x ")}). Calculated output size per channel: (${lengths.join(" x ")}). Output size is too small`,
    );
  }
  return lengths;
}

/**
 * The adjoint of `conv1d`: sequences [N, C, L] with filters [C, O / groups, k].
 * @throws TensorError "Given transposed=1, weight of size …, expected input… to have … channels, but got … channels instead"
 */
export function convTranspose1d(input: Tensor, weight: Tensor, options?: TransposedOptions): Tensor;
export function convTranspose1d(input: Tensor, weight: Tensor, ...rest: TransposedArguments): Tensor;
export function convTranspose1d(input: Tensor, weight: Tensor, ...rest: unknown[]): Tensor {
  return transposed("conv_transpose1d", 1, input, weight, rest);
}

/**
 * The adjoint of `conv2d`: images [N, C, H, W] with filters [C, O / groups, kH, kW].
 * @throws TensorError "Given transposed=1, weight of size …, expected input… to have … channels, but got … channels instead"
 */
export function convTranspose2d(input: Tensor, weight: Tensor, options?: TransposedOptions): Tensor;
export function convTranspose2d(input: Tensor, weight: Tensor, ...rest: TransposedArguments): Tensor;
export function convTranspose2d(input: Tensor, weight: Tensor, ...rest: unknown[]): Tensor {
  return transposed("conv_transpose2d", 2, input, weight, rest);
}

/**
 * The adjoint of `conv3d`: volumes [N, C, D, H, W] with filters [C, O / groups, kD, kH, kW].
 * @throws TensorError "Given transposed=1, weight of size …, expected input… to have … channels, but got … channels instead"
 */
export function convTranspose3d(input: Tensor, weight: Tensor, options?: TransposedOptions): Tensor;
export function convTranspose3d(input: Tensor, weight: Tensor, ...rest: TransposedArguments): Tensor;
export function convTranspose3d(input: Tensor, weight: Tensor, ...rest: unknown[]): Tensor {
  return transposed("conv_transpose3d", 3, input, weight, rest);
}
