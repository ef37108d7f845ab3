import { accuracy } from "../nn/data/metrics.ts";
import type { Experiment, Metric } from "../nn/experiment.ts";
import { TensorError } from "../tensor/errors.ts";
import { noGrad } from "../tensor/scope.ts";
import { formatShape } from "../tensor/shape.ts";
import { Tensor } from "../tensor/tensor.ts";
import { valuesOf } from "../tensor/runtime.ts";

/** A metric on the host: the mean over a batch. */
export type Measure = (output: Tensor, target: Tensor) => number;

/** An experiment's metrics by name, built-in ones and its own. */
export function measuresOf({ options }: Experiment, classification: boolean): Map<string, Measure> {
  const { metrics = classification ? ["accuracy"] : [] } = options;
  const named: [string, unknown][] = isList(metrics)
    ? metrics.map((name) => [name, name])
    : Object.entries(metrics);
  return new Map(named.map(([name, metric]) => [name, measure(name, metric)]));
}

function isList(metrics: object): metrics is readonly string[] {
  return Array.isArray(metrics);
}

function measure(name: string, metric: unknown): Measure {
  if (metric === "accuracy") return accuracy;
  if (typeof metric !== "function")
    throw new TensorError(
      "value",
      `experiment(): metric "${name}" is neither a function (output, target) nor "accuracy"`,
    );
  const own = metric as Metric;
  return (output, target) =>
    toNumber(
      noGrad(() => own(output, target)),
      `metric "${name}"`,
    );
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
