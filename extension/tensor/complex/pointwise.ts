// Complex numbers, element by element: formulas of the parts, with PyTorch's derivatives at 0.
import { TensorError } from "../core/errors.ts";
import type { Shape } from "../core/shape.ts";
import { Tensor } from "../core/tensor.ts";
import { ones, zeros } from "../functions/creation/creation.ts";
import { detached } from "../functions/creation/conversion.ts";
import * as real from "../functions/pointwise/arithmetic.ts";
import * as elementwise from "../functions/pointwise/elementwise.ts";
import { composed } from "../functions/pointwise/operands.ts";
import { expand } from "../functions/shape/shape.ts";
import { ComplexTensor } from "./complexTensor.ts";
import { bilinear, complexOf, imaginaryPart, realPart, toComplex, unchanged, type Operand } from "./parts.ts";

const { add, div: realDiv, mul: realMul, sub } = real;
const { cos, eq: realEq, logicalAnd, logicalOr, sin, where } = elementwise;

const asComplex = (x: Operand): ComplexTensor | number => (x instanceof Tensor ? toComplex(x) : Number(x));

/** a ± alpha · b. */
const summing =
  (combine: typeof add) =>
  (a: Operand, b: Operand, options?: { alpha?: number }): ComplexTensor =>
    complexOf(() => {
      const re = combine(realPart(a), realPart(b), options);
      const [ai, bi] = [imaginaryPart(a), imaginaryPart(b)];
      if (bi === undefined) return [re, unchanged(ai!, re.shape)];
      return [re, filling(combine(ai ?? 0, bi, options), re.shape)];
    });

/** Repeats a part to the shape that the other one has from a real operand. */
const filling = (part: Tensor, shape: Shape): Tensor =>
  part.ndim === shape.length && part.shape.every((n, d) => n === shape[d])
    ? part
    : unchanged(expand(part, shape), shape);

export const plus = summing(add);
export const minus = summing(sub);
/** b − alpha · a. */
export const minusFrom = (a: Operand, b: Operand, options?: { alpha?: number }): ComplexTensor =>
  minus(b, a, options);
export const times = bilinear(realMul);

/**
 * a / b. A complex divisor is scaled to parts of at most 1 first, as PyTorch does: their squares neither overflow nor vanish.
 * @throws TensorError for a rounding mode
 */
export function over(a: Operand, b: Operand, options?: { roundingMode?: unknown }): ComplexTensor {
  if (options?.roundingMode != null) {
    throw new TensorError("dtype", "div: complex numbers can't be rounded");
  }
  if (!(b instanceof ComplexTensor)) {
    return complexOf(() => [realDiv(realPart(a), b), realDiv(imaginaryPart(a)!, b)]);
  }
  return complexOf(() => {
    const scale = detached(real.maximum(elementwise.abs(b.re), elementwise.abs(b.im)));
    const [c, d] = [realDiv(b.re, scale), realDiv(b.im, scale)];
    const size = add(elementwise.square(c), elementwise.square(d));
    const [p, q] = [realDiv(c, size), realDiv(d, size)];
    const [ar, ai] = [realPart(a), imaginaryPart(a)];
    const [x, y] = [realMul(ar, p), elementwise.neg(realMul(ar, q))];
    const re = ai === undefined ? x : add(x, realMul(ai, q));
    const im = ai === undefined ? y : add(y, realMul(ai, p));
    return [realDiv(re, scale), realDiv(im, scale)];
  });
}

export const reciprocal = (z: ComplexTensor): ComplexTensor => over(1, z);
export const negative = ({ re, im }: ComplexTensor): ComplexTensor =>
  complexOf(() => [elementwise.neg(re), elementwise.neg(im)]);
export const conjugate = ({ re, im }: ComplexTensor): ComplexTensor =>
  complexOf(() => [unchanged(re, re.shape), elementwise.neg(im)]);
export const square = (z: ComplexTensor): ComplexTensor => times(z, z);

/** Where a number is 0, and its real part with 1 in those places: there, derivatives of roots and angles are 0. */
function awayFromZero({ re, im }: ComplexTensor): [zero: Tensor, re: Tensor] {
  const zero = logicalAnd(realEq(re, 0), realEq(im, 0));
  return [zero, where(zero, 1, re)];
}

/** √(re² + im²), whose gradient at 0 is 0. */
export function size({ re, im }: ComplexTensor): Tensor {
  return composed(() => {
    const squares = add(elementwise.square(re), elementwise.square(im));
    const zero = realEq(squares, 0);
    return where(zero, 0, elementwise.sqrt(where(zero, 1, squares)));
  });
}

/** The angle in (−π, π], whose gradient at 0 is 0. */
export function argument(z: ComplexTensor): Tensor {
  return composed(() => {
    const [zero, re] = awayFromZero(z);
    return where(zero, detached(real.atan2(z.im, z.re)), real.atan2(z.im, re));
  });
}

/** z / |z|, and 0 at 0. */
export function sign(z: ComplexTensor): ComplexTensor {
  return complexOf(() => {
    const length = size(z);
    const zero = realEq(length, 0);
    const divisor = where(zero, 1, length);
    return [where(zero, 0, realDiv(z.re, divisor)), where(zero, 0, realDiv(z.im, divisor))];
  });
}

/** length · (cos angle + i sin angle). */
export const fromPolar = (length: Tensor, angle: Tensor): ComplexTensor =>
  complexOf(() => [realMul(length, cos(angle)), realMul(length, sin(angle))]);

export const exponential = ({ re, im }: ComplexTensor): ComplexTensor =>
  complexOf(() => {
    const length = elementwise.exp(re);
    return [realMul(length, cos(im)), realMul(length, sin(im))];
  });

export const logarithm = (z: ComplexTensor): ComplexTensor =>
  complexOf(() => [elementwise.log(size(z)), argument(z)]);

/** The root with a real part of at least 0: of the two formulas the one that doesn't cancel. */
export function root(z: ComplexTensor): ComplexTensor {
  return complexOf(() => {
    const [zero, re] = awayFromZero(z);
    const { im } = z;
    const half = elementwise.sqrt(realMul(add(elementwise.abs(re), size(new ComplexTensor(re, im))), 0.5));
    const other = realDiv(im, realMul(half, 2));
    const right = elementwise.ge(re, 0);
    // On the left, the side of the cut: of numbers on it, what the sign of their 0 says.
    const side = where(real.signbit(im), -1, 1);
    return [
      where(zero, 0, where(right, half, realMul(other, side))),
      where(zero, im, where(right, other, realMul(half, side))),
    ];
  });
}

/** Exponents up to here are products. */
const MOST_FACTORS = 16;

/** z to a power: for small whole exponents a product, else exp(exponent · log z). */
export function power(z: Operand, exponent: Operand): ComplexTensor {
  if (typeof exponent === "number" && z instanceof ComplexTensor) {
    if (exponent === 0) return new ComplexTensor(ones(z.shape), zeros(z.shape));
    if (exponent === 0.5) return root(z);
    if (Number.isInteger(exponent) && Math.abs(exponent) <= MOST_FACTORS) {
      const whole = repeated(z, Math.abs(exponent));
      return exponent < 0 ? reciprocal(whole) : whole;
    }
  }
  const base = z instanceof Tensor ? logarithm(toComplex(z)) : Math.log(Number(z));
  return exponential(times(base, asComplex(exponent)));
}

function repeated(z: ComplexTensor, exponent: number): ComplexTensor {
  if (exponent === 1) return complexOf(() => [unchanged(z.re, z.shape), unchanged(z.im, z.shape)]);
  const squared = square(exponent < 4 ? z : repeated(z, exponent >> 1));
  return exponent % 2 === 0 ? squared : times(squared, z);
}

/** Where both parts are equal. */
export function equals(a: Operand, b: Operand): Tensor {
  const [x, y] = a instanceof ComplexTensor ? [a, b] : [b as ComplexTensor, a];
  return composed(() => logicalAnd(realEq(x.re, realPart(y)), realEq(x.im, imaginaryPart(y) ?? 0)));
}

export const differs = (a: Operand, b: Operand): Tensor => elementwise.logicalNot(equals(a, b));

/** A test that holds where it does of one of the parts, or of both. */
export const either = (test: (x: Tensor) => Tensor) => (z: ComplexTensor) =>
  composed(() => logicalOr(test(z.re), test(z.im)));
export const both = (test: (x: Tensor) => Tensor) => (z: ComplexTensor) =>
  composed(() => logicalAnd(test(z.re), test(z.im)));
