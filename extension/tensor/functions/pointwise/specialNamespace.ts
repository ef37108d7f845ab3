// Functions of torch.special: PyTorch's names of functions of torch, and those that only torch.special has.
import * as bessel from "../../ops/elementwise/bessel.ts";
import { zeta as zetaOp } from "../../ops/elementwise/incompleteGamma.ts";
import type { Tensor } from "../../core/tensor.ts";
import { call } from "../../ops/expressions.ts";
import { add, div, mul, sub } from "./arithmetic.ts";
import { abs, eq, exp, gt, le, log, log1p, logicalOr, lt, neg, sin, square, where } from "./elementwise.ts";
import { endless, productOfLog } from "./logarithms.ts";
import { MAX_FLOAT } from "../../core/dtype.ts";
import { composed, toFloat, type Operand } from "./operands.ts";
import { operand } from "./promotion.ts";
import { detached } from "../creation/conversion.ts";
import { erfc, erfinv } from "./special.ts";

export { erf, exp2, expm1, log1p, round, sigmoid as expit } from "./elementwise.ts";
export {
  digamma,
  digamma as psi,
  erfc,
  erfinv,
  i0,
  i0 as modifiedBesselI0,
  igamma as gammainc,
  igammac as gammaincc,
  lgamma as gammaln,
  logit,
  mvlgamma as multigammaln,
  polygamma,
  sinc,
  xlogy,
} from "./special.ts";
export * from "./polynomials.ts";
export { airyAi } from "./airy.ts";
export { logsumexp } from "../reduction/reduction.ts";
export { logSoftmax, softmax } from "../reduction/reduction.ts";

/** I₁(x), the modified Bessel function of the first kind and order 1. */
export const i1 = (input: Tensor): Tensor => call(bessel.besselI1, toFloat(input));
export { i1 as modifiedBesselI1 };
/** e⁻ˡˣˡ I₀(x), which doesn't overflow. */
export const i0e = (input: Tensor): Tensor => call(bessel.besselI0e, toFloat(input));
/** e⁻ˡˣˡ I₁(x), which doesn't overflow. */
export const i1e = (input: Tensor): Tensor => call(bessel.besselI1e, toFloat(input));

/** J₀(x), the Bessel function of the first kind and order 0. */
export const besselJ0 = (input: Tensor): Tensor => call(bessel.besselJ0, toFloat(input));
/** J₁(x), the Bessel function of the first kind and order 1. */
export const besselJ1 = (input: Tensor): Tensor => call(bessel.besselJ1, toFloat(input));
/** Y₀(x), the Bessel function of the second kind and order 0; NaN for negative numbers. */
export const besselY0 = (input: Tensor): Tensor => call(bessel.besselY0, toFloat(input));
/** Y₁(x), the Bessel function of the second kind and order 1; NaN for negative numbers. */
export const besselY1 = (input: Tensor): Tensor => call(bessel.besselY1, toFloat(input));
/** K₀(x), the modified Bessel function of the second kind and order 0; NaN for negative numbers. */
export const modifiedBesselK0 = (input: Tensor): Tensor => call(bessel.besselK0, toFloat(input));
/** K₁(x), the modified Bessel function of the second kind and order 1; NaN for negative numbers. */
export const modifiedBesselK1 = (input: Tensor): Tensor => call(bessel.besselK1, toFloat(input));
/** eˣ K₀(x), which doesn't underflow. No gradient passes. */
export const scaledModifiedBesselK0 = (input: Tensor): Tensor =>
  call(bessel.besselK0e, toFloat(detached(input)));
/** eˣ K₁(x), which doesn't underflow. No gradient passes. */
export const scaledModifiedBesselK1 = (input: Tensor): Tensor =>
  call(bessel.besselK1e, toFloat(detached(input)));

/** Hurwitz' zeta function Σ 1 / (other + k)ˢ over k from 0 on; NaN for s < 1. It has no gradient by s. */
export const zeta = (input: Operand, other: Operand): Tensor =>
  call(zetaOp, operand(input, "float32"), operand(other, "float32"));

/** −x ln x; 0 at 0, −∞ below. */
export function entr(input: Tensor): Tensor {
  return composed(() => {
    const x = toFloat(input);
    const zero = eq(x, 0);
    const some = where(zero, 1, x);
    // Below 0, the logarithm's NaN is the gradient, as in PyTorch.
    return where(zero, endless(x, zero), where(lt(x, 0), -Infinity, neg(mul(some, log(some)))));
  });
}

/** x ln(1 + y), 0 where x is 0 (unless y is not a number). */
export function xlog1py(input: Operand, other: Operand): Tensor {
  return composed(() => {
    const [x, y] = [operand(input, "float32"), operand(other, "float32")];
    return productOfLog(x, log1p(y), le(y, -1));
  });
}

/** The distribution function of the standard normal distribution. */
export function ndtr(input: Tensor): Tensor {
  return composed(() => mul(erfc(mul(toFloat(input), -Math.SQRT1_2)), 0.5));
}

/** The quantile function of the standard normal distribution: the inverse of {@link ndtr}. */
export function ndtri(input: Tensor): Tensor {
  return composed(() => mul(erfinv(sub(mul(toFloat(input), 2), 1)), Math.SQRT2));
}

/** ln of {@link ndtr}, exact where that is close to 0 or 1. */
export function logNdtr(input: Tensor): Tensor {
  return composed(() => {
    const x = toFloat(input);
    const z = mul(x, -Math.SQRT1_2);
    const [upper, far] = [gt(x, 0), gt(z, FAR)];
    const above = log1p(mul(erfc(mul(where(upper, x, 0), Math.SQRT1_2)), -0.5));
    const below = log(mul(erfc(where(logicalOr(upper, far), 0, z)), 0.5));
    const tail = where(far, z, FAR);
    const last = sub(log(mul(scaledTail(tail), 0.5)), square(tail));
    return where(upper, above, where(far, last, below));
  });
}

/** From here on, erfc loses precision in float32. */
const FAR = 5;

/** eᶻ² erfc(z) for large z, by the continued fraction 1 / (z + ½ / (z + 1 / (z + …))) / √π. */
function scaledTail(z: Tensor): Tensor {
  let rest = z;
  for (let k = 12; k > 0; k--) rest = add(z, div(k / 2, rest));
  return div(1 / Math.sqrt(Math.PI), rest);
}

/** eˣ² erfc(x) without overflow for positive x. */
export function erfcx(input: Tensor): Tensor {
  return composed(() => {
    const x = toFloat(input);
    const [far, huge] = [gt(x, FAR), lt(x, -10)];
    const near = where(logicalOr(far, huge), 0, x);
    // Infinite, and so is its derivative.
    const infinite = mul(mul(where(huge, x, 0), -MAX_FLOAT), MAX_FLOAT);
    const inside = where(huge, infinite, mul(exp(square(near)), erfc(near)));
    return where(far, scaledTail(where(far, x, FAR)), inside);
  });
}

/** sin(x) / x, 1 at 0: the spherical Bessel function of the first kind and order 0. */
export function sphericalBesselJ0(input: Tensor): Tensor {
  return composed(() => {
    const x = toFloat(input);
    const [zero, infinite] = [eq(x, 0), eq(abs(x), Infinity)];
    const inside = where(logicalOr(zero, infinite), 1, x);
    return where(zero, 1, where(infinite, 0, div(sin(inside), inside)));
  });
}
