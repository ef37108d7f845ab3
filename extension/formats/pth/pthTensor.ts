import { quote, type Budget, type Fail } from "./pthError.ts";
import { DTYPE_BYTES, isFloat, type StoredDtype, type TensorEntry } from "../tensorData.ts";

/** Where a storage's bytes come from. */
export interface StorageBytes {
  /** The bytes from `from` to `to`, little-endian. */
  read(from: number, to: number): Uint8Array;
  /** Reads the rest of a record whose checksum covers all of it; yields the number of bytes read. */
  finish?(): Generator<number, void>;
}

/** A block of memory that tensors of a `.pth` file are views of. */
export class PthStorage {
  /** Name within the file. */
  readonly key: string;
  /** Element type; undefined for a storage of plain bytes, whose tensors say their own. */
  readonly dtype: StoredDtype | undefined;
  readonly byteLength: number;
  readonly #bytes: StorageBytes;

  constructor(key: string, dtype: StoredDtype | undefined, byteLength: number, bytes: StorageBytes) {
    this.key = key;
    this.dtype = dtype;
    this.byteLength = byteLength;
    this.#bytes = bytes;
  }

  /** Bytes of the storage; views of the same memory once the file is read as a whole. */
  read(from = 0, to = this.byteLength): Uint8Array {
    return this.#bytes.read(from, to);
  }

  /** Reads what was not read yet, if that is what it takes to know that nothing is damaged: yields the bytes read since. */
  *finish(): Generator<number, void> {
    if (this.#bytes.finish !== undefined) yield* this.#bytes.finish();
  }
}

/** A tensor as a `.pth` file has it: a view of a storage. */
export class PthTensor {
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  /** Steps between neighbours of each dimension, in elements. */
  readonly strides: readonly number[];
  /** Where in the storage it begins, in elements. */
  readonly offset: number;
  readonly storage: PthStorage;
  readonly requiresGrad: boolean;
  /** Whether it was saved as an `nn.Parameter`. */
  readonly parameter: boolean;

  constructor(view: {
    dtype: StoredDtype;
    shape: readonly number[];
    strides: readonly number[];
    offset: number;
    storage: PthStorage;
    requiresGrad: boolean;
    parameter?: boolean;
  }) {
    this.dtype = view.dtype;
    this.shape = view.shape;
    this.strides = view.strides;
    this.offset = view.offset;
    this.storage = view.storage;
    this.requiresGrad = view.requiresGrad;
    this.parameter = view.parameter ?? false;
  }

  get numel(): number {
    return this.shape.reduce((product, extent) => product * extent, 1);
  }

  /** Bytes of its elements, whether or not they share memory. */
  get byteLength(): number {
    return this.numel * DTYPE_BYTES[this.dtype];
  }

  /** Whether its elements follow each other in the storage, row by row. */
  get contiguous(): boolean {
    let expected = 1;
    for (let dim = this.shape.length - 1; dim >= 0; dim--) {
      const extent = this.shape[dim]!;
      if (extent === 0) return true;
      if (extent !== 1 && this.strides[dim] !== expected) return false;
      expected *= extent;
    }
    return true;
  }

  /** Whether its elements fill a block of the storage, in whatever order: those of a transposed matrix do. */
  get dense(): boolean {
    let expected = 1;
    const steps = this.shape.map((extent, dim) => ({ extent, stride: this.strides[dim]! }));
    return steps
      .filter(({ extent }) => extent !== 1)
      .sort((a, b) => a.stride - b.stride)
      .every(({ extent, stride }) => {
        const follows = stride === expected;
        expected *= extent;
        return follows;
      });
  }

  /** Row-major little-endian elements; shares the storage's memory where they already are that. */
  data(): Uint8Array {
    const size = DTYPE_BYTES[this.dtype];
    const begin = this.offset * size;
    if (this.numel === 0) return new Uint8Array();
    if (this.contiguous) return this.storage.read(begin, begin + this.byteLength);
    return gather(this.storage.read(begin, begin + span(this.shape, this.strides) * size), this, size);
  }

  /** The tensor under a name, in the form that all formats share. */
  entry(name: string): TensorEntry {
    return { name, dtype: this.dtype, shape: this.shape, data: this.data() };
  }
}

/** Most dimensions that PyTorch allows. */
const MAX_RANK = 64;

/**
 * A view of a storage, checked: whole non-negative numbers, as many strides as dimensions, and every element inside.
 * @throws PthError "tensor"; "limit" for a view whose elements take much more memory than the file has
 */
export function checkedTensor(
  view: {
    dtype: StoredDtype;
    shape: unknown;
    strides: unknown;
    offset: unknown;
    storage: PthStorage;
    requiresGrad: boolean;
  },
  fail: Fail,
  budget: Budget,
): PthTensor {
  const { dtype, storage, offset, requiresGrad } = view;
  for (const list of [view.shape, view.strides])
    // Checked before the numbers: many tensors can share one list of a million.
    if (Array.isArray(list) && list.length > MAX_RANK)
      fail(
        "tensor",
        `a tensor has ${list.length.toLocaleString("en-US")} dimensions; the limit is ${MAX_RANK}`,
      );
  const shape = naturals(view.shape) ?? fail("tensor", `a tensor's size is no tuple of whole numbers`);
  const strides =
    naturals(view.strides) ?? fail("tensor", `a tensor's strides are no tuple of whole numbers from 0 on`);
  const what = `a tensor of shape [${shape.slice(0, 16).join(", ")}] in storage ${quote(storage.key)}`;
  if (shape.length !== strides.length) fail("tensor", `${what} has ${strides.length} strides`);
  if (!isNatural(offset)) return fail("tensor", `${what} has no valid offset`);
  const size = DTYPE_BYTES[dtype];
  const tensor = new PthTensor({ dtype, shape, strides, offset, storage, requiresGrad });
  const { numel } = tensor;
  const spanned = numel === 0 ? 0 : span(shape, strides);
  const end = numel === 0 ? 0 : (offset + spanned) * size;
  if (!Number.isSafeInteger(tensor.byteLength) || !(end <= storage.byteLength))
    fail("tensor", `${what} goes beyond its ${storage.byteLength.toLocaleString("en-US")} bytes`);
  if (requiresGrad && !isFloat(dtype) && !dtype.startsWith("C"))
    fail("tensor", `${what} requires a gradient but is ${dtype}`);
  const { contiguous } = tensor;
  if (!contiguous) budget.take(tensor.byteLength, what);
  budget.addTensor(tensor.byteLength, contiguous ? 0 : spanned * size);
  return tensor;
}

function isNatural(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function naturals(value: unknown): readonly number[] | undefined {
  return Array.isArray(value) && value.every(isNatural) ? value : undefined;
}

/** Elements from the first to the last of a view that has some. */
function span(shape: readonly number[], strides: readonly number[]): number {
  return shape.reduce((last, extent, dim) => last + (extent - 1) * strides[dim]!, 0) + 1;
}

/** Copies the elements of a view, given from its first element on, one after another. */
function gather(bytes: Uint8Array, { shape, strides, numel }: PthTensor, size: number): Uint8Array {
  const source = units(bytes, size);
  const target = units(new Uint8Array(numel * size), size);
  const width = source.length / (bytes.length / size);
  const rank = shape.length;
  const index = shape.map(() => 0);
  const inner = shape[rank - 1]!;
  const step = strides[rank - 1]!;
  let row = 0;
  for (let out = 0; out < numel; out += inner) {
    for (let i = 0; i < inner; i++)
      for (let part = 0; part < width; part++)
        target[(out + i) * width + part] = source[(row + i * step) * width + part]!;
    for (let dim = rank - 2; dim >= 0; dim--) {
      row += strides[dim]!;
      if (++index[dim]! < shape[dim]!) break;
      row -= strides[dim]! * shape[dim]!;
      index[dim] = 0;
    }
  }
  return new Uint8Array(target.buffer, target.byteOffset, target.byteLength);
}

/** Bytes as the largest integers that elements are made of. */
function units(bytes: Uint8Array, size: number): Uint8Array | Uint16Array | Uint32Array {
  if (size === 1) return bytes;
  const { buffer, byteOffset, byteLength } = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return size === 2
    ? new Uint16Array(buffer, byteOffset, byteLength / 2)
    : new Uint32Array(buffer, byteOffset, byteLength / 4);
}

/** Turns the numbers of elements round, in place, from big-endian to little-endian. */
export function swapBytes(bytes: Uint8Array, dtype: StoredDtype): Uint8Array {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = DTYPE_BYTES[dtype] / (dtype.startsWith("C") ? 2 : 1);
  if (size === 2) buffer.swap16();
  else if (size === 4) buffer.swap32();
  else if (size === 8) buffer.swap64();
  return bytes;
}
