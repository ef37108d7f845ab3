import type { TfType } from "../tensor/lowering/lowering.ts";

/** TensorFlow's DataType numbers. Our int64 is computed as its int32. */
export const DATA_TYPE: Record<TfType, number> = {
  float32: 1,
  double: 2,
  int64: 3,
  complex64: 8,
  long: 9,
  bool: 10,
};
