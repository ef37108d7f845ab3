import type { Tensor } from "../../../tensor/core/tensor.ts";
import type { Size } from "../../functional/conv/convolving.ts";
import { fold, unfold } from "../../functional/conv/fold.ts";
import { channelShuffle, pixelShuffle, pixelUnshuffle } from "../../functional/vision/rearranging.ts";
import { py } from "../../module/repr.ts";
import { configured } from "../configured.ts";

/**
 * [*, C r², H, W] as [*, C, H r, W r] with r = upscaleFactor: each r² channels become a square of r × r pixels.
 *
 * ```ts
 * new nn.PixelShuffle(3)(torch.randn(1, 9, 4, 4)).shape; // [1, 1, 12, 12]
 * ```
 * @throws TensorError "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but …"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.PixelShuffle.html
 */
export class PixelShuffle extends configured<[upscaleFactor: number]>()("upscaleFactor") {
  forward(input: Tensor): Tensor {
    return pixelShuffle(input, this.upscaleFactor);
  }

  override extraRepr(): string {
    return `upscale_factor=${py(this.upscaleFactor)}`;
  }
}

/**
 * [*, C, H r, W r] as [*, C r², H, W] with r = downscaleFactor: the inverse of {@link PixelShuffle}.
 *
 * ```ts
 * new nn.PixelUnshuffle(3)(torch.randn(1, 1, 12, 12)).shape; // [1, 9, 4, 4]
 * ```
 * @throws TensorError "pixel_unshuffle expects height to be divisible by downscale_factor, but …"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.PixelUnshuffle.html
 */
export class PixelUnshuffle extends configured<[downscaleFactor: number]>()("downscaleFactor") {
  forward(input: Tensor): Tensor {
    return pixelUnshuffle(input, this.downscaleFactor);
  }

  override extraRepr(): string {
    return `downscale_factor=${py(this.downscaleFactor)}`;
  }
}

/**
 * The channels of [N, C, *] dealt out: C is split into `groups`, of which the output takes one channel each in turn
 * (ShuffleNet, https://arxiv.org/abs/1707.01083).
 *
 * ```ts
 * new nn.ChannelShuffle(2)(torch.randn(1, 4, 2, 2)).shape; // [1, 4, 2, 2]
 * ```
 * @throws TensorError "Number of channels must be divisible by groups. Got 4 channels and 3 groups."
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ChannelShuffle.html
 */
export class ChannelShuffle extends configured<[groups: number]>()("groups") {
  forward(input: Tensor): Tensor {
    return channelShuffle(input, this.groups);
  }

  override extraRepr(): string {
    return `groups=${py(this.groups)}`;
  }
}

/**
 * Blocks of images [N, C, H, W] or [C, H, W] as the columns of [N, C kH kW, L]: what a convolution multiplies with.
 * L is the number of places where a block lies.
 *
 * ```ts
 * new nn.Unfold([2, 3])(torch.randn(2, 5, 3, 4)).shape; // [2, 30, 4]
 * ```
 * @throws TensorError "Given input with spatial size …, kernel_size=…, calculated shape of the array of sliding blocks as …"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Unfold.html
 */
export class Unfold extends configured<[kernelSize: Size, dilation?: Size, padding?: Size, stride?: Size]>()(
  "kernelSize dilation padding stride",
  1,
  0,
  1,
) {
  forward(input: Tensor): Tensor {
    return unfold(input, this.kernelSize, this.dilation, this.padding, this.stride);
  }

  override extraRepr(): string {
    return `kernel_size=${py(this.kernelSize)}, dilation=${py(this.dilation)}, padding=${py(this.padding)}, stride=${py(this.stride)}`;
  }
}

/**
 * The blocks of {@link Unfold}, [N, C kH kW, L] or [C kH kW, L], added up in images [N, C, …outputSize].
 *
 * ```ts
 * new nn.Fold([4, 5], [2, 2])(torch.randn(1, 12, 12)).shape; // [1, 3, 4, 5]
 * ```
 * @throws TensorError "Given output_size=…, expected size of input's dimension 2 to match the calculated number of sliding blocks …"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Fold.html
 */
export class Fold extends configured<
  [outputSize: Size, kernelSize: Size, dilation?: Size, padding?: Size, stride?: Size]
>()("outputSize kernelSize dilation padding stride", 1, 0, 1) {
  forward(input: Tensor): Tensor {
    return fold(input, this.outputSize, this.kernelSize, this.dilation, this.padding, this.stride);
  }

  override extraRepr(): string {
    return `output_size=${py(this.outputSize)}, kernel_size=${py(this.kernelSize)}, dilation=${py(this.dilation)}, padding=${py(this.padding)}, stride=${py(this.stride)}`;
  }
}
