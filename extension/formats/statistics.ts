import { elements, hasNumbers } from "./tensorData.ts";
import type { SourceTensor } from "./tensorSource.ts";

/** What the values of a tensor are like. Infinities and NaN count by themselves, and in nothing else. */
export interface Statistics {
  count: number;
  min: number;
  max: number;
  mean: number;
  /** Of the values that there are: divided by their number. */
  std: number;
  zeros: number;
  nans: number;
  infinities: number;
  /** Values in parts of equal width from `min` to `max`. */
  histogram: number[];
}

const BINS = 20;

/**
 * Looks at all values of a tensor, part by part, twice: for their range and moments, then for the histogram.
 * Undefined for types that are no real numbers.
 */
export function statisticsOf(tensor: SourceTensor): Statistics | undefined {
  return lastOf(statisticsSteps(tensor));
}

/** {@link statisticsOf} part by part: yields how many bytes it has looked at since. */
export function* statisticsSteps(tensor: SourceTensor): Generator<number, Statistics | undefined> {
  if (!hasNumbers(tensor.dtype)) return undefined;
  let [count, zeros, nans, infinities, mean, spread] = [0, 0, 0, 0, 0, 0];
  let [min, max] = [Infinity, -Infinity];
  yield* forEachValue(tensor, (value) => {
    if (Number.isNaN(value)) nans++;
    else if (!Number.isFinite(value)) infinities++;
    else {
      count++;
      if (value === 0) zeros++;
      if (value < min) min = value;
      if (value > max) max = value;
      // Welford's way: no sum grows, so that no digits are lost.
      const away = value - mean;
      mean += away / count;
      spread += away * (value - mean);
    }
  });
  if (count === 0) [min, max, mean, spread] = [Number.NaN, Number.NaN, Number.NaN, Number.NaN];
  const histogram = Array.from({ length: BINS }, () => 0);
  const width = (max - min) / BINS;
  if (count > 0)
    yield* forEachValue(tensor, (value) => {
      if (!Number.isFinite(value)) return;
      const bin = width > 0 ? Math.min(BINS - 1, Math.floor((value - min) / width)) : 0;
      histogram[bin]!++;
    });
  return { count, min, max, mean, std: Math.sqrt(spread / count), zeros, nans, infinities, histogram };
}

function* forEachValue(
  { name, dtype, shape, parts }: SourceTensor,
  use: (value: number) => void,
): Generator<number, void> {
  for (const data of parts()) {
    const values = elements({ name, dtype, shape, data });
    for (const value of values) use(Number(value));
    yield data.byteLength;
  }
}

/** What steps come to in the end. */
export function lastOf<T>(steps: Generator<unknown, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** How two tensors of one shape differ. */
export interface Difference {
  /** Largest distance of two values; NaN only where one alone is. */
  largest: number;
  /** Values that are not the same. */
  changed: number;
}

/** Compares two tensors of one shape, part by part. */
export function differenceOf(a: SourceTensor, b: SourceTensor): Difference {
  return lastOf(differenceSteps(a, b));
}

/** {@link differenceOf} part by part: yields how many bytes of the first it has looked at since. */
export function* differenceSteps(a: SourceTensor, b: SourceTensor): Generator<number, Difference> {
  let [largest, changed] = [0, 0];
  const others = values(b);
  const compare = (value: number): void => {
    const other = others.next().value as number;
    if (Object.is(value, other) || value === other) return;
    changed++;
    const distance = Math.abs(value - other);
    largest = Number.isNaN(distance) ? Infinity : Math.max(largest, distance);
  };
  yield* forEachValue(a, compare);
  return { largest, changed };
}

function* values({ name, dtype, shape, parts }: SourceTensor): Generator<number> {
  for (const data of parts()) for (const value of elements({ name, dtype, shape, data })) yield Number(value);
}
