// Airy's function.
import type { Tensor } from "../../core/tensor.ts";
import { detached } from "../creation/conversion.ts";
import { add, clamp, div, mul, sub } from "./arithmetic.ts";
import { abs, cos, eq, exp, ge, gt, lt, neg, sin, sqrt, where } from "./elementwise.ts";
import { composed, toFloat } from "./operands.ts";

// Cephes' coefficients, of falling powers.
const ABOVE = [
  0.346538101525629, 12.007595273964581, 76.27960536152345, 168.08922493463058, 159.75639135016442,
  70.53609068404442, 14.026469116338967, 1.0,
];
const ABOVE_DIVISOR = [
  0.5675945326387702, 14.75625625848472, 84.51389701414746, 177.31808814540045, 164.2346928715297,
  71.47784008255756, 14.095913560783403, 1.0,
];
const SINE = [
  -0.1316963234183318, -0.6264565444319123, -0.6931580360369335, -0.2797799815451191, -0.04919001326095003,
  -0.004062659235948854, -0.0001592764962392621, -2.776491081552329e-6, -1.6778769848911465e-8,
];
const SINE_DIVISOR = [
  13.356042070655324, 32.682503279522464, 26.736704094149957, 9.187074029072596, 1.4752914677166642,
  0.11568717379518804, 0.004402916416152112, 7.547203482874142e-5, 4.5185009297058035e-7,
];
const COSINE = [
  0.01973399320916857, 0.39110302961568827, 1.0657989759959559, 0.9391692298166502, 0.35146565610554764,
  0.06338889196289255, 0.005858041130483885, 0.000282851600836737, 6.98793669997261e-6, 8.117892395543892e-8,
  3.415517847659236e-10,
];
const COSINE_DIVISOR = [
  9.30892908077442, 19.835292871831214, 15.564662893286462, 5.476860694229755, 0.9542936116189619,
  0.08645808263523921, 0.004126565238242226, 0.00010125908511650914, 1.1716673321441352e-6,
  4.9183457006293e-9,
];

/** Ai(0) and −Ai′(0). */
const [VALUE, SLOPE] = [0.3550280538878172, 0.2588194037928068];

/** Between −BOUND and BOUND the power series is short. */
const BOUND = 2.09;
/** Terms of the power series up to there. */
const TERMS = 10;
/** From here on the value is 0 in float32. */
const LAST = 103.892;

const horner = (x: Tensor, coefficients: readonly number[]): Tensor =>
  coefficients
    .slice(1)
    .reduce((sum: Tensor, c) => add(mul(sum, x), c), mul(add(mul(x, 0), 1), coefficients[0]!));

const ratio = (x: Tensor, above: readonly number[], below: readonly number[]): Tensor =>
  div(horner(x, above), horner(x, below));

/** Ai near 0. */
function series(x: Tensor): Tensor {
  const cube = mul(mul(x, x), x);
  let [even, odd] = [add(mul(x, 0), VALUE), mul(x, SLOPE)];
  let value = sub(even, odd);
  for (let k = 1; k <= TERMS; k++) {
    even = div(mul(even, cube), 3 * k * (3 * k - 1));
    odd = div(mul(odd, cube), 3 * k * (3 * k + 1));
    value = add(value, sub(even, odd));
  }
  return value;
}

/** Ai of numbers above the bound. */
function falling(x: Tensor): Tensor {
  const root = sqrt(x);
  const zeta = mul(div(mul(x, 2), 3), root);
  const scale = div(1 / (2 * Math.sqrt(Math.PI)), mul(sqrt(root), exp(zeta)));
  return mul(ratio(div(1, zeta), ABOVE, ABOVE_DIVISOR), scale);
}

/** Ai(−x) of numbers above the bound. */
function waving(x: Tensor): Tensor {
  const root = sqrt(x);
  const phase = mul(div(mul(x, 2), 3), root);
  const z = div(1, phase);
  const square = mul(z, z);
  const angle = add(phase, Math.PI / 4);
  const first = mul(sin(angle), add(mul(square, ratio(square, SINE, SINE_DIVISOR)), 1));
  const second = mul(cos(angle), mul(z, ratio(square, COSINE, COSINE_DIVISOR)));
  return mul(div(1 / Math.sqrt(Math.PI), sqrt(root)), sub(first, second));
}

/**
 * Ai(x), Airy's function; NaN at ±∞, as in PyTorch. No gradient passes.
 * @see https://docs.pytorch.org/docs/stable/special.html#torch.special.airy_ai
 */
export function airyAi(input: Tensor): Tensor {
  return composed(() => {
    const x = toFloat(detached(input));
    const [above, below] = [ge(x, BOUND), lt(x, -BOUND)];
    const far = where(above, falling(clamp(x, BOUND)), waving(clamp(neg(x), BOUND)));
    const result = where(above, far, where(below, far, series(clamp(x, -BOUND, BOUND))));
    return where(eq(abs(x), Infinity), NaN, where(gt(x, LAST), 0, result));
  });
}
