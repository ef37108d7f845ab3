import type { Experiment } from "../../nn/experiment/experiment.ts";
import { describeSpace } from "../../nn/experiment/searchSpace.ts";
import type { UserError } from "../../protocol/errors.ts";
import type { DescribeRequest, ExperimentDescription } from "../../protocol/sweeps/sweep.ts";
import { findExperiment } from "../host/exports.ts";
import { library } from "../host/library.ts";
import { loadLimit } from "../host/loadLimit.ts";
import { loadUserModule } from "../host/userModule.ts";
import type { Watchdog } from "../host/watchdog.ts";
import { randomSeed } from "../resume/startingWeights.ts";
import { evaluate } from "../evaluation/evaluator.ts";
import { take } from "../training/batches.ts";
import { prepare } from "../training/prepare.ts";
import { TrainingStep } from "../training/trainingStep.ts";
import { executorOf } from "../warmUp.ts";

/**
 * Describes an experiment of a file, as a sweep needs it. With `check`, it also trains one step with the default settings,
 * so that a mistake which every trial would repeat is found.
 * @param fail Called when the file's code hangs; nothing follows
 */
export async function describe(
  { file, exportName, device, check }: DescribeRequest,
  watchdog: Watchdog,
  fail: (error: UserError) => void,
): Promise<ExperimentDescription> {
  await executorOf(device);
  const module = await watchdog.guard(loadLimit(file, fail), () => loadUserModule(file, { library }));
  try {
    const found = findExperiment(module, exportName);
    const { options, space } = found.experiment;
    if (check === true) await tryOut(found.experiment);
    return {
      exportName: found.exportName,
      space: describeSpace(space),
      epochs: options.epochs,
      ...(options.seed === undefined ? {} : { seed: options.seed }),
      ...(options.objective === undefined ? {} : { objective: options.objective }),
    };
  } catch (error) {
    // Reading the stack formats it, which needs the source map.
    if (error instanceof Error) void error.stack;
    throw error;
  } finally {
    module.dispose();
  }
}

/** Trains on one batch and validates on one. */
async function tryOut(experiment: Experiment): Promise<void> {
  const prepared = await prepare(experiment, experiment.options.seed ?? randomSeed());
  const { train, validation } = prepared;
  const step = new TrainingStep(prepared);
  for (const batch of take(train.epoch(), 1)) {
    const read = await step.run(batch, { epoch: 1, step: 1, accumulated: 1, steps: true });
    read();
  }
  if (validation === undefined) return;
  await evaluate(prepared, {
    batches: take(validation.inOrder(), 1),
    data: { set: "validation", train },
    tick: async () => true,
  });
}
