// NumPy's .npy files: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

import { ownValue } from "../protocol/data/own.ts";

/** An array that a tensor can be made of. */
export interface NpyArray {
  readonly shape: readonly number[];
  readonly dtype: "float32" | "int64" | "bool";
  readonly values: Float32Array | Int32Array | Uint8Array;
}

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
const MAX_HEADER = 2 ** 16;
const MAX_DIMS = 64;

type Reader = (view: DataView, at: number) => number;

/** Bytes of an element, its dtype as a tensor, and how it is read; all in the order of x86. */
const TYPES: Readonly<Record<string, readonly [bytes: number, dtype: NpyArray["dtype"], read: Reader]>> = {
  "<f4": [4, "float32", (view, at) => view.getFloat32(at, true)],
  "<f8": [8, "float32", (view, at) => view.getFloat64(at, true)],
  "|b1": [1, "bool", (view, at) => Number(view.getUint8(at) !== 0)],
  "|u1": [1, "int64", (view, at) => view.getUint8(at)],
  "|i1": [1, "int64", (view, at) => view.getInt8(at)],
  "<u2": [2, "int64", (view, at) => view.getUint16(at, true)],
  "<i2": [2, "int64", (view, at) => view.getInt16(at, true)],
  "<u4": [4, "int64", (view, at) => view.getUint32(at, true)],
  "<i4": [4, "int64", (view, at) => view.getInt32(at, true)],
  "<u8": [8, "int64", (view, at) => Number(view.getBigUint64(at, true))],
  "<i8": [8, "int64", (view, at) => Number(view.getBigInt64(at, true))],
};

/**
 * Reads an array: floats become float32, integers int64, which must fit into 32 bits.
 * @throws Error saying what is wrong with it, or which type of number or order isn't supported
 */
export function readNpy(bytes: Uint8Array): NpyArray {
  if (!MAGIC.every((byte, i) => bytes[i] === byte))
    throw new Error("no .npy file: its first bytes are others");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 12) throw new Error("a .npy file that is cut off");
  const short = bytes[6] === 1;
  const start = short ? 10 : 12;
  const length = short ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > MAX_HEADER || start + length > bytes.length)
    throw new Error("a .npy file whose header is cut off");
  const header = new TextDecoder().decode(bytes.subarray(start, start + length));
  const type = /'descr'\s*:\s*'([^']{1,8})'/.exec(header)?.[1];
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(header)?.[1];
  const sizes = /'shape'\s*:\s*\(([\d\s,]{0,999})\)/.exec(header)?.[1];
  if (order === undefined || sizes === undefined) throw new Error("a .npy file whose header is damaged");
  const known = type === undefined ? undefined : ownValue(TYPES, type);
  if (known === undefined)
    throw new Error(
      `a .npy file of ${type ?? "records"}, which is not supported: ${Object.keys(TYPES).join(", ")} are`,
    );
  if (order === "True") throw new Error("a .npy file in Fortran's order, which is not supported");
  const shape = sizes
    .split(",")
    .filter((size) => size.trim() !== "")
    .map(Number);
  const count = shape.reduce((product, size) => product * size, 1);
  const [each, dtype, read] = known;
  if (shape.length > MAX_DIMS || start + length + count * each !== bytes.length)
    throw new Error(`a .npy file of ${count} numbers, whose bytes are not as many`);
  const values =
    dtype === "float32"
      ? new Float32Array(count)
      : dtype === "bool"
        ? new Uint8Array(count)
        : new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const value = read(view, start + length + i * each);
    values[i] = value;
    if (dtype === "int64" && values[i] !== value)
      throw new Error(`a .npy file with the number ${value}, which doesn't fit into 32 bits`);
  }
  return { shape, dtype, values };
}
