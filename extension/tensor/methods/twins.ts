// Methods that write what another method computes into the tensor: `x.erf_()` for `x.erf()`.
import { assign } from "../functions/pointwise/inplace.ts";
import { Tensor } from "../core/tensor.ts";
import { installAs } from "./install.ts";

/** Methods that PyTorch has in place too, and that need no function of their own for it. */
export const METHODS = [
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
export const COMPARISONS = [
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

declare module "../core/tensor.ts" {
  interface Tensor {
    /** In place: see acos. */
    acos_: Tensor["acos"];
    /** In place: see acosh. */
    acosh_: Tensor["acosh"];
    /** In place: see addbmm. */
    addbmm_: Tensor["addbmm"];
    /** In place: see addmm. */
    addmm_: Tensor["addmm"];
    /** In place: see addmv. */
    addmv_: Tensor["addmv"];
    /** In place: see addr. */
    addr_: Tensor["addr"];
    /** In place: see asin. */
    asin_: Tensor["asin"];
    /** In place: see asinh. */
    asinh_: Tensor["asinh"];
    /** In place: see atan. */
    atan_: Tensor["atan"];
    /** In place: see atan2. */
    atan2_: Tensor["atan2"];
    /** In place: see atanh. */
    atanh_: Tensor["atanh"];
    /** In place: see baddbmm. */
    baddbmm_: Tensor["baddbmm"];
    /** In place: see bitwiseAnd. */
    bitwiseAnd_: Tensor["bitwiseAnd"];
    /** In place: see bitwiseLeftShift. */
    bitwiseLeftShift_: Tensor["bitwiseLeftShift"];
    /** In place: see bitwiseNot. */
    bitwiseNot_: Tensor["bitwiseNot"];
    /** In place: see bitwiseOr. */
    bitwiseOr_: Tensor["bitwiseOr"];
    /** In place: see bitwiseRightShift. */
    bitwiseRightShift_: Tensor["bitwiseRightShift"];
    /** In place: see bitwiseXor. */
    bitwiseXor_: Tensor["bitwiseXor"];
    /** In place: see clip. */
    clip_: Tensor["clip"];
    /** In place: see copysign. */
    copysign_: Tensor["copysign"];
    /** In place: see cosh. */
    cosh_: Tensor["cosh"];
    /** In place: see cumprod. */
    cumprod_: Tensor["cumprod"];
    /** In place: see cumsum. */
    cumsum_: Tensor["cumsum"];
    /** In place: see deg2rad. */
    deg2rad_: Tensor["deg2rad"];
    /** In place: see digamma. */
    digamma_: Tensor["digamma"];
    /** In place: see erf. */
    erf_: Tensor["erf"];
    /** In place: see erfc. */
    erfc_: Tensor["erfc"];
    /** In place: see erfinv. */
    erfinv_: Tensor["erfinv"];
    /** In place: see exp2. */
    exp2_: Tensor["exp2"];
    /** In place: see expm1. */
    expm1_: Tensor["expm1"];
    /** In place: see floatPower. */
    floatPower_: Tensor["floatPower"];
    /** In place: see frac. */
    frac_: Tensor["frac"];
    /** In place: see heaviside. */
    heaviside_: Tensor["heaviside"];
    /** In place: see hypot. */
    hypot_: Tensor["hypot"];
    /** In place: see ldexp. */
    ldexp_: Tensor["ldexp"];
    /** In place: see lgamma. */
    lgamma_: Tensor["lgamma"];
    /** In place: see log10. */
    log10_: Tensor["log10"];
    /** In place: see log1p. */
    log1p_: Tensor["log1p"];
    /** In place: see log2. */
    log2_: Tensor["log2"];
    /** In place: see logit. */
    logit_: Tensor["logit"];
    /** In place: see nanToNum. */
    nanToNum_: Tensor["nanToNum"];
    /** In place: see rad2deg. */
    rad2deg_: Tensor["rad2deg"];
    /** In place: see sgn. */
    sgn_: Tensor["sgn"];
    /** In place: see sinc. */
    sinc_: Tensor["sinc"];
    /** In place: see sinh. */
    sinh_: Tensor["sinh"];
    /** In place: see tan. */
    tan_: Tensor["tan"];
    /** In place: see xlogy. */
    xlogy_: Tensor["xlogy"];
    /** In place: see eq. */
    eq_: Tensor["eq"];
    /** In place: see ge. */
    ge_: Tensor["ge"];
    /** In place: see gt. */
    gt_: Tensor["gt"];
    /** In place: see le. */
    le_: Tensor["le"];
    /** In place: see lt. */
    lt_: Tensor["lt"];
    /** In place: see ne. */
    ne_: Tensor["ne"];
    /** In place: see logicalAnd. */
    logicalAnd_: Tensor["logicalAnd"];
    /** In place: see logicalNot. */
    logicalNot_: Tensor["logicalNot"];
    /** In place: see logicalOr. */
    logicalOr_: Tensor["logicalOr"];
    /** In place: see logicalXor. */
    logicalXor_: Tensor["logicalXor"];
  }
}

/** Gives a method a twin whose result `write` puts into the tensor. */
function twin(name: string, write: (input: Tensor, result: Tensor) => Tensor): void {
  const compute = (Tensor.prototype as unknown as Record<string, (...args: unknown[]) => Tensor>)[name]!;
  installAs(`${name}_`, (input: Tensor, ...rest: unknown[]) => write(input, compute.apply(input, rest)));
}

for (const name of METHODS) twin(name, assign);
for (const name of COMPARISONS) twin(name, (input, result) => input.write(result.to(input.dtype)));
