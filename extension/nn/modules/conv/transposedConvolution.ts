import { TensorError } from "../../../tensor/core/errors.ts";
import { formatShape } from "../../../tensor/core/shape.ts";
import type { Parameter, Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Arguments } from "../../arguments.ts";
import type { Size } from "../../functional/conv/convolving.ts";
import * as F from "../../functional/conv/transposedConvolution.ts";
import { py } from "../../module/repr.ts";
import { checkGroups, tuple } from "./convolution.ts";
import { emptyParameter, resetUniform } from "../linear.ts";
import { SpatialLayer } from "../spatial.ts";

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

type Lengths = readonly number[] | null;
/** The spatial lengths that the output should have, as an argument or by name. */
type OutputSize = Lengths | { outputSize?: Lengths };

const FUNCTIONS = [F.convTranspose1d, F.convTranspose2d, F.convTranspose3d];

/** Transposed convolution over one, two or three spatial dimensions. */
abstract class TransposedConvolution extends SpatialLayer {
  weight: Parameter;
  bias: Parameter | null;
  inChannels: number;
  outChannels: number;
  kernelSize: readonly number[];
  stride: readonly number[];
  padding: readonly number[];
  outputPadding: readonly number[];
  dilation: readonly number[];
  groups: number;
  readonly paddingMode = "zeros";
  readonly transposed = true;

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
  constructor(
    ...args: Arguments<
      ConvTransposeArguments,
      "inChannels outChannels kernelSize stride padding outputPadding groups bias dilation paddingMode"
    >
  );
  constructor(...args: unknown[]) {
    super();
    const { dims, name } = new.target;
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

  /** @param outputSize the output's spatial lengths, alone or after those of batch and channels */
  forward(input: Tensor, outputSize: OutputSize = null): Tensor {
    const { bias, stride, padding, groups, dilation } = this;
    const { outputSize: wanted } = bind<{ outputSize?: Lengths }>("forward", [outputSize], {
      outputSize: null,
    });
    const outputPadding = wanted === null ? this.outputPadding : this.reaching(input, wanted);
    const transposed = this.functionFor(FUNCTIONS);
    return transposed(input, this.weight, { bias, stride, padding, outputPadding, groups, dilation });
  }

  /** The output padding that gives the output its requested lengths. */
  private reaching(input: Tensor, outputSize: readonly number[]): readonly number[] {
    const count = this.kernelSize.length;
    const lead = input.ndim === count + 2 ? 2 : 1;
    const wanted = outputSize.length === lead + count ? outputSize.slice(lead) : outputSize;
    if (wanted.length !== count) {
      throw new TensorError(
        "value",
        `ConvTranspose${count}D: for ${input.ndim}D input, output_size must have ${count} or ${lead + count} elements (got ${wanted.length})`,
      );
    }
    const lengths = input.shape.slice(lead);
    const least = lengths.map(
      (length, d) =>
        (length - 1) * this.stride[d]! -
        2 * this.padding[d]! +
        this.dilation[d]! * (this.kernelSize[d]! - 1) +
        1,
    );
    const most = least.map((length, d) => length + this.stride[d]! - 1);
    if (wanted.some((length, d) => length < least[d]! || length > most[d]!)) {
      throw new TensorError(
        "value",
        `requested an output size of ${formatShape(wanted)}, but valid sizes range from ${formatShape(least)} to ${formatShape(most)} (for an input of torch.Size(${formatShape(lengths)}))`,
      );
    }
    return wanted.map((length, d) => length - least[d]!);
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

/**
 * Transposed convolution of sequences: the adjoint of `Conv1d`, which turns its outputs' shapes into its inputs'.
 *
 * - weight [inChannels, outChannels / groups, k] and bias [outChannels], both from U(−b, b) with b = 1/√fan_in,
 *   fan_in = outChannels / groups · k
 * - input [N, inChannels, L] or [inChannels, L]
 * - output length (L − 1) stride − 2 padding + dilation (k − 1) + outputPadding + 1;
 *   `outputSize` of the call chooses the outputPadding for a size that is wanted
 *
 * ```ts
 * new nn.ConvTranspose1d(16, 33, 3, { stride: 2 })(torch.randn(20, 16, 50)).shape; // [20, 33, 101]
 * ```
 * @throws TensorError "requested an output size of …, but valid sizes range from … to … (for an input of …)"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose1d.html
 */
export class ConvTranspose1d extends TransposedConvolution {
  protected static override readonly dims = 1;
}

/**
 * Transposed convolution of images: the adjoint of `Conv2d`, which turns its outputs' shapes into its inputs'.
 *
 * - weight [inChannels, outChannels / groups, kH, kW] and bias [outChannels], both from U(−b, b) with b = 1/√fan_in,
 *   fan_in = outChannels / groups · kH · kW
 * - input [N, inChannels, H, W] or [inChannels, H, W]
 * - output height (H − 1) stride − 2 padding + dilation (kH − 1) + outputPadding + 1, width likewise;
 *   `outputSize` of the call chooses the outputPadding for a size that is wanted
 *
 * ```ts
 * new nn.ConvTranspose2d(8, 4, 2, { stride: 2 })(torch.randn(1, 8, 7, 7)).shape; // [1, 4, 14, 14]
 * ```
 * @throws TensorError "requested an output size of …, but valid sizes range from … to … (for an input of …)"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose2d.html
 */
export class ConvTranspose2d extends TransposedConvolution {
  protected static override readonly dims = 2;
}

/**
 * Transposed convolution of volumes: the adjoint of `Conv3d`, which turns its outputs' shapes into its inputs'.
 *
 * - weight [inChannels, outChannels / groups, kD, kH, kW] and bias [outChannels], both from U(−b, b) with b = 1/√fan_in,
 *   fan_in = outChannels / groups · kD · kH · kW
 * - input [N, inChannels, D, H, W] or [inChannels, D, H, W]
 * - output depth (D − 1) stride − 2 padding + dilation (kD − 1) + outputPadding + 1, height and width likewise;
 *   `outputSize` of the call chooses the outputPadding for a size that is wanted
 *
 * ```ts
 * new nn.ConvTranspose3d(4, 2, 2, { stride: 2 })(torch.randn(1, 4, 3, 5, 5)).shape; // [1, 2, 6, 10, 10]
 * ```
 * @throws TensorError "requested an output size of …, but valid sizes range from … to … (for an input of …)"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose3d.html
 */
export class ConvTranspose3d extends TransposedConvolution {
  protected static override readonly dims = 3;
}
