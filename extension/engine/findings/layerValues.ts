import type { ValueHistogram } from "../../protocol/run.ts";
import type { HostArray } from "../../tensor/core/dtype.ts";
import { numel } from "../../tensor/core/shape.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { index } from "../../tensor/functions/indexing/indexing.ts";
import { narrow } from "../../tensor/functions/shape/parts.ts";
import { reshape } from "../../tensor/functions/shape/shape.ts";
import { slice } from "../../tensor/functions/shape/slice.ts";

/** Values of a layer that a histogram counts: enough that a bin's share is known to about 1 %. */
const SAMPLE = 4096;
const BINS = 32;
/** Standard deviations from the mean to the outermost bins: a few outliers would leave one bin with everything. */
const REACH = 4;

/** The step that takes about `wanted` of `length` values. Coprime to `length`, so that no row or column is favoured. */
function strideOf(length: number, wanted: number): number {
  let stride = Math.max(1, Math.floor(length / wanted));
  while (stride > 1 && divisor(length, stride) > 1) stride++;
  return stride;
}

const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));

/** About {@link SAMPLE} values of a layer's arrays, evenly spaced. */
export function sampleOf(arrays: readonly HostArray[]): Float32Array {
  const all = arrays.reduce((sum, { length }) => sum + length, 0);
  if (all <= SAMPLE && arrays.length === 1) return Float32Array.from(arrays[0]!);
  const parts = arrays.map((values) => {
    const stride = strideOf(values.length, Math.max(1, (SAMPLE * values.length) / all));
    const part = new Float32Array(Math.ceil(values.length / stride));
    for (let i = 0, at = 0; at < values.length; i++, at += stride) part[i] = values[at]!;
    return part;
  });
  const sample = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    sample.set(part, at);
    at += part.length;
  }
  return sample;
}

/** About {@link SAMPLE} values of a tensor as a vector: of the first samples, evenly spaced if these have more. */
export function sampleOfTensor(x: Tensor): Tensor {
  const [samples = 1] = x.shape;
  if (x.ndim === 0 || numel(x.shape) === 0) return reshape(x, [-1]);
  const size = numel(x.shape) / samples;
  const taken = Math.min(samples, Math.max(1, Math.ceil(SAMPLE / size)));
  const flat = reshape(taken < samples ? narrow(x, 0, 0, taken) : x, [-1]);
  const stride = strideOf(flat.numel(), SAMPLE);
  return stride === 1 ? flat : index(flat, slice(null, null, stride));
}

/** The histogram of the finite values; undefined if there are none. */
export function histogramOf(values: Float32Array): ValueHistogram | undefined {
  let [count, sum, squares, least, most] = [0, 0, 0, Infinity, -Infinity];
  for (const x of values) {
    if (!Number.isFinite(x)) continue;
    count++;
    sum += x;
    squares += x * x;
    if (x < least) least = x;
    if (x > most) most = x;
  }
  if (count === 0) return undefined;
  const mean = sum / count;
  const std = Math.sqrt(Math.max(0, squares / count - mean * mean));
  const low = Math.max(least, mean - REACH * std);
  const high = Math.min(most, mean + REACH * std);
  const shown = { low: short(low), high: short(high), mean: short(mean), std: short(std) };
  if (!(high > low)) return { ...shown, counts: [count] };
  const counts = Array.from({ length: BINS }, () => 0);
  const scale = BINS / (high - low);
  for (const x of values) {
    if (!Number.isFinite(x)) continue;
    counts[Math.min(BINS - 1, Math.max(0, Math.floor((x - low) * scale)))]!++;
  }
  return { ...shown, counts };
}

/** Mean of the absolute values. */
export function meanSize(values: Float32Array): number {
  let sum = 0;
  for (const x of values) sum += Math.abs(x);
  return sum / values.length;
}

const short = (x: number): number => Number(x.toPrecision(5));
