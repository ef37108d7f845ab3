import { squeeze, view } from "../../tensor/functions/shape/shape.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { binaryCrossEntropyWithLogits } from "../functional/loss/binaryCrossEntropy.ts";
import { crossEntropy } from "../functional/loss/crossEntropy.ts";
import { mseLoss } from "../functional/loss/loss.ts";
import type { ProblemType } from "./bertConfig.ts";

/** Fields of a configuration that determine a classifier's loss. */
interface Problem {
  readonly numLabels: number;
  readonly problemType: ProblemType | null;
}

/** Cross entropy, binary cross entropy or squared error, as the configuration or the labels suggest. */
export function classificationLoss(logits: Tensor, labels: Tensor, problem: Problem): Tensor {
  const { numLabels } = problem;
  switch (typeOf(labels, problem)) {
    case "regression":
      return numLabels === 1 ? mseLoss(squeeze(logits), squeeze(labels)) : mseLoss(logits, labels);
    case "single_label_classification":
      return crossEntropy(view(logits, -1, numLabels), view(labels, -1));
    case "multi_label_classification":
      return binaryCrossEntropyWithLogits(logits, labels);
  }
}

function typeOf(labels: Tensor, { problemType, numLabels }: Problem): ProblemType {
  if (problemType !== null) return problemType;
  if (numLabels === 1) return "regression";
  return labels.dtype === "int64" ? "single_label_classification" : "multi_label_classification";
}
