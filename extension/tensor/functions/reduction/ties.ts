// Gradients of elements that are equal.
import { apply } from "../../recording/apply.ts";
import type { Tensor } from "../../core/tensor.ts";
import { amax } from "../../ops/reduction/reduction.ts";
import { div, maximum, mul } from "../pointwise/arithmetic.ts";
import { eq, isnan, where } from "../pointwise/elementwise.ts";
import { castTo } from "../pointwise/operands.ts";
import { sum } from "./reduction.ts";

/** `value` of some elements of x, so that all elements equal to it share its gradient; NaNs are equal here. */
export function sharedByEqual(x: Tensor, value: Tensor): Tensor {
  const dims = x.shape.map((_, d) => d);
  // Nothing is below -Infinity, so the sign is turned for it.
  const sign = where(eq(value, -Infinity), -1, 1);
  const equal = where(eq(x, value), mul(x, sign), -Infinity);
  const number = mul(apply(amax, [equal], { dims, keepdim: false }), sign);
  const nans = isnan(x);
  const count = maximum(sum(castTo(nans, "float32")), 1);
  const nan = sum(where(nans, div(x, count), 0));
  return where(isnan(value), nan, number);
}
