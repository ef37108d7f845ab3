import type { ValueRange } from "../../protocol/data/data.ts";
import type { Part } from "../data/splits.ts";

/** Statistics of every `stride`-th number from `start` on. */
export function rangeOf(values: ArrayLike<number>, start = 0, stride = 1): ValueRange {
  let [minimum, maximum, mean, squares, count, missing] = [Infinity, -Infinity, 0, 0, 0, 0];
  for (let i = start; i < values.length; i += stride) {
    const x = values[i]!;
    if (!Number.isFinite(x)) {
      missing++;
      continue;
    }
    // Welford's update keeps the digits of large means.
    count++;
    const delta = x - mean;
    mean += delta / count;
    squares += delta * (x - mean);
    if (x < minimum) minimum = x;
    if (x > maximum) maximum = x;
  }
  if (count === 0) return { minimum: NaN, maximum: NaN, mean: NaN, std: NaN, missing };
  return { minimum, maximum, mean, std: Math.sqrt(squares / count), missing };
}

const BINS = 20;

/** Counts every `stride`-th number from `start` on in bins of equal width; empty without a finite number. */
export function histogramOf(
  values: ArrayLike<number>,
  { minimum, maximum }: Pick<ValueRange, "minimum" | "maximum">,
  start = 0,
  stride = 1,
): number[] {
  if (Number.isNaN(minimum)) return [];
  const bins = Array.from({ length: BINS }, () => 0);
  // Halves: the distance of the largest numbers is infinite.
  const width = (maximum / 2 - minimum / 2) / BINS;
  for (let i = start; i < values.length; i += stride) {
    const x = values[i]!;
    if (!Number.isFinite(x)) continue;
    const bin = width > 0 ? Math.floor((x / 2 - minimum / 2) / width) : 0;
    bins[Math.min(BINS - 1, bin)]!++;
  }
  return bins;
}

/** Root mean square of the finite numbers that are not 0: the scale of one-hot and sparse values too. NaN without any. */
export function scaleOf(values: ArrayLike<number>, start = 0, stride = 1): number {
  let [squares, count] = [0, 0];
  for (let i = start; i < values.length; i += stride) {
    const x = values[i]!;
    if (x === 0 || !Number.isFinite(x)) continue;
    squares += x * x;
    count++;
  }
  return Math.sqrt(squares / count);
}

/**
 * The correlation ratio η² of a column and classes: the part of its variance that the class explains. Classes with fewer than
 * five samples don't count, since they explain themselves. NaN for a constant column.
 */
export function correlationRatio(values: ArrayLike<number>, classes: ArrayLike<number>): number {
  const groups = new Map<number, { count: number; sum: number; squares: number }>();
  for (let i = 0; i < values.length; i++) {
    const x = values[i]!;
    if (!Number.isFinite(x)) continue;
    let group = groups.get(classes[i]!);
    if (group === undefined) groups.set(classes[i]!, (group = { count: 0, sum: 0, squares: 0 }));
    group.count++;
    group.sum += x;
    group.squares += x * x;
  }
  const counted = [...groups.values()].filter(({ count }) => count >= MIN_GROUP);
  const count = total(counted, (one) => one.count);
  const mean = total(counted, (one) => one.sum) / count;
  const all = total(counted, (one) => one.squares) - count * mean ** 2;
  const between = total(counted, (one) => one.count * (one.sum / one.count - mean) ** 2);
  return all > 1e-12 * Math.abs(total(counted, (one) => one.squares)) ? between / all : NaN;
}

const MIN_GROUP = 5;

/** The squared correlation of two columns of numbers; NaN where one is constant. */
export function squaredCorrelation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const [x, y] = [rangeOf(a), rangeOf(b)];
  let [product, count] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    if (!Number.isFinite(a[i]!) || !Number.isFinite(b[i]!)) continue;
    product += (a[i]! - x.mean) * (b[i]! - y.mean);
    count++;
  }
  const constant = x.std <= 1e-6 * Math.abs(x.mean) || y.std <= 1e-6 * Math.abs(y.mean);
  return constant || count === 0 ? NaN : (product / count / x.std / y.std) ** 2;
}

/** One column of a part, a number for each sample. */
export function columnOf({ values, size }: Part, column: number, samples: number): Float32Array {
  return Float32Array.from({ length: samples }, (_, i) => values[i * size + column]!);
}

const total = <T>(list: readonly T[], of: (one: T) => number): number =>
  list.reduce((sum, one) => sum + of(one), 0);
