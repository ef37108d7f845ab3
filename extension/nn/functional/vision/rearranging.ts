import { apply } from "../../../tensor/recording/apply.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { composed, named } from "../../../tensor/functions/pointwise/operands.ts";
import { permute, reshape } from "../../../tensor/ops/movement/movement.ts";
import { formatShape, numel } from "../../../tensor/core/shape.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";

function checkImages(name: string, input: Tensor, factorName: string, factor: number): void {
  if (input.ndim < 3) {
    throw new TensorError(
      "shape",
      `${name} expects input to have at least 3 dimensions, but got input with ${input.ndim} dimension(s)`,
    );
  }
  if (factor <= 0) {
    throw new TensorError("value", `${name} expects a positive ${factorName}, but got ${factor}`);
  }
}

/** Splits the dimensions after `lead`, permutes the pieces and joins them again. */
function rearranged(
  x: Tensor,
  lead: readonly number[],
  split: readonly number[],
  order: readonly number[],
  result: readonly number[],
  gradient: string,
): Tensor {
  return composed(() => {
    // One dimension in front: wasm has kernels of up to six.
    const parts = apply(reshape, [x], { shape: [numel(lead), ...split] });
    const turned = apply(permute, [parts], { order: [0, ...order.map((d) => d + 1)] });
    return named(apply(reshape, [turned], { shape: [...lead, ...result] }), gradient);
  });
}

/**
 * [*, C r², H, W] as [*, C, H r, W r]: each r² channels become a square of r × r pixels.
 * @throws TensorError "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but …"
 */
export function pixelShuffle(input: Tensor, upscaleFactor: number): Tensor {
  const r = upscaleFactor;
  checkImages("pixel_shuffle", input, "upscale_factor", r);
  const [channels, h, w] = input.shape.slice(-3) as [number, number, number];
  if (channels % (r * r) !== 0) {
    throw new TensorError(
      "shape",
      `pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but input.size(-3)=${channels} is not divisible by ${r * r}`,
    );
  }
  const c = channels / (r * r);
  const order = [0, 3, 1, 4, 2];
  const lead = input.shape.slice(0, -3);
  return rearranged(input, lead, [c, r, r, h, w], order, [c, h * r, w * r], "PixelShuffleBackward0");
}

/**
 * [*, C, H r, W r] as [*, C r², H, W]: the inverse of {@link pixelShuffle}.
 * @throws TensorError "pixel_unshuffle expects height to be divisible by downscale_factor, but …"
 */
export function pixelUnshuffle(input: Tensor, downscaleFactor: number): Tensor {
  const r = downscaleFactor;
  checkImages("pixel_unshuffle", input, "downscale_factor", r);
  const [c, height, width] = input.shape.slice(-3) as [number, number, number];
  for (const [what, length, dim] of [
    ["height", height, -2],
    ["width", width, -1],
  ] as const) {
    if (length % r !== 0) {
      throw new TensorError(
        "shape",
        `pixel_unshuffle expects ${what} to be divisible by downscale_factor, but input.size(${dim})=${length} is not divisible by ${r}`,
      );
    }
  }
  const [h, w] = [height / r, width / r];
  const order = [0, 2, 4, 1, 3];
  const lead = input.shape.slice(0, -3);
  return rearranged(input, lead, [c, h, r, w, r], order, [c * r * r, h, w], "PixelUnshuffleBackward0");
}

/**
 * The channels of [N, C, *] dealt out: C is split into `groups`, of which the result takes one channel each in turn.
 * @throws TensorError "Number of channels must be divisible by groups. Got 4 channels and 3 groups."
 */
export function channelShuffle(input: Tensor, groups: number): Tensor {
  if (input.ndim < 3) {
    throw new TensorError(
      "shape",
      `channel_shuffle expects input with > 2 dims, but got input with sizes ${formatShape(input.shape)}`,
    );
  }
  if (groups <= 0) {
    throw new TensorError(
      "value",
      `Number of groups to divide channels in must be positive. Value of groups:${groups}`,
    );
  }
  const [n, c, ...spatial] = input.shape as [number, number, ...number[]];
  if (c % groups !== 0) {
    throw new TensorError(
      "shape",
      `Number of channels must be divisible by groups. Got ${c} channels and ${groups} groups.`,
    );
  }
  const size = numel(spatial);
  const split = [groups, c / groups, size];
  return rearranged(input, [n], split, [1, 0, 2], [c, ...spatial], "NativeChannelShuffleBackward0");
}
