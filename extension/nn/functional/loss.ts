// Losses of predictions and targets of one shape, element by element.
import { apply } from "../../tensor/apply.ts";
import { SCALAR_TYPE } from "../../tensor/dtype.ts";
import { TensorError } from "../../tensor/errors.ts";
import { add, div, maximum, mul, sub } from "../../tensor/functions/arithmetic.ts";
import { abs, eq, exp, log, lt, neg, square, where } from "../../tensor/functions/elementwise.ts";
import { castTo, composed, named, notImplemented, type Operand } from "../../tensor/functions/operands.ts";
import { mean, sum } from "../../tensor/functions/reduction.ts";
import { softplus } from "../../tensor/ops/elementwise.ts";
import { binaryCrossEntropy as bce } from "../../tensor/ops/loss.ts";
import { expand } from "../../tensor/ops/movement.ts";
import { broadcastShapes, formatShape, sameShape } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { bind } from "../arguments.ts";
import { warnOnce } from "../warnings.ts";
import { checkReduction, type Reduction } from "./crossEntropy.ts";

export interface ReductionOptions {
  /** "mean" by default: over all elements. */
  reduction?: Reduction;
}

export function reduce(losses: Tensor, reduction: Reduction): Tensor {
  if (reduction === "none") return losses;
  return reduction === "sum" ? sum(losses) : mean(losses);
}

/** PyTorch's loss functions that broadcast, but warn about it. */
function elementwise(
  kernel: string,
  gradient: string | undefined,
  input: Tensor,
  target: Tensor,
  reduction: Reduction,
  loss: (input: Tensor, target: Tensor) => Tensor,
): Tensor {
  checkReduction(reduction);
  if (!sameShape(input.shape, target.shape)) {
    warnOnce(
      `Using a target size (${size(target)}) that is different to the input size (${size(input)}). This will likely lead to incorrect results due to broadcasting. Please ensure they have the same size.`,
    );
    broadcastShapes(input.shape, target.shape);
  }
  if (input.dtype !== "float32" && target.dtype !== "float32") notImplemented(kernel, input.dtype);
  return composed(() => {
    const result = reduce(loss(castTo(input, "float32"), castTo(target, "float32")), reduction);
    return gradient === undefined ? result : named(result, gradient);
  });
}

const size = (x: Tensor): string => `torch.Size(${formatShape(x.shape)})`;

/** (input − target)². */
export function mseLoss(input: Tensor, target: Tensor, options: ReductionOptions = {}): Tensor {
  const { reduction } = bind<ReductionOptions>("mse_loss", [options], { reduction: "mean" });
  return elementwise("mse_cpu", "MseLossBackward0", input, target, reduction, (x, y) => square(sub(x, y)));
}

/** |input − target|. */
export function l1Loss(input: Tensor, target: Tensor, options: ReductionOptions = {}): Tensor {
  const { reduction } = bind<ReductionOptions>("l1_loss", [options], { reduction: "mean" });
  return elementwise("abs_cpu", undefined, input, target, reduction, (x, y) => abs(sub(x, y)));
}

interface SmoothL1Options extends ReductionOptions {
  /** Where the square turns into a line; 1 by default. */
  beta?: number;
}

/** (x − y)² / (2 beta) where |x − y| is below beta, else |x − y| − beta / 2. */
export function smoothL1Loss(input: Tensor, target: Tensor, options: SmoothL1Options = {}): Tensor {
  const { reduction, beta } = bind<SmoothL1Options>("smooth_l1_loss", [options], {
    reduction: "mean",
    beta: 1,
  });
  if (beta < 0) {
    throw new TensorError("value", "smooth_l1_loss does not support negative values for beta.");
  }
  if (beta === 0) return l1Loss(input, target, { reduction });
  return elementwise("smooth_l1_cpu", "SmoothL1LossBackward0", input, target, reduction, (x, y) => {
    const distance = abs(sub(x, y));
    return where(lt(distance, beta), mul(square(distance), 0.5 / beta), sub(distance, beta / 2));
  });
}

interface HuberOptions extends ReductionOptions {
  /** Where the square turns into a line; 1 by default. */
  delta?: number;
  /** A factor for each element. */
  weight?: Tensor | null;
}

/** (x − y)² / 2 where |x − y| is below delta, else delta (|x − y| − delta / 2). */
export function huberLoss(input: Tensor, target: Tensor, options: HuberOptions = {}): Tensor {
  const { reduction, delta, weight } = bind<HuberOptions>("huber_loss", [options], {
    reduction: "mean",
    delta: 1,
    weight: null,
  });
  if (delta <= 0) {
    throw new TensorError("value", "huber_loss does not support non-positive values for delta.");
  }
  return elementwise("huber_cpu", "HuberLossBackward0", input, target, reduction, (x, y) => {
    const distance = abs(sub(x, y));
    const line = mul(sub(distance, delta / 2), delta);
    const losses = where(lt(distance, delta), mul(square(distance), 0.5), line);
    return weight === null ? losses : mul(losses, weight);
  });
}

export interface WeightOptions extends ReductionOptions {
  /** A factor for each element, broadcast. */
  weight?: Tensor | null;
}

/**
 * Binary cross entropy of probabilities, logarithms clamped at −100.
 * @throws TensorError when the sizes differ
 */
export function binaryCrossEntropy(input: Tensor, target: Tensor, options: WeightOptions = {}): Tensor {
  const { reduction, weight } = bind<WeightOptions>("binary_cross_entropy", [options], {
    weight: null,
    reduction: "mean",
  });
  checkReduction(reduction);
  if (!sameShape(input.shape, target.shape)) {
    throw new TensorError(
      "shape",
      `Using a target size (${size(target)}) that is different to the input size (${size(input)}) is deprecated. Please ensure they have the same size.`,
    );
  }
  for (const x of [input, target]) {
    if (x.dtype !== "float32") {
      throw new TensorError("dtype", `Found dtype ${SCALAR_TYPE[x.dtype]} but expected Float`);
    }
  }
  checkRange("input", input);
  checkRange("target", target);
  return composed(() => {
    const losses = apply(bce, [input, target], {});
    const weighted = weight === null ? losses : mul(losses, apply(expand, [weight], { shape: input.shape }));
    return named(reduce(weighted, reduction), "BinaryCrossEntropyBackward0");
  });
}

/** Probabilities that are at hand are checked; computed ones can't be without computing them. */
function checkRange(name: string, x: Tensor): void {
  for (const value of x.value.data ?? []) {
    if (!(value >= 0 && value <= 1)) {
      throw new TensorError("value", `all elements of ${name} should be between 0 and 1`);
    }
  }
}

export interface LogitsOptions extends WeightOptions {
  /** A factor for the positive part of each class, broadcast. */
  posWeight?: Tensor | null;
}

/**
 * Binary cross entropy of sigmoid(input), without overflow.
 * @throws TensorError "Target size (torch.Size([4])) must be the same as input size (torch.Size([4, 1]))"
 */
export function binaryCrossEntropyWithLogits(
  input: Tensor,
  target: Tensor,
  options: LogitsOptions = {},
): Tensor {
  const { reduction, weight, posWeight } = bind<LogitsOptions>(
    "binary_cross_entropy_with_logits",
    [options],
    { weight: null, reduction: "mean", posWeight: null },
  );
  checkReduction(reduction);
  if (!sameShape(input.shape, target.shape)) {
    throw new TensorError(
      "shape",
      `Target size (${size(target)}) must be the same as input size (${size(input)})`,
    );
  }
  if (input.dtype !== "float32") notImplemented("log_sigmoid_cpu", input.dtype);
  return composed(() => {
    const y = castTo(target, "float32");
    const soft = apply(softplus, [neg(input)], {});
    const positive = posWeight === null ? soft : mul(soft, add(mul(y, sub(posWeight, 1)), 1));
    const losses = add(mul(sub(1, y), input), positive);
    const result = reduce(weight === null ? losses : mul(losses, weight), reduction);
    return named(result, "BinaryCrossEntropyWithLogitsBackward0");
  });
}

interface KlDivOptions {
  /** "batchmean" divides the sum by the batch; "mean" by all elements. */
  reduction?: Reduction | "batchmean";
  /** Targets are logarithms as well. */
  logTarget?: boolean;
}

/** target · (ln target − input): the divergence from log-probabilities `input` to probabilities `target`. */
export function klDiv(input: Tensor, target: Tensor, options: KlDivOptions = {}): Tensor {
  const { reduction, logTarget } = bind<KlDivOptions>("kl_div", [options], {
    reduction: "mean",
    logTarget: false,
  });
  if (reduction !== "batchmean") checkReduction(reduction);
  if (reduction === "mean") {
    warnOnce(
      "reduction: 'mean' divides the total loss by both the batch size and the support size.'batchmean' divides only by the batch size, and aligns with the KL div math definition.'mean' will be changed to behave the same as 'batchmean' in the next major release.",
    );
  }
  return composed(() => {
    const losses = logTarget ? mul(exp(target), sub(target, input)) : sub(xlogy(target), mul(target, input));
    if (reduction !== "batchmean") return reduce(losses, reduction);
    return input.ndim === 0 ? sum(losses) : div(sum(losses), input.shape[0]!);
  });
}

/** x ln x, which is 0 at 0. */
function xlogy(x: Tensor): Tensor {
  const zero = eq(x, 0);
  return where(zero, 0, mul(x, log(where(zero, 1, x))));
}

interface PoissonOptions extends ReductionOptions {
  /** The input is the logarithm of the expected count: true by default. */
  logInput?: boolean;
  /** Adds Stirling's approximation of the target's own term. */
  full?: boolean;
  eps?: number;
}

/** Negative log likelihood of counts, up to a constant. */
export function poissonNllLoss(input: Tensor, target: Tensor, options: PoissonOptions = {}): Tensor {
  const { reduction, logInput, full, eps } = bind<PoissonOptions>("poisson_nll_loss", [options], {
    logInput: true,
    full: false,
    eps: 1e-8,
    reduction: "mean",
  });
  checkReduction(reduction);
  return composed(() => {
    const losses = logInput
      ? sub(exp(input), mul(target, input))
      : sub(input, mul(target, log(add(input, eps))));
    if (!full) return reduce(losses, reduction);
    const large = lt(1, target);
    const safe = where(large, target, 2);
    const stirling = add(sub(mul(safe, log(safe)), safe), mul(log(mul(safe, 2 * Math.PI)), 0.5));
    return reduce(add(losses, where(large, stirling, 0)), reduction);
  });
}

interface GaussianOptions extends ReductionOptions {
  full?: boolean;
  /** Variances are no smaller than this. */
  eps?: number;
}

/**
 * Negative log likelihood of normal distributions with mean `input` and variance `variance`.
 * @param variance of input's shape, or with a last dimension of 1 or without it
 */
export function gaussianNllLoss(
  input: Tensor,
  target: Tensor,
  variance: Operand,
  options: GaussianOptions = {},
): Tensor {
  const { reduction, full, eps } = bind<GaussianOptions>("gaussian_nll_loss", [options], {
    full: false,
    eps: 1e-6,
    reduction: "mean",
  });
  checkReduction(reduction);
  return composed(() => {
    const spread = typeof variance === "object" ? spreadOf(input, variance) : variance;
    // The bound itself is a number: no gradient stops at it, as in PyTorch.
    const floor = typeof spread === "object" ? floored(spread, eps) : Math.max(Number(spread), eps);
    const logs = typeof floor === "number" ? Math.log(floor) : log(floor);
    const losses = mul(add(div(square(sub(input, target)), floor), logs), 0.5);
    return reduce(full ? add(losses, 0.5 * Math.log(2 * Math.PI)) : losses, reduction);
  });
}

function spreadOf(input: Tensor, variance: Tensor): Tensor {
  if (sameShape(input.shape, variance.shape)) return variance;
  const shorter = input.shape.slice(0, -1);
  if (sameShape(shorter, variance.shape)) return variance.reshape([...variance.shape, 1]);
  if (sameShape([...shorter, 1], variance.shape)) return variance;
  throw new TensorError("shape", "var is of incorrect size");
}

function floored(x: Tensor, eps: number): Tensor {
  return add(x, maximum(sub(eps, x), 0).detach());
}

/** ln(1 + e^(−target · input)) for targets of ±1. */
export function softMarginLoss(input: Tensor, target: Tensor, options: ReductionOptions = {}): Tensor {
  const { reduction } = bind<ReductionOptions>("soft_margin_loss", [options], { reduction: "mean" });
  checkReduction(reduction);
  return composed(() => {
    const losses = apply(softplus, [neg(mul(target, input))], {});
    return named(reduce(losses, reduction), "SoftMarginLossBackward0");
  });
}
