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

/** Hurwitz' zeta function Σ 1 / (q + k)ˢ for s > 1, by the formula of Euler and Maclaurin. */
export function zeta(s: number, q: number): number {
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

/** e⁻ˡˣˡ Iₙ(x), where Iₙ is the modified Bessel function of order 0 or 1: its power series, and the asymptotic one above 30. */
export function besselScaled(n: 0 | 1, x: number): number {
  const size = Math.abs(x);
  const sign = n === 1 && x < 0 ? -1 : 1;
  if (size === Infinity) return 0;
  if (size > 30) {
    let [term, sum] = [1, 1];
    for (let k = 1; k < 20; k++) sum += term *= ((2 * k - 1) ** 2 - 4 * n) / (8 * k * size);
    return (sign * sum) / Math.sqrt(2 * Math.PI * size);
  }
  const square = (size * size) / 4;
  let [term, sum] = [n === 0 ? 1 : size / 2, 0];
  for (let k = 1; term > sum * 1e-17; k++) {
    sum += term;
    term *= square / (k * (k + n));
  }
  return sign * sum * Math.exp(-size);
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
