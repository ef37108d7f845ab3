import { randomInt } from "node:crypto";
import * as v from "valibot";
import type { Experiment } from "../../nn/experiment/experiment.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { loadTensors } from "../files/tensorFiles.ts";
import { EngineError } from "../../protocol/errors.ts";
import { Settings } from "../../protocol/sweeps/sweep.ts";

/** A checkpoint: its tensors, and the seed and hyperparameters of the training that made it, when it is one of ours. */
export interface Weights {
  tensors: Map<string, Tensor>;
  seed: number | undefined;
  hyperparameters: Settings;
}

/** @throws EngineError "checkpoint" saying what is wrong with the file */
export function readWeights(file: string): Weights {
  try {
    const { tensors, metadata } = loadTensors(file);
    const seed = Number(metadata.get("seed") ?? "none");
    const hyperparameters = settingsIn(metadata.get(HYPERPARAMETERS));
    return { tensors, seed: Number.isSafeInteger(seed) ? seed : undefined, hyperparameters };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new EngineError({ code: "checkpoint", message: `The weights can't be read: ${message}` });
  }
}

/** The entry of a checkpoint's metadata. */
export const HYPERPARAMETERS = "hyperparameters";

function settingsIn(text: string | undefined): Settings {
  if (text === undefined) return {};
  try {
    const settings = v.safeParse(Settings, JSON.parse(text));
    return settings.success ? settings.output : {};
  } catch {
    return {};
  }
}

/**
 * The experiment that made some weights: with their hyperparameters, as far as the file still has them. `given` ones
 * come first.
 */
export function experimentOf(
  experiment: Experiment,
  weights: Pick<Weights, "hyperparameters"> | undefined,
  given: Settings = {},
): Experiment {
  const known = Object.entries(weights?.hyperparameters ?? {}).filter(([name]) =>
    Object.hasOwn(experiment.space, name),
  );
  return experiment.with({ ...Object.fromEntries(known), ...given });
}

/** A seed for a run that was given none: any of PyTorch's, which count in 32 bits. */
export function randomSeed(): number {
  return randomInt(2 ** 32);
}
