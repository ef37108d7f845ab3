import { TensorError } from "../core/errors.ts";
import { DRAWN, Mt19937, type Threshold } from "./mt19937.ts";

/** Seed of a generator that was never seeded: PyTorch's `default_rng_seed_val`. */
export const DEFAULT_SEED = 67280421310721n;

/** Bytes of a generator's state, the layout of `torch.get_rng_state()` on the CPU. */
export const STATE_BYTES = 5056;

/** A generator's state. A `.pth` file has it as a tensor of bytes, as PyTorch's. */
export class RngState extends Uint8Array {}

const WORDS = 624;
const OFFSET = {
  seed: 0,
  left: 8,
  seeded: 12,
  next: 16,
  words: 24,
  normal: 5024,
  hasNormal: 5040,
  floatNormal: 5048,
  hasFloatNormal: 5052,
} as const;

const TWO_53 = 2 ** 53;

/**
 * A stream of random numbers, equal to `torch.Generator` of the CPU: same seeds, same values, same state bytes.
 *
 * Draws take their words from here; the order of draws is the order of values.
 */
export class Generator {
  readonly #engine = new Mt19937(Number(DEFAULT_SEED & 0xffffffffn));
  #seed = DEFAULT_SEED;
  /** The second value of the last Box-Muller pair, if nothing has used it yet. */
  #normal: number | undefined;
  /** PyTorch's float32 twin of `#normal`; no CPU draw uses it, a restored state keeps it. */
  #floatNormal: number | undefined;

  /**
   * Restarts the stream and forgets a kept normal value.
   *
   * @param seed An integer from -2^63 to 2^64-1; a negative one stands for 2^64 + seed. The stream depends on its low
   *   32 bits only.
   * @throws TensorError when the seed is no integer or out of that range.
   */
  manualSeed(seed: number | bigint): this {
    if (typeof seed === "number" && !Number.isInteger(seed)) {
      throw new TensorError("value", `manual_seed expected an integer seed, but got ${seed}`);
    }
    const wide = BigInt(seed);
    if (wide < -(2n ** 63n) || wide >= 2n ** 64n) {
      throw new TensorError(
        "value",
        `manual_seed expected a seed within [-0x8000_0000_0000_0000, 0xffff_ffff_ffff_ffff], but got ${seed}`,
      );
    }
    this.#seed = BigInt.asUintN(64, wide);
    this.#engine.seed(Number(this.#seed & 0xffffffffn));
    this.#normal = undefined;
    this.#floatNormal = undefined;
    return this;
  }

  /** The seed in use, 0 to 2^64-1. */
  initialSeed(): bigint {
    return this.#seed;
  }

  /** Seeds from the system's entropy and returns that seed, as `torch.seed()` does. */
  seed(): bigint {
    const [seed] = crypto.getRandomValues(new BigUint64Array(1));
    this.manualSeed(seed!);
    return seed!;
  }

  /** A second generator that will give the same values from here on. */
  clone(): Generator {
    return new Generator().setState(this.getState());
  }

  /** The whole state as PyTorch's 5056 bytes, kept normal value included. */
  getState(): RngState {
    const bytes = new RngState(STATE_BYTES);
    const view = new DataView(bytes.buffer);
    const { words, used, fresh } = this.#engine.getState();
    view.setBigUint64(OFFSET.seed, this.#seed, true);
    view.setInt32(OFFSET.left, WORDS - used + 1, true);
    view.setInt32(OFFSET.seeded, 1, true);
    view.setUint32(OFFSET.next, fresh ? 0 : used, true);
    for (let i = 0; i < WORDS; i++) view.setUint32(OFFSET.words + 8 * i, words[i]!, true);
    if (this.#normal !== undefined) {
      view.setFloat64(OFFSET.normal, this.#normal, true);
      view.setInt32(OFFSET.hasNormal, 1, true);
    }
    if (this.#floatNormal !== undefined) {
      view.setFloat32(OFFSET.floatNormal, this.#floatNormal, true);
      view.setUint8(OFFSET.hasFloatNormal, 1);
    }
    return bytes;
  }

  /**
   * Continues from a state of `getState()` or of `torch.get_rng_state()`.
   *
   * @throws TensorError when the bytes are no such state.
   */
  setState(bytes: Uint8Array): this {
    if (bytes.length !== STATE_BYTES) {
      throw new TensorError(
        "value",
        `RNG state is wrong size: expected ${STATE_BYTES} bytes, got ${bytes.length}`,
      );
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const left = view.getInt32(OFFSET.left, true);
    const next = view.getUint32(OFFSET.next, true);
    const used = WORDS - left + 1;
    const fresh = left === 1 && next === 0;
    if (view.getInt32(OFFSET.seeded, true) !== 1 || left < 1 || left > WORDS || (next !== used && !fresh)) {
      throw new TensorError("value", `Invalid mt19937 state: ${left} words left, next word ${next}`);
    }
    const words = new Uint32Array(WORDS);
    for (let i = 0; i < WORDS; i++) words[i] = view.getUint32(OFFSET.words + 8 * i, true);
    this.#engine.setState({ words, used, fresh });
    this.#seed = view.getBigUint64(OFFSET.seed, true);
    this.#normal =
      view.getInt32(OFFSET.hasNormal, true) === 0 ? undefined : view.getFloat64(OFFSET.normal, true);
    this.#floatNormal =
      view.getUint8(OFFSET.hasFloatNormal) === 0 ? undefined : view.getFloat32(OFFSET.floatNormal, true);
    return this;
  }

  /** The next 32-bit word. */
  nextU32(): number {
    return this.#engine.nextU32();
  }

  /** The next two words as one 64-bit number, first word high. */
  nextU64(): bigint {
    return this.#engine.nextU64();
  }

  /** Writes the next `count` words to the start of `out`. */
  fillU32(out: Uint32Array, count: number): void {
    this.#engine.fillU32(out, count);
  }

  /** Writes `count` decisions into `out`: see {@link Mt19937.decide}. */
  decide(out: Float32Array, count: number, threshold: Threshold): void {
    this.#engine.decide(out, count, threshold);
  }

  /** Writes uniform numbers if that is worth a call: see {@link Mt19937.drawn}. */
  uniform(out: Float32Array, count: number, scale: number, low: number, high: number): boolean {
    return this.#engine.drawn(DRAWN.uniform, out, count, scale, low, high);
  }

  /** Writes normal numbers likewise. */
  normal(out: Float32Array, count: number, mean: number, std: number): boolean {
    return this.#engine.drawn(DRAWN.normal, out, count, mean, std);
  }

  /** Writes integers of less than 32 bits likewise. */
  integers(out: Int32Array, count: number, range: number, low: number): boolean {
    return this.#engine.drawn(DRAWN.integers, out, count, range, low);
  }

  /** Passes over `count` 32-bit words. */
  skip(count: number): void {
    this.#engine.skip(count);
  }

  /** A double of [0, 1) with 53 random bits. */
  nextDouble(): number {
    const high = this.nextU32() & 0x1fffff;
    return (high * 2 ** 32 + this.nextU32()) / TWO_53;
  }

  /**
   * A standard normal double by Box-Muller. Values come in pairs: the cosine now, the sine at the next call, even when
   * other draws happen in between.
   */
  nextNormal(): number {
    const kept = this.#normal;
    if (kept !== undefined) {
      this.#normal = undefined;
      return kept;
    }
    const turn = this.nextDouble();
    const radius = Math.sqrt(-2 * Math.log1p(-this.nextDouble()));
    const angle = 2 * Math.PI * turn;
    this.#normal = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
}
