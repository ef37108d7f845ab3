import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  elements,
  encodeElements,
  isStoredDtype,
  type StoredDtype,
  type TensorEntry,
  toBool,
  toFloat32,
  toInt32,
  toWholeFloat64,
} from "../../../extension/formats/tensorData.ts";

const expected = JSON.parse(
  readFileSync(new URL("../../fixtures/formats/small_floats.json", import.meta.url), "utf8"),
) as Record<"decode" | "encode", Record<string, string>>;

const bytesOf = (values: ArrayBufferView): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
const sha256 = (values: ArrayBufferView): string =>
  createHash("sha256").update(bytesOf(values)).digest("hex");

const entry = (dtype: StoredDtype, values: ArrayBufferView): TensorEntry => {
  const data = bytesOf(values);
  return { name: "w", dtype, shape: [data.length], data };
};

describe("small floats equal PyTorch's, every bit pattern", () => {
  test.each(["F16", "BF16", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"] as const)(
    "%s read",
    (dtype) => {
      const patterns = dtype.startsWith("F8")
        ? Uint8Array.from({ length: 256 }, (_, bits) => bits)
        : Uint16Array.from({ length: 65536 }, (_, bits) => bits);
      const values = toFloat32(entry(dtype, patterns));
      expect(sha256(values.filter((value) => !Number.isNaN(value)))).toBe(expected.decode[dtype]);
    },
  );

  test.each(["F16", "BF16"] as const)("%s written", (dtype) => {
    let word = 0;
    const words = Uint32Array.from({ length: 100_000 }, () => {
      const current = word;
      word = (Math.imul(1664525, word) + 1013904223) >>> 0;
      return current;
    });
    const numbers = new Float32Array(words.buffer).filter((value) => !Number.isNaN(value));
    expect(sha256(encodeElements(numbers, dtype))).toBe(expected.encode[dtype]);
  });

  test.each(["F16", "BF16"] as const)("%s comes back, and half way goes to the even neighbour", (dtype) => {
    const bits = Uint16Array.from({ length: 0x7c00 }, (_, i) => i);
    const values = toFloat32(entry(dtype, bits));
    expect([...new Uint16Array(encodeElements(values, dtype).slice().buffer)]).toEqual([...bits]);
    const middles = Float32Array.from(values.subarray(0, -1), (value, i) => (value + values[i + 1]!) / 2);
    const rounded = new Uint16Array(encodeElements(middles, dtype).slice().buffer);
    expect([...rounded]).toEqual([...bits.subarray(0, -1)].map((low) => low + (low % 2)));
  });

  test("not a number stays not a number", () => {
    for (const dtype of ["F16", "BF16"] as const) {
      const nan = encodeElements(Float32Array.of(Number.NaN, -Number.NaN), dtype);
      expect([...toFloat32(entry(dtype, nan))]).toEqual([Number.NaN, Number.NaN]);
    }
  });
});

describe("elements", () => {
  test.each<[StoredDtype, ArrayBufferView & Iterable<number | bigint>]>([
    ["I8", Int8Array.of(-128, 127)],
    ["U8", Uint8Array.of(0, 255)],
    ["I16", Int16Array.of(-32768, 32767)],
    ["U16", Uint16Array.of(0, 65535)],
    ["I32", Int32Array.of(-(2 ** 31), 2 ** 31 - 1)],
    ["U32", Uint32Array.of(0, 2 ** 32 - 1)],
    ["F32", Float32Array.of(-0, 0.1, Infinity)],
    ["F64", Float64Array.of(0.1, 1e300)],
    ["I64", BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n)],
    ["U64", BigUint64Array.of(0n, 2n ** 64n - 1n)],
  ])("%s, aligned in place and unaligned from a copy", (dtype, values) => {
    const stored = entry(dtype, values);
    expect(elements(stored)).toEqual(values);
    expect(elements(stored).buffer).toBe(values.buffer);
    const shifted = new Uint8Array(stored.data.length + 1);
    shifted.set(stored.data, 1);
    expect(elements({ ...stored, data: shifted.subarray(1) })).toEqual(values);
  });

  test("as float32", () => {
    expect(toFloat32(entry("F64", Float64Array.of(0.1, 1e300)))).toEqual(Float32Array.of(0.1, Infinity));
    expect(toFloat32(entry("I64", BigInt64Array.of(-5n, 16777217n)))).toEqual(Float32Array.of(-5, 16777216));
    expect(toFloat32(entry("BOOL", Uint8Array.of(0, 1, 7)))).toEqual(Float32Array.of(0, 1, 1));
  });

  test("as integers, or refused", () => {
    expect(toInt32(entry("I64", BigInt64Array.of(-(2n ** 31n), 2n ** 31n - 1n)))).toEqual(
      Int32Array.of(-(2 ** 31), 2 ** 31 - 1),
    );
    expect(toInt32(entry("BOOL", Uint8Array.of(0, 7)))).toEqual(Int32Array.of(0, 1));
    expect(toWholeFloat64(entry("I64", BigInt64Array.of(2n ** 40n)))).toEqual(Float64Array.of(2 ** 40));
    expect(() => toInt32(entry("I64", BigInt64Array.of(1n, 2n ** 31n)))).toThrow(
      'tensor "w": element 1 is 2147483648, expected at most 2147483647 (it is stored as I64)',
    );
    expect(() => toInt32(entry("U32", Uint32Array.of(2 ** 32 - 1)))).toThrow(
      /^tensor "w": element 0 is 4294967295/,
    );
    expect(() => toWholeFloat64(entry("I64", BigInt64Array.of(-(2n ** 60n))))).toThrow(
      /element 0 is -1152921504606846976/,
    );
    for (const floats of [
      entry("F32", Float32Array.of(1)),
      entry("F64", Float64Array.of(1)),
      entry("F16", Uint16Array.of(1)),
    ]) {
      expect(() => toInt32(floats)).toThrow(`tensor "w" is ${floats.dtype}, expected integers`);
      expect(() => toWholeFloat64(floats)).toThrow(`tensor "w" is ${floats.dtype}, expected integers`);
    }
  });

  test("as booleans, or refused", () => {
    expect(toBool(entry("BOOL", Uint8Array.of(0, 1, 7)))).toEqual(Uint8Array.of(0, 1, 1));
    expect(() => toBool(entry("U8", Uint8Array.of(1)))).toThrow('tensor "w" is U8, expected BOOL');
  });
});

describe("encoding", () => {
  test.each(["U8", "I8", "I16", "U16", "I32", "U32", "I64", "U64", "F32", "F64", "F16", "BF16"] as const)(
    "%s reads back",
    (dtype) => {
      const values = Float64Array.of(0, 1, 100);
      expect([...toFloat32(entry(dtype, encodeElements(values, dtype)))]).toEqual([0, 1, 100]);
    },
  );

  test("booleans are 0 and 1", () => {
    expect(encodeElements(Int32Array.of(0, 5, -1), "BOOL")).toEqual(Uint8Array.of(0, 1, 1));
  });

  test.each([
    ["U8", 256],
    ["I8", -129],
    ["I16", 0.5],
    ["U16", -1],
    ["I32", 2 ** 31],
    ["U32", Number.NaN],
    ["I64", 2 ** 63],
    ["I64", 0.5],
    ["U64", -1],
  ] as const)("a %s cannot be %s", (dtype, value) => {
    expect(() => encodeElements(Float64Array.of(value), dtype)).toThrow(`${value} is no ${dtype} value`);
  });

  test("no inherited name is an element type", () => {
    expect(["F32", "F7", "toString", "__proto__"].map(isStoredDtype)).toEqual([true, false, false, false]);
  });
});
