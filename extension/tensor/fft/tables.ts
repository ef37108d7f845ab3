// The numbers that transforms multiply by: computed in double precision, rounded once, and the same tensors in every step.
import { numel, type Shape } from "../core/shape.ts";
import { fromHost, Tensor } from "../core/tensor.ts";
import { MAX_TABLE_ELEMENTS } from "../tuning.ts";

/** The sign of the exponent: −1 forward, 1 back. */
export type Sign = 1 | -1;

const kept = new Map<string, readonly Tensor[]>();
let size = 0;

/** Returns the result of `make`, which runs once for a key. */
function cached(key: string, make: () => readonly Tensor[]): readonly Tensor[] {
  let found = kept.get(key);
  if (found === undefined) {
    found = make();
    const elements = found.reduce((sum, x) => sum + numel(x.shape), 0);
    if (size + elements > MAX_TABLE_ELEMENTS) {
      kept.clear();
      size = 0;
    }
    size += elements;
    kept.set(key, found);
  }
  return found;
}

/** Cosine and sine of 2π · turns / n for a whole number of turns, exact in multiples of a quarter. */
export function unit(turns: number, n: number): [cos: number, sin: number] {
  const at = ((turns % n) + n) % n;
  if ((4 * at) % n === 0) {
    const quarter = (4 * at) / n;
    return [[1, 0, -1, 0][quarter]!, [0, 1, 0, -1][quarter]!];
  }
  const angle = (2 * Math.PI * at) / n;
  return [Math.cos(angle), Math.sin(angle)];
}

/** Length of the first half of a spectrum of n numbers: the rest mirrors it for transforms of real numbers. */
export const half = (n: number): number => Math.floor(n / 2) + 1;

/** How a product computes the transform of n numbers. */
export interface Product {
  readonly n: number;
  readonly sign: Sign;
  readonly scale: number;
  /** Input: complex numbers, real ones, or the first half of the spectrum of real ones. */
  readonly from: "complex" | "real" | "half";
  /** Output, likewise. */
  readonly to: "complex" | "real" | "half";
}

/**
 * Returns the matrix M of the transform M · x, for x a column of real parts followed by imaginary parts; the result has
 * the same form. With `turned`, its transpose.
 */
export function factors(product: Product, turned: boolean): Tensor {
  const { n, sign, scale, from, to } = product;
  const [inputs, outputs] = [from, to].map((kind) => (kind === "half" ? half(n) : n)) as [number, number];
  const [rows, columns] = [to === "real" ? outputs : 2 * outputs, from === "real" ? inputs : 2 * inputs];
  return cached(`product ${n} ${sign} ${scale} ${from} ${to} ${turned}`, () => {
    const data = new Float32Array(rows * columns);
    const set = (row: number, column: number, value: number): void => {
      data[turned ? column * rows + row : row * columns + column] = value;
    };
    for (let k = 0; k < outputs; k++) {
      for (let j = 0; j < inputs; j++) {
        // Each number of a half stands for two, except those that mirror themselves.
        const weight = from === "half" && j > 0 && 2 * j !== n ? 2 * scale : scale;
        const [cos, sin] = unit(j * k, n);
        set(k, j, weight * cos);
        if (from !== "real") set(k, inputs + j, -sign * weight * sin);
        if (to === "real") continue;
        set(outputs + k, j, sign * weight * sin);
        if (from !== "real") set(outputs + k, inputs + j, weight * cos);
      }
    }
    return [fromHost(data, turned ? [columns, rows] : [rows, columns], "float32")];
  })[0]!;
}

/** Complex numbers as two tensors of a shape; `at` gives them by their position. */
export function complexTable(
  key: string,
  shape: Shape,
  at: (i: number) => readonly [re: number, im: number],
): readonly [re: Tensor, im: Tensor] {
  return cached(key, () => {
    const [re, im] = [new Float32Array(numel(shape)), new Float32Array(numel(shape))];
    for (let i = 0; i < re.length; i++) [re[i], im[i]] = at(i) as [number, number];
    return [fromHost(re, shape, "float32"), fromHost(im, shape, "float32")];
  }) as readonly [Tensor, Tensor];
}

/** Twiddle factors between two transforms of n = rows · columns, of which only the first `count` rows are computed. */
export const twiddles = (n: number, count: number, columns: number, sign: Sign): readonly [Tensor, Tensor] =>
  complexTable(`twiddles ${n} ${count} ${columns} ${sign}`, [count, columns, 1], (i) => {
    const [cos, sin] = unit(Math.floor(i / columns) * (i % columns), n);
    return [cos, sign * sin];
  });

/** e^(± iπ j² / n), with which Bluestein's algorithm turns a transform of any length into a convolution. */
export function chirp(j: number, n: number, sign: Sign): [re: number, im: number] {
  const [cos, sin] = unit(j * j, 2 * n);
  return [cos, sign * sin];
}

/** In place, the forward transform of numbers in double precision; their count is a power of two. */
export function transformed(re: Float64Array, im: Float64Array): void {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; (j & bit) !== 0; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [re[i], re[j]] = [re[j]!, re[i]!];
      [im[i], im[j]] = [im[j]!, im[i]!];
    }
  }
  for (let length = 2; length <= n; length *= 2) {
    for (let k = 0; k < length / 2; k++) {
      const [cos, sin] = unit(k, length);
      for (let a = k; a < n; a += length) {
        const b = a + length / 2;
        const x = re[b]! * cos + im[b]! * sin;
        const y = im[b]! * cos - re[b]! * sin;
        [re[b], im[b]] = [re[a]! - x, im[a]! - y];
        [re[a], im[a]] = [re[a]! + x, im[a]! + y];
      }
    }
  }
}
