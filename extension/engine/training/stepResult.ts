import type { StepResult } from "../../nn/experiment/experiment.ts";
import { demandFreeName } from "../../nn/experiment/metricNames.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { toNumber } from "./metrics.ts";

/** Values of a batch by name. */
export type Values = Record<string, number>;

/**
 * The numbers that a step of the user's own gives: a single one is its loss.
 * @param step the option's name
 */
export function numbers(result: StepResult | undefined, step: string): Values {
  if (result === undefined)
    throw new TensorError(
      "value",
      `${step}'s result: expected a number or a scalar tensor, got undefined`,
      "return its loss, or values by name: return { loss }",
    );
  if (!isValues(result)) return { loss: toNumber(result, `${step}'s result`) };
  const values: Values = {};
  for (const [name, value] of Object.entries(result)) {
    demandFreeName(name, `a value of ${step}`);
    values[name] = toNumber(value, `${step}'s "${name}"`);
  }
  return values;
}

export const isValues = (result: StepResult): result is Exclude<StepResult, number | Tensor | void> =>
  typeof result === "object" && result !== null && Object.getPrototypeOf(result) === Object.prototype;

/** The loss of an experiment that has none. */
export function missingLoss(): Tensor {
  throw new TensorError(
    "value",
    "experiment(): a trainStep or validationStep calls loss, but the experiment has none",
  );
}

/** @throws TensorError for a loss that `backward()` can't start from */
export function demandLoss(value: unknown): asserts value is Tensor {
  if (value instanceof Tensor) return;
  throw new TensorError(
    "value",
    `loss(): expected a tensor, got ${value instanceof Promise ? "a promise" : typeof value}`,
    "return the tensor that backward() starts from, as in (output, target) => F.crossEntropy(output, target)",
  );
}
