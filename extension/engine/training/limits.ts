import { secondsOf, type ExperimentOptions } from "../../nn/experiment/experiment.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import type { Batches } from "./batches.ts";

/** Limits of a training, in batches, steps and seconds. Infinity means no limit. */
export interface Limits {
  epochs: number;
  /** Batches of a training epoch; Infinity for a stream of unknown length. */
  train: number;
  /** Batches of a validation. */
  validation: number;
  /** Batches of the validation before epoch 1. */
  sanity: number;
  /** Batches after which a validation follows, counted in the epoch. */
  validationEvery: number;
  /** Epochs after which a validation follows. */
  validationEpochs: number;
  /** Batches added up for an optimizer step. */
  accumulate: number;
  steps: number;
  seconds: number;
  minEpochs: number;
  minSteps: number;
}

/**
 * Computes a training's limits from an experiment's options and data.
 * @param epochs Epochs asked for
 * @throws TensorError when a fraction is less than one batch
 */
export function limitsOf(
  options: ExperimentOptions,
  epochs: number,
  { train, validation }: { train: Batches; validation: Batches | undefined },
): Limits {
  const dev = fastDevRun(options);
  const { overfitBatches, limitTrainBatches, limitValBatches, maxSteps = -1, maxTime } = options;
  const trained = part("train", dev ?? overfitBatches ?? limitTrainBatches, train.length);
  const validated =
    validation === undefined
      ? 0
      : part("validation", dev ?? overfitBatches ?? limitValBatches, validation.length);
  const sanity = options.numSanityValSteps ?? 2;
  return {
    epochs: dev === undefined ? epochs : 1,
    train: trained,
    validation: validated,
    sanity: dev === undefined ? Math.min(sanity < 0 ? Infinity : sanity, validated) : 0,
    validationEvery: interval(options.valCheckInterval, trained),
    validationEpochs: options.checkValEveryNEpoch ?? 1,
    accumulate: options.accumulateGradBatches ?? 1,
    steps: Math.min(maxSteps < 0 ? Infinity : maxSteps, dev ?? Infinity),
    seconds: maxTime === undefined ? Infinity : secondsOf(maxTime),
    minEpochs: options.minEpochs ?? 0,
    minSteps: options.minSteps ?? 0,
  };
}

/** Batches of a `fastDevRun`, which only tries whether everything runs; undefined for other runs. */
export function fastDevRun({ fastDevRun: given = false }: ExperimentOptions): number | undefined {
  const batches = Number(given);
  return batches === 0 ? undefined : batches;
}

/** Optimizer steps of an epoch. */
export function stepsPerEpoch({ train, accumulate }: Limits): number {
  return Math.ceil(train / accumulate);
}

/** A number of batches: a whole number, or a fraction of all. */
function part(name: string, limit: number | undefined, batches: number): number {
  if (limit === undefined) return batches;
  if (limit >= 1 || limit === 0) return Math.min(limit, batches);
  if (batches === Infinity)
    throw new TensorError(
      "value",
      `experiment(): a fraction of the ${name} set needs a set that knows its length`,
    );
  const count = Math.floor(batches * limit);
  if (count > 0) return count;
  throw new TensorError(
    "value",
    `experiment(): ${limit} of the ${batches} batches of the ${name} set are less than one`,
    `give at least ${(1 / batches).toFixed(3)}, or a whole number of batches`,
  );
}

function interval(every: number | undefined, batches: number): number {
  if (every === undefined) return Infinity;
  if (every < 1) return Math.max(1, Math.floor(batches * every));
  if (every > batches)
    throw new TensorError(
      "value",
      `experiment(): valCheckInterval (${every}) must be less than or equal to the number of the training batches (${batches})`,
    );
  return every;
}
