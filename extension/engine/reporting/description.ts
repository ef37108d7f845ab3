import type { Experiment } from "../../nn/experiment/experiment.ts";
import type { Module } from "../../nn/module/module.ts";
import { isLazy } from "../../nn/module/uninitialized.ts";
import type { RunRequest } from "../../protocol/engine.ts";
import type { RunRecord } from "../../protocol/run.ts";
import { modeOf, type Objective } from "../../protocol/sweeps/sweep.ts";
import { limitsOf, stepsPerEpoch } from "../training/limits.ts";
import type { Prepared } from "../training/prepare.ts";
import { describeSettings } from "./settings.ts";

type Description = Pick<RunRequest, "kind" | "epochs" | "checkpoint"> & {
  exportName: string;
  /** Epochs of the record that count where the request names none; 0 for those of the experiment. */
  known: number;
};

/** The fields of a run's record that describe a prepared experiment. */
export function describePrepared(
  prepared: Prepared,
  { kind, epochs, checkpoint, exportName, known }: Description,
): Partial<RunRecord> {
  const { experiment, model, train, seed } = prepared;
  const wanted = epochs ?? (known > 0 ? known : experiment.options.epochs);
  const limits = limitsOf(experiment.options, wanted, prepared);
  const steps = stepsPerEpoch(limits);
  const parameters = countParameters(model);
  const swept = Object.keys(experiment.space).length > 0;
  const hyperparameters = swept ? { hyperparameters: { ...experiment.settings } } : {};
  return {
    ...hyperparameters,
    ...(swept ? { objective: objectiveOf(experiment, limits.validation > 0) } : {}),
    exportName,
    model: model.constructor.name,
    seed,
    epochs: kind === "train" ? limits.epochs : 0,
    ...(Number.isFinite(steps) ? { stepsPerEpoch: steps } : {}),
    ...(parameters === undefined ? {} : { parameters }),
    settings: {
      ...hyperparameters.hyperparameters,
      ...describeSettings(experiment, prepared.optimizers, {
        train: train.samples,
        loaderBatch: train.loaderBatch,
        validation: prepared.validation?.samples,
        test: prepared.test?.samples,
      }),
      ...(checkpoint === undefined ? {} : { checkpoint }),
    },
  };
}

/** The objective of a sweep of an experiment, by its metric's name in the curves. */
function objectiveOf({ options }: Experiment, validates: boolean): Objective {
  const metric = options.objective?.metric ?? (validates ? "val_loss" : "loss");
  return { metric, mode: options.objective?.mode ?? modeOf(metric) };
}

/** Numbers of parameters; undefined while a lazy module waits for its first input. */
export function countParameters(model: Module): RunRecord["parameters"] {
  let total = 0;
  let trainable = 0;
  for (const parameter of model.parameters()) {
    if (isLazy(parameter)) return undefined;
    const count = parameter.numel();
    total += count;
    if (parameter.requiresGrad) trainable += count;
  }
  return { total, trainable };
}
