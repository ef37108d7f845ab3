import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED } from "../../arguments.ts";
import * as average from "../../functional/pooling/averagePooling.ts";
import * as F from "../../functional/pooling/pooling.ts";
import { py } from "../../module/repr.ts";
import { SpatialLayer } from "../spatial.ts";

interface SizeArguments {
  outputSize: F.OutputSize;
}

const AVERAGES = [average.adaptiveAvgPool1d, average.adaptiveAvgPool2d, average.adaptiveAvgPool3d];
const MAXIMA = [F.adaptiveMaxPool1d, F.adaptiveMaxPool2d, F.adaptiveMaxPool3d];

/** Means of as many windows as the output has elements, which cover the input. */
abstract class AdaptiveAvgPool extends SpatialLayer {
  outputSize: F.OutputSize;

  /** @param outputSize one length for all dimensions, or one for each; null keeps the input's */
  constructor(outputSize: F.OutputSize);
  constructor(options: SizeArguments);
  constructor(...args: unknown[]) {
    super();
    this.outputSize = bind<SizeArguments>(this.constructor.name, args, { outputSize: REQUIRED }).outputSize;
  }

  forward(input: Tensor): Tensor {
    return this.functionFor(AVERAGES)(input, this.outputSize);
  }

  override extraRepr(): string {
    return `output_size=${py(this.outputSize)}`;
  }
}

/**
 * Means of outputSize windows of sequences.
 *
 * ```ts
 * new nn.AdaptiveAvgPool1d(5)(torch.randn(1, 64, 8)).shape; // [1, 64, 5]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool1d.html
 */
export class AdaptiveAvgPool1d extends AdaptiveAvgPool {
  protected static override readonly dims = 1;
}

/**
 * Means of outputSize windows of images; `new nn.AdaptiveAvgPool2d(1)` is the mean of each channel.
 *
 * ```ts
 * new nn.AdaptiveAvgPool2d([5, null])(torch.randn(1, 64, 8, 9)).shape; // [1, 64, 5, 9]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool2d.html
 */
export class AdaptiveAvgPool2d extends AdaptiveAvgPool {
  protected static override readonly dims = 2;
}

/**
 * Means of outputSize windows of volumes.
 *
 * ```ts
 * new nn.AdaptiveAvgPool3d(2)(torch.randn(1, 4, 8, 9, 6)).shape; // [1, 4, 2, 2, 2]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool3d.html
 */
export class AdaptiveAvgPool3d extends AdaptiveAvgPool {
  protected static override readonly dims = 3;
}

interface MaxArguments<Indices extends boolean> extends SizeArguments {
  returnIndices?: Indices;
}

type MaxPooled<Indices extends boolean> = Indices extends true ? F.ValuesAndIndices : Tensor;

/** Largest values of as many windows as the output has elements. */
abstract class AdaptiveMaxPool<Indices extends boolean> extends SpatialLayer {
  outputSize: F.OutputSize;
  returnIndices: boolean;

  constructor(outputSize: F.OutputSize, options?: { returnIndices?: Indices | undefined });
  constructor(outputSize: F.OutputSize, returnIndices: Indices | undefined);
  constructor(options: MaxArguments<Indices>);
  constructor(...args: unknown[]) {
    super();
    const { outputSize, returnIndices } = bind<MaxArguments<boolean>>(this.constructor.name, args, {
      outputSize: REQUIRED,
      returnIndices: false,
    });
    this.outputSize = outputSize;
    this.returnIndices = returnIndices;
  }

  forward(input: Tensor): MaxPooled<Indices> {
    const { outputSize, returnIndices } = this;
    const pool = this.functionFor(MAXIMA);
    const pooled = returnIndices ? pool(input, outputSize, { returnIndices }) : pool(input, outputSize);
    return pooled as MaxPooled<Indices>;
  }

  override extraRepr(): string {
    return `output_size=${py(this.outputSize)}`;
  }
}

/**
 * Largest values of outputSize windows of sequences.
 *
 * ```ts
 * new nn.AdaptiveMaxPool1d(5)(torch.randn(1, 64, 8)).shape; // [1, 64, 5]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool1d.html
 */
export class AdaptiveMaxPool1d<Indices extends boolean = false> extends AdaptiveMaxPool<Indices> {
  protected static override readonly dims = 1;
}

/**
 * Largest values of outputSize windows of images.
 *
 * ```ts
 * new nn.AdaptiveMaxPool2d([5, null])(torch.randn(1, 64, 8, 9)).shape; // [1, 64, 5, 9]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool2d.html
 */
export class AdaptiveMaxPool2d<Indices extends boolean = false> extends AdaptiveMaxPool<Indices> {
  protected static override readonly dims = 2;
}

/**
 * Largest values of outputSize windows of volumes.
 *
 * ```ts
 * new nn.AdaptiveMaxPool3d(2)(torch.randn(1, 4, 8, 9, 6)).shape; // [1, 4, 2, 2, 2]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool3d.html
 */
export class AdaptiveMaxPool3d<Indices extends boolean = false> extends AdaptiveMaxPool<Indices> {
  protected static override readonly dims = 3;
}
