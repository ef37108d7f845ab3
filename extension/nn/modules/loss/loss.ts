import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, type Arguments, type Passed, type Signature } from "../../arguments.ts";
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

/** Base class of losses: how the losses of a batch become one number. */
export abstract class Loss extends BuiltIn {
  reduction: Reduction;

  constructor(reduction: Reduction) {
    super();
    checkReduction(reduction);
    this.reduction = reduction;
  }
}

const WEIGHTS = new Set(["weight", "posWeight"]);

abstract class ConfiguredLoss extends Loss {
  declare static readonly signature: object;

  constructor(...args: unknown[]) {
    const { name: callee, signature } = new.target;
    const bound = bind<ReductionOptions>(callee, args, signature as Signature<ReductionOptions>);
    super(reductionOf({ ...LEGACY, ...bound }));
    for (const [name, value] of Object.entries(bound)) {
      if (WEIGHTS.has(name)) this.registerBuffer(name, value as Tensor | null);
      else if (name !== "reduction" && !(name in LEGACY)) (this as Record<string, unknown>)[name] = value;
    }
  }
}

export interface LossClass<Options, Names extends string> extends Pick<typeof Loss, "stateDictNames"> {
  new (...args: Arguments<Options, Names>): Loss;
  /** @internal Defaults of all options, in PyTorch's order. */
  readonly signature: object;
}

/** The base class of a loss that keeps its options as fields, and weights as buffers. */
export const configuredLoss = <Options, Names extends string>(): LossClass<Options, Names> =>
  ConfiguredLoss as unknown as LossClass<Options, Names>;

/** A loss without options of its own. */
export abstract class PlainLoss extends configuredLoss<ReductionOptions, "sizeAverage reduce reduction">() {
  /** @internal */
  static override readonly signature = { ...LEGACY, reduction: "mean" };
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
export class CrossEntropyLoss extends configuredLoss<
  CrossEntropyOptions,
  "weight sizeAverage ignoreIndex reduce reduction labelSmoothing"
>() {
  /** @internal */
  static override readonly signature = {
    weight: null,
    sizeAverage: null,
    ignoreIndex: -100,
    reduce: null,
    reduction: "mean",
    labelSmoothing: 0,
  };
  declare weight: Tensor | null;
  declare ignoreIndex: number;
  declare labelSmoothing: number;

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
export class NLLLoss extends configuredLoss<NllOptions, "weight sizeAverage ignoreIndex reduce reduction">() {
  /** @internal */
  static override readonly signature = {
    weight: null,
    sizeAverage: null,
    ignoreIndex: -100,
    reduce: null,
    reduction: "mean",
  };
  declare weight: Tensor | null;
  declare ignoreIndex: number;

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
export class SmoothL1Loss extends configuredLoss<SmoothL1Arguments, "sizeAverage reduce reduction beta">() {
  /** @internal */
  static override readonly signature = { ...LEGACY, reduction: "mean", beta: 1 };
  declare beta: number;

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
export class HuberLoss extends configuredLoss<HuberArguments, "reduction delta">() {
  /** @internal */
  static override readonly signature = { reduction: "mean", delta: 1 };
  declare delta: number;

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
export class BCELoss extends configuredLoss<WeightOptions, "weight sizeAverage reduce reduction">() {
  /** @internal */
  static override readonly signature = { weight: null, ...LEGACY, reduction: "mean" };
  declare weight: Tensor | null;

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
export class BCEWithLogitsLoss extends configuredLoss<
  LogitsOptions,
  "weight sizeAverage reduce reduction posWeight"
>() {
  /** @internal */
  static override readonly signature = {
    weight: null,
    ...LEGACY,
    reduction: "mean",
    posWeight: null,
  };
  declare weight: Tensor | null;
  declare posWeight: Tensor | null;

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
  reduction: Reduction | "batchmean";
  logTarget: boolean;

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
export class PoissonNLLLoss extends configuredLoss<
  PoissonOptions,
  "logInput full sizeAverage eps reduce reduction"
>() {
  /** @internal */
  static override readonly signature = {
    logInput: true,
    full: false,
    sizeAverage: null,
    eps: 1e-8,
    reduce: null,
    reduction: "mean",
  };
  declare logInput: boolean;
  declare full: boolean;
  declare eps: number;

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
  full: boolean;
  eps: number;

  constructor(options: Passed<GaussianOptions> = {}) {
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
