import { TensorError } from "../../../tensor/core/errors.ts";
import { numel, sameShape, type Shape } from "../../../tensor/core/shape.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { reshape } from "../../../tensor/functions/shape/shape.ts";
import { bind } from "../../arguments.ts";
import { py } from "../../module/repr.ts";
import { linear } from "../linear.ts";
import { crossEntropy } from "./crossEntropy.ts";
import type { Reduction } from "./reduction.ts";

export interface LinearCrossEntropySettings {
  /** A factor for each class. */
  weight?: Tensor | null;
  /** "mean" by default: over the weights of the targets that count. */
  reduction?: Reduction;
  /** Targets of this number count for nothing; null, the default, is -100. For class numbers only. */
  ignoreIndex?: number | null;
  /** How much of each target is spread evenly over all classes. */
  labelSmoothing?: number;
}

export interface LinearCrossEntropyArguments extends LinearCrossEntropySettings {
  /** [C] or [C, d₁, …]: added to the scores. */
  linearBias?: Tensor | null;
}

/**
 * Cross entropy between targets and the scores x Wᵀ + b of the classes.
 * @param input [in] or [N, in]
 * @param linearWeight W, [C, in] or [C, d₁, …, in]
 * @param target class numbers [], [N] or [N, d₁, …], or probabilities of the scores' shape [C], [N, C] or [N, C, d₁, …]
 * @throws TensorError "expected input with dimensionality 1 or 2, got 3"
 */
export function linearCrossEntropy(
  input: Tensor,
  linearWeight: Tensor,
  target: Tensor,
  options: LinearCrossEntropyArguments = {},
): Tensor {
  const { linearBias, ignoreIndex, ...settings } = bind<LinearCrossEntropyArguments>(
    "linear_cross_entropy",
    [options],
    { linearBias: null, weight: null, reduction: "mean", ignoreIndex: null, labelSmoothing: 0 },
  );
  checkShapes(input, linearWeight, linearBias);
  const [classes, ...places] = linearWeight.shape.slice(0, -1) as [number, ...number[]];
  const shape = [...input.shape.slice(0, -1), classes, ...places];
  if (ignoreIndex !== null && sameShape(target.shape, shape)) {
    wrong("ignore_index cannot be specified when target contains probabilities");
  }
  const scores = linear(input, asMatrix(linearWeight), linearBias && asList(linearBias));
  return crossEntropy(reshape(scores, shape), target, { ...settings, ignoreIndex: ignoreIndex ?? -100 });
}

const asMatrix = (weight: Tensor): Tensor =>
  weight.ndim === 2 ? weight : reshape(weight, [numel(weight.shape.slice(0, -1)), weight.shape.at(-1)!]);

const asList = (bias: Tensor): Tensor => (bias.ndim === 1 ? bias : reshape(bias, [-1]));

function checkShapes({ shape }: Tensor, { shape: weight }: Tensor, bias: Tensor | null): void {
  if (shape.length < 1 || shape.length > 2) {
    wrong(`expected input with dimensionality 1 or 2, got ${shape.length}`);
  }
  if (weight.length < 2) {
    wrong(`expected linear_weight with dimensionality at least 2, got ${weight.length}`);
  }
  const [width, expected] = [shape.at(-1)!, weight.at(-1)!];
  if (width !== expected) {
    wrong(
      `expected equal input and linear_weight last dimensions (in_features), got ${width} and ${expected}, respectively`,
    );
  }
  const scores: Shape = weight.slice(0, -1);
  if (bias !== null && !sameShape(bias.shape, scores)) {
    wrong(`expected linear_bias shape ${py(scores)}, got ${py(bias.shape)}`);
  }
  if (weight.length > 2 && shape.length === 1) {
    wrong(
      `K-dimensional loss defined by linear_weight shape ${py(weight)} requires batched input, (N, ${width}), got unbatched input with shape ${py(shape)}`,
    );
  }
}

function wrong(message: string): never {
  throw new TensorError("shape", message);
}
