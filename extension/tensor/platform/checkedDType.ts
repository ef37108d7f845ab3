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
  | "complex128";

const OTHERS: Readonly<Record<OtherDType, string>> = {
  float64: "use torch.float32",
  float16: "use torch.float32",
  bfloat16: "use torch.float32",
  int32: "use torch.int64",
  int16: "use torch.int64",
  int8: "use torch.int64",
  uint8: "use torch.int64, or torch.float32 for pixels",
  complex128: "use torch.complex64",
};

/** Whether a text names a type of PyTorch, one that tensors can't have included. */
export const isDTypeName = (name: string): boolean => isDType(name) || name === "complex64" || name in OTHERS;

/** Types that ops compute with: a complex tensor is two of float32. */
const isDType = (name: unknown): name is DType => name === "float32" || name === "int64" || name === "bool";

/**
 * A type that tensors have.
 * @throws TensorError "float64 is not available: tensors are float32, int64, bool or complex64"
 */
export function checkedDType(name: unknown): DType {
  if (isDType(name)) return name;
  const text = String(name);
  if (text === "complex64") {
    throw new TensorError(
      "dtype",
      "this function does not make complex tensors",
      "make the real and the imaginary part, then torch.complex(real, imag)",
    );
  }
  if (!(text in OTHERS)) {
    throw new TensorError("dtype", `unknown dtype '${text}': expected float32, int64, bool or complex64`);
  }
  throw new TensorError(
    "dtype",
    `${text} is not available: tensors are float32, int64, bool or complex64`,
    OTHERS[text as OtherDType],
  );
}
