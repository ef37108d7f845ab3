// How good a model is: the `metrics` that users import, after torchmetrics and scikit-learn.
export { Metric } from "./metric.ts";
export { predictedClasses, type ClassOptions } from "./classes.ts";
export {
  Accuracy,
  ConfusionMatrix,
  F1Score,
  Precision,
  Recall,
  type AccuracyOptions,
  type Average,
  type AverageOptions,
} from "./classification.ts";
export { MeanAbsoluteError, MeanSquaredError, R2Score } from "./regression.ts";
export * from "./functions.ts";
