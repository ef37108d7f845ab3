// Element types by PyTorch's names, those included that tensors can't have, and what is known of them.
import { TensorError } from "../core/errors.ts";
import type { DType } from "../core/dtype.ts";
import { checkedDType, type OtherDType } from "./checkedDType.ts";

// Constant types: an inferred literal would widen to string in `{ dtype: torch.float32 }`.
export const float32 = "float32" as const;
export const float = float32;
export const int64 = "int64" as const;
export const long = int64;
export const bool = "bool" as const;

export type { OtherDType } from "./checkedDType.ts";

/** Not available: tensors are float32, int64, bool or complex64. */
export const float64 = "float64" as const;
/** Not available: tensors are float32, int64, bool or complex64. */
export const double = float64;
/** Not available: tensors are float32, int64, bool or complex64. */
export const float16 = "float16" as const;
/** Not available: tensors are float32, int64, bool or complex64. */
export const half = float16;
/** Not available: tensors are float32, int64, bool or complex64. */
export const bfloat16 = "bfloat16" as const;
/** Not available: tensors are float32, int64, bool or complex64. */
export const int32 = "int32" as const;
/** Not available: tensors are float32, int64, bool or complex64. */
export const int = int32;
/** Not available: tensors are float32, int64, bool or complex64. */
export const int16 = "int16" as const;
/** Not available: tensors are float32, int64, bool or complex64. */
export const short = int16;
/** Not available: tensors are float32, int64, bool or complex64. */
export const int8 = "int8" as const;
/** Not available: tensors are float32, int64, bool or complex64. */
export const uint8 = "uint8" as const;
/** Pairs of float32: a real and an imaginary part. */
export const complex64 = "complex64" as const;
/** The same as complex64. */
export const cfloat = complex64;
/** Not available: tensors are float32, int64, bool or complex64. */
export const complex128 = "complex128" as const;
/** Not available: tensors are float32, int64, bool or complex64. */
export const cdouble = complex128;

/** The type of new tensors of fractions: float32. */
export const getDefaultDtype = (): DType => float32;

/**
 * Sets the type of new tensors of fractions, which is float32 anyway.
 * @throws TensorError "only floating-point types are supported as the default type"; for another floating-point type
 */
export function setDefaultDtype(dtype: DType | OtherDType): void {
  if (!dtype.includes("float")) {
    throw new TensorError("dtype", "only floating-point types are supported as the default type");
  }
  checkedDType(dtype);
}

/** Limits of a floating-point type. */
export interface FloatInfo {
  readonly bits: number;
  /** The difference between 1 and the next larger number. */
  readonly eps: number;
  readonly max: number;
  readonly min: number;
  /** The smallest positive number of full precision. */
  readonly smallestNormal: number;
  /** The same as smallestNormal. */
  readonly tiny: number;
  /** About the last decimal digit. */
  readonly resolution: number;
  readonly dtype: string;
  toString(): string;
}

const floatInfo = (
  dtype: string,
  bits: number,
  fraction: number,
  exponent: number,
  digits: number,
): FloatInfo => {
  const max = (2 - 2 ** -fraction) * 2 ** (2 ** (exponent - 1) - 1);
  const tiny = 2 ** (2 - 2 ** (exponent - 1));
  const eps = 2 ** -fraction;
  return named("finfo", ["resolution", "min", "max", "eps", "smallestNormal", "tiny"], {
    bits,
    eps,
    max,
    min: -max,
    smallestNormal: tiny,
    tiny,
    resolution: Number(`1e-${digits}`),
    dtype,
  });
};

/** Limits of an integer type. Those of int64 are rounded to a double. */
export interface IntegerInfo {
  readonly bits: number;
  readonly max: number;
  readonly min: number;
  readonly dtype: string;
  toString(): string;
}

const integerInfo = (dtype: string, bits: number, signed: boolean): IntegerInfo => {
  const max = 2 ** (signed ? bits - 1 : bits) - 1;
  return named("iinfo", ["min", "max"], { bits, max, min: signed ? -(2 ** (bits - 1)) : 0, dtype });
};

/** Gives limits the text that PyTorch prints: numbers of six digits. */
function named<T extends { dtype: string }>(name: string, shown: readonly (keyof T & string)[], info: T): T {
  const text = (): string => {
    const fields = shown.map(
      (key) => `${key === "smallestNormal" ? "smallest_normal" : key}=${six(Number(info[key]))}`,
    );
    return `${name}(${fields.join(", ")}, dtype=${info.dtype})`;
  };
  const hidden = { value: text, enumerable: false };
  return Object.defineProperties(info, {
    toString: hidden,
    [Symbol.for("nodejs.util.inspect.custom")]: hidden,
  });
}

/** C's `%g`: six digits, halves to the even one. */
function six(value: number): string {
  const exact = value.toExponential(20);
  const half = /^(-?\d\.\d{4}[02468])50+e/.exec(exact)?.[1];
  const [digits = "", power = "0"] =
    half === undefined ? value.toExponential(5).split("e") : [half, exact.split("e")[1]];
  const exponent = Number(power);
  if (exponent >= -4 && exponent < 6) return String(Number(`${digits}e${exponent}`));
  const sign = exponent < 0 ? "-" : "+";
  return `${String(Number(digits))}e${sign}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

const FLOATS: Readonly<Record<string, FloatInfo>> = {
  float32: floatInfo("float32", 32, 23, 8, 6),
  float64: floatInfo("float64", 64, 52, 11, 15),
  float16: floatInfo("float16", 16, 10, 5, 3),
  bfloat16: floatInfo("bfloat16", 16, 7, 8, 2),
};

const INTEGERS: Readonly<Record<string, IntegerInfo>> = {
  int64: integerInfo("int64", 64, true),
  int32: integerInfo("int32", 32, true),
  int16: integerInfo("int16", 16, true),
  int8: integerInfo("int8", 8, true),
  uint8: integerInfo("uint8", 8, false),
};

/**
 * Limits of a floating-point type: `torch.finfo(torch.float32).eps`.
 * @throws TensorError "torch.finfo() requires a floating point input type. Use torch.iinfo to handle 'torch.finfo'"
 */
export function finfo(dtype: DType | OtherDType = float32): FloatInfo {
  const info = FLOATS[dtype];
  if (info !== undefined) return info;
  throw new TensorError(
    "dtype",
    "torch.finfo() requires a floating point input type. Use torch.iinfo to handle 'torch.finfo'",
  );
}

/**
 * Limits of an integer type: `torch.iinfo(torch.int64).max`.
 * @throws TensorError "torch.iinfo() requires an integer input type. Use torch.finfo to handle 'torch.iinfo'"
 */
export function iinfo(dtype: DType | OtherDType): IntegerInfo {
  const info = INTEGERS[dtype];
  if (info !== undefined) return info;
  if (dtype === "bool") throw new TensorError("dtype", "torch.bool is not supported by torch.iinfo");
  throw new TensorError(
    "dtype",
    "torch.iinfo() requires an integer input type. Use torch.finfo to handle 'torch.iinfo'",
  );
}

/** A new dimension of an index: `x.index(torch.newaxis)`. */
export const newaxis = null;
export const inf = Infinity;
export const nan = NaN;
export const pi = Math.PI;
export const e = Math.E;
