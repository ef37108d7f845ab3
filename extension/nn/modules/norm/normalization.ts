import { TensorError } from "../../../tensor/core/errors.ts";
import type { Shape } from "../../../tensor/core/shape.ts";
import type { Parameter, Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Arguments } from "../../arguments.ts";
import { groupNorm, layerNorm, localResponseNorm, rmsNorm } from "../../functional/norm/normalization.ts";
import { ones_, zeros_ } from "../../init.ts";
import { BuiltIn } from "../../module/module.ts";
import { py, pyFloat } from "../../module/repr.ts";
import { emptyParameter } from "../linear.ts";
import { configured } from "../configured.ts";

interface LayerNormArguments {
  /** Sizes of the last dimensions; a number is one dimension. */
  normalizedShape: number | readonly number[];
  /** Added to the variance; 1e-5 by default. */
  eps?: number;
  /** Whether there is a weight and a bias; true by default. */
  elementwiseAffine?: boolean;
  /** False leaves the bias out; true by default. */
  bias?: boolean;
}

const asShape = (sizes: number | readonly number[]): Shape => (typeof sizes === "number" ? [sizes] : sizes);

/**
 * y = (x − mean) / √(variance + eps) · weight + bias, with mean and biased variance over the last dimensions.
 *
 * - weight of ones and bias of zeros, both of shape normalizedShape
 * - input and output [*, ...normalizedShape]
 *
 * Ba, Kiros and Hinton 2016, https://arxiv.org/abs/1607.06450
 *
 * ```ts
 * new nn.LayerNorm(10)(torch.randn(20, 5, 10)).shape; // [20, 5, 10]
 * ```
 * @throws TensorError "Given normalized_shape=[4], expected input with shape [*, 4], but got input of size[2, 3]"
 */
export class LayerNorm extends BuiltIn {
  normalizedShape: Shape;
  eps: number;
  elementwiseAffine: boolean;
  weight: Parameter | null;
  bias: Parameter | null;

  constructor(
    normalizedShape: number | readonly number[],
    options?: Omit<LayerNormArguments, "normalizedShape">,
  );
  constructor(
    normalizedShape: number | readonly number[],
    eps?: number,
    elementwiseAffine?: boolean,
    bias?: boolean,
  );
  constructor(...args: Arguments<LayerNormArguments, "normalizedShape eps elementwiseAffine bias">);
  constructor(...args: unknown[]) {
    super();
    const bound = bind<LayerNormArguments>("LayerNorm", args, {
      normalizedShape: REQUIRED,
      eps: 1e-5,
      elementwiseAffine: true,
      bias: true,
    });
    this.normalizedShape = asShape(bound.normalizedShape);
    this.eps = bound.eps;
    this.elementwiseAffine = bound.elementwiseAffine;
    this.weight = bound.elementwiseAffine ? emptyParameter(this.normalizedShape) : null;
    this.bias = bound.elementwiseAffine && bound.bias ? emptyParameter(this.normalizedShape) : null;
    this.resetParameters();
  }

  /** Weights 1, biases 0. */
  resetParameters(): void {
    if (this.weight !== null) ones_(this.weight);
    if (this.bias !== null) zeros_(this.bias);
  }

  forward(input: Tensor): Tensor {
    return layerNorm(input, this.normalizedShape, this.weight, this.bias, this.eps);
  }

  override extraRepr(): string {
    return `${py(this.normalizedShape)}, eps=${pyFloat(this.eps)}, elementwise_affine=${py(this.elementwiseAffine)}, bias=${py(this.bias !== null)}`;
  }
}

interface RMSNormArguments {
  /** Sizes of the last dimensions; a number is one dimension. */
  normalizedShape: number | readonly number[];
  /** Added to the mean square; 2⁻²³ when null, the default. */
  eps?: number | null;
  /** Whether there is a weight; true by default. */
  elementwiseAffine?: boolean;
}

/**
 * y = x / √(mean(x²) + eps) · weight, with the mean over the last dimensions.
 *
 * - weight of ones, of shape normalizedShape
 * - input and output [*, ...normalizedShape]
 *
 * Zhang and Sennrich 2019, https://arxiv.org/abs/1910.07467
 *
 * ```ts
 * new nn.RMSNorm([2, 3])(torch.randn(2, 2, 3)).shape; // [2, 2, 3]
 * ```
 */
export class RMSNorm extends BuiltIn {
  normalizedShape: Shape;
  eps: number | null;
  elementwiseAffine: boolean;
  weight: Parameter | null;

  constructor(
    normalizedShape: number | readonly number[],
    options?: Omit<RMSNormArguments, "normalizedShape">,
  );
  constructor(normalizedShape: number | readonly number[], eps?: number | null, elementwiseAffine?: boolean);
  constructor(...args: Arguments<RMSNormArguments, "normalizedShape eps elementwiseAffine">);
  constructor(...args: unknown[]) {
    super();
    const bound = bind<RMSNormArguments>("RMSNorm", args, {
      normalizedShape: REQUIRED,
      eps: null,
      elementwiseAffine: true,
    });
    this.normalizedShape = asShape(bound.normalizedShape);
    this.eps = bound.eps;
    this.elementwiseAffine = bound.elementwiseAffine;
    this.weight = bound.elementwiseAffine ? emptyParameter(this.normalizedShape) : null;
    this.resetParameters();
  }

  /** Weights 1. */
  resetParameters(): void {
    if (this.weight !== null) ones_(this.weight);
  }

  forward(input: Tensor): Tensor {
    return rmsNorm(input, this.normalizedShape, this.weight, this.eps);
  }

  override extraRepr(): string {
    return `${py(this.normalizedShape)}, eps=${py(this.eps)}, elementwise_affine=${py(this.elementwiseAffine)}`;
  }
}

interface GroupNormArguments {
  numGroups: number;
  numChannels: number;
  /** Added to the variance; 1e-5 by default. */
  eps?: number;
  /** Whether there is a weight and a bias per channel; true by default. */
  affine?: boolean;
  /** False leaves the bias out; true by default. */
  bias?: boolean;
}

/**
 * y = (x − mean) / √(variance + eps) · weight + bias, with mean and biased variance of each group of channels of each
 * sample.
 *
 * - weight [C] of ones and bias [C] of zeros
 * - input and output [N, C, *]
 *
 * Wu and He 2018, https://arxiv.org/abs/1803.08494
 *
 * ```ts
 * new nn.GroupNorm(3, 6)(torch.randn(20, 6, 10, 10)).shape; // [20, 6, 10, 10]
 * ```
 * @throws TensorError "num_channels (3) must be divisible by num_groups (2)"
 */
export class GroupNorm extends BuiltIn {
  numGroups: number;
  numChannels: number;
  eps: number;
  affine: boolean;
  weight: Parameter | null;
  bias: Parameter | null;

  constructor(
    numGroups: number,
    numChannels: number,
    options?: Omit<GroupNormArguments, "numGroups" | "numChannels">,
  );
  constructor(numGroups: number, numChannels: number, eps?: number, affine?: boolean, bias?: boolean);
  constructor(...args: Arguments<GroupNormArguments, "numGroups numChannels eps affine bias">);
  constructor(...args: unknown[]) {
    super();
    const bound = bind<GroupNormArguments>("GroupNorm", args, {
      numGroups: REQUIRED,
      numChannels: REQUIRED,
      eps: 1e-5,
      affine: true,
      bias: true,
    });
    const { numGroups, numChannels, affine } = bound;
    if (numGroups === 0) throw new TensorError("value", "integer modulo by zero");
    if (numChannels % numGroups !== 0) {
      throw new TensorError(
        "value",
        `num_channels (${numChannels}) must be divisible by num_groups (${numGroups})`,
      );
    }
    this.numGroups = numGroups;
    this.numChannels = numChannels;
    this.eps = bound.eps;
    this.affine = affine;
    this.weight = affine ? emptyParameter([numChannels]) : null;
    this.bias = affine && bound.bias ? emptyParameter([numChannels]) : null;
    this.resetParameters();
  }

  /** Weights 1, biases 0. */
  resetParameters(): void {
    if (this.weight !== null) ones_(this.weight);
    if (this.bias !== null) zeros_(this.bias);
  }

  forward(input: Tensor): Tensor {
    return groupNorm(input, this.numGroups, this.weight, this.bias, this.eps);
  }

  override extraRepr(): string {
    return `${this.numGroups}, ${this.numChannels}, eps=${pyFloat(this.eps)}, affine=${py(this.affine)}, bias=${py(this.bias !== null)}`;
  }
}

/**
 * y = x / (k + alpha · m)^beta, where m is the mean of x² over `size` neighbouring channels of [N, C, *], with zeros
 * beyond the first and last; alpha 1e-4, beta 0.75 and k 1 by default.
 *
 * Krizhevsky, Sutskever and Hinton 2012; https://docs.pytorch.org/docs/stable/generated/torch.nn.LocalResponseNorm.html
 *
 * ```ts
 * new nn.LocalResponseNorm(2)(torch.randn(32, 5, 24, 24)).shape; // [32, 5, 24, 24]
 * ```
 */
export class LocalResponseNorm extends configured<
  [size: number, alpha?: number, beta?: number, k?: number]
>()("size alpha beta k", 1e-4, 0.75, 1) {
  forward(input: Tensor): Tensor {
    return localResponseNorm(input, this.size, this.alpha, this.beta, this.k);
  }

  override extraRepr(): string {
    // Python's default is 1.0.
    const { size, alpha, beta, k } = this;
    return `${size}, alpha=${pyFloat(alpha)}, beta=${pyFloat(beta)}, k=${pyFloat(k)}`;
  }
}
