import { beyond32Bits } from "./errors.ts";
import { demandMemory } from "./memory.ts";

/**
 * Element types a user sees. `int64` is computed in 32 bits, so its values must fit into ±2³¹ once they are computed with.
 * A `complex64` tensor is two float32 tensors (see complex/complexTensor.ts): no op and no executor meets the type.
 */
export type DType = "float32" | "int64" | "bool" | "complex64";

/** Row-major values on the host. `Float64Array` holds drawn integers beyond 32 bits, which can be read but not computed with. */
export type HostArray = Float32Array | Int32Array | Uint8Array | Float64Array;

const RANK: Record<DType, number> = { bool: 0, int64: 1, float32: 2, complex64: 3 };

/** PyTorch's result type of mixing two tensors' types. */
export function promoteTypes(a: DType, b: DType): DType {
  return a === b || RANK[a] >= RANK[b] ? a : b;
}

/** Whether values of a type can be written into a tensor of another one, as in-place operations do: not floats as integers. */
export const canCast = (from: DType, to: DType): boolean => promoteTypes(from, to) === to;

/** The largest float32. */
export const MAX_FLOAT = 2 ** 128 - 2 ** 104;

/** Whether int64 tensors can compute with a number. */
export const isComputable = (x: number): boolean => Number.isInteger(x) && x >= -(2 ** 31) && x < 2 ** 31;

/**
 * Checks a number that meets integers. 2 ** 32 is an integer in Python, so its result would be exact; 1e10 and 1.5e12 are
 * floats there, and are written with few digits.
 * @throws TensorError for an integer that int64 tensors can't compute with
 */
export function demandComputable(x: number): void {
  if (Number.isSafeInteger(x) && !isComputable(x) && Number(x.toPrecision(2)) !== x) throw beyond32Bits();
}

/**
 * The type a JavaScript number gives to a result with a tensor of type `dtype`: PyTorch's rule for Python scalars. Whole
 * numbers that int64 tensors can't compute with are floats, as `1e10` and `-1e30` are in Python.
 */
export function promoteScalar(dtype: DType, scalar: number | boolean): DType {
  if (typeof scalar === "boolean") return dtype;
  return promoteTypes(dtype, isComputable(scalar) ? "int64" : "float32");
}

/** An array of zeros. @throws TensorError "not enough memory for a tensor of size [2147483648]" */
export function allocate(dtype: DType, length: number): Float32Array | Int32Array | Uint8Array {
  demandMemory([length]);
  if (dtype === "float32") return new Float32Array(length);
  return dtype === "int64" ? new Int32Array(length) : new Uint8Array(length);
}

/** Fills an array with a number for each index. `from` of typed arrays takes 5 to 15 times as long with a function. */
export function filled<A extends Float32Array | Float64Array | Int32Array | Uint8Array>(
  array: A,
  at: (index: number) => number,
): A {
  for (let i = 0; i < array.length; i++) array[i] = at(i);
  return array;
}

/** Copies numbers into the array of a dtype: booleans become 0 or 1, integers are truncated towards zero. */
export function toHostArray(values: ArrayLike<number>, dtype: DType): Float32Array | Int32Array | Uint8Array {
  // The constructors take a tenth of the time of `from`.
  if (dtype !== "bool") return dtype === "int64" ? new Int32Array(values) : new Float32Array(values);
  const truths = new Uint8Array(values.length);
  for (let i = 0; i < truths.length; i++) truths[i] = values[i] === 0 ? 0 : 1;
  return truths;
}

export const BYTES: Record<DType, number> = { float32: 4, int64: 8, bool: 1, complex64: 8 };

/** PyTorch's name of the C type, as error messages use it. */
export const SCALAR_TYPE: Record<DType, string> = {
  float32: "Float",
  int64: "Long",
  bool: "Bool",
  complex64: "ComplexFloat",
};
