// Functions of one tensor, element by element, comparisons and choices.
import { MAX_FLOAT, promoteTypes, SCALAR_TYPE } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import type { Op } from "../../recording/op.ts";
import * as ops from "../../ops/elementwise/elementwise.ts";
import * as math from "../../ops/elementwise/math.ts";
import { Tensor } from "../../core/tensor.ts";
import { div, mul, sub } from "./arithmetic.ts";
import { nonzeroIndices } from "../indexing/places.ts";
import {
  asTensor,
  castTo,
  composed,
  constant,
  named,
  notImplemented,
  toFloat,
  type Operand,
} from "./operands.ts";
import { binary, operand, promoted, resultType } from "./promotion.ts";
import { copied } from "../shape/views.ts";
import { call } from "../../ops/expressions.ts";

/** Of integers and booleans: computed in float32. */
const inFloat = (op: Op<object>, x: Tensor): Tensor => call(op, toFloat(x));

/** Integers are whole already. */
const ofFloats = (op: Op<object>, x: Tensor): Tensor => (x.dtype === "float32" ? call(op, x) : copied(x));

/**
 * −input.
 * @throws TensorError "Negation, the `-` operator, on a bool tensor is not supported. …"
 */
export function neg(input: Tensor): Tensor {
  if (input.dtype === "bool") {
    throw new TensorError(
      "dtype",
      "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use the `~` or `logical_not()` operator instead.",
    );
  }
  return call(ops.neg, input);
}

/** |input|. */
export function abs(input: Tensor): Tensor {
  if (input.dtype === "bool") notImplemented("abs_cpu", "bool");
  return call(ops.abs, input);
}

/** −1, 0 or 1. */
export const sign = (input: Tensor): Tensor =>
  input.dtype === "bool" ? copied(input) : call(ops.sign, input);
/** eˣ. */
export const exp = (input: Tensor): Tensor => inFloat(ops.exp, input);
/** eˣ − 1, exact near 0. */
export const expm1 = (input: Tensor): Tensor => inFloat(ops.expm1, input);
/** Natural logarithm. */
export const log = (input: Tensor): Tensor => inFloat(ops.log, input);
/** ln(1 + x), exact near 0. */
export const log1p = (input: Tensor): Tensor => named(inFloat(ops.log1p, input), "Log1PBackward0");
/** Square root. */
export const sqrt = (input: Tensor): Tensor => inFloat(ops.sqrt, input);
/** 1 / √x. */
export const rsqrt = (input: Tensor): Tensor => inFloat(ops.rsqrt, input);
/** 1 / x. */
export const reciprocal = (input: Tensor): Tensor => inFloat(ops.reciprocal, input);
/** Sine. */
export const sin = (input: Tensor): Tensor => inFloat(ops.sin, input);
/** Cosine. */
export const cos = (input: Tensor): Tensor => inFloat(ops.cos, input);
/** Tangent. */
export const tan = (input: Tensor): Tensor => inFloat(math.tan, input);
/** Inverse sine. */
export const asin = (input: Tensor): Tensor => inFloat(math.asin, input);
/** Inverse cosine. */
export const acos = (input: Tensor): Tensor => inFloat(math.acos, input);
/** Inverse tangent. */
export const atan = (input: Tensor): Tensor => inFloat(math.atan, input);
/** Hyperbolic sine. */
export const sinh = (input: Tensor): Tensor => inFloat(math.sinh, input);
/** Hyperbolic cosine. */
export const cosh = (input: Tensor): Tensor => inFloat(math.cosh, input);
/** Hyperbolic tangent. */
export const tanh = (input: Tensor): Tensor => inFloat(ops.tanh, input);
/** Inverse hyperbolic sine. */
export const asinh = (input: Tensor): Tensor => inFloat(math.asinh, input);
/** Inverse hyperbolic cosine. */
export const acosh = (input: Tensor): Tensor => inFloat(math.acosh, input);
/** Inverse hyperbolic tangent. */
export const atanh = (input: Tensor): Tensor => inFloat(math.atanh, input);
/** The error function. */
export const erf = (input: Tensor): Tensor => inFloat(ops.erf, input);
/** 1 / (1 + e⁻ˣ). */
export const sigmoid = (input: Tensor): Tensor => inFloat(ops.sigmoid, input);
/** Down to a whole number. */
export const floor = (input: Tensor): Tensor => ofFloats(ops.floor, input);
/** Up to a whole number. */
export const ceil = (input: Tensor): Tensor => ofFloats(ops.ceil, input);
/** To the nearest number of `decimals` (0) digits after the point, halves to the even one. */
export function round(input: Tensor, options: { decimals?: number } = {}): Tensor {
  const { decimals = 0 } = options;
  if (decimals === 0 || input.dtype !== "float32") return ofFloats(ops.round, input);
  const scale = 10 ** Math.abs(decimals);
  return composed(() =>
    named(
      decimals > 0
        ? div(ofFloats(ops.round, mul(input, scale)), scale)
        : mul(ofFloats(ops.round, div(input, scale)), scale),
      "RoundBackward1",
    ),
  );
}

/** Logarithm to base 2. */
export function log2(input: Tensor): Tensor {
  return composed(() => named(mul(log(input), 1 / Math.LN2), "Log2Backward0"));
}

/** Logarithm to base 10. */
export function log10(input: Tensor): Tensor {
  return composed(() => named(mul(log(input), 1 / Math.LN10), "Log10Backward0"));
}

/** 2ˣ. */
export function exp2(input: Tensor): Tensor {
  return composed(() => call(math.exp2, toFloat(input)));
}

/** x². */
export function square(input: Tensor): Tensor {
  return named(input.dtype === "bool" ? mul(input, 1) : call(ops.square, input), "PowBackward0");
}

/** The larger of x and 0. */
export function relu(input: Tensor): Tensor {
  if (input.dtype === "float32") return call(ops.relu, input);
  if (input.dtype === "bool") throw new TensorError("dtype", "Boolean inputs not supported for relu");
  return binary(ops.maximum, input, 0);
}

/** Where the input is not a number. */
export function isnan(input: Tensor): Tensor {
  return input.dtype === "float32" ? call(ops.isnan, input) : composed(() => call(ops.ne, input, input));
}

/** Where the input is infinite. */
export function isinf(input: Tensor): Tensor {
  if (input.dtype !== "float32") return isnan(input);
  return composed(() => call(ops.eq, call(ops.abs, input), constant(Infinity)));
}

/** Where the input is neither infinite nor not a number. */
export function isfinite(input: Tensor): Tensor {
  if (input.dtype !== "float32") return composed(() => call(ops.eq, input, input));
  return composed(() => call(ops.lt, call(ops.abs, input), constant(Infinity)));
}

/** NaN replaced by `nan`, infinities by the largest float32 unless said otherwise. */
export function nanToNum(
  input: Tensor,
  options: { nan?: number; posinf?: number; neginf?: number } = {},
): Tensor {
  if (input.dtype !== "float32") return copied(input);
  const { nan = 0, posinf = MAX_FLOAT, neginf = -MAX_FLOAT } = options;
  return composed(() => {
    const x = where(isnan(input), nan, input);
    const above = where(eq(x, Infinity), posinf, x);
    return named(where(eq(x, -Infinity), neginf, above), "NanToNumBackward0");
  });
}

/** A comparison of two operands in their common type; kernels that order don't know booleans. */
function comparison(op: Op<object>, input: Operand, other: Operand, orders: boolean): Tensor {
  const dtype = resultType(input, other);
  return binary(op, input, other, orders && dtype === "bool" ? "int64" : dtype);
}

/** Where both are equal. */
export const eq = (input: Operand, other: Operand): Tensor => comparison(ops.eq, input, other, false);
/** Where they differ. */
export const ne = (input: Operand, other: Operand): Tensor => comparison(ops.ne, input, other, false);
/** Where input < other. */
export const lt = (input: Operand, other: Operand): Tensor => comparison(ops.lt, input, other, true);
/** Where input ≤ other. */
export const le = (input: Operand, other: Operand): Tensor => comparison(ops.le, input, other, true);
/** Where input > other. */
export const gt = (input: Operand, other: Operand): Tensor => comparison(ops.gt, input, other, true);
/** Where input ≥ other. */
export const ge = (input: Operand, other: Operand): Tensor => comparison(ops.ge, input, other, true);

/** Where |input − other| ≤ atol + rtol · |other|. */
export function isclose(
  input: Tensor,
  other: Tensor,
  options: { rtol?: number; atol?: number; equalNan?: boolean } = {},
): Tensor {
  const { rtol = 1e-5, atol = 1e-8, equalNan = false } = options;
  if (input.dtype !== other.dtype) throw new TensorError("dtype", mismatch(input, other));
  for (const [name, size] of Object.entries({ rtol, atol }))
    if (!(size >= 0))
      throw new TensorError("value", `${name} must be greater than or equal to zero, but got ${size}`);
  return composed(() => {
    const [a, b] = [toFloat(input), toFloat(other)];
    const bound = call(ops.add, mul(call(ops.abs, b), rtol), constant(atol));
    const near = call(ops.le, call(ops.abs, sub(a, b)), bound);
    const close = logicalOr(eq(a, b), logicalAnd(near, isfinite(b)));
    return equalNan ? logicalOr(close, logicalAnd(isnan(a), isnan(b))) : close;
  });
}

const mismatch = (a: Tensor, b: Tensor): string =>
  `${SCALAR_TYPE[a.dtype]} did not match ${SCALAR_TYPE[b.dtype]}`;

const truth = (x: Operand): Tensor => castTo(asTensor(x), "bool");

/** Where both are true (not 0). */
export const logicalAnd = (input: Operand, other: Operand): Tensor =>
  call(ops.logicalAnd, truth(input), truth(other));
/** Where either is true. */
export const logicalOr = (input: Operand, other: Operand): Tensor =>
  call(ops.logicalOr, truth(input), truth(other));
/** Where exactly one is true. */
export const logicalXor = (input: Operand, other: Operand): Tensor =>
  call(ops.ne, truth(input), truth(other));
/** Where the input is false (0). */
export const logicalNot = (input: Tensor): Tensor => call(ops.logicalNot, truth(input));

/**
 * `input` where the condition holds, else `other`; all three broadcast. Of a condition alone, the indices of its true
 * elements, one tensor for each dimension: reads it now.
 * @throws TensorError "where expected condition to be a boolean tensor, but got a tensor with dtype Float"
 */
export function where(condition: Tensor): Tensor[];
export function where(condition: Tensor, input: Operand, other: Operand): Tensor;
export function where(condition: Tensor, input?: Operand, other?: Operand): Tensor | Tensor[] {
  if (input === undefined || other === undefined) return nonzeroIndices(condition, "where() of a condition");
  if (condition.dtype !== "bool") {
    throw new TensorError(
      "dtype",
      `where expected condition to be a boolean tensor, but got a tensor with dtype ${SCALAR_TYPE[condition.dtype]}`,
    );
  }
  return call(ops.where, condition, ...promoted(input, other));
}

/**
 * The input with `value` where the mask holds.
 * @throws TensorError "masked_fill_ only supports boolean masks, but got mask with dtype float"
 */
export function maskedFill(input: Tensor, mask: Tensor, value: Operand): Tensor {
  if (mask.dtype !== "bool") {
    const type = mask.dtype === "float32" ? "float" : "long int";
    throw new TensorError(
      "dtype",
      `masked_fill_ only supports boolean masks, but got mask with dtype ${type}`,
    );
  }
  if (value instanceof Tensor && value.ndim > 0) {
    throw new TensorError(
      "shape",
      `masked_fill_ only supports a 0-dimensional value tensor, but got tensor with ${value.ndim} dimension(s).`,
    );
  }
  // A number is cut down to what the type holds, if it can be.
  if (typeof value === "number" && input.dtype === "bool") value = value !== 0;
  if (typeof value === "number" && input.dtype === "int64" && Number.isFinite(value))
    value = Math.trunc(value);
  if (promoteTypes(input.dtype, resultType(input, value)) !== input.dtype) {
    throw new TensorError(
      "dtype",
      `value cannot be converted to type ${input.dtype === "int64" ? "int64_t" : "bool"} without overflow`,
    );
  }
  const filled = call(ops.where, mask, operand(value, input.dtype), input);
  return named(filled, value instanceof Tensor ? "MaskedFillBackward1" : "MaskedFillBackward0");
}
