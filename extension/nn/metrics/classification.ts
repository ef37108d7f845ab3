import { TensorError } from "../../tensor/core/errors.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { formatShape, numel } from "../../tensor/core/shape.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { checkedClass, classified, isScores, type ClassOptions } from "./classes.ts";
import { Metric } from "./metric.ts";

export interface AccuracyOptions extends ClassOptions {
  /** How many of the highest scores the right class may be among; 1 by default. */
  topK?: number;
}

/**
 * Right samples / samples, from 0 to 1. With `topK`, a sample is right when its class is among the k highest scores;
 * of equal scores, the first counts as the higher.
 *
 * Shapes: scores [N, C, …] and classes [N, …]; or predictions and targets of one shape.
 *
 * ```ts
 * new metrics.Accuracy({ topK: 5 })
 * ```
 */
export class Accuracy extends Metric<AccuracyOptions> {
  private hits = 0;
  private samples = 0;

  constructor(options: AccuracyOptions = {}) {
    super(options);
    const { topK = 1 } = options;
    if (!Number.isInteger(topK) || topK < 1)
      throw new TensorError(
        "value",
        `Accuracy(): expected topK to be a whole number of at least 1, got ${topK}`,
      );
  }

  update(output: Tensor, target: Tensor): void {
    const { topK = 1, ignoreIndex } = this.options;
    if (topK > 1) return this.updateTop(output, target, topK);
    const { predicted, actual } = classified("accuracy", output, target, this.options);
    for (let n = 0; n < predicted.length; n++) {
      if (actual[n] === ignoreIndex) continue;
      this.samples++;
      if (predicted[n] === actual[n]) this.hits++;
    }
  }

  private updateTop(output: Tensor, target: Tensor, topK: number): void {
    if (!isScores(output, target))
      throw new TensorError(
        "shape",
        `accuracy(): topK needs scores [N, C, …] and classes [N, …], got ${formatShape(output.shape)} and ${formatShape(target.shape)}`,
      );
    const [, classes = 0, ...rest] = output.shape;
    const inner = numel(rest);
    const scores = valuesOf(output.value);
    const actual = valuesOf(target.value);
    for (let n = 0; n < actual.length; n++) {
      if (actual[n] === this.options.ignoreIndex) continue;
      const label = checkedClass(actual[n]!, classes);
      const first = Math.floor(n / inner) * classes * inner + (n % inner);
      const own = scores[first + label * inner]!;
      let rank = 0;
      for (let c = 0; c < classes; c++) {
        const other = scores[first + c * inner]!;
        if (other > own || (other === own && c < label)) rank++;
      }
      this.samples++;
      if (rank < topK) this.hits++;
    }
  }

  compute(): number {
    return this.hits / this.samples;
  }

  reset(): void {
    this.hits = this.samples = 0;
  }

  merge(other: this): void {
    this.hits += other.hits;
    this.samples += other.samples;
  }
}

/** Counts of a confusion matrix, which grows when a class comes that it has no row for. */
class Counts {
  rows: number[][] = [];
  binary = false;

  grow(classes: number): void {
    for (const row of this.rows) while (row.length < classes) row.push(0);
    while (this.rows.length < classes) this.rows.push(Array.from({ length: classes }, () => 0));
  }

  add(name: string, output: Tensor, target: Tensor, options: ClassOptions): void {
    const { predicted, actual, classes, binary } = classified(name, output, target, options);
    this.binary = binary;
    this.grow(classes);
    for (let n = 0; n < predicted.length; n++) {
      if (actual[n] === options.ignoreIndex) continue;
      const label = checkedClass(actual[n]!, classes);
      this.grow(Math.max(label, predicted[n]!) + 1);
      this.rows[label]![predicted[n]!]!++;
    }
  }

  merge({ rows, binary }: Counts): void {
    this.binary = binary;
    this.grow(rows.length);
    rows.forEach((row, i) => row.forEach((count, j) => (this.rows[i]![j]! += count)));
  }
}

/**
 * How often each class was taken for each: rows are the actual classes, columns the predicted ones (as in
 * scikit-learn).
 *
 * Shapes: scores [N, C, …] and classes [N, …]; or predictions and targets of one shape. Gives C rows of C counts.
 *
 * ```ts
 * metrics.confusionMatrix(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1])); // [[1, 1], [0, 1]]
 * ```
 */
export class ConfusionMatrix extends Metric<ClassOptions, number[][]> {
  private counts = new Counts();

  constructor(options: ClassOptions = {}) {
    super(options);
    this.counts.grow(options.numClasses ?? 0);
  }

  update(output: Tensor, target: Tensor): void {
    this.counts.add("confusionMatrix", output, target, this.options);
  }

  compute(): number[][] {
    return this.counts.rows.map((row) => [...row]);
  }

  reset(): void {
    this.counts = new Counts();
    this.counts.grow(this.options.numClasses ?? 0);
  }

  merge(other: this): void {
    this.counts.merge(other.counts);
  }
}

/** "macro": mean over the classes that occur; "weighted": by how often they do; "micro": of all samples together. */
export type Average = "macro" | "micro" | "weighted";

export interface AverageOptions extends ClassOptions {
  /** How the classes' values become one; "macro" by default. A binary classification has its positive class's. */
  average?: Average;
}

/** Right, wrongly taken for the class, and missed samples of one class. */
interface ClassCounts {
  tp: number;
  fp: number;
  fn: number;
}

/** A measure of each class, from its counts, averaged. 0 where it would divide by nothing, as in scikit-learn. */
abstract class AveragedMetric extends Metric<AverageOptions> {
  private counts = new Counts();

  constructor(options: AverageOptions = {}) {
    super(options);
    const { average = "macro" } = options;
    if (!["macro", "micro", "weighted"].includes(average))
      throw new TensorError(
        "value",
        `${this.constructor.name}(): expected average to be "macro", "micro" or "weighted", got "${average}"`,
      );
  }

  protected abstract ratio(counts: ClassCounts): readonly [part: number, whole: number];

  update(output: Tensor, target: Tensor): void {
    this.counts.add(this.constructor.name, output, target, this.options);
  }

  /** The measure of each class by itself. */
  perClass(): number[] {
    return this.byClass().map((counts) => this.value(counts));
  }

  compute(): number {
    const classes = this.byClass();
    if (classes.every(isEmpty)) return Number.NaN;
    if (this.counts.binary) return this.value(classes[1]!);
    const { average = "macro" } = this.options;
    if (average === "micro") return this.value(classes.reduce(plus));
    const seen = classes.filter((counts) => !isEmpty(counts));
    const weight = (counts: ClassCounts): number => (average === "weighted" ? counts.tp + counts.fn : 1);
    const total = seen.reduce((sum, counts) => sum + weight(counts), 0);
    return seen.reduce((sum, counts) => sum + weight(counts) * this.value(counts), 0) / total;
  }

  reset(): void {
    this.counts = new Counts();
  }

  merge(other: this): void {
    this.counts.merge(other.counts);
  }

  private value(counts: ClassCounts): number {
    const [part, whole] = this.ratio(counts);
    return whole === 0 ? 0 : part / whole;
  }

  private byClass(): ClassCounts[] {
    const { rows } = this.counts;
    return rows.map((row, i) => {
      const tp = row[i]!;
      return { tp, fp: sum(rows.map((other) => other[i]!)) - tp, fn: sum(row) - tp };
    });
  }
}

/**
 * Of what was taken for a class, the part that is of it: tp / (tp + fp).
 *
 * ```ts
 * new metrics.Precision({ average: "weighted" })
 * ```
 */
export class Precision extends AveragedMetric {
  protected ratio({ tp, fp }: ClassCounts): readonly [number, number] {
    return [tp, tp + fp];
  }
}

/**
 * Of what is of a class, the part that was found: tp / (tp + fn).
 *
 * ```ts
 * new metrics.Recall({ average: "micro" })
 * ```
 */
export class Recall extends AveragedMetric {
  protected ratio({ tp, fn }: ClassCounts): readonly [number, number] {
    return [tp, tp + fn];
  }
}

/**
 * The harmonic mean of precision and recall: 2 tp / (2 tp + fp + fn).
 *
 * ```ts
 * new metrics.F1Score().perClass(); // after updates: one value of each class
 * ```
 */
export class F1Score extends AveragedMetric {
  protected ratio({ tp, fp, fn }: ClassCounts): readonly [number, number] {
    return [2 * tp, 2 * tp + fp + fn];
  }
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const isEmpty = ({ tp, fp, fn }: ClassCounts): boolean => tp + fp + fn === 0;
const plus = (a: ClassCounts, b: ClassCounts): ClassCounts => ({
  tp: a.tp + b.tp,
  fp: a.fp + b.fp,
  fn: a.fn + b.fn,
});
