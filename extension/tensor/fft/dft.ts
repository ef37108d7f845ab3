// Discrete Fourier transforms along the middle dimension of [outer, n, inner], made of differentiable ops. Short ones are
// one product with a matrix of cosines and sines; long ones are split by Cooley and Tukey's rule, and lengths with a large
// prime factor become convolutions by Bluestein's (https://en.wikipedia.org/wiki/Chirp_Z-transform).
import { internal } from "../core/errors.ts";
import type { Tensor } from "../core/tensor.ts";
import { add, mul, neg, sub } from "../ops/elementwise/elementwise.ts";
import { call } from "../ops/expressions.ts";
import { matmul } from "../ops/matrix/matmul.ts";
import { cat, flip, pad, permute, reshape } from "../ops/movement/movement.ts";
import { sliceAlong } from "../ops/movement/slicing.ts";
import { apply } from "../recording/apply.ts";
import { MAX_PRODUCT_LENGTH, MAX_UNSPLIT_LENGTH } from "../tuning.ts";
import {
  chirp,
  complexTable,
  factors,
  half,
  transformed,
  twiddles,
  type Product,
  type Sign,
} from "./tables.ts";

/** Complex numbers; without imaginary parts they are real. */
export interface Parts {
  readonly re: Tensor;
  readonly im: Tensor | undefined;
}

interface ComplexParts extends Parts {
  readonly im: Tensor;
}

/** The first factor of a length that is no single product; undefined without one. */
function factorOf(n: number): number | undefined {
  const stages = Math.ceil(Math.log(n) / Math.log(MAX_PRODUCT_LENGTH) - 1e-9);
  const ideal = n ** (1 / stages);
  let best: number | undefined;
  for (let d = 2; d <= MAX_PRODUCT_LENGTH; d++) {
    if (
      n % d === 0 &&
      (best === undefined || Math.abs(Math.log(d / ideal)) < Math.abs(Math.log(best / ideal)))
    )
      best = d;
  }
  return best;
}

/** How a length is computed: by one product, by a first factor, or as a convolution. */
function splitOf(n: number): number | "direct" | "convolution" {
  if (n <= MAX_PRODUCT_LENGTH) return "direct";
  return factorOf(n) ?? (n <= MAX_UNSPLIT_LENGTH ? "direct" : "convolution");
}

const each = (x: Parts, f: (part: Tensor) => Tensor): Parts => ({ re: f(x.re), im: x.im && f(x.im) });
const both = (x: ComplexParts, f: (part: Tensor) => Tensor): ComplexParts => ({ re: f(x.re), im: f(x.im) });

const shaped =
  (...shape: number[]) =>
  (x: Tensor): Tensor =>
    apply(reshape, [x], { shape });
const sliced =
  (dim: number, from: number, to: number) =>
  (x: Tensor): Tensor =>
    from === 0 && to === x.shape[dim] ? x : sliceAlong(x, dim, from, to);
const joined = (dim: number, ...all: Tensor[]): Tensor => apply(cat, all, { dim });
const swapped = (x: Tensor): Tensor => apply(permute, [x], { order: [0, 2, 1, 3] });

/** One product along the middle dimension. */
function product({ re, im }: Parts, by: Product): ComplexParts {
  const [outer, , inner] = re.shape as [number, number, number];
  const column = inner === 1;
  const given = column ? joinedRows(re, im) : im === undefined ? re : joined(1, re, im);
  const used = im === undefined && by.from === "complex" ? { ...by, from: "real" as const } : by;
  // Columns are rows of one matrix: many at once by the transpose.
  const result = column
    ? apply(matmul, [given, factors(used, true)], { transposeA: false, transposeB: false })
    : apply(matmul, [factors(used, false), given], { transposeA: false, transposeB: false });
  const outputs = by.to === "half" ? half(by.n) : by.n;
  const whole = column ? shaped(outer, result.shape[1]!, 1)(result) : result;
  if (by.to === "real") return { re: whole, im: whole };
  return { re: sliced(1, 0, outputs)(whole), im: sliced(1, outputs, 2 * outputs)(whole) };
}

function joinedRows(re: Tensor, im: Tensor | undefined): Tensor {
  const [outer, n] = re.shape as [number, number];
  const row = shaped(outer, n);
  return im === undefined ? row(re) : joined(1, row(re), row(im));
}

function times({ re, im }: Parts, [c, s]: readonly [Tensor, Tensor]): ComplexParts {
  if (im === undefined) return { re: call(mul, re, c), im: call(mul, re, s) };
  return {
    re: call(sub, call(mul, re, c), call(mul, im, s)),
    im: call(add, call(mul, re, s), call(mul, im, c)),
  };
}

/** scale · Σⱼ xⱼ e^(± 2πi jk / n). */
export function complexToComplex(x: Parts, sign: Sign, scale: number): ComplexParts {
  const [outer, n, inner] = x.re.shape as [number, number, number];
  const split = splitOf(n);
  if (split === "direct") return product(x, { n, sign, scale, from: "complex", to: "complex" });
  if (split === "convolution") return convolved(x, sign, scale);
  const [n1, n2] = [split, n / split];
  // Of place j1 · n2 + j2, first over j1, then over j2; frequency k1 + n1 · k2.
  const first = product(each(x, shaped(outer, n1, n2 * inner)), {
    n: n1,
    sign,
    scale,
    from: "complex",
    to: "complex",
  });
  const turned = times(both(first, shaped(outer, n1, n2, inner)), twiddles(n, n1, n2, sign));
  const second = complexToComplex(both(turned, shaped(outer * n1, n2, inner)), sign, 1);
  return both(second, (part) => shaped(outer, n, inner)(swapped(shaped(outer, n1, n2, inner)(part))));
}

/** The first half of {@link complexToComplex} of real numbers, which the rest mirrors: at half the cost. */
export function realToHalf(x: Tensor, sign: Sign, scale: number): ComplexParts {
  const [outer, n, inner] = x.shape as [number, number, number];
  const split = splitOf(n);
  if (split === "direct")
    return product({ re: x, im: undefined }, { n, sign, scale, from: "real", to: "half" });
  if (split === "convolution")
    return both(convolved({ re: x, im: undefined }, sign, scale), sliced(1, 0, half(n)));
  const [n1, n2] = [split, n / split];
  const rows = half(n1);
  const real = { re: shaped(outer, n1, n2 * inner)(x), im: undefined };
  const first = product(real, { n: n1, sign, scale, from: "real", to: "half" });
  const turned = times(both(first, shaped(outer, rows, n2, inner)), twiddles(n, rows, n2, sign));
  const second = complexToComplex(both(turned, shaped(outer * rows, n2, inner)), sign, 1);
  const { re, im } = both(second, shaped(outer, rows, n2, inner));
  // Rows k1 beyond the half are conjugates: frequency n − (k1 + n1 · k2) is in row n1 − k1, column n2 − 1 − k2.
  const used = Math.floor(Math.floor(n / 2) / n1) + 1;
  const whole = (part: Tensor, mirrored: (x: Tensor) => Tensor): Tensor => {
    const lower = sliced(2, 0, used)(part);
    if (rows === n1) return lower;
    const upper = sliced(2, n2 - used, n2)(sliced(1, 1, n1 - rows + 1)(part));
    return joined(1, lower, mirrored(apply(flip, [upper], { dims: [1, 2] })));
  };
  const ordered = (part: Tensor): Tensor =>
    sliced(1, 0, half(n))(shaped(outer, used * n1, inner)(swapped(part)));
  return { re: ordered(whole(re, (y) => y)), im: ordered(whole(im, (y) => call(neg, y))) };
}

/** {@link complexToComplex} of the spectrum whose first half is given: n real numbers, at half the cost. */
export function halfToReal(x: Parts, n: number, sign: Sign, scale: number): Tensor {
  const [outer, , inner] = x.re.shape as [number, number, number];
  const split = splitOf(n);
  const back: Product = { n, sign, scale, from: "half", to: "real" };
  if (split === "direct") return product(complete(x), back).re;
  const spectrum = mirrored(complete(x), n);
  if (split === "convolution") return convolved(spectrum, sign, scale).re;
  const [n1, n2] = [split, n / split];
  const rows = half(n1);
  // Frequency k1 + n1 · k2, first over k2: of k1 the first half, since the rest are conjugates.
  const grid = (part: Tensor): Tensor =>
    shaped(outer * rows, n2, inner)(swapped(sliced(2, 0, rows)(shaped(outer, n2, n1, inner)(part))));
  const first = complexToComplex(both(spectrum, grid), sign, 1);
  const turned = times(both(first, shaped(outer, rows, n2, inner)), twiddles(n, rows, n2, sign));
  const second = product(both(turned, shaped(outer, rows, n2 * inner)), { ...back, n: n1 });
  return shaped(outer, n, inner)(second.re);
}

/** Zeros where there are no imaginary parts. */
const complete = ({ re, im }: Parts): ComplexParts => ({ re, im: im ?? call(sub, re, re) });

/** The whole spectrum of real numbers from its first half. */
function mirrored({ re, im }: ComplexParts, n: number): ComplexParts {
  const rest = (part: Tensor): Tensor => apply(flip, [sliced(1, 1, n - half(n) + 1)(part)], { dims: [1] });
  return { re: joined(1, re, rest(re)), im: joined(1, im, call(neg, rest(im))) };
}

/** Bluestein's algorithm: jk = (j² + k² − (k − j)²) / 2 makes of the transform a convolution of a length that splits well. */
function convolved(x: Parts, sign: Sign, scale: number): ComplexParts {
  const n = x.re.shape[1]!;
  let m = 1;
  while (m < 2 * n - 1) m *= 2;
  const turned = times(
    x,
    complexTable(`chirp ${n} ${sign}`, [n, 1], (j) => chirp(j, n, sign)),
  );
  const longer = both(turned, (part) =>
    apply(pad, [part], { before: [0, 0, 0], after: [0, m - n, 0], value: 0 }),
  );
  const spectrum = times(complexToComplex(longer, -1, 1), kernel(n, m, sign));
  const back = both(complexToComplex(spectrum, 1, 1), sliced(1, 0, n));
  const last = complexTable(`chirp ${n} ${sign} ${scale}`, [n, 1], (j) => {
    const [re, im] = chirp(j, n, sign);
    return [(re * scale) / m, (im * scale) / m];
  });
  return times(back, last);
}

/** The transform of the conjugate chirp, wrapped around m places. */
function kernel(n: number, m: number, sign: Sign): readonly [Tensor, Tensor] {
  let parts: [Float64Array, Float64Array] | undefined;
  return complexTable(`kernel ${n} ${m} ${sign}`, [m, 1], (i) => {
    if (parts === undefined) {
      parts = [new Float64Array(m), new Float64Array(m)];
      for (let j = 0; j < n; j++) {
        const [re, im] = chirp(j, n, sign);
        for (const at of [j, (m - j) % m]) [parts[0][at], parts[1][at]] = [re, -im];
      }
      transformed(...parts);
    }
    return [parts[0][i] ?? internal("kernel"), parts[1][i]!];
  });
}
