// Binary cross entropy of probabilities and of logits.
import { apply } from "../../../tensor/recording/apply.ts";
import { SCALAR_TYPE } from "../../../tensor/core/dtype.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { add, mul, sub } from "../../../tensor/functions/pointwise/arithmetic.ts";
import { neg } from "../../../tensor/functions/pointwise/elementwise.ts";
import { castTo, composed, named, notImplemented } from "../../../tensor/functions/pointwise/operands.ts";
import { softplus } from "../../../tensor/ops/elementwise/elementwise.ts";
import { binaryCrossEntropy as bce } from "../../../tensor/ops/loss/loss.ts";
import { expand } from "../../../tensor/ops/movement/movement.ts";
import { formatSize, requireExpandable, sameShape } from "../../../tensor/core/shape.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind } from "../../arguments.ts";
import { refuseGradient } from "../refuseGradient.ts";
import { checkReduction, LEGACY, reduce, reductionOf, type ReductionOptions } from "./reduction.ts";

export interface WeightOptions extends ReductionOptions {
  /** A factor for each element, broadcast. */
  weight?: Tensor | null;
}

/**
 * Binary cross entropy of probabilities, logarithms clamped at −100.
 * @throws TensorError when the sizes differ
 */
export function binaryCrossEntropy(
  input: Tensor,
  target: Tensor,
  ...rest: [options?: WeightOptions] | [weight?: Tensor | null, options?: ReductionOptions]
): Tensor {
  const bound = bind<WeightOptions>("binary_cross_entropy", rest, {
    weight: null,
    ...LEGACY,
    reduction: "mean",
  });
  const { weight } = bound;
  const reduction = reductionOf(bound);
  checkReduction(reduction);
  if (!sameShape(input.shape, target.shape)) {
    throw new TensorError(
      "shape",
      `Using a target size (${formatSize(target.shape)}) that is different to the input size (${formatSize(input.shape)}) is deprecated. Please ensure they have the same size.`,
    );
  }
  for (const x of [input, target]) {
    if (x.dtype !== "float32") {
      throw new TensorError("dtype", `Found dtype ${SCALAR_TYPE[x.dtype]} but expected Float`);
    }
  }
  checkRange("input", input);
  checkRange("target", target);
  if (weight !== null) requireExpandable(weight.shape, input.shape);
  refuseGradient("binary_cross_entropy", { weight });
  return composed(() => {
    const losses = apply(bce, [input, target], {});
    const weighted = weight === null ? losses : mul(losses, apply(expand, [weight], { shape: input.shape }));
    return named(reduce(weighted, reduction), "BinaryCrossEntropyBackward0", input, target, weight);
  });
}

/** Probabilities that are at hand are checked; computed ones can't be without computing them. */
function checkRange(name: string, x: Tensor): void {
  const { data } = x.value;
  if (data === undefined) return;
  // Whole batches of images: an iterator takes ten times as long.
  for (let i = 0; i < data.length; i++) {
    if (!(data[i]! >= 0 && data[i]! <= 1)) {
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
  ...rest: [options?: LogitsOptions] | [weight?: Tensor | null, options?: Omit<LogitsOptions, "weight">]
): Tensor {
  const bound = bind<LogitsOptions>("binary_cross_entropy_with_logits", rest, {
    weight: null,
    ...LEGACY,
    reduction: "mean",
    posWeight: null,
  });
  const { weight, posWeight } = bound;
  const reduction = reductionOf(bound);
  checkReduction(reduction);
  if (!sameShape(input.shape, target.shape)) {
    throw new TensorError(
      "shape",
      `Target size (${formatSize(target.shape)}) must be the same as input size (${formatSize(input.shape)})`,
    );
  }
  if (input.dtype !== "float32") notImplemented("log_sigmoid_cpu", input.dtype);
  for (const factor of [weight, posWeight]) if (factor !== null) requireExpandable(factor.shape, input.shape);
  refuseGradient("binary_cross_entropy_with_logits", { weight, pos_weight: posWeight });
  return composed(() => {
    const y = castTo(target, "float32");
    const soft = apply(softplus, [neg(input)], {});
    const positive = posWeight === null ? soft : mul(soft, add(mul(y, sub(posWeight, 1)), 1));
    const losses = add(mul(sub(1, y), input), positive);
    const result = reduce(weight === null ? losses : mul(losses, weight), reduction);
    return named(result, "BinaryCrossEntropyWithLogitsBackward0", input, target, weight, posWeight);
  });
}
