import type { BuiltInMetric, Experiment, Loss, MetricFunction } from "../../nn/experiment/experiment.ts";
import {
  Accuracy,
  F1Score,
  MeanAbsoluteError,
  MeanSquaredError,
  Metric,
  Precision,
  R2Score,
  Recall,
  type ClassOptions,
} from "../../nn/metrics/index.ts";
import { BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, NLLLoss } from "../../nn/modules/loss/loss.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import { formatShape } from "../../tensor/core/shape.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { plainState, restorePlain } from "../resume/plainState.ts";

/** Makes a metric that has seen nothing. */
export type Measure = () => Metric;

/** An experiment's metrics by name, built-in ones and its own. */
export function measuresOf({ options }: Experiment, classification: boolean): Map<string, Measure> {
  const { metrics = classification ? ["accuracy"] : [], loss } = options;
  const named: [string, unknown][] = isList(metrics)
    ? metrics.map((name) => [name, name])
    : Object.entries(metrics);
  const classes = classesOf(loss);
  return new Map(named.map(([name, metric]) => [name, measure(name, metric, classes)]));
}

function isList(metrics: object): metrics is readonly string[] {
  return Array.isArray(metrics);
}

/** Options of classification metrics by the loss: the class it ignores, and whether outputs are logits. */
function classesOf(loss: Loss | undefined): ClassOptions {
  if (loss instanceof CrossEntropyLoss || loss instanceof NLLLoss) return { ignoreIndex: loss.ignoreIndex };
  if (loss instanceof BCEWithLogitsLoss) return { logits: true };
  return loss instanceof BCELoss ? { logits: false } : {};
}

const BUILT_IN: Record<Exclude<BuiltInMetric, `top${number}`>, (classes: ClassOptions) => Metric> = {
  accuracy: (classes) => new Accuracy(classes),
  precision: (classes) => new Precision(classes),
  recall: (classes) => new Recall(classes),
  f1: (classes) => new F1Score(classes),
  mae: () => new MeanAbsoluteError(),
  mse: () => new MeanSquaredError(),
  rmse: () => new MeanSquaredError({ squared: false }),
  r2: () => new R2Score(),
};

function measure(name: string, metric: unknown, classes: ClassOptions): Measure {
  if (metric instanceof Metric) return () => metric.fresh();
  if (typeof metric === "function") {
    const own = metric as MetricFunction;
    return () => new MeanOf(name, own);
  }
  const top = typeof metric === "string" ? /^top([1-9]\d*)$/.exec(metric) : null;
  if (top !== null) return () => new Accuracy({ ...classes, topK: Number(top[1]) });
  const make = Object.entries(BUILT_IN).find(([known]) => known === metric)?.[1];
  if (make !== undefined) return () => make(classes);
  throw new TensorError(
    "value",
    `experiment(): metric "${name}" is neither a function (output, target) nor one of metrics.* nor a known name`,
    `known names are ${Object.keys(BUILT_IN).join(", ")} and top2, top3, …`,
  );
}

/** Mean of a user's function over batches, weighted by samples. */
class MeanOf extends Metric {
  readonly #name: string;
  readonly #own: MetricFunction;
  private sum = 0;
  private samples = 0;

  constructor(name: string, own: MetricFunction) {
    super({});
    this.#name = name;
    this.#own = own;
  }

  update(output: Tensor, target: Tensor): void {
    const samples = output.shape[0] ?? 1;
    const value = toNumber(
      noGrad(() => this.#own(output, target)),
      `metric "${this.#name}"`,
    );
    this.sum += value * samples;
    this.samples += samples;
  }

  compute(): number {
    return this.sum / this.samples;
  }

  reset(): void {
    this.sum = this.samples = 0;
  }

  merge(other: this): void {
    this.sum += other.sum;
    this.samples += other.samples;
  }
}

/** An experiment's metrics over many batches. */
export class Measurement {
  readonly #measures: ReadonlyMap<string, Measure>;
  #whole = new Map<string, Metric>();

  constructor(measures: ReadonlyMap<string, Measure>) {
    this.#measures = measures;
  }

  /** Whether there is nothing to measure. */
  get empty(): boolean {
    return this.#measures.size === 0;
  }

  /** Measures a batch; returns the batch's own values. */
  add(output: Tensor, target: Tensor): Record<string, number> {
    const values: Record<string, number> = {};
    for (const [name, make] of this.#measures) {
      const batch = make();
      batch.update(output, target);
      values[name] = batch.compute();
      const whole = this.#whole.get(name);
      if (whole === undefined) this.#whole.set(name, batch);
      else whole.merge(batch);
    }
    return values;
  }

  /** The fields of the metrics, for {@link restore}. */
  state(): Record<string, unknown> {
    return Object.fromEntries(Array.from(this.#whole, ([name, metric]) => [name, plainState(metric)]));
  }

  /** Continues from a {@link state}. */
  restore(state: Readonly<Record<string, unknown>>): void {
    for (const [name, make] of this.#measures) {
      const saved = state[name];
      if (saved === undefined) continue;
      const metric = make();
      restorePlain(metric, saved as Record<string, unknown>);
      this.#whole.set(name, metric);
    }
  }

  /** The values of all batches together. */
  get(): Record<string, number> {
    return Object.fromEntries(Array.from(this.#whole, ([name, metric]) => [name, metric.compute()]));
  }
}

/**
 * A number, or the value of a tensor of one element.
 * @throws TensorError saying what `what` gave instead
 */
export function toNumber(value: unknown, what: string): number {
  if (typeof value === "number") return value;
  if (value instanceof Tensor) {
    if (value.numel() === 1) return valuesOf(value.value)[0]!;
    throw new TensorError(
      "shape",
      `${what}: expected a scalar, got a tensor of shape ${formatShape(value.shape)}`,
    );
  }
  throw new TensorError("value", `${what}: expected a number or a scalar tensor, got ${typeof value}`);
}

/** Whether a batch is one of a classification: outputs [N, C] and as many classes [N]. */
export function isClassification(output: Tensor, target: Tensor): boolean {
  return (
    output.ndim === 2 && target.ndim === 1 && target.dtype === "int64" && output.shape[0] === target.shape[0]
  );
}
