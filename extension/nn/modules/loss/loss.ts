import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, type Arguments } from "../../arguments.ts";
import * as F from "../../functional/index.ts";
import type { LogitsOptions, WeightOptions } from "../../functional/loss/binaryCrossEntropy.ts";
import type { CrossEntropyOptions, NllOptions } from "../../functional/loss/crossEntropy.ts";
import type { GaussianOptions, KlDivOptions, PoissonOptions } from "../../functional/loss/likelihood.ts";
import {
  checkReduction,
  LEGACY,
  reductionOf,
  type Reduction,
  type ReductionOptions,
} from "../../functional/loss/reduction.ts";
import { BuiltIn } from "../../module/module.ts";

/** What losses share: how the losses of a batch become one number. */
export abstract class Loss extends BuiltIn {
  readonly reduction: Reduction;

  constructor(reduction: Reduction) {
    super();
    checkReduction(reduction);
    this.reduction = reduction;
  }
}

/** What losses with no other option than `reduction` share. */
export abstract class PlainLoss extends Loss {
  constructor(...args: Arguments<ReductionOptions, "sizeAverage reduce reduction">) {
    super(reductionOf(bind<ReductionOptions>(new.target.name, args, { ...LEGACY, reduction: "mean" })));
  }
}

/**
 * Cross entropy between class scores (logits) and classes: softmax and negative log likelihood in one.
 *
 * - input [C], [N, C] or [N, C, d₁, …]; target class numbers [], [N] or [N, d₁, …], or probabilities of input's shape
 * - "mean" divides by the weights of the targets that count
 * - `weight` a factor for each class; `ignoreIndex` (−100) targets that count for nothing; `labelSmoothing` (0) how much
 *   of each target is spread evenly over all classes
 *
 * ```ts
 * const loss = new nn.CrossEntropyLoss({ labelSmoothing: 0.1 });
 * loss(torch.randn(3, 5), torch.tensor([1, 0, 4]));
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
 *
 * @throws TensorError "Expected input batch_size (4) to match target batch_size (3)."
 * @throws TensorError "Target 10 is out of bounds."
 */
export class CrossEntropyLoss extends Loss {
  weight: Tensor | null = null;
  readonly ignoreIndex: number;
  readonly labelSmoothing: number;

  constructor(
    ...args: Arguments<CrossEntropyOptions, "weight sizeAverage ignoreIndex reduce reduction labelSmoothing">
  ) {
    const bound = bind<CrossEntropyOptions>("CrossEntropyLoss", args, {
      weight: null,
      sizeAverage: null,
      ignoreIndex: -100,
      reduce: null,
      reduction: "mean",
      labelSmoothing: 0,
    });
    super(reductionOf(bound));
    this.registerBuffer("weight", bound.weight);
    this.ignoreIndex = bound.ignoreIndex;
    this.labelSmoothing = bound.labelSmoothing;
  }

  forward(input: Tensor, target: Tensor): Tensor {
    const { weight, ignoreIndex, reduction, labelSmoothing } = this;
    return F.crossEntropy(input, target, { weight, ignoreIndex, reduction, labelSmoothing });
  }
}

/**
 * Negative log likelihood of classes, −w_y · x_y.
 *
 * - input log-probabilities [C], [N, C] or [N, C, d₁, …]; target class numbers [], [N] or [N, d₁, …]
 * - "mean" divides by the weights of the targets that count
 *
 * ```ts
 * const loss = new nn.NLLLoss();
 * loss(F.logSoftmax(torch.randn(3, 5), 1), torch.tensor([1, 0, 4]));
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.NLLLoss.html
 */
export class NLLLoss extends Loss {
  weight: Tensor | null = null;
  readonly ignoreIndex: number;

  constructor(...args: Arguments<NllOptions, "weight sizeAverage ignoreIndex reduce reduction">) {
    const bound = bind<NllOptions>("NLLLoss", args, {
      weight: null,
      sizeAverage: null,
      ignoreIndex: -100,
      reduce: null,
      reduction: "mean",
    });
    super(reductionOf(bound));
    this.registerBuffer("weight", bound.weight);
    this.ignoreIndex = bound.ignoreIndex;
  }

  forward(input: Tensor, target: Tensor): Tensor {
    const { weight, ignoreIndex, reduction } = this;
    return F.nllLoss(input, target, { weight, ignoreIndex, reduction });
  }
}

/**
 * (input − target)²: warns when the sizes differ.
 *
 * ```ts
 * new nn.MSELoss()(torch.randn(3, 5), torch.randn(3, 5));
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MSELoss.html
 */
export class MSELoss extends PlainLoss {
  forward(input: Tensor, target: Tensor): Tensor {
    return F.mseLoss(input, target, { reduction: this.reduction });
  }
}

/**
 * |input − target|: warns when the sizes differ.
 *
 * ```ts
 * new nn.L1Loss({ reduction: "sum" })(torch.randn(3, 5), torch.randn(3, 5));
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.L1Loss.html
 */
export class L1Loss extends PlainLoss {
  forward(input: Tensor, target: Tensor): Tensor {
    return F.l1Loss(input, target, { reduction: this.reduction });
  }
}

interface SmoothL1Arguments extends ReductionOptions {
  beta?: number;
}

/**
 * (x − y)² / (2 beta) where |x − y| is below beta (1), else |x − y| − beta / 2; |x − y| for beta 0.
 *
 * ```ts
 * new nn.SmoothL1Loss({ beta: 0.5 })(torch.randn(3), torch.randn(3));
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.SmoothL1Loss.html
 */
export class SmoothL1Loss extends Loss {
  readonly beta: number;

  constructor(...args: Arguments<SmoothL1Arguments, "sizeAverage reduce reduction beta">) {
    const bound = bind<SmoothL1Arguments>("SmoothL1Loss", args, {
      ...LEGACY,
      reduction: "mean",
      beta: 1,
    });
    super(reductionOf(bound));
    this.beta = bound.beta;
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return F.smoothL1Loss(input, target, { reduction: this.reduction, beta: this.beta });
  }
}

interface HuberArguments {
  reduction?: Reduction;
  delta?: number;
}

/**
 * (x − y)² / 2 where |x − y| is below delta (1), else delta (|x − y| − delta / 2).
 *
 * ```ts
 * new nn.HuberLoss({ delta: 2 })(torch.randn(3), torch.randn(3));
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.HuberLoss.html
 */
export class HuberLoss extends Loss {
  readonly delta: number;

  constructor(...args: Arguments<HuberArguments, "reduction delta">) {
    const bound = bind<HuberArguments>("HuberLoss", args, { reduction: "mean", delta: 1 });
    super(bound.reduction);
    this.delta = bound.delta;
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return F.huberLoss(input, target, { reduction: this.reduction, delta: this.delta });
  }
}

/**
 * Binary cross entropy of probabilities, −w (y ln p + (1 − y) ln(1 − p)), logarithms clamped at −100.
 *
 * ```ts
 * new nn.BCELoss()(torch.rand(3), torch.tensor([1, 0, 1], { dtype: torch.float32 }));
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html
 *
 * @throws TensorError when the sizes differ
 */
export class BCELoss extends Loss {
  weight: Tensor | null = null;

  constructor(...args: Arguments<WeightOptions, "weight sizeAverage reduce reduction">) {
    const bound = bind<WeightOptions>("BCELoss", args, { weight: null, ...LEGACY, reduction: "mean" });
    super(reductionOf(bound));
    this.registerBuffer("weight", bound.weight);
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return F.binaryCrossEntropy(input, target, { weight: this.weight, reduction: this.reduction });
  }
}

/**
 * Binary cross entropy of sigmoid(input), without overflow. `posWeight` is a factor for the positive targets of each
 * class.
 *
 * ```ts
 * const loss = new nn.BCEWithLogitsLoss({ posWeight: torch.tensor([2.5, 1.5]) });
 * loss(torch.randn(3, 2), torch.ones(3, 2));
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
 *
 * @throws TensorError "Target size (torch.Size([4])) must be the same as input size (torch.Size([4, 1]))"
 */
export class BCEWithLogitsLoss extends Loss {
  weight: Tensor | null = null;
  posWeight: Tensor | null = null;

  constructor(...args: Arguments<LogitsOptions, "weight sizeAverage reduce reduction posWeight">) {
    const bound = bind<LogitsOptions>("BCEWithLogitsLoss", args, {
      weight: null,
      ...LEGACY,
      reduction: "mean",
      posWeight: null,
    });
    super(reductionOf(bound));
    this.registerBuffer("weight", bound.weight);
    this.registerBuffer("posWeight", bound.posWeight);
  }

  forward(input: Tensor, target: Tensor): Tensor {
    const { weight, reduction, posWeight } = this;
    return F.binaryCrossEntropyWithLogits(input, target, { weight, reduction, posWeight });
  }
}

/**
 * target · (ln target − input): the divergence from log-probabilities `input` to probabilities `target`, or to
 * log-probabilities with `logTarget`. "mean" divides by all elements; "batchmean", the divergence's own mean, by the
 * batch.
 *
 * ```ts
 * const loss = new nn.KLDivLoss({ reduction: "batchmean" });
 * loss(F.logSoftmax(torch.randn(3, 5), 1), F.softmax(torch.rand(3, 5), 1));
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html
 */
export class KLDivLoss extends BuiltIn {
  readonly reduction: Reduction | "batchmean";
  readonly logTarget: boolean;

  constructor(...args: Arguments<KlDivOptions, "sizeAverage reduce reduction logTarget">) {
    super();
    const bound = bind<KlDivOptions>("KLDivLoss", args, {
      ...LEGACY,
      reduction: "mean",
      logTarget: false,
    });
    this.reduction = reductionOf<Reduction | "batchmean">(bound);
    if (this.reduction !== "batchmean") checkReduction(this.reduction);
    this.logTarget = bound.logTarget;
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return F.klDiv(input, target, { reduction: this.reduction, logTarget: this.logTarget });
  }
}

/**
 * Negative log likelihood of counts: eˣ − y · x, where the input x is the logarithm of the expected count; x − y · ln(x +
 * eps) with `logInput` false. `full` adds Stirling's approximation of ln y! for y > 1.
 *
 * ```ts
 * new nn.PoissonNLLLoss({ full: true })(torch.randn(5), torch.tensor([0, 1, 3, 2, 7]));
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.PoissonNLLLoss.html
 */
export class PoissonNLLLoss extends Loss {
  readonly logInput: boolean;
  readonly full: boolean;
  readonly eps: number;

  constructor(...args: Arguments<PoissonOptions, "logInput full sizeAverage eps reduce reduction">) {
    const bound = bind<PoissonOptions>("PoissonNLLLoss", args, {
      logInput: true,
      full: false,
      sizeAverage: null,
      eps: 1e-8,
      reduce: null,
      reduction: "mean",
    });
    super(reductionOf(bound));
    this.logInput = bound.logInput;
    this.full = bound.full;
    this.eps = bound.eps;
  }

  forward(input: Tensor, target: Tensor): Tensor {
    const { logInput, full, eps, reduction } = this;
    return F.poissonNllLoss(input, target, { logInput, full, eps, reduction });
  }
}

/**
 * Negative log likelihood of normal distributions, given their means and variances: (ln v + (x − y)² / v) / 2 with
 * variances of at least `eps` (1e-6). `full` adds ln(2π) / 2.
 *
 * ```ts
 * new nn.GaussianNLLLoss()(torch.randn(5, 2), torch.randn(5, 2), torch.ones(5, 1));
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.GaussianNLLLoss.html
 */
export class GaussianNLLLoss extends Loss {
  readonly full: boolean;
  readonly eps: number;

  constructor(options: GaussianOptions = {}) {
    const bound = bind<GaussianOptions>("GaussianNLLLoss", [options], {
      full: false,
      eps: 1e-6,
      reduction: "mean",
    });
    super(bound.reduction);
    this.full = bound.full;
    this.eps = bound.eps;
  }

  forward(input: Tensor, target: Tensor, variance: Tensor | number): Tensor {
    const { full, eps, reduction } = this;
    return F.gaussianNllLoss(input, target, variance, { full, eps, reduction });
  }
}
