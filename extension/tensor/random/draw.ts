import type { Generator } from "./generator.ts";

export type DrawKind =
  | "uniform"
  | "normal"
  | "trunc_normal"
  | "exponential"
  | "bernoulli"
  | "bernoulli_tensor"
  | "dropout"
  | "randint"
  | "randperm"
  | "multinomial"
  | "cauchy"
  | "geometric"
  | "log_normal"
  | "gamma"
  | "dirichlet"
  | "poisson"
  | "binomial"
  | "von_mises";

/**
 * One random operation of PyTorch, ready to run on a generator: either its values are computed (`fill`) or only its
 * place in the stream is taken (`skip`). Both leave the generator in the same state.
 *
 * `Input` holds what the values depend on beside the generator; it is known only when they are computed.
 */
export interface Draw<Out extends NumberArray = Float32Array, Input = void> {
  readonly kind: DrawKind;
  /** Number of values. */
  readonly size: number;
  /** Computes the values into the first `size` places of `out`. */
  fill(generator: Generator, out: Out, input: Input): void;
  /** `input` is for draws whose values say how many words they take. */
  skip(generator: Generator, input: Input): void;
}

export type NumberArray = Float32Array | Float64Array | Int32Array;

/** Words drawn at a time: they stay in the first-level cache. A multiple of 16, the block of the normal draws. */
export const CHUNK = 4096;

/** Scratch of the draws, which never nest. */
export const WORDS = new Uint32Array(CHUNK);

/** Calls `use(start, count)` for each chunk of `total` values, once `WORDS` holds `each` words a value for it. */
export function forEachChunk(
  generator: Generator,
  total: number,
  each: 1 | 2,
  use: (start: number, count: number) => void,
): void {
  const step = CHUNK / each;
  for (let start = 0; start < total; start += step) {
    const count = Math.min(step, total - start);
    generator.fillU32(WORDS, count * each);
    use(start, count);
  }
}

/** The double of [0, 1) that the two words of value `i` of a chunk make: 53 random bits. */
export function double(i: number): number {
  return ((WORDS[2 * i]! & 0x1fffff) * 2 ** 32 + WORDS[2 * i + 1]!) * 2 ** -53;
}
