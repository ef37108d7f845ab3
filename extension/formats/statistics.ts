import { DTYPE_BYTES, elements, hasNumbers, type Elements, type TensorEntry } from "./tensorData.ts";
import type { TensorParts } from "./sourceTensor.ts";

/** Statistics of a tensor's values. Infinities and NaN are counted separately, and left out of all else. */
export interface Statistics {
  count: number;
  min: number;
  max: number;
  mean: number;
  /** Of the population: divided by the number of values. */
  std: number;
  zeros: number;
  nans: number;
  infinities: number;
  /** Values in parts of equal width from `min` to `max`. */
  histogram: number[];
}

const BINS = 20;

/**
 * Reads all values of a tensor, part by part, twice: for their range and moments, then for the histogram.
 * Undefined for types that are no real numbers.
 * @throws PthError for a damaged file
 */
export function statisticsOf(tensor: TensorParts): Statistics | undefined {
  return lastOf(statisticsSteps(tensor));
}

/** {@link statisticsOf} part by part: yields how many bytes it has read since. */
export function* statisticsSteps(tensor: TensorParts): Generator<number, Statistics | undefined> {
  if (!hasNumbers(tensor.dtype)) {
    yield* tensor.finish();
    return undefined;
  }
  const found = { ...NOTHING };
  for (const data of tensor.parts(true)) {
    addTo(found, numbersOf(tensor, data));
    yield data.byteLength;
  }
  yield* tensor.finish();
  const { spread, ...all } = found;
  const { count, min, max } = found;
  const histogram = Array.from({ length: BINS }, () => 0);
  if (count === 0) return { ...all, ...NONE, histogram };
  for (const data of tensor.parts(true)) {
    addBins(histogram, numbersOf(tensor, data), min, max);
    yield data.byteLength;
  }
  return { ...all, std: Math.sqrt(spread / count), histogram };
}

/** As doubles: loops over one type of array are several times as fast. */
function numbersOf({ name, dtype, shape }: TensorParts, data: Uint8Array): Float64Array {
  const values = elements({ name, dtype, shape, data });
  return values instanceof BigInt64Array || values instanceof BigUint64Array
    ? Float64Array.from(values, Number)
    : new Float64Array(values);
}

/** Statistics of no values. */
const NONE = { min: Number.NaN, max: Number.NaN, mean: Number.NaN, std: Number.NaN };

/** `spread` is the sum of squared distances from the mean. */
type Moments = Omit<Statistics, "std" | "histogram"> & { spread: number };

const NOTHING: Moments = {
  count: 0,
  min: Infinity,
  max: -Infinity,
  mean: 0,
  spread: 0,
  zeros: 0,
  nans: 0,
  infinities: 0,
};

/** Adds a part: its own mean and spread, then both parts' as one (Chan et al. 1979), so that no digits are lost. */
function addTo(found: Moments, values: Float64Array): void {
  let [count, zeros, nans, mean, spread] = [0, 0, 0, 0, 0];
  let { min, max } = found;
  // The sum of large numbers would be infinite; scaling by a power of two rounds nothing.
  const share = 2 ** -Math.ceil(Math.log2(values.length));
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value - value !== 0) {
      if (value !== value) nans++;
      continue;
    }
    count++;
    if (value === 0) zeros++;
    if (value < min) min = value;
    if (value > max) max = value;
    mean += value * share;
  }
  found.nans += nans;
  found.infinities += values.length - count - nans;
  if (count === 0) return;
  mean /= share * count;
  for (let i = 0; i < values.length; i++) {
    const away = values[i]! - mean;
    if (away - away === 0) spread += away * away;
  }
  const before = found.count;
  const away = mean - found.mean;
  Object.assign(found, { min, max, zeros: found.zeros + zeros, count: before + count });
  found.mean += away * (count / found.count);
  found.spread += spread + away * away * before * (count / found.count);
}

function addBins(histogram: number[], values: Float64Array, min: number, max: number): void {
  // Of the largest doubles, the distance is infinite.
  const scale = max - min === Infinity ? 0.25 : 1;
  const [low, width] = [min * scale, (max * scale - min * scale) / BINS];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value - value !== 0) continue;
    const bin = width > 0 ? Math.min(BINS - 1, Math.floor((value * scale - low) / width)) : 0;
    histogram[bin]!++;
  }
}

/** Runs a generator to its end, and returns its result. */
export function lastOf<T>(steps: Generator<unknown, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** How two tensors of one shape differ. */
export interface Difference {
  /** Largest distance of two values, infinite where one alone is NaN; undefined for types that are no real numbers. */
  largest?: number;
  /** Values that are not the same. */
  changed: number;
}

/** Compares two tensors of one shape, part by part. @throws PthError for a damaged file */
export function differenceOf(a: TensorParts, b: TensorParts): Difference {
  return lastOf(differenceSteps(a, b));
}

/** {@link differenceOf} part by part: yields how many bytes of the first it has read since. */
export function* differenceSteps(a: TensorParts, b: TensorParts): Generator<number, Difference> {
  const numbers = hasNumbers(a.dtype) && hasNumbers(b.dtype);
  const read: (entry: TensorEntry) => Elements | readonly string[] = numbers ? elements : wholes;
  let [largest, changed] = [0, 0];
  const rest = b.parts()[Symbol.iterator]();
  const next = (): Uint8Array => {
    const { done, value } = rest.next();
    if (done === true) throw new Error(`tensor "${b.name}" ends too early`);
    return value;
  };
  let others = read({ ...b, data: new Uint8Array() });
  let at = 0;
  for (const data of a.parts()) {
    let theirs = at === others.length ? next() : undefined;
    // Most parts of most files are the same.
    if (theirs !== undefined && a.dtype === b.dtype && Buffer.compare(data, theirs) === 0) {
      yield data.byteLength;
      continue;
    }
    const values = read({ ...a, data });
    for (let i = 0; i < values.length; i++) {
      // Parts of two types are of unequal length.
      while (at === others.length) {
        others = read({ ...b, data: theirs ?? next() });
        [theirs, at] = [undefined, 0];
      }
      const [value, other] = [values[i]!, others[at++]!];
      if (value === other) continue;
      const distance = Math.abs(Number(value) - Number(other));
      // Equal whole numbers of two types; NaN in both.
      if (distance === 0 && typeof value !== typeof other) continue;
      if (Number.isNaN(value) && Number.isNaN(other)) continue;
      changed++;
      largest = Number.isNaN(distance) ? Infinity : Math.max(largest, distance);
    }
    yield data.byteLength;
  }
  yield* a.finish();
  yield* b.finish();
  return { ...(numbers ? { largest } : {}), changed };
}

/** Elements that are no real numbers, as texts of their bytes, for comparison. */
function wholes({ dtype, data }: TensorEntry): readonly string[] {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const size = Math.max(1, DTYPE_BYTES[dtype]);
  return Array.from({ length: bytes.length / size }, (_, i) =>
    bytes.toString("latin1", i * size, (i + 1) * size),
  );
}
