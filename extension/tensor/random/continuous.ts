import { MAX_FLOAT } from "../core/dtype.ts";
import { TensorError } from "../core/errors.ts";
import { boxMuller16 } from "./boxMuller.ts";
import { double, type Draw, type DrawKind, forEachChunk, WORDS } from "./draw.ts";
import type { Generator } from "./generator.ts";

const fround = Math.fround;

/** Standard normal values come from the vector kernel, 16 at a time, from this size on. */
const BLOCK = 16;

/**
 * `tensor.uniform_(from, to)` of float32: x * (to - from) + from with 24 random bits x, the product and sum rounded
 * once. A value that rounds up to `to` becomes `from`.
 *
 * @throws TensorError when from > to, or a bound or their distance is beyond float32.
 */
export function uniform(size: number, from = 0, to = 1): Draw {
  for (const [name, bound] of [["from", from] as const, ["to", to] as const]) {
    if (!(Math.abs(bound) <= MAX_FLOAT)) throw new TensorError("value", `${name} is out of bounds for float`);
  }
  if (from > to) {
    throw new TensorError(
      "value",
      `uniform_ expects to return a [from, to) range, but found from=${from} > to=${to}`,
    );
  }
  if (to - from > MAX_FLOAT) {
    throw new TensorError(
      "value",
      `uniform_ expects to-from <= std::numeric_limits<Float>::max(), but found to=${to} and from=${from} which result in to-from to exceed the limit`,
    );
  }
  const low = fround(from);
  const high = fround(to);
  const scale = fround(high - low) * 2 ** -24;
  return {
    kind: "uniform",
    size,
    fill: (generator, out) => {
      if (generator.uniform(out, size, scale, low, high)) return;
      forEachChunk(generator, size, 1, (start, count) => spread(out, start, count, scale, low, high));
    },
    skip: (generator) => generator.skip(size),
  };
}

// The loops over a chunk are functions of their own: a compiler keeps captured variables out of registers.
function spread(
  out: Float32Array,
  at: number,
  count: number,
  scale: number,
  low: number,
  high: number,
): void {
  for (let i = 0; i < count; i++) {
    const value = fround((WORDS[i]! & 0xffffff) * scale + low);
    out[at + i] = value === high ? low : value;
  }
}

/**
 * The slopes of `rrelu` in training: 1 where a value is positive, else uniform with 53 random bits. Only the slopes that
 * are used take words.
 */
export function leaks(values: Float32Array, lower: number, upper: number): Draw {
  const negative: number[] = [];
  values.forEach((x, i) => {
    if (x <= 0) negative.push(i);
  });
  return {
    kind: "uniform",
    size: values.length,
    fill: (generator, out) => {
      out.fill(1, 0, values.length);
      forEachChunk(generator, negative.length, 2, (start, count) => {
        for (let i = 0; i < count; i++) out[negative[start + i]!] = double(i) * (upper - lower) + lower;
      });
    },
    skip: (generator) => generator.skip(2 * negative.length),
  };
}

/**
 * `tensor.normal_(mean, std)` of float32. Fewer than 16 values, and those of a tensor that isn't contiguous, are Box-Muller pairs in double precision, whose unused
 * half waits in the generator; 16 and more are blocks of 16 in float32, where a rest is filled by drawing the last 16
 * values again.
 *
 * @throws TensorError when std is negative or either parameter is not a number.
 */
export function normal(size: number, mean = 0, std = 1, contiguous = true): Draw {
  if (!(std >= 0)) throw new TensorError("value", `normal expects std >= 0.0, but found std ${std}`);
  if (size < BLOCK || !contiguous) {
    return {
      kind: "normal",
      size,
      fill: (generator, out) => {
        for (let i = 0; i < size; i++) out[i] = generator.nextNormal() * std + mean;
      },
      skip: (generator) => {
        for (let i = 0; i < size; i++) generator.nextNormal();
      },
    };
  }
  const rest = size % BLOCK;
  return {
    kind: "normal",
    size,
    fill: (generator, out) => {
      const mean32 = fround(mean);
      const std32 = fround(std);
      if (!generator.normal(out, size - rest, mean32, std32))
        forEachChunk(generator, size - rest, 1, (start, count) => {
          for (let i = 0; i < count; i += BLOCK) boxMuller16(WORDS, i, out, start + i, mean32, std32);
        });
      if (rest === 0) return;
      generator.skip(rest);
      generator.fillU32(WORDS, BLOCK);
      boxMuller16(WORDS, 0, out, size - BLOCK, mean32, std32);
    },
    skip: (generator) => generator.skip(rest === 0 ? size : size + BLOCK),
  };
}

/**
 * `tensor.exponential_(lambda)`: -log(1 - u) / lambda with 53 random bits u.
 *
 * @throws TensorError when lambda is not above 0.
 */
export function exponential(size: number, lambda = 1): Draw<Float32Array | Float64Array> {
  if (!(lambda > 0)) {
    throw new TensorError("value", `exponential_ expects lambda > 0.0, but found lambda=${lambda}`);
  }
  const factor = -1 / lambda;
  return {
    kind: "exponential",
    size,
    fill: (generator, out) =>
      forEachChunk(generator, size, 2, (start, count) => {
        for (let i = 0; i < count; i++) out[start + i] = factor * Math.log1p(-double(i));
      }),
    skip: (generator) => generator.skip(2 * size),
  };
}

/**
 * `tensor.cauchy_(median, sigma)`: median + sigma · tan(π (u - 1/2)) with 53 random bits u.
 *
 * @throws TensorError when sigma is not above 0.
 */
export function cauchy(size: number, median = 0, sigma = 1): Draw {
  if (!(sigma > 0)) throw new TensorError("value", `cauchy_ expects sigma > 0.0, but found sigma=${sigma}`);
  return ofDoubles("cauchy", size, (u) => median + sigma * Math.tan(Math.PI * (u - 0.5)));
}

/**
 * `tensor.geometric_(p)`: log(u) / log(1 - p) rounded up, with 53 random bits u.
 *
 * @throws TensorError when p is not inside of (0, 1).
 */
export function geometric(size: number, p: number): Draw {
  if (!(p > 0 && p < 1))
    throw new TensorError("value", `geometric_ expects p to be in (0, 1), but got p=${p}`);
  const scale = Math.log1p(-p);
  return ofDoubles("geometric", size, (u) => Math.ceil(Math.log(u) / scale));
}

/** Values of uniform numbers with 53 random bits. */
function ofDoubles(kind: DrawKind, size: number, value: (u: number) => number): Draw {
  return {
    kind,
    size,
    fill: (generator, out) =>
      forEachChunk(generator, size, 2, (start, count) => {
        for (let i = 0; i < count; i++) out[start + i] = value(double(i));
      }),
    skip: (generator) => generator.skip(2 * size),
  };
}

/**
 * `tensor.log_normal_(mean, std)`: the exponential of a Box-Muller value in double precision.
 *
 * @throws TensorError when std is not above 0.
 */
export function logNormal(size: number, mean = 1, std = 2): Draw {
  if (!(std > 0)) throw new TensorError("value", `log_normal_ expects std > 0.0, but found std=${std}`);
  return {
    kind: "log_normal",
    size,
    fill: (generator, out) => {
      for (let i = 0; i < size; i++) out[i] = Math.exp(generator.nextNormal() * std + mean);
    },
    skip: (generator) => {
      for (let i = 0; i < size; i++) generator.nextNormal();
    },
  };
}

/**
 * `nn.init.trunc_normal_`: normal values of [a, b] by rejection. Where [a, b] holds more than 0.3 of the distribution
 * the whole tensor is drawn again until no value is outside; elsewhere candidates are uniform and accepted with the
 * density. How much is drawn depends on the values, so skipping costs as much as filling.
 *
 * @throws TensorError when a > b or std is not above 0.
 */
export function truncNormal(size: number, mean = 0, std = 1, a = -2, b = 2, contiguous = true): Draw {
  if (!(std > 0)) throw new TensorError("value", `trunc_normal_ expects std > 0.0, but found std ${std}`);
  const accepted = normalCdf((b - mean) / std) - normalCdf((a - mean) / std);
  const candidates = accepted > 0.3 ? normal(size, mean, std, contiguous) : uniform(size, a, b);
  const fill = (generator: Generator, out: Float32Array): void => {
    if (accepted > 0.3) redrawOutside(candidates, generator, out, fround(a), fround(b));
    else acceptByDensity(candidates, generator, out, mean, std, Math.max(a, Math.min(mean, b)));
  };
  return {
    kind: "trunc_normal",
    size,
    fill,
    skip: (generator) => fill(generator, new Float32Array(size)),
  };
}

function redrawOutside(draw: Draw, generator: Generator, out: Float32Array, low: number, high: number): void {
  const { size } = draw;
  draw.fill(generator, out);
  let fresh: Float32Array | undefined;
  for (;;) {
    let outside = 0;
    for (let i = 0; i < size; i++) if (out[i]! < low || out[i]! > high) outside++;
    if (outside === 0) return;
    fresh ??= new Float32Array(size);
    draw.fill(generator, fresh);
    for (let i = 0; i < size; i++) if (out[i]! < low || out[i]! > high) out[i] = fresh[i]!;
  }
}

function acceptByDensity(
  draw: Draw,
  generator: Generator,
  out: Float32Array,
  mean: number,
  std: number,
  mode: number,
): void {
  const { size } = draw;
  const candidate = new Float32Array(size);
  const acceptance = new Float32Array(size);
  const acceptanceDraw = uniform(size);
  const pending = new Uint8Array(size).fill(1);
  const mean32 = fround(mean);
  const std32 = fround(std);
  const logPeak = fround(-0.5 * ((mode - mean) / std) ** 2);
  for (let left = size; left > 0;) {
    draw.fill(generator, candidate);
    acceptanceDraw.fill(generator, acceptance);
    for (let i = 0; i < size; i++) {
      if (pending[i] === 0) continue;
      out[i] = candidate[i]!;
      const z = fround(fround(candidate[i]! - mean32) / std32);
      const logDensity = fround(fround(z * z) * -0.5 - logPeak);
      if (fround(Math.log(acceptance[i]!)) > logDensity) continue;
      pending[i] = 0;
      left--;
    }
  }
}

/** Φ(x) by its power series; beyond 8 the tail is below the precision of a double. */
function normalCdf(x: number): number {
  if (x > 8) return 1;
  if (x < -8) return 0;
  let term = x;
  let sum = x;
  for (let n = 3; Math.abs(term) > 1e-17; n += 2) {
    term *= (x * x) / n;
    sum += term;
  }
  return 0.5 + (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
}
