// Automatic augmentations: random operations of a published method, one after the other.
import { TensorError } from "../../tensor/core/errors.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { bind, type Call } from "../arguments.ts";
import { py } from "../module/repr.ts";
import { Augmentation, BINS, type AugmentationOptions } from "./augmentation.ts";
import { augmented, CHOICES, LIMITS } from "./autoAugmentOperations.ts";
import { POLICIES, type AutoAugmentPolicy } from "./autoAugmentPolicies.ts";
import { drawBelow, drawChance } from "./image.ts";

export interface AutoAugmentOptions extends AugmentationOptions {
  /** `AutoAugmentPolicy.IMAGENET` by default. */
  policy?: AutoAugmentPolicy;
}

/**
 * Changes an image [..., 1 or 3, H, W] of numbers from 0 to 1 by a random policy of those that "AutoAugment: Learning
 * Augmentation Strategies from Data" (https://arxiv.org/abs/1805.09501) found for a data set: two operations with fixed
 * probabilities and magnitudes. Results are those of `torchvision.transforms.v2` on floats. Drawn as there: the policy,
 * then for each operation whether it is applied, and the sign of its magnitude.
 *
 * ```ts
 * const augment = new transforms.AutoAugment(transforms.AutoAugmentPolicy.CIFAR10);
 * augment(torch.rand(3, 32, 32)).shape; // [3, 32, 32]
 * ```
 * @throws TensorError "The provided policy mnist is not recognized.", or for an image of another dtype, of fewer
 * dimensions or with another number of channels
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.AutoAugment.html
 */
export class AutoAugment extends Augmentation {
  readonly policy: AutoAugmentPolicy;

  /** @param policy `AutoAugmentPolicy.IMAGENET` by default */
  constructor(policy?: AutoAugmentPolicy, options?: AugmentationOptions);
  constructor(...args: Call<AutoAugmentOptions, "policy interpolation fill">);
  constructor(...args: unknown[]) {
    const bound = bind<AutoAugmentOptions>("AutoAugment", args, {
      policy: "imagenet",
      interpolation: "nearest",
      fill: null,
    });
    if (!Object.hasOwn(POLICIES, bound.policy))
      throw new TensorError("value", `The provided policy ${bound.policy} is not recognized.`);
    super(bound);
    this.policy = bound.policy;
  }

  protected augment(image: Tensor): Tensor {
    const policies = POLICIES[this.policy];
    let result = image;
    for (const [operation, probability, magnitude = 0] of policies[drawBelow(policies.length)]!)
      if (drawChance(probability, true))
        result = augmented(result, operation, LIMITS.AutoAugment, BINS, () => magnitude, this);
    return result;
  }

  override extraRepr(): string {
    return `policy=AutoAugmentPolicy.${this.policy.toUpperCase()}, fill=${py(this.fill)}`;
  }
}

export interface RandAugmentOptions extends AugmentationOptions {
  /** Number of operations; 2 by default. */
  numOps?: number;
  /** Index of their magnitude among `numMagnitudeBins`; 9 by default. */
  magnitude?: number;
  /** Number of magnitudes from the weakest to the strongest; 31 by default. */
  numMagnitudeBins?: number;
}

/**
 * Changes an image [..., 1 or 3, H, W] of numbers from 0 to 1 by `numOps` random operations of one magnitude, after
 * "RandAugment: Practical automated data augmentation with a reduced search space" (https://arxiv.org/abs/1909.13719).
 * Results are those of `torchvision.transforms.v2` on floats. Drawn as there: each operation, then the sign of its
 * magnitude.
 *
 * ```ts
 * new transforms.RandAugment({ numOps: 2, magnitude: 9 })(torch.rand(3, 32, 32)).shape; // [3, 32, 32]
 * ```
 * @throws TensorError "num_ops should be a non-negative integer, but got -1 instead.", or for an image of another dtype,
 * of fewer dimensions or with another number of channels, or a magnitude that is out of bounds
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandAugment.html
 */
export class RandAugment extends Augmentation {
  readonly numOps: number;
  readonly magnitude: number;
  readonly numMagnitudeBins: number;

  constructor(options?: RandAugmentOptions);
  /**
   * @param numOps number of operations; 2 by default
   * @param magnitude index of their magnitude among `numMagnitudeBins`; 9 by default
   * @param numMagnitudeBins number of magnitudes from the weakest to the strongest; 31 by default
   */
  constructor(numOps?: number, magnitude?: number, numMagnitudeBins?: number, options?: AugmentationOptions);
  constructor(...args: Call<RandAugmentOptions, "numOps magnitude numMagnitudeBins interpolation fill">);
  constructor(...args: unknown[]) {
    const bound = bind<RandAugmentOptions>("RandAugment", args, {
      numOps: 2,
      magnitude: 9,
      numMagnitudeBins: 31,
      interpolation: "nearest",
      fill: null,
    });
    if (!(Number.isInteger(bound.numOps) && bound.numOps >= 0))
      throw new TensorError(
        "value",
        `num_ops should be a non-negative integer, but got ${py(bound.numOps)} instead.`,
      );
    super(bound);
    this.numOps = bound.numOps;
    this.magnitude = bound.magnitude;
    this.numMagnitudeBins = bound.numMagnitudeBins;
  }

  protected augment(image: Tensor): Tensor {
    const { numOps, numMagnitudeBins, magnitude } = this;
    let result = image;
    for (let i = 0; i < numOps; i++)
      result = this.drawn(result, CHOICES.all, LIMITS.RandAugment, numMagnitudeBins, () => magnitude);
    return result;
  }

  override extraRepr(): string {
    const { numOps, magnitude, numMagnitudeBins } = this;
    return `num_ops=${numOps}, magnitude=${magnitude}, num_magnitude_bins=${numMagnitudeBins}, ${super.extraRepr()}`;
  }
}

export interface TrivialAugmentWideOptions extends AugmentationOptions {
  /** Number of magnitudes from the weakest to the strongest; 31 by default. */
  numMagnitudeBins?: number;
}

/**
 * Changes an image [..., 1 or 3, H, W] of numbers from 0 to 1 by one random operation of a random magnitude, after
 * "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation" (https://arxiv.org/abs/2103.10158). Results are
 * those of `torchvision.transforms.v2` on floats. Drawn as there: the operation, its magnitude, and the sign.
 *
 * ```ts
 * new transforms.TrivialAugmentWide()(torch.rand(3, 32, 32)).shape; // [3, 32, 32]
 * ```
 * @throws TensorError for an image of another dtype, of fewer dimensions or with another number of channels
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.TrivialAugmentWide.html
 */
export class TrivialAugmentWide extends Augmentation {
  readonly numMagnitudeBins: number;

  /** @param numMagnitudeBins number of magnitudes from the weakest to the strongest; 31 by default */
  constructor(numMagnitudeBins?: number, options?: AugmentationOptions);
  constructor(...args: Call<TrivialAugmentWideOptions, "numMagnitudeBins interpolation fill">);
  constructor(...args: unknown[]) {
    const bound = bind<TrivialAugmentWideOptions>("TrivialAugmentWide", args, {
      numMagnitudeBins: 31,
      interpolation: "nearest",
      fill: null,
    });
    super(bound);
    this.numMagnitudeBins = bound.numMagnitudeBins;
  }

  protected augment(image: Tensor): Tensor {
    const bins = this.numMagnitudeBins;
    return this.drawn(image, CHOICES.all, LIMITS.TrivialAugmentWide, bins, () => drawBelow(bins));
  }

  override extraRepr(): string {
    return `num_magnitude_bins=${this.numMagnitudeBins}, ${super.extraRepr()}`;
  }
}
