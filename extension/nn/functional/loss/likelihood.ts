// Losses that are negative logarithms of likelihoods, and divergences.
import { TensorError } from "../../../tensor/core/errors.ts";
import { add, div, maximum, mul, sub } from "../../../tensor/functions/pointwise/arithmetic.ts";
import { detached } from "../../../tensor/functions/creation/conversion.ts";
import { eq, exp, le, log, square, where } from "../../../tensor/functions/pointwise/elementwise.ts";
import { composed, type Operand } from "../../../tensor/functions/pointwise/operands.ts";
import { sum } from "../../../tensor/functions/reduction/reduction.ts";
import { reshape } from "../../../tensor/functions/shape/shape.ts";
import { sameShape } from "../../../tensor/core/shape.ts";
import { Tensor } from "../../../tensor/core/tensor.ts";
import { bind } from "../../arguments.ts";
import { warnOnce } from "../../warnings.ts";
import {
  checkReduction,
  LEGACY,
  reduce,
  reductionOf,
  type Reduction,
  type ReductionOptions,
} from "./reduction.ts";

export interface KlDivOptions extends Omit<ReductionOptions, "reduction"> {
  /** "batchmean" divides the sum by the batch; "mean" by all elements. */
  reduction?: Reduction | "batchmean";
  /** Targets are logarithms as well. */
  logTarget?: boolean;
}

/** target · (ln target − input): the divergence from log-probabilities `input` to probabilities `target`. */
export function klDiv(input: Tensor, target: Tensor, options: KlDivOptions = {}): Tensor {
  const bound = bind<KlDivOptions>("kl_div", [options], {
    ...LEGACY,
    reduction: "mean",
    logTarget: false,
  });
  const { logTarget, sizeAverage, reduce: older } = bound;
  const reduction = reductionOf<Reduction | "batchmean">(bound);
  if (reduction !== "batchmean") checkReduction(reduction);
  if (reduction === "mean" && sizeAverage === null && older === null) {
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
  // The derivative at 0 is that of the logarithm times 0: NaN, as in PyTorch.
  return where(zero, 0, mul(x, log(x)));
}

export interface PoissonOptions extends ReductionOptions {
  /** The input is the logarithm of the expected count: true by default. */
  logInput?: boolean;
  /** Adds Stirling's approximation of the target's own term. */
  full?: boolean;
  eps?: number;
}

/** Negative log likelihood of counts, up to a constant. */
export function poissonNllLoss(input: Tensor, target: Tensor, options: PoissonOptions = {}): Tensor {
  const bound = bind<PoissonOptions>("poisson_nll_loss", [options], {
    logInput: true,
    full: false,
    sizeAverage: null,
    eps: 1e-8,
    reduce: null,
    reduction: "mean",
  });
  const { logInput, full, eps } = bound;
  const reduction = reductionOf(bound);
  checkReduction(reduction);
  return composed(() => {
    const losses = logInput
      ? sub(exp(input), mul(target, input))
      : sub(input, mul(target, log(add(input, eps))));
    if (!full) return reduce(losses, reduction);
    const stirling = add(sub(mul(target, log(target)), target), mul(log(mul(target, 2 * Math.PI)), 0.5));
    return reduce(add(losses, where(le(target, 1), 0, stirling)), reduction);
  });
}

export interface GaussianOptions {
  /** "mean" by default: over all elements. */
  reduction?: Reduction;
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
  const spread = spreadOf(input, variance);
  if (reduction !== "none" && reduction !== "mean" && reduction !== "sum") {
    throw new TensorError("value", `${String(reduction)} is not valid`);
  }
  return composed(() => {
    // The bound itself is a number: no gradient stops at it, as in PyTorch.
    const floor = spread instanceof Tensor ? floored(spread, eps) : Math.max(spread, eps);
    const logs = typeof floor === "number" ? Math.log(floor) : log(floor);
    const losses = mul(add(div(square(sub(input, target)), floor), logs), 0.5);
    return reduce(full ? add(losses, 0.5 * Math.log(2 * Math.PI)) : losses, reduction);
  });
}

/** The variance in a shape that broadcasts to the input's. Values that are at hand are checked. */
function spreadOf(input: Tensor, variance: Operand): Tensor | number {
  const values = variance instanceof Tensor ? (variance.value.data ?? []) : [Number(variance)];
  for (let i = 0; i < values.length; i++)
    if (values[i]! < 0) throw new TensorError("value", "var has negative entry/entries");
  if (!(variance instanceof Tensor)) return Number(variance);
  const [wanted, given] = [input.shape, variance.shape];
  if (sameShape(wanted, given)) return variance;
  if (sameShape(wanted.slice(0, -1), given)) return reshape(variance, [...given, 1]);
  // PyTorch's rule: the sizes that differ add up to 1.
  const odd = given.reduce((total, n, d) => (n === wanted[d] ? total : total + n), 0);
  if (given.length === wanted.length && odd === 1) return variance;
  throw new TensorError("value", "var is of incorrect size");
}

function floored(x: Tensor, eps: number): Tensor {
  return add(x, detached(maximum(sub(eps, x), 0)));
}
