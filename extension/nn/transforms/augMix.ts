// A mixture of an image and of several augmentations of it.
import { filled } from "../../tensor/core/dtype.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { sampleDirichlet } from "../../tensor/functions/creation/sampling.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { fromHost, type Tensor } from "../../tensor/core/tensor.ts";
import { bind, type Call } from "../arguments.ts";
import { py, pyFloat } from "../module/repr.ts";
import { Augmentation, BINS, type AugmentationOptions } from "./augmentation.ts";
import { CHOICES, LIMITS } from "./autoAugmentOperations.ts";
import { drawBelow, floatsOf } from "./image.ts";

export interface AugMixOptions extends AugmentationOptions {
  /** How many of the 10 magnitudes are drawn from, the weakest first; 3 by default. */
  severity?: number;
  /** Number of chains of operations; 3 by default. */
  mixtureWidth?: number;
  /** Operations in a chain; −1, the default, draws 1 to 3. */
  chainDepth?: number;
  /** Concentration of the weights' distribution: the larger, the more equal the weights; 1 by default. */
  alpha?: number;
  /** Whether brightness, contrast, colour and sharpness change too; true by default. */
  allOps?: boolean;
}

/**
 * A random mixture of an image [..., 1 or 3, H, W] of numbers from 0 to 1 and of chains of random operations on it, after
 * "AugMix: A Simple Data Processing Method to Improve Robustness and Uncertainty" (https://arxiv.org/abs/1912.02781).
 * With four dimensions or more, each image along the first has weights of its own. Results are those of
 * `torchvision.transforms.v2` on floats. Drawn as there: the weights, by `torch.distributions.Dirichlet`'s draws, then for
 * each chain its depth, and each operation with its magnitude and sign.
 *
 * ```ts
 * new transforms.AugMix({ severity: 5 })(torch.rand(3, 32, 32)).shape; // [3, 32, 32]
 * ```
 * @throws TensorError "The severity must be between [1, 10]. Got 0 instead.", or for an image of another dtype, of fewer
 * dimensions or with another number of channels
 * @see https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.AugMix.html
 */
export class AugMix extends Augmentation {
  readonly severity: number;
  readonly mixtureWidth: number;
  readonly chainDepth: number;
  readonly alpha: number;
  readonly allOps: boolean;

  constructor(options?: AugMixOptions);
  constructor(
    ...args: Call<AugMixOptions, "severity mixtureWidth chainDepth alpha allOps interpolation fill">
  );
  constructor(...args: unknown[]) {
    const bound = bind<AugMixOptions>("AugMix", args, {
      severity: 3,
      mixtureWidth: 3,
      chainDepth: -1,
      alpha: 1,
      allOps: true,
      interpolation: "bilinear",
      fill: null,
    });
    if (!(bound.severity >= 1 && bound.severity <= BINS))
      throw new TensorError(
        "value",
        `The severity must be between [1, ${BINS}]. Got ${py(bound.severity)} instead.`,
      );
    super(bound);
    this.severity = bound.severity;
    this.mixtureWidth = bound.mixtureWidth;
    this.chainDepth = bound.chainDepth;
    this.alpha = bound.alpha;
    this.allOps = bound.allOps;
  }

  protected augment(image: Tensor): Tensor {
    const { severity, mixtureWidth, chainDepth } = this;
    const choices = this.allOps ? CHOICES.mixed : CHOICES.mixedWithoutFactors;
    const values = floatsOf("AugMix", image);
    const batch = image.shape.length > 3 ? image.shape[0]! : 1;
    const size = values.length / batch;
    const own = this.weights(batch, 2);
    const weights = this.weights(batch, mixtureWidth);
    const mix = filled(new Float32Array(values.length), (i) => own[2 * Math.floor(i / size)]! * values[i]!);
    for (let chain = 0; chain < mixtureWidth; chain++) {
      const depth = chainDepth > 0 ? chainDepth : 1 + drawBelow(3);
      let result = image;
      for (let i = 0; i < depth; i++)
        result = this.drawn(result, choices, LIMITS.AugMix, BINS, () => drawBelow(severity));
      const changed = valuesOf(result.value);
      for (let i = 0; i < mix.length; i++) {
        const row = Math.floor(i / size);
        const weight = Math.fround(weights[row * mixtureWidth + chain]! * own[2 * row + 1]!);
        mix[i]! += Math.fround(weight * changed[i]!);
      }
    }
    return fromHost(mix, image.shape, "float32");
  }

  /** Draws rows of `count` weights whose sum is 1. */
  private weights(rows: number, count: number): ArrayLike<number> {
    const concentration = new Float32Array(rows * count).fill(this.alpha);
    return valuesOf(sampleDirichlet(fromHost(concentration, [rows, count], "float32")).value);
  }

  override extraRepr(): string {
    const { severity, mixtureWidth, chainDepth, alpha, allOps } = this;
    return `severity=${severity}, mixture_width=${mixtureWidth}, chain_depth=${chainDepth}, alpha=${pyFloat(alpha)}, all_ops=${py(allOps)}, ${super.extraRepr()}`;
  }
}
