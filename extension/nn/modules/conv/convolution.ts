import { TensorError } from "../../../tensor/core/errors.ts";
import type { Parameter, Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Arguments } from "../../arguments.ts";
import * as F from "../../functional/conv/convolution.ts";
import { paddings, type Padding, type Size } from "../../functional/conv/convolving.ts";
import { pad } from "../../functional/vision/pad.ts";
import { py } from "../../module/repr.ts";
import { emptyParameter, resetUniform } from "../linear.ts";
import { SpatialLayer } from "../spatial.ts";

export type ConvPaddingMode = "zeros" | "reflect" | "replicate" | "circular";

export interface ConvOptions {
  /** 1 by default. */
  stride?: Size;
  /** Cells around the input; "same" keeps its size, "valid" adds none. 0 by default. */
  padding?: Padding;
  /** Distance of the filter's cells; 1 by default. */
  dilation?: Size;
  /** Input and output channels are divided into this many groups, each convolved alone. */
  groups?: number;
  bias?: boolean;
  /** Values of the cells around the input: zeros by default. */
  paddingMode?: ConvPaddingMode;
}

type ConvArguments = ConvOptions & { inChannels: number; outChannels: number; kernelSize: Size };

export function checkGroups(inChannels: number, outChannels: number, groups: number): void {
  if (groups <= 0) throw new TensorError("value", "groups must be a positive integer");
  if (inChannels % groups !== 0) throw new TensorError("value", "in_channels must be divisible by groups");
  if (outChannels % groups !== 0) throw new TensorError("value", "out_channels must be divisible by groups");
}

export const tuple = (size: Size, count: number): number[] =>
  typeof size === "number" ? Array.from<number>({ length: count }).fill(size) : [...size];

const FUNCTIONS = [F.conv1d, F.conv2d, F.conv3d];

/** Convolution over one, two or three spatial dimensions. */
abstract class Convolution extends SpatialLayer {
  weight: Parameter;
  bias: Parameter | null;
  inChannels: number;
  outChannels: number;
  kernelSize: readonly number[];
  stride: readonly number[];
  padding: readonly number[] | "same" | "valid";
  dilation: readonly number[];
  groups: number;
  paddingMode: ConvPaddingMode;
  readonly transposed = false;
  readonly outputPadding: readonly number[];

  constructor(inChannels: number, outChannels: number, kernelSize: Size, options?: ConvOptions);
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: Size,
    stride: Size,
    padding?: Padding,
    dilation?: Size,
    groups?: number,
    bias?: boolean,
    paddingMode?: ConvPaddingMode,
  );
  constructor(
    ...args: Arguments<
      ConvArguments,
      "inChannels outChannels kernelSize stride padding dilation groups bias paddingMode"
    >
  );
  constructor(...args: unknown[]) {
    super();
    const { dims } = new.target;
    const bound = bind<ConvArguments>(this.constructor.name, args, {
      inChannels: REQUIRED,
      outChannels: REQUIRED,
      kernelSize: REQUIRED,
      stride: 1,
      padding: 0,
      dilation: 1,
      groups: 1,
      bias: true,
      paddingMode: "zeros",
    });
    const { inChannels, outChannels, groups, padding, paddingMode } = bound;
    checkGroups(inChannels, outChannels, groups);
    if (!["zeros", "reflect", "replicate", "circular"].includes(paddingMode)) {
      throw new TensorError(
        "value",
        `padding_mode must be one of {'zeros', 'reflect', 'replicate', 'circular'}, but got padding_mode='${paddingMode}'`,
      );
    }
    this.inChannels = inChannels;
    this.outChannels = outChannels;
    this.groups = groups;
    this.paddingMode = paddingMode;
    this.kernelSize = tuple(bound.kernelSize, dims);
    this.stride = tuple(bound.stride, dims);
    this.dilation = tuple(bound.dilation, dims);
    this.outputPadding = tuple(0, dims);
    this.padding = typeof padding === "string" ? padding : tuple(padding, dims);
    if (typeof padding === "string" && padding !== "same" && padding !== "valid") {
      throw new TensorError(
        "value",
        `Invalid padding string '${String(padding)}', should be one of {'same', 'valid'}`,
      );
    }
    if (typeof padding === "string") paddings(padding, this.kernelSize, this.dilation, this.stride);
    this.weight = emptyParameter([outChannels, inChannels / groups, ...this.kernelSize]);
    this.bias = bound.bias ? emptyParameter([outChannels]) : null;
    this.resetParameters();
  }

  resetParameters(): void {
    resetUniform(this.weight, this.bias);
  }

  forward(input: Tensor): Tensor {
    const { weight, bias, kernelSize, stride, padding, dilation, groups, paddingMode } = this;
    const convolve = this.functionFor(FUNCTIONS);
    if (paddingMode === "zeros") return convolve(input, weight, bias, stride, padding, dilation, groups);
    // The functions pad with zeros only.
    const around = paddings(padding, kernelSize, dilation, stride);
    const padded = pad(input, around.toReversed().flat(), paddingMode);
    return convolve(padded, weight, bias, stride, 0, dilation, groups);
  }

  override extraRepr(): string {
    const { padding, dilation, groups, paddingMode } = this;
    const parts = [
      `${this.inChannels}, ${this.outChannels}, kernel_size=${py(this.kernelSize)}, stride=${py(this.stride)}`,
    ];
    if (typeof padding === "string") parts.push(`padding=${padding}`);
    else if (padding.some((p) => p !== 0)) parts.push(`padding=${py(padding)}`);
    if (dilation.some((d) => d !== 1)) parts.push(`dilation=${py(dilation)}`);
    if (groups !== 1) parts.push(`groups=${groups}`);
    if (this.bias === null) parts.push("bias=False");
    if (paddingMode !== "zeros") parts.push(`padding_mode=${paddingMode}`);
    return parts.join(", ");
  }
}

/**
 * Cross-correlation of sequences.
 *
 * - weight [outChannels, inChannels / groups, k] and bias [outChannels], both from U(−b, b) with b = 1/√fan_in,
 *   fan_in = inChannels / groups · k
 * - input [N, inChannels, L] or [inChannels, L]
 * - output length ⌊(L + 2 padding − dilation (k − 1) − 1) / stride⌋ + 1
 *
 * ```ts
 * new nn.Conv1d(16, 33, 3, { stride: 2 })(torch.randn(20, 16, 50)).shape; // [20, 33, 24]
 * ```
 * @throws TensorError "Given groups=1, weight of size …, expected input… to have … channels, but got … channels instead"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv1d.html
 */
export class Conv1d extends Convolution {
  protected static override readonly dims = 1;
}

/**
 * Cross-correlation of images.
 *
 * - weight [outChannels, inChannels / groups, kH, kW] and bias [outChannels], both from U(−b, b) with b = 1/√fan_in,
 *   fan_in = inChannels / groups · kH · kW
 * - input [N, inChannels, H, W] or [inChannels, H, W]
 * - output height ⌊(H + 2 padding − dilation (kH − 1) − 1) / stride⌋ + 1, width likewise
 *
 * ```ts
 * new nn.Conv2d(1, 16, 3, { padding: 1 })(torch.randn(8, 1, 28, 28)).shape; // [8, 16, 28, 28]
 * ```
 * @throws TensorError "Given groups=1, weight of size [8, 3, 3, 3], expected input[1, 1, 8, 8] to have 3 channels, but got 1 channels instead"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html
 */
export class Conv2d extends Convolution {
  protected static override readonly dims = 2;
}

/**
 * Cross-correlation of volumes.
 *
 * - weight [outChannels, inChannels / groups, kD, kH, kW] and bias [outChannels], both from U(−b, b) with b = 1/√fan_in,
 *   fan_in = inChannels / groups · kD · kH · kW
 * - input [N, inChannels, D, H, W] or [inChannels, D, H, W]
 * - output depth ⌊(D + 2 padding − dilation (kD − 1) − 1) / stride⌋ + 1, height and width likewise
 *
 * ```ts
 * new nn.Conv3d(2, 4, 3, { padding: 1 })(torch.randn(1, 2, 5, 8, 8)).shape; // [1, 4, 5, 8, 8]
 * ```
 * @throws TensorError "Given groups=1, weight of size …, expected input… to have … channels, but got … channels instead"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv3d.html
 */
export class Conv3d extends Convolution {
  protected static override readonly dims = 3;
}
