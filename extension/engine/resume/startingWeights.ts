import { randomInt } from "node:crypto";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { loadTensors } from "../files/tensorFiles.ts";
import { EngineError } from "../../protocol/errors.ts";

/** A checkpoint: its tensors, and the seed of the training that made it, when it is one of ours. */
export interface Weights {
  tensors: Map<string, Tensor>;
  seed: number | undefined;
}

/** @throws EngineError "checkpoint" saying what is wrong with the file */
export function readWeights(file: string): Weights {
  try {
    const { tensors, metadata } = loadTensors(file);
    const seed = Number(metadata.get("seed") ?? "none");
    return { tensors, seed: Number.isSafeInteger(seed) ? seed : undefined };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new EngineError({ code: "checkpoint", message: `The weights can't be read: ${message}` });
  }
}

/** A seed for a run that was given none: any of PyTorch's, which count in 32 bits. */
export function randomSeed(): number {
  return randomInt(2 ** 32);
}
