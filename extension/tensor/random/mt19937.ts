const N = 624;

/** The engine's whole state: 624 words and how many of them have been used (624: the next draw makes a new block). */
export interface Mt19937State {
  readonly words: Uint32Array;
  readonly used: number;
  /** True between seeding and the first draw, which PyTorch's state bytes tell apart from a used-up block. */
  readonly fresh: boolean;
}

/** Kinds of numbers made from words, in the order of native/kernels/table.h. */
export const DRAWN = { nothing: 0, words: 1, decisions: 2, uniform: 3, normal: 4, integers: 5 } as const;

/** Draws many numbers at once, equal to JavaScript's bit for bit. */
export interface Drawer {
  /** @returns the number of words used then */
  drawRandom(
    kind: number,
    words: Int32Array,
    used: number,
    out: Float32Array | Int32Array | Uint32Array,
    count: number,
    parameters: Float64Array,
  ): number;
}

let drawer: Drawer | undefined;

/** Sets the drawer that draws many numbers at once; undefined for none. */
export function drawBy(other: Drawer | undefined): void {
  drawer = other;
}

/** Smallest count for which a call pays: a call takes as long as drawing some 300 words in JavaScript. */
const MIN_DRAWN = 512;

const PARAMETERS = new Float64Array(3);
const NOWHERE = new Uint32Array(0);

/** Mersenne Twister MT19937, the engine of PyTorch's CPU generator: same words in the same order for the same seed. */
export class Mt19937 {
  // Signed, so that every step stays in machine integers; a word's bits are what counts.
  readonly #words = new Int32Array(N);
  #used = N;
  #fresh = true;

  /** @param seed Only the low 32 bits count, as in PyTorch. */
  constructor(seed: number) {
    this.seed(seed);
  }

  /** Starts the sequence of `seed` (low 32 bits). */
  seed(seed: number): void {
    const words = this.#words;
    words[0] = seed;
    for (let j = 1; j < N; j++) {
      const previous = words[j - 1]!;
      words[j] = Math.imul(1812433253, previous ^ (previous >>> 30)) + j;
    }
    this.#used = N;
    this.#fresh = true;
  }

  /** The next word, 0 <= word < 2^32. */
  nextU32(): number {
    if (this.#used === N) this.#refill();
    return temper(this.#words[this.#used++]!) >>> 0;
  }

  /** The next two words as one 64-bit number: the first drawn is the high half. */
  nextU64(): bigint {
    const high = this.nextU32();
    return (BigInt(high) << 32n) | BigInt(this.nextU32());
  }

  /**
   * Writes `count` numbers to the start of `out`, if a call of the {@link Drawer} pays; else returns false. Parameters
   * of uniform numbers are scale, least and excluded value; of normal numbers, drawn 16 at a time, mean and deviation;
   * of integers range and least value.
   */
  drawn(
    kind: (typeof DRAWN)[keyof typeof DRAWN],
    out: Float32Array | Int32Array | Uint32Array,
    count: number,
    first = 0,
    second = 0,
    third = 0,
  ): boolean {
    if (drawer === undefined || count < MIN_DRAWN || count >= 2 ** 31) return false;
    PARAMETERS[0] = first;
    PARAMETERS[1] = second;
    PARAMETERS[2] = third;
    this.#used = drawer.drawRandom(kind, this.#words, this.#used, out, count, PARAMETERS);
    this.#fresh = false;
    return true;
  }

  /** Writes the next `count` words to the start of `out`; the quick way to draw many. */
  fillU32(out: Uint32Array, count: number): void {
    if (this.drawn(DRAWN.words, out, count)) return;
    for (let done = 0; done < count;) {
      if (this.#used === N) this.#refill();
      const step = Math.min(count - done, N - this.#used);
      temperAll(this.#words, this.#used, out, done, step);
      this.#used += step;
      done += step;
    }
  }

  /**
   * Writes `count` decisions: `one` where the 53 bits of the next two words are below `high`·2³² + `low`,
   * else 0. The second word is computed only where the first doesn't decide, which is rare.
   */
  decide(out: Float32Array, count: number, threshold: Threshold): void {
    // `torch.bernoulli` also draws integers and truth values.
    const floats = out instanceof Float32Array;
    if (floats && this.drawn(DRAWN.decisions, out, count, threshold.high, threshold.low, threshold.one))
      return;
    const words = this.#words;
    for (let done = 0; done < count;) {
      if (this.#used === N) this.#refill();
      const pairs = Math.min(count - done, (N - this.#used) >> 1);
      decideAll(words, this.#used, out, done, pairs, threshold);
      this.#used += 2 * pairs;
      done += pairs;
      if (done === count || this.#used === N) continue;
      // The pair that lies across two blocks.
      const word = this.nextU32() & 0x1fffff;
      const second = this.nextU32();
      const { high, low, one } = threshold;
      out[done] = word < high || (word === high && second < low) ? one : 0;
      done++;
    }
  }

  /** Passes over `count` words: the state is then what drawing them would have left. */
  skip(count: number): void {
    if (this.drawn(DRAWN.nothing, NOWHERE, count)) return;
    let left = count;
    while (left > 0) {
      if (this.#used === N) this.#refill();
      const step = Math.min(left, N - this.#used);
      this.#used += step;
      left -= step;
    }
  }

  getState(): Mt19937State {
    return { words: Uint32Array.from(this.#words), used: this.#used, fresh: this.#fresh };
  }

  setState(state: Mt19937State): void {
    this.#words.set(state.words);
    this.#used = state.used;
    this.#fresh = state.fresh;
  }

  #refill(): void {
    nextBlock(this.#words);
    this.#used = 0;
    this.#fresh = false;
  }
}

/**
 * Replaces a block of words by the next. The work is done in an array of its own: the compiler knows the length of a
 * constant of a closure (not of a module, which bundlers turn into a variable), leaves out the bounds checks and is
 * twice as fast.
 */
const nextBlock = (() => {
  const n = 624;
  const m = 397;
  const block = new Int32Array(n);
  return (words: Int32Array): void => {
    block.set(words);
    for (let j = 0; j < n - m; j++) block[j] = block[j + m]! ^ twist(block[j]!, block[j + 1]!);
    for (let j = n - m; j < n - 1; j++) block[j] = block[j + m - n]! ^ twist(block[j]!, block[j + 1]!);
    block[n - 1] = block[m - 1]! ^ twist(block[n - 1]!, block[0]!);
    words.set(block);
  };
})();

function twist(upper: number, lower: number): number {
  return (((upper & 0x80000000) | (lower & 0x7fffffff)) >>> 1) ^ (-(lower & 1) & 0x9908b0df);
}

/** Threshold that 53 random bits are compared with, as high and low word; `one` is written for values below it. */
export interface Threshold {
  readonly high: number;
  readonly low: number;
  readonly one: number;
}

function decideAll(
  words: Int32Array,
  from: number,
  out: Float32Array,
  at: number,
  pairs: number,
  { high, low, one }: Threshold,
): void {
  for (let i = 0; i < pairs; i++) {
    const word = temper(words[from + 2 * i]!) & 0x1fffff;
    // No branch to mispredict: the sign of the difference is the decision.
    let below = (word - high) >>> 31;
    if (word === high) below = temper(words[from + 2 * i + 1]!) >>> 0 < low ? 1 : 0;
    out[at + i] = below * one;
  }
}

/** Writes `count` words, made from those of the block, from `at` on. */
function temperAll(words: Int32Array, from: number, out: Uint32Array, at: number, count: number): void {
  for (let i = 0; i < count; i++) out[at + i] = temper(words[from + i]!);
}

function temper(word: number): number {
  let y = word ^ (word >>> 11);
  y ^= (y << 7) & 0x9d2c5680;
  y ^= (y << 15) & 0xefc60000;
  return y ^ (y >>> 18);
}
