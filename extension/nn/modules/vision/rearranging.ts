import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Arguments } from "../../arguments.ts";
import type { Size } from "../../functional/conv/convolving.ts";
import { fold, unfold, type UnfoldOptions } from "../../functional/conv/fold.ts";
import { channelShuffle, pixelShuffle, pixelUnshuffle } from "../../functional/vision/rearranging.ts";
import { BuiltIn } from "../../module/module.ts";
import { py } from "../../module/repr.ts";

/**
 * [*, C r², H, W] as [*, C, H r, W r] with r = upscaleFactor: each r² channels become a square of r × r pixels.
 *
 * ```ts
 * new nn.PixelShuffle(3)(torch.randn(1, 9, 4, 4)).shape; // [1, 1, 12, 12]
 * ```
 * @throws TensorError "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but …"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.PixelShuffle.html
 */
export class PixelShuffle extends BuiltIn {
  readonly upscaleFactor: number;

  constructor(upscaleFactor: number);
  constructor(options: { upscaleFactor: number });
  constructor(...args: unknown[]) {
    super();
    const bound = bind<{ upscaleFactor: number }>("PixelShuffle", args, { upscaleFactor: REQUIRED });
    this.upscaleFactor = bound.upscaleFactor;
  }

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
export class PixelUnshuffle extends BuiltIn {
  readonly downscaleFactor: number;

  constructor(downscaleFactor: number);
  constructor(options: { downscaleFactor: number });
  constructor(...args: unknown[]) {
    super();
    const bound = bind<{ downscaleFactor: number }>("PixelUnshuffle", args, { downscaleFactor: REQUIRED });
    this.downscaleFactor = bound.downscaleFactor;
  }

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
export class ChannelShuffle extends BuiltIn {
  readonly groups: number;

  constructor(groups: number);
  constructor(options: { groups: number });
  constructor(...args: unknown[]) {
    super();
    this.groups = bind<{ groups: number }>("ChannelShuffle", args, { groups: REQUIRED }).groups;
  }

  forward(input: Tensor): Tensor {
    return channelShuffle(input, this.groups);
  }

  override extraRepr(): string {
    return `groups=${py(this.groups)}`;
  }
}

type UnfoldArguments = UnfoldOptions & { kernelSize: Size };

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
export class Unfold extends BuiltIn {
  readonly kernelSize: Size;
  readonly dilation: Size;
  readonly padding: Size;
  readonly stride: Size;

  constructor(kernelSize: Size, options?: UnfoldOptions);
  constructor(kernelSize: Size, dilation: Size, padding?: Size, stride?: Size);
  constructor(options: UnfoldArguments);
  constructor(...args: Arguments<UnfoldArguments, "kernelSize dilation padding stride">);
  constructor(...args: unknown[]) {
    super();
    const bound = bind<UnfoldArguments>("Unfold", args, {
      kernelSize: REQUIRED,
      dilation: 1,
      padding: 0,
      stride: 1,
    });
    this.kernelSize = bound.kernelSize;
    this.dilation = bound.dilation;
    this.padding = bound.padding;
    this.stride = bound.stride;
  }

  forward(input: Tensor): Tensor {
    return unfold(input, this.kernelSize, this.dilation, this.padding, this.stride);
  }

  override extraRepr(): string {
    return `kernel_size=${py(this.kernelSize)}, dilation=${py(this.dilation)}, padding=${py(this.padding)}, stride=${py(this.stride)}`;
  }
}

type FoldArguments = UnfoldArguments & { outputSize: Size };

/**
 * The blocks of {@link Unfold}, [N, C kH kW, L] or [C kH kW, L], added up in images [N, C, …outputSize].
 *
 * ```ts
 * new nn.Fold([4, 5], [2, 2])(torch.randn(1, 12, 12)).shape; // [1, 3, 4, 5]
 * ```
 * @throws TensorError "Given output_size=…, expected size of input's dimension 2 to match the calculated number of sliding blocks …"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Fold.html
 */
export class Fold extends BuiltIn {
  readonly outputSize: Size;
  readonly kernelSize: Size;
  readonly dilation: Size;
  readonly padding: Size;
  readonly stride: Size;

  constructor(outputSize: Size, kernelSize: Size, options?: UnfoldOptions);
  constructor(outputSize: Size, kernelSize: Size, dilation: Size, padding?: Size, stride?: Size);
  constructor(options: FoldArguments);
  constructor(...args: Arguments<FoldArguments, "outputSize kernelSize dilation padding stride">);
  constructor(...args: unknown[]) {
    super();
    const bound = bind<FoldArguments>("Fold", args, {
      outputSize: REQUIRED,
      kernelSize: REQUIRED,
      dilation: 1,
      padding: 0,
      stride: 1,
    });
    this.outputSize = bound.outputSize;
    this.kernelSize = bound.kernelSize;
    this.dilation = bound.dilation;
    this.padding = bound.padding;
    this.stride = bound.stride;
  }

  forward(input: Tensor): Tensor {
    return fold(input, this.outputSize, this.kernelSize, this.dilation, this.padding, this.stride);
  }

  override extraRepr(): string {
    return `output_size=${py(this.outputSize)}, kernel_size=${py(this.kernelSize)}, dilation=${py(this.dilation)}, padding=${py(this.padding)}, stride=${py(this.stride)}`;
  }
}
