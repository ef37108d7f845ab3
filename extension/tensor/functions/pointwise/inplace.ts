// Functions that write what another function computes into its first argument: all that share its memory see it.
import { promoteTypes, SCALAR_TYPE } from "../../core/dtype.ts";
import { TensorError } from "../../core/errors.ts";
import { Tensor } from "../../core/tensor.ts";
import { Value } from "../../recording/graph.ts";
import * as arithmetic from "./arithmetic.ts";
import * as elementwise from "./elementwise.ts";
import * as numbers from "./numbers.ts";
import * as special from "./special.ts";
import * as gathering from "../indexing/gathering.ts";
import * as linalg from "../linalg/linalg.ts";
import * as products from "../linalg/products.ts";
import * as reduction from "../reduction/reduction.ts";
import * as statistics from "../reduction/statistics.ts";
import * as placing from "../shape/placing.ts";
import * as triangular from "../shape/triangular.ts";
import { castTo } from "./operands.ts";

/**
 * Writes a result into the tensor it was computed from.
 * @throws TensorError "result type Float can't be cast to the desired output type Long"
 */
function assign(input: Tensor, result: Tensor, made: number, since: number, alike = false): Tensor {
  if (promoteTypes(input.dtype, result.dtype) !== input.dtype) {
    throw new TensorError(
      "dtype",
      `result type ${SCALAR_TYPE[result.dtype]} can't be cast to the desired output type ${SCALAR_TYPE[input.dtype]}`,
    );
  }
  return input.write(castTo(result, input.dtype), made, since, alike);
}

/** Writes what is alike at all places that are one in memory: an expanded tensor may be written to. */
const assignAlike: typeof assign = (input, result, made, since) => assign(input, result, made, since, true);

/** Writes a truth value as 1 or 0 of the tensor's own type. */
const assignTruth = (input: Tensor, result: Tensor, made: number, since: number): Tensor =>
  input.write(castTo(result, input.dtype), made, since);

/** The in-place form of a function. */
function inPlace<F extends (input: never, ...rest: never[]) => Tensor>(compute: F, write = assign): F {
  const f = compute as unknown as (input: Tensor, ...rest: readonly unknown[]) => Tensor;
  const form = (input: Tensor, ...rest: readonly unknown[]): Tensor => {
    const { made } = Value;
    const { value } = input;
    // As in PyTorch, what is saved of the tensor itself is from before the write, but not what is given as another argument.
    const again = rest.some((x) => x instanceof Tensor && x.value === value);
    const result = f(input, ...rest);
    return write(input, result, made, again ? Value.made : made);
  };
  return form as unknown as F;
}

/** input += alpha · other. */
export const add_ = inPlace(arithmetic.add);
/** input −= alpha · other. */
export const sub_ = inPlace(arithmetic.sub);
/** input ·= other. */
export const mul_ = inPlace(arithmetic.mul);
/** input /= other. */
export const div_ = inPlace(arithmetic.div);
/** input = inputᵉ. */
export const pow_ = inPlace(arithmetic.pow);
/** input = input mod other. */
export const remainder_ = inPlace(arithmetic.remainder);
/** input += value · tensor1 · tensor2. */
export const addcmul_ = inPlace(arithmetic.addcmul);
/** input += value · tensor1 / tensor2. */
export const addcdiv_ = inPlace(arithmetic.addcdiv);
/** input += weight · (end − input). */
export const lerp_ = inPlace(arithmetic.lerp);
/** Elements moved into [min, max]. */
export const clamp_ = inPlace(arithmetic.clamp);
/** In-place `trunc`. */
export const trunc_ = inPlace(arithmetic.trunc);
/** In-place `floorDivide`. */
export const floorDivide_ = inPlace(arithmetic.floorDivide);
/** In-place `fmod`. */
export const fmod_ = inPlace(arithmetic.fmod);
/** In-place `frac`. */
export const frac_ = inPlace(arithmetic.frac);
/** In-place `atan2`. */
export const atan2_ = inPlace(arithmetic.atan2);
/** In-place `clip`. */
export const clip_ = inPlace(arithmetic.clamp);

/** input = −input. */
export const neg_ = inPlace(elementwise.neg);
/** input = |input|. */
export const abs_ = inPlace(elementwise.abs);
/** In-place `sign`. */
export const sign_ = inPlace(elementwise.sign);
/** input = eˣ. */
export const exp_ = inPlace(elementwise.exp);
/** In-place `expm1`. */
export const expm1_ = inPlace(elementwise.expm1);
/** In-place `exp2`. */
export const exp2_ = inPlace(elementwise.exp2);
/** input = ln x. */
export const log_ = inPlace(elementwise.log);
/** In-place `log1p`. */
export const log1p_ = inPlace(elementwise.log1p);
/** In-place `log2`. */
export const log2_ = inPlace(elementwise.log2);
/** In-place `log10`. */
export const log10_ = inPlace(elementwise.log10);
/** input = √x. */
export const sqrt_ = inPlace(elementwise.sqrt);
/** In-place `rsqrt`. */
export const rsqrt_ = inPlace(elementwise.rsqrt);
/** input = x². */
export const square_ = inPlace(elementwise.square);
/** input = 1 / x. */
export const reciprocal_ = inPlace(elementwise.reciprocal);
/** In-place `sin`. */
export const sin_ = inPlace(elementwise.sin);
/** In-place `cos`. */
export const cos_ = inPlace(elementwise.cos);
/** In-place `tan`. */
export const tan_ = inPlace(elementwise.tan);
/** In-place `asin`. */
export const asin_ = inPlace(elementwise.asin);
/** In-place `acos`. */
export const acos_ = inPlace(elementwise.acos);
/** In-place `atan`. */
export const atan_ = inPlace(elementwise.atan);
/** In-place `sinh`. */
export const sinh_ = inPlace(elementwise.sinh);
/** In-place `cosh`. */
export const cosh_ = inPlace(elementwise.cosh);
/** input = tanh x. */
export const tanh_ = inPlace(elementwise.tanh);
/** In-place `asinh`. */
export const asinh_ = inPlace(elementwise.asinh);
/** In-place `acosh`. */
export const acosh_ = inPlace(elementwise.acosh);
/** In-place `atanh`. */
export const atanh_ = inPlace(elementwise.atanh);
/** In-place `erf`. */
export const erf_ = inPlace(elementwise.erf);
/** input = 1 / (1 + e⁻ˣ). */
export const sigmoid_ = inPlace(elementwise.sigmoid);
/** Negative elements become 0. */
export const relu_ = inPlace(elementwise.relu);
/** Down to whole numbers. */
export const floor_ = inPlace(elementwise.floor);
/** Up to whole numbers. */
export const ceil_ = inPlace(elementwise.ceil);
/** To the nearest whole numbers. */
export const round_ = inPlace(elementwise.round);
/** In-place `nanToNum`. */
export const nanToNum_ = inPlace(elementwise.nanToNum);
/** `value` where the mask holds. */
export const maskedFill_ = inPlace(elementwise.maskedFill, assignAlike);
/** In-place `eq`: 1 or 0 of the tensor's own type. */
export const eq_ = inPlace(elementwise.eq, assignTruth);
/** In-place `ne`: 1 or 0 of the tensor's own type. */
export const ne_ = inPlace(elementwise.ne, assignTruth);
/** In-place `lt`: 1 or 0 of the tensor's own type. */
export const lt_ = inPlace(elementwise.lt, assignTruth);
/** In-place `le`: 1 or 0 of the tensor's own type. */
export const le_ = inPlace(elementwise.le, assignTruth);
/** In-place `gt`: 1 or 0 of the tensor's own type. */
export const gt_ = inPlace(elementwise.gt, assignTruth);
/** In-place `ge`: 1 or 0 of the tensor's own type. */
export const ge_ = inPlace(elementwise.ge, assignTruth);
/** In-place `logicalAnd`: 1 or 0 of the tensor's own type. */
export const logicalAnd_ = inPlace(elementwise.logicalAnd, assignTruth);
/** In-place `logicalOr`: 1 or 0 of the tensor's own type. */
export const logicalOr_ = inPlace(elementwise.logicalOr, assignTruth);
/** In-place `logicalXor`: 1 or 0 of the tensor's own type. */
export const logicalXor_ = inPlace(elementwise.logicalXor, assignTruth);
/** In-place `logicalNot`: 1 or 0 of the tensor's own type. */
export const logicalNot_ = inPlace(elementwise.logicalNot, assignTruth);

/** In-place `erfc`. */
export const erfc_ = inPlace(special.erfc);
/** In-place `erfinv`. */
export const erfinv_ = inPlace(special.erfinv);
/** In-place `lgamma`. */
export const lgamma_ = inPlace(special.lgamma);
/** In-place `i0`. */
export const i0_ = inPlace(special.i0);
/** In-place `igamma`. */
export const igamma_ = inPlace(special.igamma);
/** In-place `igammac`. */
export const igammac_ = inPlace(special.igammac);
/** In-place `mvlgamma`. */
export const mvlgamma_ = inPlace(special.mvlgamma);
/** In-place `digamma`. */
export const digamma_ = inPlace(special.digamma);
/** In-place `logit`. */
export const logit_ = inPlace(special.logit);
/** In-place `xlogy`. */
export const xlogy_ = inPlace(special.xlogy);
/** In-place `hypot`. */
export const hypot_ = inPlace(special.hypot);
/** In-place `copysign`. */
export const copysign_ = inPlace(special.copysign);
/** In-place `gcd`. */
export const gcd_ = inPlace(numbers.gcd);
/** In-place `lcm`. */
export const lcm_ = inPlace(numbers.lcm);
/** In-place `nextafter`. */
export const nextafter_ = inPlace(numbers.nextafter);
/** In-place `polygamma`. */
export const polygamma_ = inPlace((input: Tensor, n: number) => special.polygamma(n, input));
/** In-place `heaviside`. */
export const heaviside_ = inPlace(special.heaviside);
/** In-place `deg2rad`. */
export const deg2rad_ = inPlace(special.deg2rad);
/** In-place `rad2deg`. */
export const rad2deg_ = inPlace(special.rad2deg);
/** In-place `sinc`. */
export const sinc_ = inPlace(special.sinc);
/** In-place `sgn`. */
export const sgn_ = inPlace(special.sgn);
/** In-place `floatPower`. */
export const floatPower_ = inPlace(special.floatPower);
/** In-place `ldexp`. */
export const ldexp_ = inPlace(special.ldexp);
/** In-place `bitwiseAnd`. */
export const bitwiseAnd_ = inPlace(special.bitwiseAnd);
/** In-place `bitwiseOr`. */
export const bitwiseOr_ = inPlace(special.bitwiseOr);
/** In-place `bitwiseXor`. */
export const bitwiseXor_ = inPlace(special.bitwiseXor);
/** In-place `bitwiseNot`. */
export const bitwiseNot_ = inPlace(special.bitwiseNot);
/** In-place `bitwiseLeftShift`. */
export const bitwiseLeftShift_ = inPlace(special.bitwiseLeftShift);
/** In-place `bitwiseRightShift`. */
export const bitwiseRightShift_ = inPlace(special.bitwiseRightShift);
/** In-place `clampMin`. */
export const clampMin_ = inPlace(special.clampMin);
/** In-place `clampMax`. */
export const clampMax_ = inPlace(special.clampMax);

/** In-place `cumsum`. */
export const cumsum_ = inPlace(reduction.cumsum);
/** In-place `cumprod`. */
export const cumprod_ = inPlace(reduction.cumprod);

/** In-place `renorm`. */
export const renorm_ = inPlace(statistics.renorm);

/** In-place `addmm`. */
export const addmm_ = inPlace(linalg.addmm);
/** In-place `baddbmm`. */
export const baddbmm_ = inPlace(linalg.baddbmm);

/** In-place `addmv`. */
export const addmv_ = inPlace(products.addmv);
/** In-place `addr`. */
export const addr_ = inPlace(products.addr);
/** In-place `addbmm`. */
export const addbmm_ = inPlace(products.addbmm);

/** `source` at the places of an index along a dimension. */
export const scatter_ = inPlace(placing.scatter);
/** `source` added at the places of an index along a dimension. */
export const scatterAdd_ = inPlace(gathering.scatterAdd);

/** In-place `put`. */
export const put_ = inPlace(placing.put);
/** In-place `indexAdd`. */
export const indexAdd_ = inPlace(placing.indexAdd);
/** In-place `indexCopy`. */
export const indexCopy_ = inPlace(placing.indexCopy);
/** In-place `indexReduce`. */
export const indexReduce_ = inPlace(placing.indexReduce);
/** In-place `indexFill`. */
export const indexFill_ = inPlace(placing.indexFill, assignAlike);
/** In-place `maskedScatter`. */
export const maskedScatter_ = inPlace(placing.maskedScatter);
/** In-place `scatterReduce`. */
export const scatterReduce_ = inPlace(placing.scatterReduce);

/** In-place `tril`. */
export const tril_ = inPlace(triangular.tril, assignAlike);
/** In-place `triu`. */
export const triu_ = inPlace(triangular.triu, assignAlike);

export {
  abs_ as absolute_,
  acos_ as arccos_,
  acosh_ as arccosh_,
  asin_ as arcsin_,
  asinh_ as arcsinh_,
  atan2_ as arctan2_,
  atan_ as arctan_,
  atanh_ as arctanh_,
  div_ as divide_,
  div_ as trueDivide_,
  ge_ as greaterEqual_,
  gt_ as greater_,
  le_ as lessEqual_,
  lt_ as less_,
  mul_ as multiply_,
  ne_ as notEqual_,
  neg_ as negative_,
  sub_ as subtract_,
  trunc_ as fix_,
};
