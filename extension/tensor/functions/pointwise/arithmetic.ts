// Arithmetic with broadcasting and PyTorch's type promotion.
import { ofFunction } from "../../recording/version.ts";
import { apply } from "../../recording/apply.ts";
import { promoteTypes, type DType } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import type { Op } from "../../recording/op.ts";
import * as ops from "../../ops/elementwise/elementwise.ts";
import * as math from "../../ops/elementwise/math.ts";
import { atan2 as atan2Of, fmod as fmodOf } from "../../ops/elementwise/pairs.ts";
import { remainder as remainderOp } from "../../ops/elementwise/remainder.ts";
import { Tensor } from "../../core/tensor.ts";
import {
  castTo,
  composed,
  constant,
  named,
  notImplemented,
  toFloat,
  type Operand,
  scalarOf,
} from "./operands.ts";
import { binary, operand, resultType } from "./promotion.ts";
import { stepOf } from "./slopes.ts";
import { copied } from "../shape/views.ts";
import { call } from "../../ops/expressions.ts";

/** The type of a true division, root or exponential of two operands: never an integer. */
function floatBinary(op: Op<object>, a: Operand, b: Operand): Tensor {
  return binary(op, a, b, "float32");
}

/** `other` times `alpha`, as `add` and `sub` take it. */
function scaled(other: Operand, alpha: number | undefined, dtype: DType): Operand {
  if (alpha === undefined || alpha === 1) return other;
  if (dtype !== "float32" && !Number.isInteger(alpha)) {
    throw new TensorError(
      "dtype",
      "For integral input tensors, argument alpha must not be a floating point number.",
    );
  }
  return other instanceof Tensor ? mul(other, alpha) : Number(other) * alpha;
}

/** input + alpha · other; true where either is, for booleans. */
export function add(input: Operand, other: Operand, options?: { alpha?: number }): Tensor {
  const dtype = resultType(input, other);
  if (dtype === "bool") {
    return binary(ops.logicalOr, input, options?.alpha === 0 ? false : other, dtype);
  }
  if (options?.alpha === undefined) return binary(ops.add, input, other, dtype);
  return composed(() => binary(ops.add, input, scaled(other, options.alpha, dtype), dtype));
}

/**
 * input − alpha · other.
 * @throws TensorError "Subtraction, the `-` operator, with two bool tensors is not supported. …"
 */
export function sub(input: Operand, other: Operand, options?: { alpha?: number }): Tensor {
  const [left, right] = [isBool(input), isBool(other)];
  if (left || right) {
    throw new TensorError(
      "dtype",
      left && right
        ? "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` operator instead."
        : "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, use the `~` or `logical_not()` operator instead.",
    );
  }
  const dtype = resultType(input, other);
  if (options?.alpha === undefined) return binary(ops.sub, input, other, dtype);
  return composed(() => binary(ops.sub, input, scaled(other, options.alpha, dtype), dtype));
}

const isBool = (x: Operand): boolean => (x instanceof Tensor ? x.dtype === "bool" : typeof x === "boolean");

/** other − input. */
export function rsub(input: Operand, other: Operand, options?: { alpha?: number }): Tensor {
  return named(sub(other, input, options), "RsubBackward1");
}

/** input · other; true where both are, for booleans. */
export function mul(input: Operand, other: Operand): Tensor {
  const dtype = resultType(input, other);
  return binary(dtype === "bool" ? ops.logicalAnd : ops.mul, input, other, dtype);
}

/** How a quotient is rounded: not at all, towards zero, or down. */
export type RoundingMode = "trunc" | "floor" | null;

/**
 * input / other, rounded as `roundingMode` says ("floor" or "trunc"). Without it, integers are divided as floats.
 * @throws TensorError "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found 'x'"
 */
export function div(input: Operand, other: Operand, options?: { roundingMode?: RoundingMode }): Tensor {
  const mode = options?.roundingMode ?? null;
  if (mode === null) return floatBinary(ops.div, input, other);
  if (mode === "floor") return named(floorDivide(input, other), "DivBackward2");
  if (mode !== "trunc") {
    throw new TensorError(
      "value",
      `div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '${String(mode)}'`,
    );
  }
  const dtype = resultType(input, other);
  if (dtype === "float32") {
    return composed(() => {
      const quotient = trunc(floatBinary(ops.div, apart(input), apart(other)));
      return named(stepOf(quotient, ...tensorsOf(input, other)), "DivBackward2");
    });
  }
  refuseZero(input, other);
  return composed(() => {
    const [a, b] = [operand(input, "int64"), operand(other, "int64")];
    const size = binary(ops.floorDiv, call(ops.abs, a), call(ops.abs, b));
    return binary(ops.mul, size, call(ops.sign, binary(ops.mul, a, b)));
  });
}

const apart = (x: Operand): Operand => (x instanceof Tensor ? new Tensor(x.value) : x);
const tensorsOf = (...operands: Operand[]): Tensor[] =>
  operands.flatMap((x) => (x instanceof Tensor ? [toFloat(x)] : []));

/** ⌊input / other⌋. */
export function floorDivide(input: Operand, other: Operand): Tensor {
  const dtype = resultType(input, other);
  if (dtype !== "float32") {
    refuseZero(input, other);
    return binary(ops.floorDiv, input, other, "int64");
  }
  return composed(() => {
    const [a, b] = [operand(apart(input), dtype), operand(apart(other), dtype)];
    const floor = floorOfQuotient(a, b);
    const tensors = tensorsOf(input, other);
    if (!(other instanceof Tensor) && Number(other) !== 0) return stepOf(floor, ...tensors);
    // By 0, a / b.
    const zero = call(ops.eq, b, constant(0));
    return stepOf(call(ops.where, zero, call(ops.div, a, b), floor), ...tensors);
  });
}

/** As PyTorch does it: a quotient may round up to a whole number that it is below, as that of 1 and 0.1. */
function floorOfQuotient(a: Tensor, b: Tensor): Tensor {
  const of = (op: Op<object>, x: Operand, y: Operand): Tensor => binary(op, x, y, "float32");
  const rest = call(fmodOf, a, b);
  const differs = castTo(of(ops.lt, of(ops.mul, rest, b), 0), "float32");
  const quotient = of(ops.sub, of(ops.div, of(ops.sub, a, rest), b), differs);
  const floor = call(ops.floor, quotient);
  return of(ops.add, floor, castTo(of(ops.gt, of(ops.sub, quotient, floor), 0.5), "float32"));
}

/** The remainder that has the sign of `other`, as Python's `%`. */
export function remainder(input: Operand, other: Operand): Tensor {
  const dtype = resultType(input, other);
  if (dtype === "float32") return binary(remainderOp, input, other, dtype);
  refuseZero(input, other);
  return binary(remainderOp, input, other, "int64");
}

/** The remainder that has the sign of `input`, as JavaScript's `%`. */
export function fmod(input: Operand, other: Operand): Tensor {
  const dtype = resultType(input, other) === "float32" ? "float32" : "int64";
  if (dtype === "int64") refuseZero(input, other);
  return composed(() => {
    const [a, b] = [operand(input, dtype), operand(other, dtype)];
    if (dtype === "int64") {
      const rest = binary(remainderOp, call(ops.abs, a), call(ops.abs, b));
      return binary(ops.mul, rest, call(ops.sign, a));
    }
    return named(call(fmodOf, a, b), "FmodBackward0");
  });
}

function refuseZero(input: Operand, divisor: Operand): void {
  if (input instanceof Tensor && input.numel() === 0) return;
  if (!(divisor instanceof Tensor) && Number(divisor) === 0)
    throw new TensorError("value", "ZeroDivisionError");
}

/**
 * input to the power of `exponent`.
 * @throws TensorError "Integers to negative integer powers are not allowed."
 */
export function pow(input: Operand, exponent: Operand): Tensor {
  const dtype = resultType(input, exponent);
  if (exponent instanceof Tensor || !(input instanceof Tensor)) {
    if (dtype !== "float32") return integerPower(operand(input, "int64"), operand(exponent, "int64"));
    return named(binary(ops.pow, input, exponent), input instanceof Tensor ? "PowBackward1" : "PowBackward2");
  }
  const power = Number(exponent);
  if (dtype === "float32") {
    const x = toFloat(input);
    if (power === 2) return named(call(ops.square, x), "PowBackward0");
    if (power === 0.5) return named(call(ops.sqrt, x), "PowBackward0");
    if (power === -0.5) return named(call(ops.rsqrt, x), "PowBackward0");
    if (power === -1) return named(call(ops.reciprocal, x), "PowBackward0");
    if (power === 3) {
      return composed(() => named(binary(ops.mul, call(ops.square, x), x), "PowBackward0"));
    }
  } else if (power < 0) {
    throw new TensorError("value", "Integers to negative integer powers are not allowed.");
  }
  return named(binary(ops.pow, input, exponent, dtype === "bool" ? "int64" : dtype), "PowBackward0");
}

/** Powers of integers: those to negative exponents are 0, unless the base is 1 or −1. */
function integerPower(base: Tensor, exponent: Tensor): Tensor {
  return composed(() => {
    const zero = constant(0, "int64");
    const power = binary(ops.pow, base, call(ops.abs, exponent));
    const unit = call(ops.eq, call(ops.abs, base), constant(1, "int64"));
    const inverse = call(ops.where, unit, power, zero);
    return call(ops.where, call(ops.lt, exponent, zero), inverse, power);
  });
}

/** The larger of two, element by element. */
export function maximum(input: Tensor, other: Operand): Tensor {
  return extreme(ops.maximum, ops.logicalOr, input, other);
}

/** The smaller of two, element by element. */
export function minimum(input: Tensor, other: Operand): Tensor {
  return extreme(ops.minimum, ops.logicalAnd, input, other);
}

function extreme(op: Op<object>, ofBooleans: Op<object>, input: Tensor, other: Operand): Tensor {
  const dtype = resultType(input, other);
  return binary(dtype === "bool" ? ofBooleans : op, input, other, dtype);
}

/** input + value · tensor1 · tensor2. */
export function addcmul(
  input: Tensor,
  tensor1: Tensor,
  tensor2: Tensor,
  options: { value?: number } = {},
): Tensor {
  const product = (): Tensor => mul(tensor1, tensor2);
  return composed(() => named(add(input, product(), { alpha: options.value ?? 1 }), "AddcmulBackward0"));
}

/** input + value · tensor1 / tensor2. */
export function addcdiv(
  input: Tensor,
  tensor1: Tensor,
  tensor2: Tensor,
  options: { value?: number } = {},
): Tensor {
  const quotient = (): Tensor => div(tensor1, tensor2);
  return composed(() => named(add(input, quotient(), { alpha: options.value ?? 1 }), "AddcdivBackward0"));
}

/** input + weight · (end − input). */
export function lerp(input: Tensor, end: Tensor, weight: Operand): Tensor {
  // PyTorch counts from the nearer end, so that both are exact.
  if (weight instanceof Tensor) {
    return composed(() => {
      const far = call(ops.ge, call(ops.abs, weight), constant(0.5));
      const near = call(ops.where, far, end, input);
      const part = call(ops.where, far, sub(weight, 1), weight);
      return named(add(near, mul(part, sub(end, input))), "LerpBackward0");
    });
  }
  const far = Math.abs(Number(weight)) >= 0.5;
  // PyTorch saves no number.
  const factor = (x: number): Tensor => ofFunction(scalarOf(x, "float32"));
  const result = (): Tensor =>
    far
      ? sub(end, mul(sub(end, input), factor(1 - Number(weight))))
      : add(input, mul(factor(Number(weight)), sub(end, input)));
  return composed(() => named(result(), "LerpBackward0"));
}

/**
 * Elements moved into [min, max]; either may be missing or a tensor.
 * @throws TensorError "torch.clamp: At least one of 'min' or 'max' must not be None"
 */
export function clamp(input: Tensor, min?: Operand | null, max?: Operand | null): Tensor {
  const [low, high] = [min ?? undefined, max ?? undefined];
  if (low === undefined && high === undefined) {
    throw new TensorError("value", "torch.clamp: At least one of 'min' or 'max' must not be None");
  }
  let dtype = input.dtype;
  for (const bound of [low, high])
    if (bound !== undefined) dtype = promoteTypes(dtype, resultType(input, bound));
  const x = castTo(input, dtype);
  if (!(low instanceof Tensor) && !(high instanceof Tensor)) {
    const limits: { min?: number; max?: number } = {};
    if (low !== undefined) limits.min = Number(low);
    if (high !== undefined) limits.max = Number(high);
    return apply(math.clamp, [x], limits);
  }
  if (dtype === "bool" && low !== undefined && high !== undefined) notImplemented("clamp_cpu", dtype);
  const [larger, smaller] = dtype === "bool" ? [ops.logicalOr, ops.logicalAnd] : [ops.maximum, ops.minimum];
  return composed(() => {
    if (low !== undefined && high !== undefined && dtype === "float32")
      return named(between(x, operand(low, dtype), operand(high, dtype)), "ClampBackward0");
    const above = low === undefined ? x : call(larger, x, operand(low, dtype));
    const inside = high === undefined ? above : call(smaller, above, operand(high, dtype));
    return named(inside, "ClampBackward0");
  });
}

/**
 * min(max(x, low), high) with PyTorch's gradients. A bound that x is equal to gets half of the gradient, unless both bounds are
 * equal; `high` gets all of it where it is below `low`; a bound that is NaN gets none, and x all of it where x is NaN.
 */
function between(x: Tensor, low: Tensor, high: Tensor): Tensor {
  const { where, lt, gt, eq, isnan, logicalAnd, logicalOr, logicalNot } = ops;
  const nan = constant(NaN);
  const number = call(logicalNot, call(isnan, x));
  const ordered = call(logicalAnd, call(lt, low, high), number);
  const inside = call(ops.minimum, call(ops.maximum, x, low), high);
  const crossed = call(gt, low, high);
  const below = call(lt, x, low);
  const outside = call(logicalOr, below, call(gt, x, high));
  const bound = call(where, call(eq, low, high), call(where, below, low, high), nan);
  const noBound = call(logicalOr, call(isnan, low), call(isnan, high));
  // Where nothing bounds x: it is NaN, or a bound is, or both bounds are equal to it.
  const free = call(ops.add, x, call(where, crossed, high, call(where, noBound, nan, constant(0))));
  const rest = call(where, outside, bound, free);
  return call(where, ordered, inside, call(where, call(logicalAnd, crossed, number), high, rest));
}

/** The integer part: towards zero. */
export function trunc(input: Tensor): Tensor {
  if (input.dtype !== "float32") return copied(input);
  return composed(() => {
    const negative = ofFunction(call(ops.lt, input, constant(0)));
    const parts = [negative, call(ops.ceil, input), call(ops.floor, input)];
    return named(apply(ops.where, parts, {}), "TruncBackward0");
  });
}

/** The fraction: input − trunc(input). */
export function frac(input: Tensor): Tensor {
  return composed(() => named(sub(input, trunc(input)), "FracBackward0"));
}

/** Where negative, −0 included. */
export function signbit(input: Tensor): Tensor {
  if (input.dtype !== "float32") return binary(ops.lt, input, 0);
  return composed(() => {
    const zero = call(ops.eq, input, constant(0));
    return call(ops.lt, call(ops.where, zero, call(ops.reciprocal, input), input), constant(0));
  });
}

/** The angle of the point (other, input) in radians, from −π to π. */
export function atan2(input: Tensor, other: Tensor): Tensor {
  return composed(() => named(call(atan2Of, toFloat(input), toFloat(other)), "Atan2Backward0"));
}
