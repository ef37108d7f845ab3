// Methods that write what another method computes into the tensor: `x.erf_()` for `x.erf()`.
import { assign } from "../functions/pointwise/inplace.ts";
import { Tensor } from "../core/tensor.ts";
import { installAs } from "./install.ts";

/** Methods that PyTorch has in place too, and that need no function of their own for it. */
const METHODS = [
  "acos",
  "acosh",
  "addbmm",
  "addmm",
  "addmv",
  "addr",
  "asin",
  "asinh",
  "atan",
  "atan2",
  "atanh",
  "baddbmm",
  "bitwiseAnd",
  "bitwiseLeftShift",
  "bitwiseNot",
  "bitwiseOr",
  "bitwiseRightShift",
  "bitwiseXor",
  "clip",
  "copysign",
  "cosh",
  "cumprod",
  "cumsum",
  "deg2rad",
  "digamma",
  "erf",
  "erfc",
  "erfinv",
  "exp2",
  "expm1",
  "floatPower",
  "frac",
  "heaviside",
  "hypot",
  "ldexp",
  "lgamma",
  "log10",
  "log1p",
  "log2",
  "logit",
  "nanToNum",
  "rad2deg",
  "sgn",
  "sinc",
  "sinh",
  "tan",
  "xlogy",
] as const;

/** Those whose result, true or false, becomes 1 or 0 of the tensor's own type. */
const COMPARISONS = [
  "eq",
  "ge",
  "gt",
  "le",
  "lt",
  "ne",
  "logicalAnd",
  "logicalNot",
  "logicalOr",
  "logicalXor",
] as const;

type Twins = {
  [K in (typeof METHODS)[number] | (typeof COMPARISONS)[number] as `${K}_`]: Tensor[K];
};

declare module "../core/tensor.ts" {
  interface Tensor extends Twins {}
}

/** Gives a method a twin whose result `write` puts into the tensor. */
function twin(name: string, write: (input: Tensor, result: Tensor) => Tensor): void {
  const compute = (Tensor.prototype as unknown as Record<string, (...args: unknown[]) => Tensor>)[name]!;
  installAs(`${name}_`, (input: Tensor, ...rest: unknown[]) => write(input, compute.apply(input, rest)));
}

for (const name of METHODS) twin(name, assign);
for (const name of COMPARISONS) twin(name, (input, result) => input.write(result.to(input.dtype)));
