// Special functions, parts of numbers and bits of integers.
import { ofFunction } from "../../recording/version.ts";
import { apply } from "../../recording/apply.ts";
import { SCALAR_TYPE } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import * as math from "../../ops/elementwise/math.ts";
import * as bessel from "../../ops/elementwise/bessel.ts";
import * as incompleteGamma from "../../ops/elementwise/incompleteGamma.ts";
import * as ops from "../../ops/elementwise/special.ts";
import * as pairs from "../../ops/elementwise/pairs.ts";
import type { Op } from "../../recording/op.ts";
import { Tensor } from "../../core/tensor.ts";
import { add, clamp, div, maximum, minimum, mul, pow, sub } from "./arithmetic.ts";
import { logOfSum, productOfLog } from "./logarithms.ts";
import { alsoOfProduct } from "./slopes.ts";
import {
  abs,
  eq,
  gt,
  isnan,
  le,
  lt,
  log,
  logicalAnd,
  logicalNot,
  logicalOr,
  logicalXor,
  sign,
  where,
} from "./elementwise.ts";
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
import { operand, resultType } from "./promotion.ts";
import { gatherLast } from "../../ops/movement/elements.ts";
import { sort } from "../indexing/gathering.ts";
import { FEW_BOUNDARIES } from "../../tuning.ts";
import { placesIn } from "../indexing/searching.ts";
import { any } from "../reduction/reduction.ts";
import { reshape } from "../shape/shape.ts";
import { call } from "../../ops/expressions.ts";

/** 1 − erf(x), exact where that is small. */
export const erfc = (input: Tensor): Tensor => call(ops.erfc, toFloat(input));
/** The inverse of erf. */
export const erfinv = (input: Tensor): Tensor => call(ops.erfinv, toFloat(input));
/** ln |Γ(x)|. */
export const lgamma = (input: Tensor): Tensor => call(ops.lgamma, toFloat(input));
/** The derivative of {@link lgamma}. */
export const digamma = (input: Tensor): Tensor =>
  named(apply(ops.polygamma, [toFloat(input)], { n: 0 }), "DigammaBackward0");

/** The n-th derivative of {@link digamma}, for positive arguments. */
export function polygamma(n: number, input: Tensor): Tensor {
  if (!(n >= 0)) throw new TensorError("value", "polygamma(n, x) does not support negative n.");
  return apply(ops.polygamma, [toFloat(input)], { n });
}

/** I₀(x), the modified Bessel function of the first kind and order 0. */
export const i0 = (input: Tensor): Tensor => named(call(bessel.besselI0, toFloat(input)), "I0Backward0");

function incomplete(op: Op<object>, name: string, input: Tensor, other: Tensor): Tensor {
  const dtype = resultType(input, other);
  if (dtype !== "float32") notImplemented(`${name}_cpu`, dtype);
  return call(op, toFloat(input), toFloat(other));
}

/**
 * P(input, other), the regularized lower incomplete gamma function: ∫ tᵃ⁻¹ e⁻ᵗ dt / Γ(a) from 0 to x. It has no gradient by a.
 * @throws TensorError "\"igamma_cpu\" not implemented for 'Long'"
 */
export const igamma = (input: Tensor, other: Tensor): Tensor =>
  incomplete(incompleteGamma.igamma, "igamma", input, other);

/** Q(input, other) = 1 − P(input, other), the regularized upper incomplete gamma function. */
export const igammac = (input: Tensor, other: Tensor): Tensor =>
  incomplete(incompleteGamma.igammac, "igammac", input, other);

/**
 * ln of the multivariate gamma function of dimension p: p (p − 1) / 4 · ln π + Σ ln Γ(x − j / 2) for j from 0 to p − 1.
 * @throws TensorError "p has to be greater than or equal to 1"
 */
export function mvlgamma(input: Tensor, p: number): Tensor {
  if (!(p >= 1)) throw new TensorError("value", "p has to be greater than or equal to 1");
  return composed(() => {
    const x = toFloat(input);
    let result = add(lgamma(x), (p * (p - 1) * Math.log(Math.PI)) / 4);
    for (let j = 1; j < p; j++) result = add(result, lgamma(sub(x, j / 2)));
    return named(result, "MvlgammaBackward0");
  });
}

/** ln(x / (1 − x)), of x moved into [eps, 1 − eps] if eps is given. */
export function logit(input: Tensor, eps?: number | null): Tensor {
  return composed(() => {
    const p = eps !== undefined && eps !== null && eps >= 0 ? within(toFloat(input), eps) : toFloat(input);
    const edge = logicalOr(eq(p, 0), eq(p, 1));
    const x = where(edge, 0.5, p);
    const inside = log(div(x, sub(1, x)));
    // The gradient is infinite at 0 and 1, and NaN where the value is.
    const either = where(edge, sub(log(add(p, 0)), log(sub(1, p))), inside);
    return named(alsoOfProduct(x, new Tensor(inside.value), either), "LogitBackward0", input);
  });
}

/** Moved into [eps, 1 − eps], on whose ends the gradient passes; `eps` above ½ is the lower bound of 1 − eps. */
function within(x: Tensor, eps: number): Tensor {
  const low = Math.fround(eps);
  const high = Math.fround(1 - low);
  return where(lt(x, low), low, where(gt(x, high), high, x));
}

/** x ln y, 0 where x is 0 (unless y is not a number). The derivative by x is ln y there too, but 0 for y ≤ 0. */
export function xlogy(input: Operand, other: Operand): Tensor {
  return composed(() => {
    const [x, y] = [operand(input, "float32"), operand(other, "float32")];
    return named(productOfLog(x, log(y), le(y, 0)), "XlogyBackward0", x);
  });
}

/** ln(eˣ + eʸ) without overflow. */
export function logaddexp(input: Tensor, other: Tensor): Tensor {
  const dtype = resultType(input, other);
  if (dtype !== "float32") notImplemented("logaddexp_cpu", dtype);
  return composed(() => {
    const result = logOfSum(input, other);
    // PyTorch's derivative is e to the power of input − result: NaN of equal infinities.
    const same = logicalAnd(eq(input, other), eq(abs(input), Infinity));
    const infinite = (x: Tensor): Tensor => where(same, x, 0);
    return named(alsoOfProduct(infinite(input), infinite(other), result), "LogaddexpBackward0");
  });
}

/** log₂(2ˣ + 2ʸ) without overflow. */
export function logaddexp2(input: Tensor, other: Tensor): Tensor {
  return composed(() => {
    const scaled = (x: Tensor): Tensor => mul(x, Math.LN2);
    return named(
      div(logaddexp(scaled(input), scaled(other)), Math.LN2),
      "Logaddexp2Backward0",
      asTensor(input),
      asTensor(other),
    );
  });
}

/** √(x² + y²), without overflow of the squares; ∞ where either is infinite. */
export function hypot(input: Tensor, other: Tensor): Tensor {
  return composed(() => {
    const result = call(pairs.hypot, toFloat(input), toFloat(other));
    return named(result, "HypotBackward0", input, other, result);
  });
}

/** |input| with the sign of `other`, which −0 has, too. */
export function copysign(input: Tensor, other: Operand): Tensor {
  return composed(() => {
    const sign = other instanceof Tensor ? toFloat(other) : constant(Number(other));
    return named(call(pairs.copysign, toFloat(input), sign), "CopysignBackward0");
  });
}

/** 0 for negative numbers, 1 for positive ones, `values` for 0. */
export function heaviside(input: Tensor, values: Tensor): Tensor {
  if (input.dtype !== values.dtype) {
    throw new TensorError("dtype", "heaviside is not yet implemented for tensors with different dtypes.");
  }
  return composed(() => where(eq(input, 0), values, castTo(gt(input, 0), input.dtype)));
}

/** Degrees as radians. */
export const deg2rad = (input: Tensor): Tensor =>
  composed(() => named(mul(toFloat(input), ofFunction(constant(Math.PI / 180))), "Deg2RadBackward0"));
/** Radians as degrees. */
export const rad2deg = (input: Tensor): Tensor =>
  composed(() => named(mul(toFloat(input), ofFunction(constant(180 / Math.PI))), "Rad2DegBackward0"));

/** sin(πx) / (πx), 1 at 0. */
export const sinc = (input: Tensor): Tensor => call(math.sinc, toFloat(input));

/** −1, 0 or 1. */
export const sgn = (input: Tensor): Tensor => sign(input);
/** Where +∞. */
export const isposinf = (input: Tensor): Tensor => eq(input, Infinity);
/** Where −∞. */
export const isneginf = (input: Tensor): Tensor => eq(input, -Infinity);

/** The larger of two; a number wins over NaN. */
export function fmax(input: Tensor, other: Tensor): Tensor {
  return composed(() => named(numbers(input, other, maximum), "FmaxBackward0"));
}

/** The smaller of two; a number wins over NaN. */
export function fmin(input: Tensor, other: Tensor): Tensor {
  return composed(() => named(numbers(input, other, minimum), "FminBackward0"));
}

function numbers(x: Tensor, y: Tensor, choose: (a: Tensor, b: Tensor) => Tensor): Tensor {
  return where(isnan(y), x, where(isnan(x), y, choose(x, y)));
}

/** A power computed in floats, whatever the types. */
export function floatPower(input: Tensor, exponent: Operand): Tensor {
  return pow(toFloat(input), exponent instanceof Tensor ? toFloat(exponent) : exponent);
}

/** Returns `input`. */
export const positive = (input: Tensor): Tensor => input;

/** input · 2ᵉ. */
export function ldexp(input: Tensor, other: Tensor): Tensor {
  return composed(() => mul(toFloat(input), pow(2, toFloat(other))));
}

/** Where an element is one of `test`. */
export function isin(
  elements: Tensor,
  test: Operand,
  options: { invert?: boolean; assumeUnique?: boolean } = {},
): Tensor {
  return composed(() => {
    const among = asTensor(test);
    const found = isAmong(elements, reshape(among, [among.numel()]));
    return options.invert === true ? logicalNot(found) : found;
  });
}

function isAmong(elements: Tensor, among: Tensor): Tensor {
  const last = among.numel() - 1;
  if (last < FEW_BOUNDARIES) return any(eq(reshape(elements, [...elements.shape, 1]), among), -1);
  // Comparing all with all would take a matrix: the first one that isn't below an element is equal to it, or none is.
  const dtype = resultType(elements, among);
  const ordered = dtype === "bool" ? "int64" : dtype;
  const [sorted] = sort(castTo(among, ordered), 0);
  const x = reshape(castTo(elements, ordered), [elements.numel()]);
  const places = minimum(placesIn(sorted, x, false), last);
  return reshape(eq(call(gatherLast, sorted, places), x), elements.shape);
}

function bits(name: string, kind: ops.BitKind, input: Operand, other: Operand): Tensor {
  const dtype = resultType(input, other);
  if (dtype === "float32") {
    throw new TensorError("dtype", `"${name}_cpu" not implemented for '${SCALAR_TYPE[dtype]}'`);
  }
  return apply(ops.bitwise, [operand(input, "int64"), operand(other, "int64")], { kind });
}

function logical(input: Operand, other: Operand): boolean {
  return resultType(input, other) === "bool";
}

/** Both, bit by bit; of booleans both. */
export const bitwiseAnd = (input: Operand, other: Operand): Tensor =>
  logical(input, other) ? logicalAnd(input, other) : bits("bitwise_and", "and", input, other);
/** Either, bit by bit; of booleans either. */
export const bitwiseOr = (input: Operand, other: Operand): Tensor =>
  logical(input, other) ? logicalOr(input, other) : bits("bitwise_or", "or", input, other);
/** Exactly one, bit by bit; of booleans exactly one. */
export const bitwiseXor = (input: Operand, other: Operand): Tensor =>
  logical(input, other) ? logicalXor(input, other) : bits("bitwise_xor", "xor", input, other);
/** Where a number of places is not from 0 to 31: int64 has 32 bits here, and kernels differ beyond them. */
const beyond = (places: Tensor): Tensor => logicalOr(lt(places, 0), gt(places, 31));

/** Bits moved up: none are left beyond 31 places, or of a negative number of places. */
export const bitwiseLeftShift = (input: Operand, other: Operand): Tensor =>
  composed(() => {
    const places = operand(other, "int64");
    return where(beyond(places), 0, bits("lshift", "left", input, where(beyond(places), 0, places)));
  });
/** Bits moved down, the sign kept: only the sign is left beyond 31 places, or of a negative number of places. */
export const bitwiseRightShift = (input: Operand, other: Operand): Tensor =>
  composed(() => {
    const places = operand(other, "int64");
    return bits("rshift", "right", input, where(beyond(places), 31, places));
  });

/** Every bit turned over: −x − 1; of booleans where false. */
export function bitwiseNot(input: Tensor): Tensor {
  if (input.dtype === "bool") return logicalNot(input);
  return apply(ops.bitwise, [operand(input, "int64"), constant(-1, "int64")], { kind: "xor" });
}

/** Elements moved up to a bound. */
export const clampMin = (input: Tensor, min: Operand): Tensor => clamp(input, min);
/** Elements moved down to a bound. */
export const clampMax = (input: Tensor, max: Operand): Tensor => clamp(input, null, max);
