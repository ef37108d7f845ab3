import { filled } from "../../tensor/core/dtype.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { formatShape, numel, sameShape } from "../../tensor/core/shape.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";

/** Options of all classification metrics. */
export interface ClassOptions {
  /** Number of classes, for outputs that are classes and not scores. Default: as many as were seen. */
  numClasses?: number;
  /** A class whose samples don't count. */
  ignoreIndex?: number;
  /** Of a binary classification: the probability above which a sample is positive; 0.5 by default. */
  threshold?: number;
  /**
   * Whether a binary classification's outputs are logits. Default: true if one of the batch is outside [0, 1], as in
   * torchmetrics; set this option where that can be wrong.
   */
  logits?: boolean;
}

/** Predicted and actual class of each sample, and how many classes the output has, where it says so. */
export interface Classified {
  predicted: Int32Array;
  actual: ArrayLike<number>;
  classes: number;
  /** A binary classification: measured by its positive class. */
  binary: boolean;
}

/**
 * Returns the classes of scores [N, C, …]: the index of the largest along dimension 1, the first of equal ones.
 * Computed on the host, which needs the scores anyway to read their class.
 */
export function predictedClasses(output: Tensor): Int32Array {
  const [samples = 0, classes = 0, ...rest] = output.shape;
  const inner = numel(rest);
  const scores = valuesOf(output.value);
  const predicted = new Int32Array(samples * inner);
  for (let n = 0; n < predicted.length; n++) {
    const first = Math.floor(n / inner) * classes * inner + (n % inner);
    let best = 0;
    for (let c = 1; c < classes; c++)
      if (scores[first + c * inner]! > scores[first + best * inner]!) best = c;
    predicted[n] = best;
  }
  return predicted;
}

/**
 * Reads a batch of a classification: scores [N, C, …] and classes [N, …], or probabilities [N, C] of the classes;
 * classes and classes of one shape; or, of a binary one, probabilities or logits, and 0 or 1, of one shape. For several
 * yes-or-no answers per sample [N, C], set the option `logits`: otherwise they are taken for scores.
 * @throws TensorError for other shapes
 */
export function classified(name: string, output: Tensor, target: Tensor, options: ClassOptions): Classified {
  const actual = valuesOf(target.value);
  if (isScores(output, target))
    return { predicted: predictedClasses(output), actual, classes: output.shape[1]!, binary: false };
  if (output.numel() !== target.numel() || !sameShape(squeezed(output), squeezed(target)))
    throw new TensorError(
      "shape",
      `${name}(): expected scores [N, C, …] and classes [N, …], or predictions and targets of one shape, got ${formatShape(output.shape)} and ${formatShape(target.shape)}`,
    );
  if (target.dtype === "float32" && output.ndim === 2 && output.shape[1]! > 1 && options.logits === undefined)
    return {
      predicted: predictedClasses(output),
      actual: predictedClasses(target),
      classes: output.shape[1]!,
      binary: false,
    };
  const values = valuesOf(output.value);
  if (output.dtype !== "float32")
    return { predicted: new Int32Array(values), actual, classes: options.numClasses ?? 0, binary: false };
  const { threshold = 0.5 } = options;
  const logits = options.logits ?? values.some((x) => x < 0 || x > 1);
  const limit = logits ? Math.log(threshold / (1 - threshold)) : threshold;
  const predicted = filled(new Int32Array(values.length), (i) => (values[i]! > limit ? 1 : 0));
  return { predicted, actual, classes: 2, binary: true };
}

/** Whether the output has a dimension of classes that the target doesn't have. */
export function isScores(output: Tensor, target: Tensor): boolean {
  if (output.ndim !== target.ndim + 1 || output.ndim < 2 || target.dtype === "float32") return false;
  return output.shape.every((extent, i) => i === 1 || extent === target.shape[i > 1 ? i - 1 : i]);
}

/** [N, 1] is as good as [N]. */
function squeezed({ shape }: Tensor): readonly number[] {
  return shape.length > 1 && shape.at(-1) === 1 ? shape.slice(0, -1) : shape;
}

/** Whether a sample counts, and its class. @throws TensorError for a class out of range */
export function checkedClass(label: number, classes: number): number {
  if (Number.isInteger(label) && label >= 0 && (classes === 0 || label < classes)) return label;
  throw new TensorError("index", `Target ${label} is out of bounds.`);
}
