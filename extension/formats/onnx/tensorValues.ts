/** The elements of an ONNX file's tensors, read by ranges where the file has them in order. */
import { BinaryReader } from "@bufbuild/protobuf/wire";
import type { ByteSource } from "../byteSource.ts";
import { DTYPE_BYTES, type StoredDtype } from "../tensorData.ts";
import type { ExternalFiles } from "./externalData.ts";
import { count, type Fail } from "./onnxError.ts";
import { type ModelTensor, storedBytes } from "./tensorProto.ts";

/** Elements that are decoded in memory as a whole, since they are numbers of variable length. */
const MAX_DECODED = 2 ** 25;

/** Reads bytes of elements from one place to another, row-major and little-endian. */
export type ReadElements = (from: number, to: number) => Uint8Array;

/**
 * Returns the reader of a tensor's elements.
 * @param fail Names the tensor
 */
export function elementReader(
  tensor: ModelTensor,
  source: ByteSource,
  external: ExternalFiles,
  fail: Fail,
): ReadElements {
  const { type, place, problem } = tensor;
  const length = storedBytes(tensor);
  const read = (from: ByteSource, position: number, bytes: number): Uint8Array => {
    const data = from.read(position, bytes);
    if (data.length < bytes) fail("the file was cut off while it was read");
    return data;
  };
  const raw: ReadElements = (from, to) => {
    if (problem !== undefined) return fail(problem);
    if (place.kind === "raw") return read(source, place.range[0] + from, to - from);
    if (place.kind !== "external") return new Uint8Array();
    const range = external.find(place.entries, length, fail);
    return read(range.source, range.begin + from, to - from);
  };
  if (place.kind !== "typed") {
    const { bits } = type;
    if (bits === undefined) return raw;
    const each = 8 / bits;
    return (from, to) => {
      const first = Math.floor(from / each);
      return unpacked(
        raw(first, Math.ceil(to / each)),
        bits,
        type.stored === "I8",
        from - first * each,
        to - from,
      );
    };
  }
  // Decoded at the first use, and kept while the file is open.
  let decoded: Uint8Array | undefined;
  return (from, to) => {
    if (problem !== undefined) return fail(problem);
    decoded ??= decodeField(
      tensor,
      () => concatenated(place.ranges.map(([begin, end]) => read(source, begin, end - begin))),
      fail,
    );
    return decoded.subarray(from, to);
  };
}

function concatenated(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Elements of a typed field as bytes: fixed-size ones are in order, others of variable length. */
function decodeField(
  { type, elements, byteLength }: ModelTensor,
  load: () => Uint8Array,
  fail: Fail,
): Uint8Array {
  if (elements > MAX_DECODED)
    fail(
      `it has ${count(elements)} elements, which are read up to ${count(MAX_DECODED)} where they have no fixed size`,
    );
  const data = load();
  if (type.field === "float" || type.field === "double") {
    if (data.length !== byteLength)
      fail(`its shape takes ${count(byteLength)} bytes, but there are ${count(data.length)}`);
    return data;
  }
  const stored = type.stored!;
  // Several elements share a number of the field as they share a byte.
  const bits = type.bits ?? 8 * DTYPE_BYTES[stored];
  const numbers = Math.ceil(bits < 8 ? (elements * bits) / 8 : elements);
  // Each takes a byte at least: no memory before there is as much data.
  if (data.length < numbers)
    fail(`it has ${count(elements)} elements, but ${count(data.length)} bytes of them`);
  const out = arrayOf(stored, numbers);
  const reader = new BinaryReader(data);
  try {
    for (let i = 0; i < numbers; i++)
      out[i] = (out instanceof BigInt64Array ? BigInt(reader.int64()) : reader.int32()) as never;
  } catch {
    return fail("its elements are no valid numbers");
  }
  if (reader.pos !== data.length) fail(`it has more than its ${count(elements)} elements`);
  const bytes = new Uint8Array(out.buffer);
  return type.bits === undefined ? bytes : unpacked(bytes, type.bits, stored === "I8", 0, elements);
}

/** An array of integers of a type's size, whose signs don't matter. */
function arrayOf(stored: StoredDtype, length: number): Uint8Array | Uint16Array | Int32Array | BigInt64Array {
  const size = DTYPE_BYTES[stored];
  if (size === 8) return new BigInt64Array(length);
  if (size === 4) return new Int32Array(length);
  return size === 2 ? new Uint16Array(length) : new Uint8Array(length);
}

/** Integers of a few bits, the first in the lowest ones, as a byte each. */
function unpacked(
  data: Uint8Array,
  bits: 2 | 4,
  signed: boolean,
  skip: number,
  elements: number,
): Uint8Array {
  const out = new Uint8Array(elements);
  const each = 8 / bits;
  const shift = 8 - bits;
  for (let i = 0; i < elements; i++) {
    const at = skip + i;
    const lifted = ((data[Math.floor(at / each)]! >> ((at % each) * bits)) << shift) & 255;
    out[i] = signed ? ((lifted << 24) >> 24) >> shift : lifted >> shift;
  }
  return out;
}
