import { TensorError } from "../core/errors.ts";
import { lgamma } from "../ops/elementwise/specialValues.ts";
import type { Draw, DrawKind } from "./draw.ts";
import type { Generator } from "./generator.ts";

const fround = Math.fround;
const MIN_FLOAT = 2 ** -126;
const ONE_THIRD = fround(1 / 3);
/** The squeeze of Marsaglia and Tsang, a float32 in PyTorch. */
const SQUEEZE = fround(0.0331);

/**
 * A value of the standard Gamma distribution: Marsaglia and Tsang's rejection, with PyTorch's draws. Below 1 the shape is
 * raised by 1 and the value scaled down.
 *
 * @param single whether the shape is a float32, and what is computed of it rounded likewise
 */
function sampleGamma(generator: Generator, concentration: number, single: boolean): number {
  const round = single ? fround : (x: number): number => x;
  let [alpha, scale] = [concentration, 1];
  if (alpha < 1) {
    if (alpha === 0) return 0;
    scale = (1 - generator.nextDouble()) ** round(1 / alpha);
    alpha = round(alpha + 1);
  }
  const d = round(alpha - ONE_THIRD);
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    let x: number;
    let y: number;
    do {
      x = generator.nextNormal();
      y = 1 + c * x;
    } while (y <= 0);
    const v = y * y * y;
    const u = 1 - generator.nextDouble();
    const square = x * x;
    if (u < 1 - SQUEEZE * square * square) return scale * d * v;
    if (Math.log(u) < 0.5 * square + d * (1 - v + Math.log(v))) return scale * d * v;
    // A shape that isn't a number would be drawn for ever.
    if (Number.isNaN(d)) return NaN;
  }
}

/** A draw that has to know its input even to be skipped: how many words it takes depends on the values. */
export function drawn(
  kind: DrawKind,
  size: number,
  fill: (generator: Generator, out: Float32Array, input: Float32Array) => void,
): Draw<Float32Array, Float32Array> {
  return {
    kind,
    size,
    fill,
    skip: (generator, input) => fill(generator, new Float32Array(size), input),
  };
}

/** `torch._standard_gamma(concentration)`: a value for each shape. */
export function standardGamma(size: number): Draw<Float32Array, Float32Array> {
  return drawn("gamma", size, (generator, out, concentration) => {
    for (let i = 0; i < size; i++) {
      out[i] = Math.max(MIN_FLOAT, fround(sampleGamma(generator, concentration[i]!, true)));
    }
  });
}

/** `torch._sample_dirichlet(concentration)`: rows of `categories` Gamma values in double precision, divided by their sum. */
export function dirichlet(size: number, categories: number): Draw<Float32Array, Float32Array> {
  const below = 1 - 2 ** -24;
  return drawn("dirichlet", size, (generator, out, concentration) => {
    const gammas = new Float64Array(size);
    for (let i = 0; i < size; i++) {
      const sample = sampleGamma(generator, concentration[i]!, false);
      // The smallest normal double.
      gammas[i] = Math.max(2 ** -1022, sample);
    }
    for (let at = 0; at < size; at += categories) {
      let sum = 0;
      for (let i = at; i < at + categories; i++) sum += gammas[i]!;
      for (let i = at; i < at + categories; i++) {
        out[i] = Math.min(below, Math.max(MIN_FLOAT, fround(gammas[i]! / sum)));
      }
    }
  });
}

/**
 * `torch.poisson(rate)`: a count for each rate, by products of uniforms below 10, by Hörmann's transformed rejection from
 * there on. Filling throws a TensorError for a negative rate.
 */
export function poisson(size: number): Draw<Float32Array, Float32Array> {
  return drawn("poisson", size, (generator, out, rate) => {
    for (let i = 0; i < size; i++) {
      if (!(rate[i]! >= 0)) {
        throw new TensorError("value", "invalid Poisson rate, expected rate to be non-negative");
      }
      out[i] = rate[i]! >= 10 ? rejectedPoisson(generator, rate[i]!) : countedPoisson(generator, rate[i]!);
    }
  });
}

function countedPoisson(generator: Generator, rate: number): number {
  if (rate === 0) return 0;
  const limit = Math.exp(-rate);
  let count = 0;
  for (let product = generator.nextDouble(); product > limit; product *= generator.nextDouble()) count++;
  return count;
}

function rejectedPoisson(generator: Generator, rate: number): number {
  const logRate = Math.log(rate);
  const b = 0.931 + 2.53 * Math.sqrt(rate);
  const a = -0.059 + 0.02483 * b;
  const inverseAlpha = 1.1239 + 1.1328 / (b - 3.4);
  const limit = 0.9277 - 3.6224 / (b - 2);
  for (;;) {
    const u = generator.nextDouble() - 0.5;
    const v = generator.nextDouble();
    const us = 0.5 - Math.abs(u);
    const k = Math.floor(((2 * a) / us + b) * u + rate + 0.43);
    if (us >= 0.07 && v <= limit) return k;
    if (k < 0 || (us < 0.013 && v > us)) continue;
    const bound = -rate + k * logRate - lgamma(k + 1);
    if (Math.log(v) + Math.log(inverseAlpha) - Math.log(a / (us * us) + b) <= bound) return k;
  }
}
