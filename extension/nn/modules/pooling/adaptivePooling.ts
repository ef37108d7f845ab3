import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED } from "../../arguments.ts";
import * as average from "../../functional/pooling/averagePooling.ts";
import * as F from "../../functional/pooling/pooling.ts";
import { BuiltIn } from "../../module/module.ts";
import { py } from "../../module/repr.ts";

interface SizeArguments {
  outputSize: F.OutputSize;
}

/** What adaptive poolings share: as many windows as the output has places, covering the input. */
abstract class AdaptivePool extends BuiltIn {
  readonly outputSize: F.OutputSize;

  /** @param outputSize one length for all dimensions, or one for each; null keeps the input's */
  constructor(outputSize: F.OutputSize);
  constructor(options: SizeArguments);
  constructor(...args: unknown[]) {
    super();
    this.outputSize = bind<SizeArguments>(this.constructor.name, args, { outputSize: REQUIRED }).outputSize;
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
export class AdaptiveAvgPool1d extends AdaptivePool {
  forward(input: Tensor): Tensor {
    return average.adaptiveAvgPool1d(input, this.outputSize);
  }
}

/**
 * Means of outputSize windows of images; `new nn.AdaptiveAvgPool2d(1)` is the mean of each channel.
 *
 * ```ts
 * new nn.AdaptiveAvgPool2d([5, null])(torch.randn(1, 64, 8, 9)).shape; // [1, 64, 5, 9]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool2d.html
 */
export class AdaptiveAvgPool2d extends AdaptivePool {
  forward(input: Tensor): Tensor {
    return average.adaptiveAvgPool2d(input, this.outputSize);
  }
}

/**
 * Means of outputSize windows of volumes.
 *
 * ```ts
 * new nn.AdaptiveAvgPool3d(2)(torch.randn(1, 4, 8, 9, 6)).shape; // [1, 4, 2, 2, 2]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool3d.html
 */
export class AdaptiveAvgPool3d extends AdaptivePool {
  forward(input: Tensor): Tensor {
    return average.adaptiveAvgPool3d(input, this.outputSize);
  }
}

interface MaxArguments<Indices extends boolean> extends SizeArguments {
  returnIndices?: Indices;
}

/** What adaptive max poolings share. */
abstract class AdaptiveMaxPool<Indices extends boolean> extends BuiltIn {
  readonly outputSize: F.OutputSize;
  readonly returnIndices: boolean;

  constructor(outputSize: F.OutputSize, options?: { returnIndices?: Indices });
  constructor(outputSize: F.OutputSize, returnIndices: Indices);
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

  override extraRepr(): string {
    return `output_size=${py(this.outputSize)}`;
  }
}

type MaxPooled<Indices extends boolean> = Indices extends true ? F.ValuesAndIndices : Tensor;

/**
 * Largest values of outputSize windows of sequences.
 *
 * ```ts
 * new nn.AdaptiveMaxPool1d(5)(torch.randn(1, 64, 8)).shape; // [1, 64, 5]
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool1d.html
 */
export class AdaptiveMaxPool1d<Indices extends boolean = false> extends AdaptiveMaxPool<Indices> {
  forward(input: Tensor): MaxPooled<Indices> {
    const pooled = this.returnIndices
      ? F.adaptiveMaxPool1d(input, this.outputSize, { returnIndices: true })
      : F.adaptiveMaxPool1d(input, this.outputSize);
    return pooled as MaxPooled<Indices>;
  }
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
  forward(input: Tensor): MaxPooled<Indices> {
    const pooled = this.returnIndices
      ? F.adaptiveMaxPool2d(input, this.outputSize, { returnIndices: true })
      : F.adaptiveMaxPool2d(input, this.outputSize);
    return pooled as MaxPooled<Indices>;
  }
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
  forward(input: Tensor): MaxPooled<Indices> {
    const pooled = this.returnIndices
      ? F.adaptiveMaxPool3d(input, this.outputSize, { returnIndices: true })
      : F.adaptiveMaxPool3d(input, this.outputSize);
    return pooled as MaxPooled<Indices>;
  }
}
