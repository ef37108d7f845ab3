// Divisors of integers, and parts of floats and their neighbours.
import { TensorError } from "../../core/errors.ts";
import type { Tensor } from "../../core/tensor.ts";
import * as ops from "../../ops/elementwise/numbers.ts";
import * as pairs from "../../ops/elementwise/pairs.ts";
import { results, type Results } from "../results.ts";
import { add, mul, div } from "./arithmetic.ts";
import { abs, eq, ge, isfinite, logicalAnd, lt, ne, where } from "./elementwise.ts";
import { castTo, composed, composedAll, named, notImplemented } from "./operands.ts";
import { operand, resultType } from "./promotion.ts";
import { call } from "../../ops/expressions.ts";

/**
 * The greatest common divisor of integers; 0 of two zeros. On WebAssembly, where remainders are those of floats, exact up to 2²⁴.
 * @throws TensorError "\"gcd_cpu\" not implemented for 'Float'"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.gcd.html
 */
export function gcd(input: Tensor, other: Tensor): Tensor {
  const dtype = resultType(input, other);
  if (dtype !== "int64") notImplemented("gcd_cpu", dtype);
  return call(pairs.gcd, castTo(input, dtype), castTo(other, dtype));
}

/**
 * The least common multiple of integers; 0 where one of them is 0.
 * @throws TensorError "\"lcm_cpu\" not implemented for 'Float'"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.lcm.html
 */
export function lcm(input: Tensor, other: Tensor): Tensor {
  const dtype = resultType(input, other);
  if (dtype !== "int64") notImplemented("lcm_cpu", dtype);
  return composed(() => {
    const divisor = gcd(input, other);
    const quotient = div(operand(input, "int64"), where(eq(divisor, 0), 1, divisor), {
      roundingMode: "trunc",
    });
    return abs(mul(quotient, other));
  });
}

/** Powers of two whose products are all powers of two that a float may have to be scaled by. */
const POWERS = [64, 32, 16, 8, 4, 2, 1, 1];

/**
 * Mantissa and exponent with input = mantissa · 2^exponent and 1/2 ≤ |mantissa| < 1; the input and 0 where it is 0, infinite
 * or NaN.
 * @throws TensorError "torch.frexp() only supports floating-point dtypes"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.frexp.html
 */
export function frexp(input: Tensor): Results<{ mantissa: Tensor; exponent: Tensor }> {
  if (input.dtype !== "float32")
    throw new TensorError("dtype", "torch.frexp() only supports floating-point dtypes");
  const [mantissa, exponent] = composedAll(() => {
    const ordinary = logicalAnd(isfinite(input), ne(input, 0));
    let m = where(ordinary, input, 0.5);
    let e = where(ordinary, 0, 0);
    const scale = (test: Tensor, by: number): void => {
      m = where(test, mul(m, 2 ** -by), m);
      e = where(test, add(e, by), e);
    };
    for (const power of POWERS) {
      scale(ge(abs(m), 2 ** (power - 1)), power);
      scale(lt(abs(m), 2 ** -power), -power);
    }
    return [named(where(ordinary, m, input), "FrexpBackward0"), e] as const;
  });
  return results("frexp", { mantissa, exponent });
}

/**
 * The next float after `input` in the direction of `other`. The native engine takes denormal numbers for 0.
 * @throws TensorError "\"nextafter_cpu\" not implemented for 'Long'"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nextafter.html
 */
export function nextafter(input: Tensor, other: Tensor): Tensor {
  const dtype = resultType(input, other);
  if (dtype !== "float32") notImplemented("nextafter_cpu", dtype);
  return call(ops.nextafter, operand(input, dtype), operand(other, dtype));
}
