// Products with logarithms, and logarithms of sums.
import type { Tensor } from "../../core/tensor.ts";
import { add, maximum, mul, sub } from "./arithmetic.ts";
import { abs, eq, exp, log1p, logicalAnd, logicalOr, neg, sqrt, where } from "./elementwise.ts";

/**
 * x · log, 0 where x is 0 unless the logarithm is NaN by its argument. By x, the derivative is 0 there if `nonpositive` (the
 * argument is not above 0), else the logarithm. By the argument it is NaN at 0, as in PyTorch.
 */
export function productOfLog(x: Tensor, log: Tensor, nonpositive: Tensor): Tensor {
  const none = eq(x, 0);
  const zero = logicalAnd(none, nonpositive);
  const steep = logicalAnd(none, eq(log, Infinity));
  const product = mul(where(logicalOr(zero, steep), 0, x), log);
  return where(zero, 0, where(steep, endless(x, steep), product));
}

/** The root of x, which is 0 at the places of `zero`, where its derivative is infinite. */
export const endless = (x: Tensor, zero: Tensor): Tensor => sqrt(add(where(zero, x, 1), 0));

/** ln(eˣ + eʸ) without overflow. Equal infinities share the gradient. */
export function logOfSum(x: Tensor, y: Tensor): Tensor {
  const top = maximum(x, y);
  const same = logicalAnd(eq(x, y), eq(abs(top), Infinity));
  const gap = where(same, 0, neg(abs(sub(where(same, 0, x), where(same, 0, y)))));
  return where(same, top, add(top, log1p(exp(gap))));
}
