// The vector kernel that PyTorch's x86 builds use for 16 and more normal values, bit for bit: Cephes approximations of
// log, sin and cos in float32, with the multiply-adds that its compiler fuses. `fround(a * b + c)` is such a fused
// step: a product of two float32 is exact in float64. Libraries' own log, sin and cos differ from it by up to 1.7e-6.
//
// No branch depends on a random number: half of them would be mispredicted, at the price of all the arithmetic.
// All of it is a closure, whose constants the compiler knows; those of a module bundlers turn into variables.

/**
 * Turns 16 words into 16 normal values: words j and j + 8 give the radius and the angle of values j and j + 8.
 *
 * @param words The random words, of which the low 24 bits count.
 * @param from Position of the first of the 16 words.
 * @param out Receives the values.
 * @param to Position of the first of the 16 values.
 * @param mean Mean, a float32.
 * @param std Standard deviation, a float32.
 */
export const boxMuller16 = (() => {
  const fround = Math.fround;

  const TWO_PI = fround(2 * Math.PI);
  const SQRT_HALF = fround(Math.SQRT1_2);
  const FOUR_OVER_PI = fround(4 / Math.PI);

  // log(1 + x) = x - x²/2 + x³ P(x); ln 2 in two parts.
  const LOG_P0 = fround(7.0376836292e-2);
  const LOG_P1 = fround(-1.151461031e-1);
  const LOG_P2 = fround(1.167699874e-1);
  const LOG_P3 = fround(-1.2420140846e-1);
  const LOG_P4 = fround(1.4249322787e-1);
  const LOG_P5 = fround(-1.6668057665e-1);
  const LOG_P6 = fround(2.0000714765e-1);
  const LOG_P7 = fround(-2.4999993993e-1);
  const LOG_P8 = fround(3.3333331174e-1);
  const LN2_LOW = fround(-2.1219444e-4);
  const LN2_HIGH = 0.693359375;

  // π/4 in three parts, and the polynomials of sine and cosine on [-π/4, π/4].
  const PI_4_A = 0.78515625;
  const PI_4_B = 2.4187564849853515625e-4;
  const PI_4_C = fround(3.774894977445941e-8);
  const SIN_P0 = fround(-1.9515295891e-4);
  const SIN_P1 = fround(8.3321608736e-3);
  const SIN_P2 = fround(-1.6666654611e-1);
  const COS_P0 = fround(2.443315711809948e-5);
  const COS_P1 = fround(-1.388731625493765e-3);
  const COS_P2 = fround(4.166664568298827e-2);

  const INVERSE_POWER = Float64Array.from({ length: 26 }, (_, bits) => 2 ** -bits);
  /** √½ of float32, in units of 2^-24. */
  const SQRT_HALF_24 = SQRT_HALF * 2 ** 24;
  const SIGN = Float64Array.of(1, -1);
  /** Cosine and sine of what is left of an angle. */
  const PAIR = new Float64Array(2);

  /** sqrt(-2 log u) for u = m / 2^24, 1 <= m <= 2^24. */
  function radiusOf(m: number): number {
    const bits = 32 - Math.clz32(m);
    // u = 2^exponent · (1 + x) with √½ <= 1 + x < √2.
    const below = ((m << (24 - bits)) - SQRT_HALF_24) >>> 31;
    const exponent = bits - 24 - below;
    const x = m * INVERSE_POWER[bits - below]! - 1;
    const z = fround(x * x);
    let y = fround(LOG_P0 * x + LOG_P1);
    y = fround(y * x + LOG_P2);
    y = fround(y * x + LOG_P3);
    y = fround(y * x + LOG_P4);
    y = fround(y * x + LOG_P5);
    y = fround(y * x + LOG_P6);
    y = fround(y * x + LOG_P7);
    y = fround(y * x + LOG_P8);
    y = fround(fround(y * x) * z + fround(exponent * LN2_LOW));
    y = fround(y - z * 0.5);
    const log = fround(exponent * LN2_HIGH + fround(x + y));
    return fround(Math.sqrt(fround(-2 * log)));
  }

  return (
    words: Uint32Array,
    from: number,
    out: Float32Array,
    to: number,
    mean: number,
    std: number,
  ): void => {
    for (let j = 0; j < 8; j++) {
      const radius = radiusOf(0x1000000 - (words[from + j]! & 0xffffff));
      const angle = fround(TWO_PI * fround((words[from + j + 8]! & 0xffffff) * 2 ** -24));

      // Octant of the angle, rounded up to even, and what is left of the angle.
      const octant = (Math.trunc(fround(angle * FOUR_OVER_PI)) + 1) & ~1;
      let x = fround(angle - octant * PI_4_A);
      x = fround(x - octant * PI_4_B);
      x = fround(x - octant * PI_4_C);
      const z = fround(x * x);
      let c = fround(COS_P0 * z + COS_P1);
      c = fround(c * z + COS_P2);
      c = fround(fround(fround(c * z) * z - z * 0.5) + 1);
      let s = fround(SIN_P0 * z + SIN_P1);
      s = fround(s * z + SIN_P2);
      s = fround(fround(s * z) * x + x);

      PAIR[0] = c;
      PAIR[1] = s;
      const swapped = (octant >> 1) & 1;
      const negative = octant >> 2;
      const cosine = PAIR[swapped]! * SIGN[(swapped ^ negative) & 1]!;
      const sine = PAIR[swapped ^ 1]! * SIGN[negative & 1]!;
      out[to + j] = fround(radius * cosine) * std + mean;
      out[to + j + 8] = fround(radius * sine) * std + mean;
    }
  };
})();
