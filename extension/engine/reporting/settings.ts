import type { Experiment, Loss, Optimizers } from "../../nn/experiment/experiment.ts";
import type { Optimizer } from "../../nn/optim/optimizer.ts";
import type { RunRecord } from "../../protocol/run.ts";

/** Numbers of samples in each set that there is. */
export interface SampleCounts {
  train?: number | undefined;
  validation?: number | undefined;
  test?: number | undefined;
  /** Of a loader of the experiment's own: samples in a batch, 0 where that isn't one number. */
  loaderBatch?: number | undefined;
}

/** One-line descriptions of what an experiment does, for tables. */
export function describeSettings(
  { options }: Experiment,
  optimizers: Optimizers,
  samples: SampleCounts | undefined,
): RunRecord["settings"] {
  const { loss, batchSize, logEvery, metrics, shuffle } = options;
  const metricNames = metrics === undefined ? [] : Array.isArray(metrics) ? metrics : Object.keys(metrics);
  const own = samples?.loaderBatch;
  const settings = {
    optimizer: describeOptimizers(optimizers),
    loss: loss === undefined ? undefined : describeLoss(loss),
    batchSize: batchSize ?? own ?? samples?.train,
    shuffle: own === undefined ? (shuffle ?? batchSize !== undefined) : undefined,
    samples: samples?.train,
    validationSamples: samples?.validation,
    testSamples: samples?.test,
    // Only what the experiment names: the default ones are not worth a place in a line.
    metrics: metricNames.length === 0 ? undefined : metricNames.join(", "),
    logEvery,
    ...describeTraining(options),
  };
  const known: RunRecord["settings"] = {};
  for (const [name, value] of Object.entries(settings)) if (value !== undefined) known[name] = value;
  return known;
}

/** Options of the training that are set, in a word each. */
function describeTraining(options: Experiment["options"]): RunRecord["settings"] {
  const set: RunRecord["settings"] = {};
  for (const name of TRAINING) {
    const value = options[name];
    if (value !== undefined) set[name] = typeof value === "object" ? JSON.stringify(value) : value;
  }
  return set;
}

const TRAINING = [
  "accumulateGradBatches",
  "gradientClipVal",
  "gradientClipAlgorithm",
  "earlyStopping",
  "rollback",
  "detectAnomaly",
  "watch",
  "overfitBatches",
  "fastDevRun",
  "limitTrainBatches",
  "limitValBatches",
  "maxSteps",
  "maxTime",
] as const satisfies readonly (keyof Experiment["options"])[];

function describeOptimizers(optimizers: Optimizers): string {
  if (isOptimizer(optimizers)) return describeOptimizer(optimizers);
  return Object.entries(optimizers)
    .map(([name, one]) => `${name}: ${describeOptimizer(one)}`)
    .join(", ");
}

/** Whether it is one optimizer and not several by name. */
export function isOptimizer(value: Optimizers): value is Optimizer {
  return typeof (value as Partial<Optimizer>).step === "function";
}

function describeOptimizer(optimizer: Optimizer): string {
  const rate = optimizer.paramGroups[0]?.lr;
  return rate === undefined ? optimizer.constructor.name : `${optimizer.constructor.name}, lr ${rate}`;
}

/** A module prints itself; a function has a name, or not. */
function describeLoss(loss: Loss): string {
  return Object.getPrototypeOf(loss) === Function.prototype ? loss.name || "function" : String(loss);
}
