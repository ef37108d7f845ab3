import { TensorError } from "../../tensor/core/errors.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { formatShape, numel, sameShape } from "../../tensor/core/shape.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { Metric } from "./metric.ts";

/** @throws TensorError when outputs and targets are not of one shape */
function pairs(name: string, output: Tensor, target: Tensor): [ArrayLike<number>, ArrayLike<number>] {
  if (!sameShape(output.shape, target.shape))
    throw new TensorError(
      "shape",
      `${name}(): predictions and targets are expected to have the same shape, got ${formatShape(output.shape)} and ${formatShape(target.shape)}`,
    );
  return [valuesOf(output.value), valuesOf(target.value)];
}

/** The mean over all elements of something of an element's error. */
abstract class MeanError<Options extends object = object> extends Metric<Options> {
  private sum = 0;
  private elements = 0;

  protected abstract of(error: number): number;

  update(output: Tensor, target: Tensor): void {
    const [said, right] = pairs(this.constructor.name, output, target);
    for (let i = 0; i < said.length; i++) this.sum += this.of(said[i]! - right[i]!);
    this.elements += said.length;
  }

  compute(): number {
    return this.sum / this.elements;
  }

  reset(): void {
    this.sum = this.elements = 0;
  }

  merge(other: this): void {
    this.sum += other.sum;
    this.elements += other.elements;
  }
}

/**
 * mean |output − target|, over all elements; both of one shape.
 *
 * ```ts
 * metrics.meanAbsoluteError(torch.tensor([1.5, 2.5]), torch.tensor([1.5, 3.5])); // 0.5
 * ```
 */
export class MeanAbsoluteError extends MeanError {
  constructor() {
    super({});
  }

  protected of(error: number): number {
    return Math.abs(error);
  }
}

/**
 * mean (output − target)², over all elements; its root with `squared: false`. Both of one shape.
 *
 * ```ts
 * new metrics.MeanSquaredError({ squared: false }) // RMSE
 * ```
 */
export class MeanSquaredError extends MeanError<{ squared?: boolean }> {
  constructor(options: { squared?: boolean } = {}) {
    super(options);
  }

  protected of(error: number): number {
    return error * error;
  }

  override compute(): number {
    const mean = super.compute();
    return this.options.squared === false ? Math.sqrt(mean) : mean;
  }
}

/**
 * The coefficient of determination, 1 − Σ(target − output)² / Σ(target − mean)²: 1 is perfect, 0 as good as always
 * saying the mean. Of samples [N, D], the mean over the D outputs. Targets that never change give 1 when they are met
 * and 0 otherwise (as in scikit-learn); fewer than two samples give NaN.
 *
 * ```ts
 * metrics.r2Score(torch.tensor([1.5, 2.5, 3.5]), torch.tensor([1.5, 2.5, 3.5])); // 1
 * ```
 */
export class R2Score extends Metric {
  /** Of each output: samples, mean of the targets, and sums of squares. Kept so that large offsets cost no digits. */
  private columns: { count: number; mean: number; spread: number; residual: number }[] = [];

  constructor() {
    super({});
  }

  update(output: Tensor, target: Tensor): void {
    const [said, right] = pairs("R2Score", output, target);
    const width = numel(target.shape.slice(1));
    for (let i = 0; i < right.length; i++) {
      const column = this.column(i % width);
      const value = right[i]!;
      const distance = value - column.mean;
      column.mean += distance / ++column.count;
      column.spread += distance * (value - column.mean);
      column.residual += (value - said[i]!) ** 2;
    }
  }

  compute(): number {
    const { columns } = this;
    if (columns.some(({ count }) => count < 2)) return Number.NaN;
    const scores = columns.map(({ spread, residual }) => {
      if (spread === 0) return residual === 0 ? 1 : 0;
      return 1 - residual / spread;
    });
    return scores.reduce((sum, score) => sum + score, 0) / scores.length;
  }

  reset(): void {
    this.columns = [];
  }

  merge(other: this): void {
    other.columns.forEach(({ count, mean, spread, residual }, i) => {
      const column = this.column(i);
      const total = column.count + count;
      const distance = mean - column.mean;
      column.spread += spread + (distance * distance * column.count * count) / total;
      column.mean += (distance * count) / total;
      column.residual += residual;
      column.count = total;
    });
  }

  private column(index: number): (typeof this.columns)[number] {
    return (this.columns[index] ??= { count: 0, mean: 0, spread: 0, residual: 0 });
  }
}
