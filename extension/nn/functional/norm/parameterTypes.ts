// Check of the types of a normalisation's parameters.
import { TensorError } from "../../../tensor/core/errors.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";

/** @throws TensorError "mixed dtype (CPU): expect parameter to have scalar type of Float" */
export function checkParameterTypes(...parameters: readonly (Tensor | null)[]): void {
  if (parameters.every((one) => one === null || one.dtype === "float32")) return;
  throw new TensorError("dtype", "mixed dtype (CPU): expect parameter to have scalar type of Float");
}
