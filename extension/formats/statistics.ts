import { DTYPE_BYTES, elements, hasNumbers, type Elements, type TensorEntry } from "./tensorData.ts";
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
 * @throws PthError for a damaged file
 */
export function statisticsOf(tensor: SourceTensor): Statistics | undefined {
  return lastOf(statisticsSteps(tensor));
}

/** {@link statisticsOf} part by part: yields how many bytes it has looked at since. */
export function* statisticsSteps(tensor: SourceTensor): Generator<number, Statistics | undefined> {
  if (!hasNumbers(tensor.dtype)) {
    yield* tensor.finish();
    return undefined;
  }
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
  yield* tensor.finish();
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
  /** Largest distance of two values, infinite where one alone is NaN; undefined for types that are no real numbers. */
  largest?: number;
  /** Values that are not the same. */
  changed: number;
}

/** Compares two tensors of one shape, part by part. @throws PthError for a damaged file */
export function differenceOf(a: SourceTensor, b: SourceTensor): Difference {
  return lastOf(differenceSteps(a, b));
}

/** {@link differenceOf} part by part: yields how many bytes of the first it has looked at since. */
export function* differenceSteps(a: SourceTensor, b: SourceTensor): Generator<number, Difference> {
  const numbers = hasNumbers(a.dtype) && hasNumbers(b.dtype);
  const read: (entry: TensorEntry) => Elements | readonly string[] = numbers ? elements : wholes;
  let [largest, changed] = [0, 0];
  const rest = b.parts()[Symbol.iterator]();
  let others = read({ ...b, data: new Uint8Array() });
  let at = 0;
  for (const data of a.parts()) {
    const values = read({ ...a, data });
    for (const value of values) {
      // Parts of two types are of unequal length.
      while (at === others.length) {
        const next = rest.next();
        if (next.done === true) throw new Error(`tensor "${b.name}" ends too early`);
        others = read({ ...b, data: next.value });
        at = 0;
      }
      const other = others[at++]!;
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

/** What is no real number is the same when its bytes are. */
function wholes({ dtype, data }: TensorEntry): readonly string[] {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const size = Math.max(1, DTYPE_BYTES[dtype]);
  return Array.from({ length: bytes.length / size }, (_, i) =>
    bytes.toString("latin1", i * size, (i + 1) * size),
  );
}
