import type { Tensor } from "../../tensor/core/tensor.ts";
import type { ClassOptions } from "./classes.ts";
import {
  Accuracy,
  ConfusionMatrix,
  F1Score,
  Precision,
  Recall,
  type AccuracyOptions,
  type AverageOptions,
} from "./classification.ts";
import type { Metric } from "./metric.ts";
import { MeanAbsoluteError, MeanSquaredError, R2Score } from "./regression.ts";

function measured<Result>(metric: Metric<object, Result>, output: Tensor, target: Tensor): Result {
  metric.update(output, target);
  return metric.compute();
}

/** `metrics.Accuracy` of one batch: from 0 to 1. */
export function accuracy(output: Tensor, target: Tensor, options: AccuracyOptions = {}): number {
  return measured(new Accuracy(options), output, target);
}

/** {@link Precision} of one batch. */
export function precision(output: Tensor, target: Tensor, options: AverageOptions = {}): number {
  return measured(new Precision(options), output, target);
}

/** {@link Recall} of one batch. */
export function recall(output: Tensor, target: Tensor, options: AverageOptions = {}): number {
  return measured(new Recall(options), output, target);
}

/** {@link F1Score} of one batch. */
export function f1Score(output: Tensor, target: Tensor, options: AverageOptions = {}): number {
  return measured(new F1Score(options), output, target);
}

/** {@link ConfusionMatrix} of one batch: rows are actual classes, columns predicted ones. */
export function confusionMatrix(output: Tensor, target: Tensor, options: ClassOptions = {}): number[][] {
  return measured(new ConfusionMatrix(options), output, target);
}

/** {@link MeanAbsoluteError} of one batch. */
export function meanAbsoluteError(output: Tensor, target: Tensor): number {
  return measured(new MeanAbsoluteError(), output, target);
}

/** {@link MeanSquaredError} of one batch; its root with `squared: false`. */
export function meanSquaredError(
  output: Tensor,
  target: Tensor,
  options: { squared?: boolean } = {},
): number {
  return measured(new MeanSquaredError(options), output, target);
}

/** {@link R2Score} of one batch. */
export function r2Score(output: Tensor, target: Tensor): number {
  return measured(new R2Score(), output, target);
}
