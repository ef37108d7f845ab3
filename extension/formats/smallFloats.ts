/** Float types below 32 bits, other than bfloat16, which is the upper half of a float32. */
export type SmallFloat = "F16" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" | "F8_E4M3FNUZ" | "F8_E5M2FNUZ";

interface Layout {
  readonly exponent: number;
  readonly mantissa: number;
  /**
   * `ieee`: the highest exponent is infinities and NaN. `fn`: only the all-ones pattern is NaN and nothing is infinite.
   * `fnuz`: only what would be -0 is NaN, and exponents are one lower.
   */
  readonly special: "ieee" | "fn" | "fnuz";
}

const LAYOUTS: Record<Exclude<SmallFloat, "F8_E8M0">, Layout> = {
  F16: { exponent: 5, mantissa: 10, special: "ieee" },
  F8_E5M2: { exponent: 5, mantissa: 2, special: "ieee" },
  F8_E4M3: { exponent: 4, mantissa: 3, special: "fn" },
  F8_E4M3FNUZ: { exponent: 4, mantissa: 3, special: "fnuz" },
  F8_E5M2FNUZ: { exponent: 5, mantissa: 2, special: "fnuz" },
};

const tables = new Map<SmallFloat, Float32Array>();

/** The value of every bit pattern of a type. */
export function smallFloats(type: SmallFloat): Float32Array {
  let table = tables.get(type);
  if (table === undefined) {
    table = type === "F8_E8M0" ? powersOfTwo() : valuesOf(LAYOUTS[type]);
    tables.set(type, table);
  }
  return table;
}

function valuesOf(layout: Layout): Float32Array {
  const size = 2 ** (1 + layout.exponent + layout.mantissa);
  return Float32Array.from({ length: size }, (_, bits) => decode(bits, layout));
}

/** Nothing but an exponent: a scale. */
function powersOfTwo(): Float32Array {
  return Float32Array.from({ length: 256 }, (_, bits) => (bits === 255 ? Number.NaN : 2 ** (bits - 127)));
}

function decode(bits: number, { exponent: exponentBits, mantissa: mantissaBits, special }: Layout): number {
  const one = 2 ** mantissaBits;
  const highest = 2 ** exponentBits - 1;
  const bias = (highest - 1) / 2 + (special === "fnuz" ? 1 : 0);
  const mantissa = bits % one;
  const exponent = Math.floor(bits / one) & highest;
  const sign = bits >> (mantissaBits + exponentBits) === 0 ? 1 : -1;
  if (special === "ieee" && exponent === highest) return mantissa === 0 ? sign * Infinity : Number.NaN;
  if (special === "fn" && exponent === highest && mantissa === one - 1) return Number.NaN;
  if (special === "fnuz" && sign < 0 && exponent === 0 && mantissa === 0) return Number.NaN;
  if (exponent === 0) return sign * mantissa * 2 ** (1 - bias - mantissaBits);
  return sign * (one + mantissa) * 2 ** (exponent - bias - mantissaBits);
}

/** Bits of the float16 nearest to a number, the even one of two as near. */
export function toHalfBits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(size)) return 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  // The spacing of float16 around the value; below 2^-14 it stays that of the subnormal numbers.
  const exponent = size < 2 ** -14 ? -14 : Math.floor(Math.log2(size));
  const steps = roundToEven(size / 2 ** (exponent - 10));
  return sign | (((exponent + 15) << 10) + steps - 0x400);
}

/** Bits of the bfloat16 nearest to a float32, given by its bits. */
export function toBrainBits(float32Bits: number): number {
  const magnitude = float32Bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return (float32Bits >>> 16) | 0x40;
  return ((float32Bits + 0x7fff + ((float32Bits >>> 16) & 1)) >>> 16) & 0xffff;
}

function roundToEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
