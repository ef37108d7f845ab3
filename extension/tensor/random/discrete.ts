import { internal, TensorError } from "../core/errors.ts";
import { MAX_INSERTED_SHARE } from "../tuning.ts";
import { exponential } from "./continuous.ts";
import { type Draw, forEachChunk, type NumberArray, WORDS } from "./draw.ts";
import type { Generator } from "./generator.ts";

const fround = Math.fround;

/** From this range on an integer takes two words, below it one. */
const WIDE_RANGE = 2 ** 28;

/** `randperm` of this length and more would take other draws; it would also need gigabytes. */
const MAX_PERMUTATION = Math.floor((2 ** 32 - 1) / 20);

/** Weights of `multinomial`, in whose precision the sampling is done. */
export type Weights = Float32Array | Float64Array;

/**
 * `tensor.bernoulli_(p)` with one probability: 1 where a uniform of 53 bits is below p, else 0.
 *
 * @throws TensorError when p is outside [0, 1].
 */
export function bernoulli(size: number, p: number): Draw {
  if (!(p >= 0 && p <= 1)) {
    throw new TensorError("value", `bernoulli_ expects p to be in [0, 1], but got p=${p}`);
  }
  return {
    kind: "bernoulli",
    size,
    fill: (generator, out) => fillBernoulli(generator, out, size, p, 1),
    skip: (generator) => generator.skip(2 * size),
  };
}

/**
 * `torch.bernoulli(probabilities)`, one probability for each value: 1 where a uniform of 24 bits is below it.
 * Filling throws a TensorError when a probability is outside [0, 1].
 */
export function bernoulliTensor(size: number): Draw<Float32Array, Float32Array> {
  return {
    kind: "bernoulli_tensor",
    size,
    fill: (generator, out, probabilities) => {
      for (let i = 0; i < size; i++) {
        const p = probabilities[i]!;
        if (p >= 0 && p <= 1) continue;
        throw new TensorError("value", `bernoulli expects all probabilities to be in [0, 1], but got p=${p}`);
      }
      forEachChunk(generator, size, 1, (start, count) => {
        for (let i = 0; i < count; i++) {
          out[start + i] = (WORDS[i]! & 0xffffff) * 2 ** -24 < probabilities[start + i]! ? 1 : 0;
        }
      });
    },
    skip: (generator) => generator.skip(size),
  };
}

/**
 * The factors of dropout in training: 1 / (1 - p) where a value is kept, else 0. Drops nothing without drawing when p
 * is 0, everything without drawing when p is 1.
 *
 * For channel-wise dropout the size is that of {@link featureNoiseShape}.
 *
 * @throws TensorError when p is outside [0, 1].
 */
export function dropout(size: number, p: number): Draw {
  if (!(p >= 0 && p <= 1)) {
    throw new TensorError("value", `dropout probability has to be between 0 and 1, but got ${p}`);
  }
  if (p === 0 || p === 1) {
    return { kind: "dropout", size, fill: (_, out) => void out.fill(1 - p, 0, size), skip: () => {} };
  }
  const scale = fround(1 / fround(1 - p));
  return {
    kind: "dropout",
    size,
    fill: (generator, out) => fillBernoulli(generator, out, size, 1 - p, scale),
    skip: (generator) => generator.skip(2 * size),
  };
}

/** Shape of the factors when whole channels are dropped: [N, C, 1, ...], to be broadcast over the input. */
export function featureNoiseShape(shape: readonly number[]): number[] {
  if (shape.length < 2) {
    throw new TensorError("shape", "Feature dropout requires at least 2 dimensions in the input");
  }
  return shape.map((extent, axis) => (axis < 2 ? extent : 1));
}

/**
 * Constants of alpha dropout, rounded as PyTorch's float32 steps round them. With `keep` drawn by
 * `bernoulli(size, 1 - p)` the result is x * (keep * a) + ((keep - 1) * slope + shift). As with dropout nothing is
 * drawn for p = 0 (x unchanged) and p = 1 (zeros).
 */
export function alphaDropoutConstants(p: number): { a: number; slope: number; shift: number } {
  const alpha = 1.7580993408473766;
  const a = 1 / Math.sqrt((alpha * alpha * p + 1) * (1 - p));
  return { a: fround(a), slope: fround(alpha * a), shift: fround(alpha * a * p) };
}

function fillBernoulli(generator: Generator, out: Float32Array, size: number, p: number, one: number): void {
  // The 53 random bits are below p * 2^53 if they are below the next whole number.
  const limit = Math.ceil(p * 2 ** 53);
  const high = Math.floor(limit / 2 ** 32);
  generator.decide(out, size, { high, low: limit - high * 2 ** 32, one });
}

/**
 * `torch.randint(low, high)`: integers low <= value < high, as a word (two words from a range of 2^28 on) modulo the
 * range. Values beyond 32 bits need a `Float64Array`.
 *
 * @throws TensorError when low >= high or a bound is not an integer that a double holds exactly.
 */
export function randint(size: number, low: number, high: number): Draw<NumberArray> {
  const range = high - low;
  if (range <= 0) {
    throw new TensorError(
      "value",
      `random_ expects 'from' to be less than 'to', but got from=${low} >= to=${high}`,
    );
  }
  if (!Number.isSafeInteger(low) || !Number.isSafeInteger(high) || !Number.isSafeInteger(range)) {
    throw new TensorError(
      "value",
      `randint expects integers within ±2^53 and a range below 2^53, but got low=${low}, high=${high}`,
    );
  }
  const wide = range >= WIDE_RANGE;
  return {
    kind: "randint",
    size,
    fill: (generator, out) => {
      if (out instanceof Int32Array && (low < -(2 ** 31) || high > 2 ** 31)) {
        internal(`randint(${low}, ${high}) into 32 bits`);
      }
      if (wide) {
        const modulus = BigInt(range);
        for (let i = 0; i < size; i++) out[i] = Number(generator.nextU64() % modulus) + low;
        return;
      }
      if (out instanceof Int32Array && generator.integers(out, size, range, low)) return;
      forEachChunk(generator, size, 1, (start, count) => reduce(out, start, count, range, low));
    },
    skip: (generator) => generator.skip(wide ? 2 * size : size),
  };
}

function reduce(out: NumberArray, at: number, count: number, modulus: number, low: number): void {
  for (let i = 0; i < count; i++) out[at + i] = (WORDS[i]! % (modulus >>> 0)) + low;
}

/**
 * `torch.randperm(n)`: a random order of 0 to n - 1.
 *
 * @throws TensorError when n is negative, no integer, or above 214,748,363.
 */
export function randperm(n: number): Draw<NumberArray> {
  if (n < 0) {
    throw new TensorError("value", `Trying to create tensor with negative dimension ${n}: [${n}]`);
  }
  if (!Number.isInteger(n) || n > MAX_PERMUTATION) {
    throw new TensorError("value", `randperm expects an integer up to ${MAX_PERMUTATION}, but got ${n}`);
  }
  return {
    kind: "randperm",
    size: n,
    fill: (generator, out) => {
      for (let i = 0; i < n; i++) out[i] = i;
      forEachChunk(generator, n - 1, 1, (start, count) => {
        for (let k = 0; k < count; k++) {
          const i = start + k;
          const other = i + (WORDS[k]! % ((n - i) >>> 0));
          const value = out[i]!;
          out[i] = out[other]!;
          out[other] = value;
        }
      });
    },
    skip: (generator) => generator.skip(Math.max(0, n - 1)),
  };
}

/**
 * `torch.multinomial`: for each of `rows` rows of `categories` weights, `samples` category numbers. Weights need not
 * sum to one. Filling throws a TensorError for weights that are negative, not finite, or all zero.
 *
 * @throws TensorError when there are no samples, or more than categories without replacement.
 */
export function multinomial(
  rows: number,
  categories: number,
  samples: number,
  replacement = false,
): Draw<NumberArray, Weights> {
  if (!(samples > 0)) throw new TensorError("value", "cannot sample n_sample <= 0 samples");
  if (!replacement && samples > categories) {
    throw new TensorError("value", "cannot sample n_sample > prob_dist.size(-1) samples without replacement");
  }
  // A single sample is always taken by the race, replacement or not.
  const cumulative = replacement && samples > 1;
  return {
    kind: "multinomial",
    size: rows * samples,
    fill: (generator, out, weights) =>
      (cumulative ? fillByCumulativeSum : fillByRace)(generator, out, weights, { rows, categories, samples }),
    skip: (generator) => generator.skip(2 * rows * (cumulative ? samples : categories)),
  };
}

/** Rows of weights, weights of a row, and samples to draw from each row. */
interface Counts {
  readonly rows: number;
  readonly categories: number;
  readonly samples: number;
}

function fillByCumulativeSum(
  generator: Generator,
  out: NumberArray,
  weights: Weights,
  { rows, categories, samples }: Counts,
): void {
  const cumulative =
    weights instanceof Float32Array ? new Float32Array(categories) : new Float64Array(categories);
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (let j = 0; j < categories; j++) {
      const weight = weights[row * categories + j]!;
      if (!(weight >= 0)) refuse("encountering probability entry < 0");
      if (weight === Infinity) refuse("encountering probability entry = infinity or NaN");
      cumulative[j] = sum + weight;
      sum = cumulative[j]!;
    }
    if (sum <= 0) refuse("sum of probabilities <= 0");
    for (let j = 0; j < categories; j++) cumulative[j] = cumulative[j]! / sum;
    cumulative[categories - 1] = 1;
    for (let k = 0; k < samples; k++) {
      const sample = generator.nextDouble();
      let low = 0;
      let high = categories;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (cumulative[middle]! < sample) low = middle + 1;
        else high = middle;
      }
      out[row * samples + k] = low;
    }
  }
}

/** The exponential race: the categories with the largest weight / exponential, largest first. */
function fillByRace(
  generator: Generator,
  out: NumberArray,
  weights: Weights,
  { rows, categories, samples }: Counts,
): void {
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (const weight of weights.subarray(row * categories, (row + 1) * categories)) {
      if (!(weight >= 0 && weight < Infinity)) {
        throw new TensorError("value", "probability tensor contains either `inf`, `nan` or element < 0");
      }
      sum += weight;
    }
    if (sum === 0) refuse("sum of probabilities <= 0");
  }
  const total = rows * categories;
  const ratio = weights instanceof Float32Array ? new Float32Array(total) : new Float64Array(total);
  exponential(total).fill(generator, ratio);
  for (let i = 0; i < total; i++) ratio[i] = weights[i]! / ratio[i]!;
  if (samples === 1) {
    for (let row = 0; row < rows; row++) out[row] = firstLargest(ratio, row * categories, categories);
    return;
  }
  const order = Array.from({ length: categories }, (_, j) => j);
  for (let row = 0; row < rows; row++) {
    const at = row * categories;
    const ranked =
      samples < MAX_INSERTED_SHARE * categories
        ? largest(ratio, at, categories, samples)
        : order.toSorted((i, j) => ratio[at + j]! - ratio[at + i]!);
    for (let k = 0; k < samples; k++) out[row * samples + k] = ranked[k]!;
  }
}

/** Where the largest numbers are, in descending order; equal ones keep their order. */
function largest(x: Weights, from: number, count: number, wanted: number): Int32Array {
  const places = new Int32Array(wanted);
  for (let i = 0; i < count; i++) {
    const value = x[from + i]!;
    if (i >= wanted && !(value > x[from + places[wanted - 1]!]!)) continue;
    let k = Math.min(i, wanted - 1);
    for (; k > 0 && value > x[from + places[k - 1]!]!; k--) places[k] = places[k - 1]!;
    places[k] = i;
  }
  return places;
}

/** Where the first of the largest numbers is. */
function firstLargest(x: Weights, from: number, count: number): number {
  let best = 0;
  for (let i = 1; i < count; i++) if (x[from + i]! > x[from + best]!) best = i;
  return best;
}

function refuse(reason: string): never {
  throw new TensorError("value", `invalid multinomial distribution (${reason})`);
}
