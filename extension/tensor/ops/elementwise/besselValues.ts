// Bessel functions of orders 0 and 1, in double precision.

type Order = 0 | 1;

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

/** From here on, Hankel's asymptotic series is exact to 1e-13; below, the power series is to 1e-11. */
const FAR = 16;

/** Euler's constant. */
const GAMMA = 0.5772156649015329;

/** Jₙ(x). */
export function besselJ(n: Order, x: number): number {
  const size = Math.abs(x);
  const sign = n === 1 && x < 0 ? -1 : 1;
  if (size >= FAR) return sign * hankel(n, size)[0];
  return sign * powerSeries(n, size, () => 1);
}

/** Yₙ(x); NaN for negative x. */
export function besselY(n: Order, x: number): number {
  if (!(x >= 0)) return NaN;
  if (x === 0) return -Infinity;
  if (x >= FAR) return hankel(n, x)[1];
  const harmonic = [0];
  const sumTo = (k: number): number => {
    for (let i = harmonic.length; i <= k; i++) harmonic.push(harmonic[i - 1]! + 1 / i);
    return harmonic[k]!;
  };
  const logarithm = (2 / Math.PI) * (Math.log(x / 2) + GAMMA) * besselJ(n, x);
  const rest = powerSeries(n, x, (k) => (sumTo(k) + sumTo(k + n)) / Math.PI);
  return logarithm - rest - (n === 1 ? 2 / (Math.PI * x) : 0);
}

/** Σ weight(k) (−1)ᵏ (x / 2)²ᵏ⁺ⁿ / (k! (k + n)!). */
function powerSeries(n: Order, x: number, weight: (k: number) => number): number {
  const square = (x * x) / 4;
  let [term, sum] = [n === 0 ? 1 : x / 2, 0];
  for (let k = 0; k < 60;) {
    sum += weight(k) * term;
    k++;
    term *= -square / (k * (k + n));
  }
  return sum;
}

/** Jₙ and Yₙ of a large x: a wave, whose amplitude and phase are series in 1 / x. */
function hankel(n: Order, x: number): [j: number, y: number] {
  if (x === Infinity) return [NaN, NaN];
  let term = 1;
  const parts = [1, 0, 0, 0];
  for (let k = 1; k <= 2 * FAR; k++) {
    term *= (4 * n - (2 * k - 1) ** 2) / (8 * k * x);
    parts[k % 4]! += term;
  }
  const [p, q] = [parts[0]! - parts[2]!, parts[1]! - parts[3]!];
  const angle = x - (n / 2 + 0.25) * Math.PI;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const amplitude = Math.sqrt(2 / (Math.PI * x));
  return [amplitude * (p * cos - q * sin), amplitude * (p * sin + q * cos)];
}

/** eˣ Kₙ(x), ∫ exp(−x (cosh t − 1)) cosh(nt) dt from 0: equal steps, whose error is below that of doubles. NaN for negative x. */
export function besselK(n: Order, x: number): number {
  if (!(x >= 0)) return NaN;
  if (x === 0) return Infinity;
  if (x === Infinity) return 0;
  const step = Math.min(0.25, 0.5 / Math.sqrt(x));
  let sum = 0.5;
  for (let i = 1; ; i++) {
    const t = i * step;
    const fall = x * 2 * Math.sinh(t / 2) ** 2;
    if (fall > 45 + n * t) return sum * step;
    sum += Math.exp(-fall) * (n === 0 ? 1 : Math.cosh(t));
  }
}
