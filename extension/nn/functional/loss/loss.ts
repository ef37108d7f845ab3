// Losses of predictions and targets of one shape, element by element.
import { TensorError } from "../../../tensor/core/errors.ts";
import { div, mul, sub } from "../../../tensor/functions/pointwise/arithmetic.ts";
import { abs, square } from "../../../tensor/functions/pointwise/elementwise.ts";
import { castTo, composed, named, notImplemented } from "../../../tensor/functions/pointwise/operands.ts";
import { sum } from "../../../tensor/functions/reduction/reduction.ts";
import { huber } from "../../../tensor/ops/elementwise/piecewise.ts";
import { apply } from "../../../tensor/recording/apply.ts";
import { broadcastShapes, formatSize, sameShape } from "../../../tensor/core/shape.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind } from "../../arguments.ts";
import { warnOnce } from "../../warnings.ts";
import { checkReduction, LEGACY, reduce, reductionOf, type ReductionOptions } from "./reduction.ts";

/** Differences of the loss functions that broadcast, but warn about it. */
interface Kind {
  readonly kernel: string;
  readonly gradient?: string;
  /** Whether the mean of weighted losses divides by the weights instead of their number. */
  readonly overWeights: boolean;
  /** Whether the loss takes integers, too. */
  readonly ofWhole?: boolean;
  loss(input: Tensor, target: Tensor): Tensor;
}

interface Weighted {
  readonly reduction: "none" | "mean" | "sum";
  readonly weight: Tensor | null;
}

function elementwise(kind: Kind, input: Tensor, target: Tensor, { reduction, weight }: Weighted): Tensor {
  if (!sameShape(input.shape, target.shape)) {
    warnOnce(
      `Using a target size (${formatSize(target.shape)}) that is different to the input size (${formatSize(input.shape)}). This will likely lead to incorrect results due to broadcasting. Please ensure they have the same size.`,
    );
    broadcastShapes(input.shape, target.shape);
  }
  if (weight !== null && !sameShape(weight.shape, input.shape)) {
    throw new TensorError("shape", "Weights and input must have the same size.");
  }
  checkReduction(reduction);
  const whole = input.dtype !== "float32" && target.dtype !== "float32";
  if (whole && kind.ofWhole !== true) notImplemented(kind.kernel, input.dtype);
  return composed(() => {
    const losses = whole
      ? kind.loss(input, target)
      : kind.loss(castTo(input, "float32"), castTo(target, "float32"));
    if (weight === null) {
      const result = reduce(losses, reduction);
      return kind.gradient === undefined ? result : named(result, kind.gradient, input, target);
    }
    const weighted = mul(losses, weight);
    if (reduction === "mean" && kind.overWeights) return div(sum(weighted), sum(weight));
    return reduce(weighted, reduction);
  });
}

export interface ElementWeightOptions extends ReductionOptions {
  /** A factor for each element, of the input's shape; "mean" divides by their sum. */
  weight?: Tensor | null;
}

const PLAIN = { ...LEGACY, reduction: "mean", weight: null } as const;

/**
 * (input − target)².
 * @throws TensorError "Weights and input must have the same size."
 */
export function mseLoss(input: Tensor, target: Tensor, options: ElementWeightOptions = {}): Tensor {
  const bound = bind<ElementWeightOptions>("mse_loss", [options], PLAIN);
  const kind: Kind = {
    kernel: "mse_cpu",
    gradient: "MseLossBackward0",
    overWeights: true,
    loss: (x, y) => square(sub(x, y)),
  };
  return elementwise(kind, input, target, { reduction: reductionOf(bound), weight: bound.weight });
}

/**
 * |input − target|.
 * @throws TensorError "Weights and input must have the same size."
 */
export function l1Loss(input: Tensor, target: Tensor, options: ElementWeightOptions = {}): Tensor {
  const bound = bind<ElementWeightOptions>("l1_loss", [options], PLAIN);
  const kind: Kind = { kernel: "abs_cpu", overWeights: true, ofWhole: true, loss: (x, y) => abs(sub(x, y)) };
  return elementwise(kind, input, target, { reduction: reductionOf(bound), weight: bound.weight });
}

interface SmoothL1Options extends ReductionOptions {
  /** Where the square turns into a line; 1 by default. */
  beta?: number;
}

/**
 * (x − y)² / (2 beta) where |x − y| is below beta, else |x − y| − beta / 2.
 * @throws TensorError "smooth_l1_loss does not support negative values for beta."
 */
export function smoothL1Loss(input: Tensor, target: Tensor, options: SmoothL1Options = {}): Tensor {
  const bound = bind<SmoothL1Options>("smooth_l1_loss", [options], { ...LEGACY, reduction: "mean", beta: 1 });
  const { beta } = bound;
  const reduction = reductionOf(bound);
  if (beta < 0) {
    throw new TensorError("value", "smooth_l1_loss does not support negative values for beta.");
  }
  if (beta === 0) return l1Loss(input, target, { reduction });
  const kind: Kind = {
    kernel: "smooth_l1_cpu",
    gradient: "SmoothL1LossBackward0",
    overWeights: false,
    loss: (x, y) => apply(huber, [sub(x, y)], { bound: beta, slope: 1 }),
  };
  return elementwise(kind, input, target, { reduction, weight: null });
}

interface HuberOptions {
  /** "mean" by default: over all elements. */
  reduction?: ReductionOptions["reduction"];
  /** Where the square turns into a line; 1 by default. */
  delta?: number;
  /** A factor for each element, of the input's shape. */
  weight?: Tensor | null;
}

/**
 * (x − y)² / 2 where |x − y| is below delta, else delta (|x − y| − delta / 2).
 * @throws TensorError "huber_loss does not support non-positive values for delta."
 */
export function huberLoss(input: Tensor, target: Tensor, options: HuberOptions = {}): Tensor {
  const { reduction, delta, weight } = bind<HuberOptions>("huber_loss", [options], {
    reduction: "mean",
    delta: 1,
    weight: null,
  });
  if (delta <= 0) {
    throw new TensorError("value", "huber_loss does not support non-positive values for delta.");
  }
  const kind: Kind = {
    kernel: "huber_cpu",
    gradient: "HuberLossBackward0",
    overWeights: false,
    loss: (x, y) => apply(huber, [sub(x, y)], { bound: delta, slope: delta }),
  };
  return elementwise(kind, input, target, { reduction, weight });
}
