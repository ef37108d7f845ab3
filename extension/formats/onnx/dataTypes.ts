/** ONNX's element types: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3, TensorProto.DataType. */
import type { StoredDtype } from "../tensorData.ts";

export interface DataType {
  /** As ONNX and NumPy name it, in lower case. */
  readonly name: string;
  /** The type whose elements are read; undefined for texts. Integers of fewer than 8 bits are unpacked to bytes. */
  readonly stored?: StoredDtype;
  /** Bits of an element in `raw_data`, where several share a byte. */
  readonly bits?: 2 | 4;
  /** The typed field that may hold the elements in place of `raw_data`. */
  readonly field: "float" | "int32" | "int64" | "double" | "uint64" | "string";
}

const TYPES: Readonly<Record<number, DataType>> = {
  1: { name: "float32", stored: "F32", field: "float" },
  2: { name: "uint8", stored: "U8", field: "int32" },
  3: { name: "int8", stored: "I8", field: "int32" },
  4: { name: "uint16", stored: "U16", field: "int32" },
  5: { name: "int16", stored: "I16", field: "int32" },
  6: { name: "int32", stored: "I32", field: "int32" },
  7: { name: "int64", stored: "I64", field: "int64" },
  8: { name: "string", field: "string" },
  9: { name: "bool", stored: "BOOL", field: "int32" },
  10: { name: "float16", stored: "F16", field: "int32" },
  11: { name: "float64", stored: "F64", field: "double" },
  12: { name: "uint32", stored: "U32", field: "uint64" },
  13: { name: "uint64", stored: "U64", field: "uint64" },
  14: { name: "complex64", stored: "C64", field: "float" },
  15: { name: "complex128", stored: "C128", field: "double" },
  16: { name: "bfloat16", stored: "BF16", field: "int32" },
  17: { name: "float8e4m3fn", stored: "F8_E4M3", field: "int32" },
  18: { name: "float8e4m3fnuz", stored: "F8_E4M3FNUZ", field: "int32" },
  19: { name: "float8e5m2", stored: "F8_E5M2", field: "int32" },
  20: { name: "float8e5m2fnuz", stored: "F8_E5M2FNUZ", field: "int32" },
  21: { name: "uint4", stored: "U8", bits: 4, field: "int32" },
  22: { name: "int4", stored: "I8", bits: 4, field: "int32" },
  // Both formats pack two elements to a byte.
  23: { name: "float4e2m1", stored: "F4", field: "int32" },
  24: { name: "float8e8m0", stored: "F8_E8M0", field: "int32" },
  25: { name: "uint2", stored: "U8", bits: 2, field: "int32" },
  26: { name: "int2", stored: "I8", bits: 2, field: "int32" },
};

/** A type by its number. One of a newer ONNX has no elements that can be read. */
export const dataType = (number: number): DataType =>
  TYPES[number] ?? { name: number === 0 ? "undefined" : `type ${number}`, field: "string" };

/** Whether a tensor of this type counts as parameters: not the shapes and indices among a graph's constants. */
export const isParameter = (name: string): boolean => /^(?:b?float|complex)/.test(name);
