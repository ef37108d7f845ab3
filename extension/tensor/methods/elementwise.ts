// Methods that compute element by element.
import { install, type Method } from "./install.ts";
import * as arithmetic from "../functions/pointwise/arithmetic.ts";
import * as elementwise from "../functions/pointwise/elementwise.ts";

declare module "../core/tensor.ts" {
  interface Tensor {
    /** input + alpha · other. */
    add: Method<typeof arithmetic.add, "add">;
    /** input − alpha · other. */
    sub: Method<typeof arithmetic.sub, "sub">;
    /** other − input. */
    rsub: Method<typeof arithmetic.rsub, "rsub">;
    /** input · other. */
    mul: Method<typeof arithmetic.mul, "mul">;
    /** input / other; `roundingMode` "floor" or "trunc". */
    div: Method<typeof arithmetic.div, "div">;
    /** ⌊input / other⌋. */
    floorDivide: Method<typeof arithmetic.floorDivide, "floorDivide">;
    /** The remainder that has the sign of `other`, as Python's `%`. */
    remainder: Method<typeof arithmetic.remainder, "remainder">;
    /** The remainder that has the sign of this tensor, as JavaScript's `%`. */
    fmod: Method<typeof arithmetic.fmod, "fmod">;
    /** To the power of `exponent`. */
    pow: Method<typeof arithmetic.pow, "pow">;
    /** The larger of two, element by element. */
    maximum: Method<typeof arithmetic.maximum, "maximum">;
    /** The smaller of two, element by element. */
    minimum: Method<typeof arithmetic.minimum, "minimum">;
    /** input + value · tensor1 · tensor2. */
    addcmul: Method<typeof arithmetic.addcmul, "addcmul">;
    /** input + value · tensor1 / tensor2. */
    addcdiv: Method<typeof arithmetic.addcdiv, "addcdiv">;
    /** input + weight · (end − input). */
    lerp: Method<typeof arithmetic.lerp, "lerp">;
    /** Elements moved into [min, max]; either may be missing or a tensor. */
    clamp: Method<typeof arithmetic.clamp, "clamp">;
    /** The integer part, towards zero. */
    trunc: Method<typeof arithmetic.trunc, "trunc">;
    /** The fraction: input − trunc(input). */
    frac: Method<typeof arithmetic.frac, "frac">;
    /** The angle of the point (other, input) in radians. */
    atan2: Method<typeof arithmetic.atan2, "atan2">;
    /** −input. */
    neg: Method<typeof elementwise.neg, "neg">;
    /** |input|. */
    abs: Method<typeof elementwise.abs, "abs">;
    /** −1, 0 or 1. */
    sign: Method<typeof elementwise.sign, "sign">;
    /** eˣ. */
    exp: Method<typeof elementwise.exp, "exp">;
    /** eˣ − 1, exact near 0. */
    expm1: Method<typeof elementwise.expm1, "expm1">;
    /** 2ˣ. */
    exp2: Method<typeof elementwise.exp2, "exp2">;
    /** Natural logarithm. */
    log: Method<typeof elementwise.log, "log">;
    /** ln(1 + x), exact near 0. */
    log1p: Method<typeof elementwise.log1p, "log1p">;
    /** Logarithm to base 2. */
    log2: Method<typeof elementwise.log2, "log2">;
    /** Logarithm to base 10. */
    log10: Method<typeof elementwise.log10, "log10">;
    /** Square root. */
    sqrt: Method<typeof elementwise.sqrt, "sqrt">;
    /** 1 / √x. */
    rsqrt: Method<typeof elementwise.rsqrt, "rsqrt">;
    /** x². */
    square: Method<typeof elementwise.square, "square">;
    /** 1 / x. */
    reciprocal: Method<typeof elementwise.reciprocal, "reciprocal">;
    /** Sine. */
    sin: Method<typeof elementwise.sin, "sin">;
    /** Cosine. */
    cos: Method<typeof elementwise.cos, "cos">;
    /** Tangent. */
    tan: Method<typeof elementwise.tan, "tan">;
    /** Inverse sine. */
    asin: Method<typeof elementwise.asin, "asin">;
    /** Inverse cosine. */
    acos: Method<typeof elementwise.acos, "acos">;
    /** Inverse tangent. */
    atan: Method<typeof elementwise.atan, "atan">;
    /** Hyperbolic sine. */
    sinh: Method<typeof elementwise.sinh, "sinh">;
    /** Hyperbolic cosine. */
    cosh: Method<typeof elementwise.cosh, "cosh">;
    /** Hyperbolic tangent. */
    tanh: Method<typeof elementwise.tanh, "tanh">;
    /** Inverse hyperbolic sine. */
    asinh: Method<typeof elementwise.asinh, "asinh">;
    /** Inverse hyperbolic cosine. */
    acosh: Method<typeof elementwise.acosh, "acosh">;
    /** Inverse hyperbolic tangent. */
    atanh: Method<typeof elementwise.atanh, "atanh">;
    /** The error function. */
    erf: Method<typeof elementwise.erf, "erf">;
    /** 1 / (1 + e⁻ˣ). */
    sigmoid: Method<typeof elementwise.sigmoid, "sigmoid">;
    /** The larger of x and 0. */
    relu: Method<typeof elementwise.relu, "relu">;
    /** Down to a whole number. */
    floor: Method<typeof elementwise.floor, "floor">;
    /** Up to a whole number. */
    ceil: Method<typeof elementwise.ceil, "ceil">;
    /** To the nearest whole number, halves to the even one. */
    round: Method<typeof elementwise.round, "round">;
    /** Where not a number. */
    isnan: Method<typeof elementwise.isnan, "isnan">;
    /** Where infinite. */
    isinf: Method<typeof elementwise.isinf, "isinf">;
    /** Where neither infinite nor not a number. */
    isfinite: Method<typeof elementwise.isfinite, "isfinite">;
    /** NaN replaced by `nan` (0), infinities by the largest float32. */
    nanToNum: Method<typeof elementwise.nanToNum, "nanToNum">;
    /** Where both are equal. */
    eq: Method<typeof elementwise.eq, "eq">;
    /** Where they differ. */
    ne: Method<typeof elementwise.ne, "ne">;
    /** Where input < other. */
    lt: Method<typeof elementwise.lt, "lt">;
    /** Where input ≤ other. */
    le: Method<typeof elementwise.le, "le">;
    /** Where input > other. */
    gt: Method<typeof elementwise.gt, "gt">;
    /** Where input ≥ other. */
    ge: Method<typeof elementwise.ge, "ge">;
    /** Where |input − other| ≤ atol + rtol · |other|. */
    isclose: Method<typeof elementwise.isclose, "isclose">;
    /** Where both are true (not 0). */
    logicalAnd: Method<typeof elementwise.logicalAnd, "logicalAnd">;
    /** Where either is true. */
    logicalOr: Method<typeof elementwise.logicalOr, "logicalOr">;
    /** Where exactly one is true. */
    logicalXor: Method<typeof elementwise.logicalXor, "logicalXor">;
    /** Where false (0). */
    logicalNot: Method<typeof elementwise.logicalNot, "logicalNot">;
    /** `value` where the mask holds. */
    maskedFill: Method<typeof elementwise.maskedFill, "maskedFill">;
  }
}

install(arithmetic, [
  "add",
  "sub",
  "rsub",
  "mul",
  "div",
  "floorDivide",
  "remainder",
  "fmod",
  "pow",
  "maximum",
  "minimum",
  "addcmul",
  "addcdiv",
  "lerp",
  "clamp",
  "trunc",
  "frac",
  "atan2",
]);
install(elementwise, [
  "neg",
  "abs",
  "sign",
  "exp",
  "expm1",
  "exp2",
  "log",
  "log1p",
  "log2",
  "log10",
  "sqrt",
  "rsqrt",
  "square",
  "reciprocal",
  "sin",
  "cos",
  "tan",
  "asin",
  "acos",
  "atan",
  "sinh",
  "cosh",
  "tanh",
  "asinh",
  "acosh",
  "atanh",
  "erf",
  "sigmoid",
  "relu",
  "floor",
  "ceil",
  "round",
  "isnan",
  "isinf",
  "isfinite",
  "nanToNum",
  "eq",
  "ne",
  "lt",
  "le",
  "gt",
  "ge",
  "isclose",
  "logicalAnd",
  "logicalOr",
  "logicalXor",
  "logicalNot",
  "maskedFill",
]);
