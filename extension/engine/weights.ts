import { randomInt } from "node:crypto";
import { loadSafetensors, writeSafetensors } from "../formats/safetensors.ts";
import {
  encodeElements,
  toBool,
  toFloat32,
  toInt32,
  type EncodableDtype,
  type TensorEntry,
} from "../formats/tensorData.ts";
import type { DType } from "../tensor/dtype.ts";
import { valuesOf } from "../tensor/runtime.ts";
import { fromHost, type Tensor } from "../tensor/tensor.ts";
import { EngineError } from "./userErrors.ts";

const STORED: Record<DType, EncodableDtype> = { float32: "F32", int64: "I64", bool: "BOOL" };

/** Writes tensors by name to a safetensors file, whole or not at all. Computes what is still pending. */
export function saveTensors(
  file: string,
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>> = {},
): void {
  const entries: TensorEntry[] = [];
  for (const [name, tensor] of tensors) {
    const dtype = STORED[tensor.dtype];
    entries.push({ name, dtype, shape: tensor.shape, data: encodeElements(valuesOf(tensor.value), dtype) });
  }
  // Hugging Face's loaders ask for the format.
  writeSafetensors(file, entries, new Map(Object.entries({ format: "pt", ...metadata })));
}

/**
 * Reads a safetensors file. Floats become float32, integers int64.
 * @throws SafetensorsError for a damaged file; the file system's error
 */
export function loadTensors(file: string): {
  tensors: Map<string, Tensor>;
  metadata: ReadonlyMap<string, string>;
} {
  const { entries, metadata } = loadSafetensors(file);
  return { tensors: new Map(entries.map((entry) => [entry.name, toTensor(entry)])), metadata };
}

function toTensor(entry: TensorEntry): Tensor {
  const { dtype, shape } = entry;
  if (dtype === "BOOL") return fromHost(toBool(entry), shape, "bool");
  if (/^(F|BF)\d/.test(dtype)) return fromHost(toFloat32(entry), shape, "float32");
  return fromHost(toInt32(entry), shape, "int64");
}

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
