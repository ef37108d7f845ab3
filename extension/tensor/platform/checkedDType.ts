// Which of PyTorch's element types tensors can have.
import type { DType } from "../core/dtype.ts";
import { TensorError } from "../core/errors.ts";

/** Types of PyTorch that tensors don't have here: using one is an error that says so. */
export type OtherDType =
  | "float64"
  | "float16"
  | "bfloat16"
  | "int32"
  | "int16"
  | "int8"
  | "uint8"
  | "complex64"
  | "complex128";

const OTHERS: Readonly<Record<OtherDType, string>> = {
  float64: "use torch.float32",
  float16: "use torch.float32",
  bfloat16: "use torch.float32",
  int32: "use torch.int64",
  int16: "use torch.int64",
  int8: "use torch.int64",
  uint8: "use torch.int64, or torch.float32 for pixels",
  complex64: "compute with the real and the imaginary part as two float32 tensors",
  complex128: "compute with the real and the imaginary part as two float32 tensors",
};

/** Whether a text names a type of PyTorch, one that tensors can't have included. */
export const isDTypeName = (name: string): boolean => isDType(name) || name in OTHERS;

const isDType = (name: unknown): name is DType => name === "float32" || name === "int64" || name === "bool";

/**
 * A type that tensors have.
 * @throws TensorError "float64 is not available: tensors are float32, int64 or bool"
 */
export function checkedDType(name: unknown): DType {
  if (isDType(name)) return name;
  const text = String(name);
  if (!(text in OTHERS)) {
    throw new TensorError("dtype", `unknown dtype '${text}': expected float32, int64 or bool`);
  }
  throw new TensorError(
    "dtype",
    `${text} is not available: tensors are float32, int64 or bool`,
    OTHERS[text as OtherDType],
  );
}
