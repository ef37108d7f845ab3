import { TensorError } from "../../../tensor/core/errors.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, type Passed } from "../../arguments.ts";
import * as F from "../../functional/index.ts";
import type {
  MarginOptions,
  MultiLabelWeightOptions,
  MultiMarginArguments,
  MultiMarginOptions,
} from "../../functional/loss/marginLoss.ts";
import { LEGACY, reductionOf } from "../../functional/loss/reduction.ts";
import type {
  DistanceFunction,
  TripletArguments,
  TripletDistanceOptions,
  TripletOptions,
} from "../../functional/loss/tripletLoss.ts";
import { PairwiseDistance } from "./distance.ts";
import { configuredLoss, Loss, PlainLoss } from "./loss.ts";

/** A loss with a margin and no other option. */
abstract class MarginLoss extends configuredLoss<MarginOptions, "margin sizeAverage reduce reduction">() {
  /** @internal */
  static override readonly signature = { margin: 0, ...LEGACY, reduction: "mean" };
  declare margin: number;
}

/**
 * Distances `input` of pairs: the distance itself where the target is 1 (alike), max(0, margin − distance) where it is
 * −1. Margin 1 by default.
 *
 * ```ts
 * new nn.HingeEmbeddingLoss()(torch.rand(3), torch.tensor([1, -1, 1]));
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.HingeEmbeddingLoss.html
 */
export class HingeEmbeddingLoss extends MarginLoss {
  /** @internal */
  static override readonly signature = { margin: 1, ...LEGACY, reduction: "mean" };

  forward(input: Tensor, target: Tensor): Tensor {
    return F.hingeEmbeddingLoss(input, target, { margin: this.margin, reduction: this.reduction });
  }
}

/**
 * max(0, −y (x₁ − x₂) + margin): x₁ should rank higher where y is 1, lower where it is −1. Margin 0 by default.
 *
 * ```ts
 * new nn.MarginRankingLoss()(torch.randn(3), torch.randn(3), torch.tensor([1, -1, 1]));
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MarginRankingLoss.html
 */
export class MarginRankingLoss extends MarginLoss {
  forward(input1: Tensor, input2: Tensor, target: Tensor): Tensor {
    const { margin, reduction } = this;
    return F.marginRankingLoss(input1, input2, target, { margin, reduction });
  }
}

/**
 * 1 − cos(x₁, x₂) where the target is 1, max(0, cos(x₁, x₂) − margin) where it is −1. Margin 0 by default.
 *
 * - inputs [N, D] with target [N], or [D] with a target without dimensions
 *
 * ```ts
 * new nn.CosineEmbeddingLoss()(torch.randn(3, 5), torch.randn(3, 5), torch.tensor([1, -1, 1]));
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CosineEmbeddingLoss.html
 */
export class CosineEmbeddingLoss extends MarginLoss {
  forward(input1: Tensor, input2: Tensor, target: Tensor): Tensor {
    const { margin, reduction } = this;
    return F.cosineEmbeddingLoss(input1, input2, target, { margin, reduction });
  }
}

/**
 * ln(1 + e^(−target · input)) for targets of ±1.
 *
 * ```ts
 * new nn.SoftMarginLoss()(torch.randn(3), torch.tensor([1, -1, 1]));
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.SoftMarginLoss.html
 */
export class SoftMarginLoss extends PlainLoss {
  forward(input: Tensor, target: Tensor): Tensor {
    return F.softMarginLoss(input, target, { reduction: this.reduction });
  }
}

/**
 * Hinge loss of several classes, C of them: Σ_{i ≠ y} w_y · max(0, margin − x_y + x_i)ᵖ / C. p is 1 (or 2), margin 1.
 *
 * - input scores [C] or [N, C]; target class numbers [N]
 *
 * ```ts
 * new nn.MultiMarginLoss({ p: 2 })(torch.randn(3, 5), torch.tensor([1, 0, 4]));
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiMarginLoss.html
 *
 * @throws TensorError "only p == 1 and p == 2 supported"
 */
export class MultiMarginLoss extends Loss {
  weight: Tensor | null = null;
  p: number;
  margin: number;

  constructor(...args: MultiMarginArguments) {
    const bound = bind<MultiMarginOptions>("MultiMarginLoss", args, {
      p: 1,
      margin: 1,
      weight: null,
      ...LEGACY,
      reduction: "mean",
    });
    super(reductionOf(bound));
    const { p, margin, weight } = bound;
    if (p !== 1 && p !== 2) throw new TensorError("value", "only p == 1 and p == 2 supported");
    if (weight !== null && weight.ndim !== 1) {
      throw new TensorError(
        "shape",
        `MultiMarginLoss: expected weight to be None or 1D tensor, got ${weight.ndim}D instead`,
      );
    }
    this.registerBuffer("weight", weight);
    this.p = p;
    this.margin = margin;
  }

  forward(input: Tensor, target: Tensor): Tensor {
    const { p, margin, weight, reduction } = this;
    return F.multiMarginLoss(input, target, { p, margin, weight, reduction });
  }
}

/**
 * Hinge loss of several labels for each sample, of C classes: Σ max(0, 1 − (x_y − x_i)) / C over all labels y and all i
 * that are none.
 *
 * - input scores [C] or [N, C]; target of the same shape: class numbers, up to the first that is −1
 *
 * ```ts
 * new nn.MultiLabelMarginLoss()(torch.randn(1, 4), torch.tensor([[3, 0, -1, 1]]));
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiLabelMarginLoss.html
 */
export class MultiLabelMarginLoss extends PlainLoss {
  forward(input: Tensor, target: Tensor): Tensor {
    return F.multilabelMarginLoss(input, target, { reduction: this.reduction });
  }
}

/**
 * Binary cross entropy of each class's logit, averaged over the classes, the last dimension.
 *
 * ```ts
 * new nn.MultiLabelSoftMarginLoss()(torch.randn(2, 3), torch.tensor([[1, 0, 1], [0, 0, 1]]));
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiLabelSoftMarginLoss.html
 */
export class MultiLabelSoftMarginLoss extends configuredLoss<
  MultiLabelWeightOptions,
  "weight sizeAverage reduce reduction"
>() {
  /** @internal */
  static override readonly signature = { weight: null, ...LEGACY, reduction: "mean" };
  declare weight: Tensor | null;

  forward(input: Tensor, target: Tensor): Tensor {
    const { weight, reduction } = this;
    return F.multilabelSoftMarginLoss(input, target, { weight, reduction });
  }
}

function checkMargin(name: string, margin: number): void {
  if (margin > 0) return;
  throw new TensorError("value", `${name}: expected margin to be greater than 0, got ${margin} instead`);
}

/**
 * max(0, d(anchor, positive) − d(anchor, negative) + margin), d being the p-norm distance over the last dimension
 * (Balntas, Riba et al. 2016). Margin 1, p 2, eps 1e-6; with `swap` the distance from positive to negative counts where
 * it is the smaller one.
 *
 * ```ts
 * new nn.TripletMarginLoss({ margin: 0.5 })(torch.randn(9, 4), torch.randn(9, 4), torch.randn(9, 4));
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.TripletMarginLoss.html
 */
export class TripletMarginLoss extends Loss {
  margin: number;
  p: number;
  eps: number;
  swap: boolean;

  constructor(...args: TripletArguments) {
    const bound = bind<TripletOptions>("TripletMarginLoss", args, {
      margin: 1,
      p: 2,
      eps: 1e-6,
      swap: false,
      ...LEGACY,
      reduction: "mean",
    });
    super(reductionOf(bound));
    checkMargin("TripletMarginLoss", bound.margin);
    this.margin = bound.margin;
    this.p = bound.p;
    this.eps = bound.eps;
    this.swap = bound.swap;
  }

  forward(anchor: Tensor, positive: Tensor, negative: Tensor): Tensor {
    const { margin, p, eps, swap, reduction } = this;
    return F.tripletMarginLoss(anchor, positive, negative, { margin, p, eps, swap, reduction });
  }
}

/**
 * As {@link TripletMarginLoss}, with a distance of your own: a function of two tensors, or a module, which then is part of
 * the loss.
 *
 * ```ts
 * const loss = new nn.TripletMarginWithDistanceLoss({ distanceFunction: (x, y) => x.sub(y).abs().amax(1) });
 * loss(torch.randn(9, 4), torch.randn(9, 4), torch.randn(9, 4));
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.TripletMarginWithDistanceLoss.html
 */
export class TripletMarginWithDistanceLoss extends Loss {
  distanceFunction: DistanceFunction;
  margin: number;
  swap: boolean;

  constructor(options: Passed<TripletDistanceOptions> = {}) {
    const { distanceFunction, margin, swap, reduction } = bind<TripletDistanceOptions>(
      "TripletMarginWithDistanceLoss",
      [options],
      { distanceFunction: null, margin: 1, swap: false, reduction: "mean" },
    );
    super(reduction);
    checkMargin("TripletMarginWithDistanceLoss", margin);
    this.distanceFunction = distanceFunction ?? new PairwiseDistance();
    this.margin = margin;
    this.swap = swap;
  }

  forward(anchor: Tensor, positive: Tensor, negative: Tensor): Tensor {
    const { distanceFunction, margin, swap, reduction } = this;
    const options = { distanceFunction, margin, swap, reduction };
    return F.tripletMarginWithDistanceLoss(anchor, positive, negative, options);
  }
}
