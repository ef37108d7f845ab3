// Special functions of numbers, in double precision.

const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

/** ln |Γ(x)| by Lanczos' approximation, with the reflection formula below 1/2. */
export function lgamma(x: number): number {
  if (Number.isNaN(x)) return NaN;
  if (!Number.isFinite(x)) return Infinity;
  if (x <= 0 && Number.isInteger(x)) return Infinity;
  if (x < 0.5) return Math.log(Math.PI / Math.abs(Math.sin(Math.PI * x))) - lgamma(1 - x);
  const t = x + 6.5;
  let sum = LANCZOS[0]!;
  for (let i = 1; i < LANCZOS.length; i++) sum += LANCZOS[i]! / (x - 1 + i);
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(sum);
}

/** The derivative of ln Γ: the asymptotic series above 10, the recurrence below, the reflection formula for negatives. */
export function digamma(x: number): number {
  if (x === 0) return Object.is(x, -0) ? Infinity : -Infinity;
  if (x < 0) {
    if (Number.isInteger(x)) return NaN;
    return digamma(1 - x) - Math.PI / Math.tan(Math.PI * x);
  }
  let [at, sum] = [x, 0];
  for (; at < 10; at++) sum -= 1 / at;
  const s = 1 / (at * at);
  const series = s * (1 / 12 - s * (1 / 120 - s * (1 / 252 - s * (1 / 240 - s / 132))));
  return sum + Math.log(at) - 0.5 / at - series;
}

const BERNOULLI = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6];

/** Hurwitz' zeta function Σ 1 / (q + k)ˢ: NaN for s < 1, by the formula of Euler and Maclaurin. */
export function zeta(s: number, q: number): number {
  if (s === 1) return Infinity;
  if (!(s > 1)) return NaN;
  // No step of 1 leads away from -Infinity.
  if (q === -Infinity) return Infinity;
  if (q <= 0) {
    if (Number.isInteger(q)) return Infinity;
    if (!Number.isInteger(s)) return NaN;
  }
  let [at, sum] = [q, 0];
  for (; at < 12; at++) sum += at ** -s;
  sum += at ** (1 - s) / (s - 1) + 0.5 * at ** -s;
  let factor = s;
  let factorial = 2;
  for (let i = 0; i < BERNOULLI.length; i++) {
    sum += ((BERNOULLI[i]! * factor) / factorial) * at ** (-s - 2 * i - 1);
    factor *= (s + 2 * i + 1) * (s + 2 * i + 2);
    factorial *= (2 * i + 3) * (2 * i + 4);
  }
  return sum;
}

/** 1 − erf(x): its series near 0, a continued fraction elsewhere. */
export function erfc(x: number): number {
  if (Number.isNaN(x)) return NaN;
  if (x < 0) return 2 - erfc(-x);
  if (x > 30) return 0;
  const square = x * x;
  if (x < 2) {
    let [term, sum] = [x, x];
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= -square / n;
      sum += term / (2 * n + 1);
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = x;
  for (let n = 60; n > 0; n--) fraction = x + n / 2 / fraction;
  return Math.exp(-square) / (Math.sqrt(Math.PI) * fraction);
}

/** The inverse of erf: Winitzki's approximation, made exact by Newton's method. */
export function erfinv(y: number): number {
  if (Math.abs(y) >= 1) return Math.abs(y) === 1 ? y * Infinity : NaN;
  const a = 0.147;
  const l = Math.log1p(-y * y);
  const half = 2 / (Math.PI * a) + l / 2;
  let x = Math.sign(y) * Math.sqrt(Math.sqrt(half * half - l / a) - half);
  for (let i = 0; i < 3; i++) {
    // erf(x) − y, by way of what is small on either side.
    const excess = y > 0 ? 1 - y - erfc(x) : erfc(-x) - (1 + y);
    x -= excess * (Math.sqrt(Math.PI) / 2) * Math.exp(x * x);
  }
  return x;
}

/** xᵃ e⁻ˣ / Γ(a). */
const gammaDensity = (a: number, x: number): number => Math.exp(a * Math.log(x) - x - lgamma(a));

/** The regularized lower incomplete gamma function P(a, x): its series, which is short below a + 1. */
function lowerSeries(a: number, x: number): number {
  let [term, sum] = [1 / a, 1 / a];
  for (let n = 1; term > sum * 1e-17; n++) sum += term *= x / (a + n);
  return sum * gammaDensity(a, x);
}

/** The regularized upper incomplete gamma function Q(a, x) above a + 1: its continued fraction, by Lentz's method. */
function upperFraction(a: number, x: number): number {
  let b = x + 1 - a;
  let c = Infinity;
  let d = 1 / b;
  let fraction = d;
  for (let n = 1, change = 0; Math.abs(change - 1) > Number.EPSILON; n++) {
    const factor = n * (a - n);
    b += 2;
    d = 1 / (b + factor * d);
    c = b + factor / c;
    fraction *= change = c * d;
  }
  return fraction * gammaDensity(a, x);
}

/** From here on, the series and the fraction take thousands of terms, and the expansion for large a is exact to 1e-10. */
const LARGE_A = 1e5;

/**
 * Q(a, x) (`upper`) or P(a, x) for a large a: the first terms of Temme's uniform expansion (https://dlmf.nist.gov/8.12), in η with
 * η² / 2 = λ − 1 − ln λ for λ = x / a.
 */
function uniform(a: number, x: number, upper: boolean): number {
  const mu = (x - a) / a;
  const near = Math.abs(mu) < 1e-2;
  const half = near
    ? mu * mu * (1 / 2 - mu * (1 / 3 - mu * (1 / 4 - mu * (1 / 5 - mu * (1 / 6 - mu * (1 / 7 - mu / 8))))))
    : mu - Math.log1p(mu);
  const eta = Math.sign(mu) * Math.sqrt(2 * half);
  const correction = near
    ? -1 / 3 + eta * (1 / 12 - eta * (2 / 135 - eta * (1 / 864 + eta / 2835)))
    : 1 / mu - 1 / eta;
  const side = upper ? 1 : -1;
  const rest = (Math.exp(-a * half) / Math.sqrt(2 * Math.PI * a)) * correction;
  return 0.5 * erfc(side * eta * Math.sqrt(a / 2)) + side * rest;
}

/** The regularized incomplete gamma function from 0 to x, or from x to ∞ (`upper`). */
export function incompleteGamma(a: number, x: number, upper: boolean): number {
  if (!(a >= 0 && x >= 0) || (a === 0 && x === 0) || (a === Infinity && x === Infinity)) return NaN;
  if (a === 0 || x === Infinity) return upper ? 0 : 1;
  if (x === 0 || a === Infinity) return upper ? 1 : 0;
  if (a > LARGE_A) return uniform(a, x, upper);
  if (x < a + 1) return upper ? 1 - lowerSeries(a, x) : lowerSeries(a, x);
  return upper ? upperFraction(a, x) : 1 - upperFraction(a, x);
}
