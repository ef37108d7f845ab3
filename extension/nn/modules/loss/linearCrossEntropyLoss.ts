import { TensorError } from "../../../tensor/core/errors.ts";
import { numel, sameShape } from "../../../tensor/core/shape.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Arguments } from "../../arguments.ts";
import {
  linearCrossEntropy,
  type LinearCrossEntropySettings,
} from "../../functional/loss/linearCrossEntropy.ts";
import { py, pyFloat } from "../../module/repr.ts";
import { Linear } from "../linear.ts";
import { Loss } from "./loss.ts";

interface LinearCrossEntropyLossArguments extends LinearCrossEntropySettings {
  inFeatures: number;
  numClasses: number;
  /** Sizes d₁, … of the places that have a target each. Default none: one target for each sample. */
  outFeatures?: readonly number[];
  /** Default false. */
  bias?: boolean;
  /** PyTorch's settings of a computation in chunks, which is missing here. */
  options?: null;
}

/**
 * Cross entropy of a linear layer's scores: x Wᵀ + b, softmax and negative log likelihood in one, with W and b learned.
 *
 * - `linear` has the weight [C · d₁ · …, inFeatures] and, with `bias`, the bias [C · d₁ · …], both from U(−k, k) with
 *   k = 1/√inFeatures; C is `numClasses`, d₁, … are `outFeatures`
 * - input [inFeatures] or [N, inFeatures]; target class numbers [], [N] or [N, d₁, …], or probabilities [C], [N, C] or
 *   [N, C, d₁, …]
 * - `weight`, `ignoreIndex` (null: −100), `labelSmoothing` (0) and `reduction` are those of `CrossEntropyLoss`
 *
 * ```ts
 * const loss = new nn.LinearCrossEntropyLoss(5, 10, { outFeatures: [4, 3], reduction: "none" });
 * loss(torch.randn(2, 5), torch.randint(0, 10, [2, 4, 3])).shape; // [2, 4, 3]
 * ```
 *
 * Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LinearCrossEntropyLoss.html
 *
 * @throws TensorError "expected weight shape to be (10,), got (3,)"
 * @throws TensorError "expected label_smoothing to be in range [0, 1], got 1.5"
 */
export class LinearCrossEntropyLoss extends Loss {
  declare weight: Tensor | null;
  numClasses: number;
  outFeatures: readonly number[];
  ignoreIndex: number | null;
  labelSmoothing: number;
  linear: Linear;

  constructor(
    inFeatures: number,
    numClasses: number,
    options?: Omit<LinearCrossEntropyLossArguments, "inFeatures" | "numClasses">,
  );
  constructor(...args: Arguments<LinearCrossEntropyLossArguments, "inFeatures numClasses">);
  constructor(...args: unknown[]) {
    const bound = bind<LinearCrossEntropyLossArguments>(
      "LinearCrossEntropyLoss",
      args,
      {
        inFeatures: REQUIRED,
        numClasses: REQUIRED,
        outFeatures: [],
        bias: false,
        reduction: "mean",
        weight: null,
        ignoreIndex: null,
        labelSmoothing: 0,
        options: null,
      },
      2,
    );
    const { inFeatures, numClasses, outFeatures, bias, weight, labelSmoothing } = bound;
    check(bound);
    super(bound.reduction);
    this.numClasses = numClasses;
    this.outFeatures = outFeatures;
    this.ignoreIndex = bound.ignoreIndex;
    this.labelSmoothing = labelSmoothing;
    this.registerBuffer("weight", weight);
    this.linear = new Linear(inFeatures, numClasses * numel(outFeatures), { bias });
  }

  forward(input: Tensor, target: Tensor): Tensor {
    const { weight, reduction, ignoreIndex, labelSmoothing } = this;
    const scores = [this.numClasses, ...this.outFeatures];
    const linearWeight = this.linear.weight.reshape([...scores, this.linear.inFeatures]);
    const linearBias = this.linear.bias?.reshape(scores) ?? null;
    const options = { linearBias, weight, reduction, ignoreIndex, labelSmoothing };
    return linearCrossEntropy(input, linearWeight, target, options);
  }

  override extraRepr(): string {
    const { numClasses, outFeatures, reduction, ignoreIndex, labelSmoothing } = this;
    const { inFeatures, bias } = this.linear;
    return `in_features=${inFeatures}, num_classes=${numClasses}, out_features=${py(outFeatures)}, bias=${py(bias !== null)}, reduction=${reduction}, ignore_index=${py(ignoreIndex)}, label_smoothing=${pyFloat(labelSmoothing)}, options=None`;
  }
}

function check({
  numClasses,
  weight,
  labelSmoothing,
  options,
}: Pick<LinearCrossEntropyLossArguments, "numClasses" | "weight" | "options"> & {
  labelSmoothing: number;
}): void {
  if (weight && !sameShape(weight.shape, [numClasses])) {
    throw new TensorError(
      "shape",
      `expected weight shape to be ${py([numClasses])}, got ${py(weight.shape)}`,
    );
  }
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1)) {
    throw new TensorError(
      "value",
      `expected label_smoothing to be in range [0, 1], got ${pyFloat(labelSmoothing)}`,
    );
  }
  if (options !== null) {
    throw new TensorError("unsupported", "LinearCrossEntropyLoss(): argument 'options' isn't supported");
  }
}
