import { TensorError } from "../tensor/errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { StateDict } from "./stateDict.ts";

/** Reads and writes files of tensors. */
export interface TensorFiles {
  save(file: string, tensors: ReadonlyMap<string, Tensor>): void;
  load(file: string): Map<string, Tensor>;
}

let files: TensorFiles | undefined;

/** Says how files are read and written: the engine knows the formats. */
export function setTensorFiles(access: TensorFiles | undefined): void {
  files = access;
}

function access(name: string, file: string): TensorFiles {
  if (!/\.safetensors$/i.test(file))
    throw new TensorError(
      "unsupported",
      `torch.${name}(): expected the name of a .safetensors file, got "${file}"`,
      "safetensors is what other tools load too, and no file of it can run code",
    );
  if (files === undefined)
    throw new TensorError("unsupported", `torch.${name}(): files are not at hand here`);
  return files;
}

/**
 * Saves a state dict as a safetensors file: `torch.save(model.stateDict(), "model.safetensors")`. The file is replaced
 * as a whole, so what was there stays until the new one is complete.
 * @param file relative to the working directory, or absolute
 * @throws TensorError for another kind of file; the file system's error
 */
export function save(state: StateDict, file: string): void {
  const tensors: ReadonlyMap<string, Tensor> =
    state instanceof Map ? (state as ReadonlyMap<string, Tensor>) : new Map(Object.entries(state));
  access("save", file).save(file, tensors);
}

/**
 * Loads the tensors of a safetensors file by name: `model.loadStateDict(torch.load("model.safetensors"))`.
 * @throws TensorError for another kind of file; an error naming the defect of a damaged one
 */
export function load(file: string): Map<string, Tensor> {
  return access("load", file).load(file);
}
