import type { Loss } from "../../nn/experiment/experiment.ts";
import { predictedClasses } from "../../nn/metrics/index.ts";
import { BCELoss, BCEWithLogitsLoss, NLLLoss } from "../../nn/modules/loss/loss.ts";
import { Module } from "../../nn/module/module.ts";
import type { Task } from "../../protocol/evaluation.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import { numel, sameShape } from "../../tensor/core/shape.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { isClassification } from "../training/metrics.ts";

/** Predicted and actual classes of the samples of a batch. */
export interface Decisions {
  classes: number;
  predicted: Int32Array;
  actual: ArrayLike<number>;
}

/** Most classes of a readable matrix. */
const MAX_CLASSES = 1000;

/** Whether outputs are yes or no, one number a sample, by the loss that trains them. */
export function isBinary(loss: Loss | undefined, output: Tensor): boolean {
  return (
    (loss instanceof BCEWithLogitsLoss || loss instanceof BCELoss) &&
    output.ndim > 0 &&
    output.numel() === output.shape[0]
  );
}

/** The classes of a batch; undefined when it is no classification. */
export function decisions(output: Tensor, target: Tensor, loss: Loss | undefined): Decisions | undefined {
  if (isClassification(output, target)) {
    const classes = output.shape[1]!;
    if (classes < 2 || classes > MAX_CLASSES) return undefined;
    return { classes, predicted: predictedClasses(output), actual: valuesOf(target.value) };
  }
  if (!isBinary(loss, output) || target.numel() !== output.numel()) return undefined;
  const limit = loss instanceof BCEWithLogitsLoss ? 0 : 0.5;
  const actual = valuesOf(target.value);
  // Targets between 0 and 1 are a regression in disguise.
  if (!Array.prototype.every.call(actual, (x: number) => x === 0 || x === 1)) return undefined;
  const scores = valuesOf(output.value);
  return { classes: 2, predicted: Int32Array.from(scores, (x) => (x > limit ? 1 : 0)), actual };
}

/** Returns the task that a batch's output solves. @param single Samples have one tensor, their own target */
export function taskOf(
  output: Tensor,
  target: Tensor,
  { loss, single }: { loss: Loss | undefined; single: boolean },
): Task {
  if (decisions(output, target, loss) !== undefined) return "classification";
  if (output.dtype !== "float32") return "other";
  if (single) {
    if (loss === undefined) return "generation";
    return sameShape(output.shape, target.shape) ? "reconstruction" : "other";
  }
  if (target.dtype !== "float32" || output.numel() !== target.numel()) return "other";
  return output.numel() / Math.max(output.shape[0] ?? 1, 1) <= MAX_NUMBERS ? "regression" : "reconstruction";
}

/** More numbers a sample than this are a picture or a signal, not a handful of predictions. */
export const MAX_NUMBERS = 16;

/** Probabilities of the classes by one sample's scores. */
export function probabilities(scores: ArrayLike<number>, loss: Loss | undefined): number[] {
  const values = Array.from(scores);
  if (values.length === 1) {
    const yes = loss instanceof BCELoss ? values[0]! : 1 / (1 + Math.exp(-values[0]!));
    return [1 - yes, yes];
  }
  if (loss instanceof NLLLoss) return values.map(Math.exp);
  const largest = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/**
 * The loss of each sample: the experiment's own without its mean, if it has the reduction "none"; else the cross
 * entropy of classes, or the squared error of outputs in the targets' shape. Undefined if none of them applies.
 */
export function sampleLosses(
  output: Tensor,
  target: Tensor,
  loss: Loss | undefined,
): Float32Array | undefined {
  const samples = output.shape[0] ?? 0;
  const each = loss instanceof Module && "reduction" in loss ? unreduced(loss, output, target) : undefined;
  if (each !== undefined && each.shape[0] === samples) return rowMeans(valuesOf(each.value), samples);
  if (decisions(output, target, loss) !== undefined && !isBinary(loss, output)) {
    const scores = valuesOf(output.value);
    const width = output.shape[1]!;
    const actual = valuesOf(target.value);
    return Float32Array.from({ length: samples }, (_, n) => {
      const all = probabilities(scores.subarray(n * width, (n + 1) * width), loss);
      return -Math.log(all[actual[n]!] ?? 0);
    });
  }
  if (output.dtype !== "float32" || target.dtype !== "float32" || !sameShape(output.shape, target.shape))
    return undefined;
  const [a, b] = [valuesOf(output.value), valuesOf(target.value)];
  return rowMeans(
    Float32Array.from(a, (x, i) => (x - b[i]!) ** 2),
    samples,
  );
}

function unreduced(loss: Module, output: Tensor, target: Tensor): Tensor | undefined {
  const before: unknown = Reflect.get(loss, "reduction");
  Reflect.set(loss, "reduction", "none");
  try {
    const value = noGrad(() => (loss as unknown as (a: Tensor, b: Tensor) => unknown)(output, target));
    return value instanceof Tensor ? value : undefined;
  } catch {
    // A loss of the user's own without the reduction "none".
    return undefined;
  } finally {
    Reflect.set(loss, "reduction", before);
  }
}

function rowMeans(values: ArrayLike<number>, rows: number): Float32Array {
  const width = values.length / Math.max(rows, 1);
  return Float32Array.from({ length: rows }, (_, row) => {
    let sum = 0;
    for (let i = row * width; i < (row + 1) * width; i++) sum += values[i]!;
    return sum / width;
  });
}

/** Numbers of each sample of a batch. */
export function widthOf({ shape }: Tensor): number {
  return numel(shape.slice(1));
}
