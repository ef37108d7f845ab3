import { smallFloats, toBrainBits, toHalfBits } from "./smallFloats.ts";

/**
 * Element types of stored tensors and their size in bytes. The order is that of the safetensors format, whose writer
 * sorts by it; `C128` is PyTorch's alone. Several elements of F4 and F6 share a byte.
 */
export const DTYPE_BYTES = {
  BOOL: 1,
  F4: 0.5,
  F6_E2M3: 0.75,
  F6_E3M2: 0.75,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  F8_E8M0: 1,
  F8_E4M3FNUZ: 1,
  F8_E5M2FNUZ: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  C64: 8,
  F64: 8,
  I64: 8,
  U64: 8,
  C128: 16,
} as const;

export type StoredDtype = keyof typeof DTYPE_BYTES;

export function isStoredDtype(name: string): name is StoredDtype {
  return Object.hasOwn(DTYPE_BYTES, name);
}

/** Whether the elements are floating point numbers, real ones. */
export function isFloat(dtype: StoredDtype): boolean {
  return /^B?F\d/.test(dtype);
}

/** Whether {@link elements} reads them: not complex numbers, and none that share bytes. */
export function hasNumbers(dtype: StoredDtype): boolean {
  return !/^(C|F4$|F6_)/.test(dtype);
}

/** A tensor as stored: row-major little-endian elements, without strides. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** Elements as JavaScript has them; the small floats, which it has not, as the float32 of the same value. */
export type Elements =
  | Uint8Array
  | Int8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

/**
 * The elements of a tensor, each exact. Shares memory with `data` where the type and the alignment allow it.
 *
 * @throws RangeError for complex numbers and for types whose elements share bytes.
 */
export function elements({ name, dtype, data }: TensorEntry): Elements {
  switch (dtype) {
    case "BOOL":
    case "U8":
      return data;
    case "I8":
      return view(data, Int8Array);
    case "I16":
      return view(data, Int16Array);
    case "U16":
      return view(data, Uint16Array);
    case "I32":
      return view(data, Int32Array);
    case "U32":
      return view(data, Uint32Array);
    case "F32":
      return view(data, Float32Array);
    case "F64":
      return view(data, Float64Array);
    case "I64":
      return view(data, BigInt64Array);
    case "U64":
      return view(data, BigUint64Array);
    case "BF16":
      return widened(view(data, Uint16Array));
    case "F16":
    case "F8_E5M2":
    case "F8_E4M3":
    case "F8_E8M0":
    case "F8_E4M3FNUZ":
    case "F8_E5M2FNUZ": {
      return lookedUp(dtype === "F16" ? view(data, Uint16Array) : data, smallFloats(dtype));
    }
    case "F4":
    case "F6_E2M3":
    case "F6_E3M2":
    case "C64":
    case "C128":
      throw new RangeError(`tensor "${name}" is ${dtype}, whose elements are not read as numbers`);
  }
}

// Plain loops: a function for each element takes many times as long.

/** Of 16 bits that are the upper ones of a float32. */
function widened(values: Uint16Array): Float32Array {
  const bits = new Uint32Array(values.length);
  for (let i = 0; i < values.length; i++) bits[i] = values[i]! << 16;
  return new Float32Array(bits.buffer);
}

function lookedUp(values: Uint8Array | Uint16Array, table: ArrayLike<number>): Float32Array {
  const floats = new Float32Array(values.length);
  for (let i = 0; i < values.length; i++) floats[i] = table[values[i]!]!;
  return floats;
}

/** The elements as float32, rounded to nearest where that is needed; may share memory with the entry. */
export function toFloat32(entry: TensorEntry): Float32Array {
  const values = elements(entry);
  if (values instanceof Float32Array) return values;
  if (entry.dtype === "BOOL") return Float32Array.from(toBool(entry));
  return Float32Array.from(values as Iterable<number | bigint>, Number);
}

/**
 * The elements of an integer or boolean tensor as int32; may share memory with the entry.
 *
 * @throws RangeError when an element needs more than 32 bits, or the tensor holds floats.
 */
export function toInt32(entry: TensorEntry): Int32Array {
  return integers(entry, Int32Array, 2 ** 31 - 1);
}

/**
 * The elements of an integer or boolean tensor as doubles.
 *
 * @throws RangeError when an element is beyond 2^53, or the tensor holds floats.
 */
export function toWholeFloat64(entry: TensorEntry): Float64Array {
  return integers(entry, Float64Array, Number.MAX_SAFE_INTEGER);
}

/**
 * The elements of a boolean tensor, 0 or 1 each.
 *
 * @throws RangeError when the tensor is of another type.
 */
export function toBool(entry: TensorEntry): Uint8Array {
  if (entry.dtype !== "BOOL") throw new RangeError(`tensor "${entry.name}" is ${entry.dtype}, expected BOOL`);
  return entry.data.every((byte) => byte <= 1) ? entry.data : entry.data.map((byte) => (byte === 0 ? 0 : 1));
}

/** Types that tensors are saved in. */
export type EncodableDtype = Exclude<StoredDtype, `F4` | `F6_${string}` | `F8_${string}` | `C${string}`>;

/**
 * Values as stored bytes, floats rounded to nearest even; shares memory with `values` where nothing is converted.
 *
 * @throws RangeError when a value is not one of an integer type.
 */
export function encodeElements(
  values: Float32Array | Float64Array | Int32Array | Uint8Array,
  dtype: EncodableDtype,
): Uint8Array {
  switch (dtype) {
    case "F32":
      return bytesOf(values instanceof Float32Array ? values : Float32Array.from(values));
    case "F64":
      return bytesOf(values instanceof Float64Array ? values : Float64Array.from(values));
    case "F16":
      return bytesOf(Uint16Array.from(values, toHalfBits));
    case "BF16":
      return bytesOf(Uint16Array.from(new Uint32Array(Float32Array.from(values).buffer), toBrainBits));
    case "BOOL":
      return Uint8Array.from(values, (x) => (x === 0 ? 0 : 1));
    case "I64":
      return bytesOf(
        BigInt64Array.from(values as Iterable<number>, (x) => whole(x, dtype, -(2 ** 63), 2 ** 63)),
      );
    case "U64":
      return bytesOf(BigUint64Array.from(values as Iterable<number>, (x) => whole(x, dtype, 0, 2 ** 64)));
    case "U8":
      return narrow(values, dtype, Uint8Array);
    case "I8":
      return narrow(values, dtype, Int8Array);
    case "I16":
      return narrow(values, dtype, Int16Array);
    case "U16":
      return narrow(values, dtype, Uint16Array);
    case "I32":
      return values instanceof Int32Array ? bytesOf(values) : narrow(values, dtype, Int32Array);
    case "U32":
      return narrow(values, dtype, Uint32Array);
  }
}

function integers<T extends Int32Array | Float64Array>(
  entry: TensorEntry,
  type: { new (length: number): T },
  limit: number,
): T {
  const values = entry.dtype === "BOOL" ? toBool(entry) : elements(entry);
  if (values instanceof Float32Array || values instanceof Float64Array) {
    throw new RangeError(`tensor "${entry.name}" is ${entry.dtype}, expected integers`);
  }
  if (values instanceof type) return values;
  const out = new type(values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value > limit || value < -limit - 1) {
      throw new RangeError(
        `tensor "${entry.name}": element ${i} is ${value}, expected at most ${limit} (it is stored as ${entry.dtype})`,
      );
    }
    out[i] = Number(value);
  }
  return out;
}

function narrow(
  values: ArrayLike<number>,
  dtype: StoredDtype,
  type: { from(values: ArrayLike<number>): Exclude<Elements, BigInt64Array | BigUint64Array> },
): Uint8Array {
  const out = type.from(values);
  for (let i = 0; i < values.length; i++) if (out[i] !== values[i]) refuse(values[i]!, dtype);
  return bytesOf(out);
}

function whole(value: number, dtype: StoredDtype, low: number, end: number): bigint {
  if (!(Number.isInteger(value) && value >= low && value < end)) refuse(value, dtype);
  return BigInt(value);
}

function refuse(value: number, dtype: StoredDtype): never {
  throw new RangeError(`${value} is no ${dtype} value`);
}

type ElementArray<T> = {
  new (buffer: ArrayBufferLike, offset?: number, length?: number): T;
  BYTES_PER_ELEMENT: number;
};

/** Bytes as elements of another type, in place when they are aligned for it. All supported hosts are little-endian. */
function view<T>(data: Uint8Array, type: ElementArray<T>): T {
  const size = type.BYTES_PER_ELEMENT;
  const aligned = data.byteOffset % size === 0 ? data : data.slice();
  return new type(aligned.buffer, aligned.byteOffset, aligned.byteLength / size);
}

function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
