import type { Tensor } from "../../tensor/tensor.ts";
import { bind } from "../arguments.ts";
import * as F from "../functional/index.ts";
import {
  checkReduction,
  type CrossEntropyOptions,
  type NllOptions,
  type Reduction,
} from "../functional/crossEntropy.ts";
import type { LogitsOptions, ReductionOptions, WeightOptions } from "../functional/loss.ts";
import { BuiltIn } from "../module.ts";

/** What losses share: how the losses of a batch become one number. */
abstract class Loss extends BuiltIn {
  readonly reduction: Reduction;

  constructor(reduction: Reduction) {
    super();
    checkReduction(reduction);
    this.reduction = reduction;
  }
}

/** What losses with no other option than `reduction` share. */
abstract class PlainLoss extends Loss {
  constructor(options: ReductionOptions = {}) {
    super(bind<ReductionOptions>(new.target.name, [options], { reduction: "mean" }).reduction);
  }
}

/**
 * Cross entropy between class scores (logits) and classes: softmax and negative log likelihood in one.
 *
 * - input [N, C] or [N, C, d₁, …]; target class numbers [N] or [N, d₁, …], or probabilities of input's shape
 * - "mean" divides by the weights of the targets that count
 *
 * @throws TensorError "Expected input batch_size (4) to match target batch_size (3)."
 * @throws TensorError "Target 10 is out of bounds."
 */
export class CrossEntropyLoss extends Loss {
  weight: Tensor | null = null;
  readonly ignoreIndex: number;
  readonly labelSmoothing: number;

  constructor(options: CrossEntropyOptions = {}) {
    const bound = bind<CrossEntropyOptions>("CrossEntropyLoss", [options], {
      weight: null,
      ignoreIndex: -100,
      reduction: "mean",
      labelSmoothing: 0,
    });
    super(bound.reduction);
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
 * Negative log likelihood of classes.
 *
 * - input log-probabilities [N, C] or [N, C, d₁, …]; target class numbers [N] or [N, d₁, …]
 */
export class NLLLoss extends Loss {
  weight: Tensor | null = null;
  readonly ignoreIndex: number;

  constructor(options: NllOptions = {}) {
    const bound = bind<NllOptions>("NLLLoss", [options], {
      weight: null,
      ignoreIndex: -100,
      reduction: "mean",
    });
    super(bound.reduction);
    this.registerBuffer("weight", bound.weight);
    this.ignoreIndex = bound.ignoreIndex;
  }

  forward(input: Tensor, target: Tensor): Tensor {
    const { weight, ignoreIndex, reduction } = this;
    return F.nllLoss(input, target, { weight, ignoreIndex, reduction });
  }
}

/** (input − target)²: warns when the sizes differ. */
export class MSELoss extends PlainLoss {
  forward(input: Tensor, target: Tensor): Tensor {
    return F.mseLoss(input, target, { reduction: this.reduction });
  }
}

/** |input − target|: warns when the sizes differ. */
export class L1Loss extends PlainLoss {
  forward(input: Tensor, target: Tensor): Tensor {
    return F.l1Loss(input, target, { reduction: this.reduction });
  }
}

/** ln(1 + e^(−target · input)) for targets of ±1. */
export class SoftMarginLoss extends PlainLoss {
  forward(input: Tensor, target: Tensor): Tensor {
    return F.softMarginLoss(input, target, { reduction: this.reduction });
  }
}

interface SmoothL1Arguments extends ReductionOptions {
  beta?: number;
}

/** (x − y)² / (2 beta) where |x − y| is below beta (1), else |x − y| − beta / 2. */
export class SmoothL1Loss extends Loss {
  readonly beta: number;

  constructor(options: SmoothL1Arguments = {}) {
    const bound = bind<SmoothL1Arguments>("SmoothL1Loss", [options], { reduction: "mean", beta: 1 });
    super(bound.reduction);
    this.beta = bound.beta;
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return F.smoothL1Loss(input, target, { reduction: this.reduction, beta: this.beta });
  }
}

interface HuberArguments extends ReductionOptions {
  delta?: number;
}

/** (x − y)² / 2 where |x − y| is below delta (1), else delta (|x − y| − delta / 2). */
export class HuberLoss extends Loss {
  readonly delta: number;

  constructor(options: HuberArguments = {}) {
    const bound = bind<HuberArguments>("HuberLoss", [options], { reduction: "mean", delta: 1 });
    super(bound.reduction);
    this.delta = bound.delta;
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return F.huberLoss(input, target, { reduction: this.reduction, delta: this.delta });
  }
}

/**
 * Binary cross entropy of probabilities, logarithms clamped at −100.
 * @throws TensorError when the sizes differ
 */
export class BCELoss extends Loss {
  weight: Tensor | null = null;

  constructor(options: WeightOptions = {}) {
    const bound = bind<WeightOptions>("BCELoss", [options], { weight: null, reduction: "mean" });
    super(bound.reduction);
    this.registerBuffer("weight", bound.weight);
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return F.binaryCrossEntropy(input, target, { weight: this.weight, reduction: this.reduction });
  }
}

/**
 * Binary cross entropy of sigmoid(input), without overflow.
 * @throws TensorError "Target size (torch.Size([4])) must be the same as input size (torch.Size([4, 1]))"
 */
export class BCEWithLogitsLoss extends Loss {
  weight: Tensor | null = null;
  posWeight: Tensor | null = null;

  constructor(options: LogitsOptions = {}) {
    const bound = bind<LogitsOptions>("BCEWithLogitsLoss", [options], {
      weight: null,
      reduction: "mean",
      posWeight: null,
    });
    super(bound.reduction);
    this.registerBuffer("weight", bound.weight);
    this.registerBuffer("posWeight", bound.posWeight);
  }

  forward(input: Tensor, target: Tensor): Tensor {
    const { weight, reduction, posWeight } = this;
    return F.binaryCrossEntropyWithLogits(input, target, { weight, reduction, posWeight });
  }
}

interface KlArguments {
  reduction?: Reduction | "batchmean";
  logTarget?: boolean;
}

/** target · (ln target − input): the divergence from log-probabilities `input` to probabilities `target`. */
export class KLDivLoss extends BuiltIn {
  readonly reduction: Reduction | "batchmean";
  readonly logTarget: boolean;

  constructor(options: KlArguments = {}) {
    super();
    const bound = bind<KlArguments>("KLDivLoss", [options], { reduction: "mean", logTarget: false });
    if (bound.reduction !== "batchmean") checkReduction(bound.reduction);
    this.reduction = bound.reduction;
    this.logTarget = bound.logTarget;
  }

  forward(input: Tensor, target: Tensor): Tensor {
    return F.klDiv(input, target, { reduction: this.reduction, logTarget: this.logTarget });
  }
}

interface PoissonArguments extends ReductionOptions {
  logInput?: boolean;
  full?: boolean;
  eps?: number;
}

/** Negative log likelihood of counts; the input is the logarithm of the expected count unless logInput is false. */
export class PoissonNLLLoss extends Loss {
  readonly logInput: boolean;
  readonly full: boolean;
  readonly eps: number;

  constructor(options: PoissonArguments = {}) {
    const bound = bind<PoissonArguments>("PoissonNLLLoss", [options], {
      logInput: true,
      full: false,
      eps: 1e-8,
      reduction: "mean",
    });
    super(bound.reduction);
    this.logInput = bound.logInput;
    this.full = bound.full;
    this.eps = bound.eps;
  }

  forward(input: Tensor, target: Tensor): Tensor {
    const { logInput, full, eps, reduction } = this;
    return F.poissonNllLoss(input, target, { logInput, full, eps, reduction });
  }
}

interface GaussianArguments extends ReductionOptions {
  full?: boolean;
  eps?: number;
}

/** Negative log likelihood of normal distributions, given their means and variances. */
export class GaussianNLLLoss extends Loss {
  readonly full: boolean;
  readonly eps: number;

  constructor(options: GaussianArguments = {}) {
    const bound = bind<GaussianArguments>("GaussianNLLLoss", [options], {
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
