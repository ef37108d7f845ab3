import type { Loss } from "../nn/experiment.ts";
import type { Optimizer } from "../nn/optim/optimizer.ts";
import type { RunRecord } from "../protocol/run.ts";
import type { Prepared } from "./prepare.ts";
import { isOptimizer } from "./trainer.ts";

/** One-line descriptions of what a run does, for tables. */
export function describeSettings({
  experiment,
  optimizers,
  loss,
  train,
  validation,
  test,
}: Prepared): RunRecord["settings"] {
  const { batchSize, logEvery, metrics, shuffle } = experiment.options;
  const metricNames = metrics === undefined ? [] : Array.isArray(metrics) ? metrics : Object.keys(metrics);
  return {
    optimizer: isOptimizer(optimizers)
      ? describeOptimizer(optimizers)
      : Object.entries(optimizers)
          .map(([name, one]) => `${name}: ${describeOptimizer(one)}`)
          .join(", "),
    ...(loss === undefined ? {} : { loss: describeLoss(loss) }),
    batchSize: batchSize ?? train.samples,
    shuffle: shuffle ?? batchSize !== undefined,
    samples: train.samples,
    ...(validation === undefined ? {} : { validationSamples: validation.samples }),
    ...(test === undefined ? {} : { testSamples: test.samples }),
    // Only what the experiment names: the default ones are not worth a place in a line.
    ...(metricNames.length === 0 ? {} : { metrics: metricNames.join(", ") }),
    ...(logEvery === undefined ? {} : { logEvery }),
  };
}

function describeOptimizer(optimizer: Optimizer): string {
  const rate = optimizer.paramGroups[0]?.lr;
  return rate === undefined ? optimizer.constructor.name : `${optimizer.constructor.name}, lr ${rate}`;
}

/** A module prints itself; a function has a name, or not. */
function describeLoss(loss: Loss): string {
  return Object.getPrototypeOf(loss) === Function.prototype ? loss.name || "function" : String(loss);
}
