import { TensorError } from "../../tensor/errors.ts";
import type { Parameter, Tensor } from "../../tensor/tensor.ts";
import { bind, REQUIRED } from "../arguments.ts";
import * as F from "../functional/convolution.ts";
import { pad } from "../functional/pad.ts";
import { BuiltIn } from "../module.ts";
import { py } from "../repr.ts";
import { emptyParameter, resetUniform } from "./linear.ts";

type Size = F.Size;
type Padding = Size | "same" | "valid";
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
  /** What the cells around the input hold: zeros by default. */
  paddingMode?: ConvPaddingMode;
}

type ConvArguments = ConvOptions & { inChannels: number; outChannels: number; kernelSize: Size };

function checkGroups(inChannels: number, outChannels: number, groups: number): void {
  if (groups <= 0) throw new TensorError("value", "groups must be a positive integer");
  if (inChannels % groups !== 0) throw new TensorError("value", "in_channels must be divisible by groups");
  if (outChannels % groups !== 0) throw new TensorError("value", "out_channels must be divisible by groups");
}

const tuple = (size: Size, count: number): number[] =>
  typeof size === "number" ? Array.from<number>({ length: count }).fill(size) : [...size];

/** What convolutions of any number of dimensions share. */
abstract class Convolution extends BuiltIn {
  weight: Parameter;
  bias: Parameter | null;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[] | "same" | "valid";
  readonly dilation: readonly number[];
  readonly groups: number;
  readonly paddingMode: ConvPaddingMode;

  constructor(dims: number, args: readonly unknown[]) {
    super();
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
    this.padding = typeof padding === "string" ? padding : tuple(padding, dims);
    if (typeof padding === "string") F.paddings(padding, this.kernelSize, this.dilation, this.stride);
    this.weight = emptyParameter([outChannels, inChannels / groups, ...this.kernelSize]);
    this.bias = bound.bias ? emptyParameter([outChannels]) : null;
    this.resetParameters();
  }

  resetParameters(): void {
    resetUniform(this.weight, this.bias);
  }

  /** The input with the cells around it that are not zeros, and the padding that is left to do. */
  protected padded(input: Tensor): [input: Tensor, padding: Padding] {
    const { paddingMode } = this;
    if (paddingMode === "zeros") return [input, this.padding];
    const around = F.paddings(this.padding, this.kernelSize, this.dilation, this.stride);
    return [pad(input, around.toReversed().flat(), paddingMode), 0];
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
 * - weight [outChannels, inChannels / groups, k] and bias [outChannels], from U(−k, k) with k = 1/√fan_in
 * - input [N, inChannels, L] or [inChannels, L]
 */
export class Conv1d extends Convolution {
  constructor(inChannels: number, outChannels: number, kernelSize: Size, options?: ConvOptions);
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: Size,
    stride: Size,
    options?: Omit<ConvOptions, "stride">,
  );
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: Size,
    stride: Size,
    padding: Padding,
    options?: Omit<ConvOptions, "stride" | "padding">,
  );
  constructor(options: ConvArguments);
  constructor(...args: unknown[]) {
    super(1, args);
  }

  forward(input: Tensor): Tensor {
    const [x, padding] = this.padded(input);
    return F.conv1d(x, this.weight, this.bias, this.stride, padding, this.dilation, this.groups);
  }
}

/**
 * Cross-correlation of images.
 *
 * - weight [outChannels, inChannels / groups, kH, kW] and bias [outChannels], from U(−k, k) with k = 1/√fan_in,
 *   fan_in = inChannels / groups · kH · kW
 * - input [N, inChannels, H, W] or [inChannels, H, W]
 * - output height ⌊(H + 2 padding − dilation (kH − 1) − 1) / stride⌋ + 1, width likewise
 *
 * ```ts
 * new nn.Conv2d(1, 16, 3, { padding: 1 })(torch.randn(8, 1, 28, 28)).shape; // [8, 16, 28, 28]
 * ```
 * @throws TensorError "Given groups=1, weight of size [8, 3, 3, 3], expected input[1, 1, 8, 8] to have 3 channels, but got 1 channels instead"
 */
export class Conv2d extends Convolution {
  constructor(inChannels: number, outChannels: number, kernelSize: Size, options?: ConvOptions);
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: Size,
    stride: Size,
    options?: Omit<ConvOptions, "stride">,
  );
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: Size,
    stride: Size,
    padding: Padding,
    options?: Omit<ConvOptions, "stride" | "padding">,
  );
  constructor(options: ConvArguments);
  constructor(...args: unknown[]) {
    super(2, args);
  }

  forward(input: Tensor): Tensor {
    const [x, padding] = this.padded(input);
    return F.conv2d(x, this.weight, this.bias, this.stride, padding, this.dilation, this.groups);
  }
}

export interface ConvTransposeOptions {
  stride?: Size;
  /** dilation · (kernel − 1) − padding zeros are around the input. */
  padding?: Size;
  /** Cells added at the end of the output: which of the sizes that convolve to the input's is meant. */
  outputPadding?: Size;
  groups?: number;
  bias?: boolean;
  dilation?: Size;
}

type ConvTransposeArguments = ConvTransposeOptions & {
  inChannels: number;
  outChannels: number;
  kernelSize: Size;
  paddingMode?: "zeros";
};

/** What transposed convolutions share. */
abstract class TransposedConvolution extends BuiltIn {
  weight: Parameter;
  bias: Parameter | null;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly outputPadding: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;

  constructor(dims: number, args: readonly unknown[]) {
    super();
    const { name } = this.constructor;
    const bound = bind<ConvTransposeArguments>(name, args, {
      inChannels: REQUIRED,
      outChannels: REQUIRED,
      kernelSize: REQUIRED,
      stride: 1,
      padding: 0,
      outputPadding: 0,
      groups: 1,
      bias: true,
      dilation: 1,
      paddingMode: "zeros",
    });
    const { inChannels, outChannels, groups } = bound;
    if (bound.paddingMode !== "zeros") {
      throw new TensorError("value", `Only "zeros" padding mode is supported for ${name}`);
    }
    checkGroups(inChannels, outChannels, groups);
    this.inChannels = inChannels;
    this.outChannels = outChannels;
    this.groups = groups;
    this.kernelSize = tuple(bound.kernelSize, dims);
    this.stride = tuple(bound.stride, dims);
    this.padding = tuple(bound.padding, dims);
    this.outputPadding = tuple(bound.outputPadding, dims);
    this.dilation = tuple(bound.dilation, dims);
    this.weight = emptyParameter([inChannels, outChannels / groups, ...this.kernelSize]);
    this.bias = bound.bias ? emptyParameter([outChannels]) : null;
    this.resetParameters();
  }

  resetParameters(): void {
    resetUniform(this.weight, this.bias);
  }

  protected get options(): F.TransposedOptions {
    const { bias, stride, padding, outputPadding, groups, dilation } = this;
    return { bias, stride, padding, outputPadding, groups, dilation };
  }

  override extraRepr(): string {
    const { padding, dilation, outputPadding, groups } = this;
    const parts = [
      `${this.inChannels}, ${this.outChannels}, kernel_size=${py(this.kernelSize)}, stride=${py(this.stride)}`,
    ];
    if (padding.some((p) => p !== 0)) parts.push(`padding=${py(padding)}`);
    if (dilation.some((d) => d !== 1)) parts.push(`dilation=${py(dilation)}`);
    if (outputPadding.some((p) => p !== 0)) parts.push(`output_padding=${py(outputPadding)}`);
    if (groups !== 1) parts.push(`groups=${groups}`);
    if (this.bias === null) parts.push("bias=False");
    return parts.join(", ");
  }
}

/** The adjoint of {@link Conv1d}: weight [inChannels, outChannels / groups, k]. */
export class ConvTranspose1d extends TransposedConvolution {
  constructor(inChannels: number, outChannels: number, kernelSize: Size, options?: ConvTransposeOptions);
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: Size,
    stride: Size,
    padding?: Size,
    outputPadding?: Size,
    groups?: number,
    bias?: boolean,
    dilation?: Size,
  );
  constructor(options: ConvTransposeArguments);
  constructor(...args: unknown[]) {
    super(1, args);
  }

  forward(input: Tensor): Tensor {
    return F.convTranspose1d(input, this.weight, this.options);
  }
}

/**
 * The adjoint of {@link Conv2d}: weight [inChannels, outChannels / groups, kH, kW], whose fan_in therefore counts
 * output channels.
 */
export class ConvTranspose2d extends TransposedConvolution {
  constructor(inChannels: number, outChannels: number, kernelSize: Size, options?: ConvTransposeOptions);
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: Size,
    stride: Size,
    padding?: Size,
    outputPadding?: Size,
    groups?: number,
    bias?: boolean,
    dilation?: Size,
  );
  constructor(options: ConvTransposeArguments);
  constructor(...args: unknown[]) {
    super(2, args);
  }

  forward(input: Tensor): Tensor {
    return F.convTranspose2d(input, this.weight, this.options);
  }
}
