import type { ByteSource } from "../byteSource.ts";
import { quote, type Budget, type Fail } from "./pthError.ts";
import { type AllowedGlobals, storageId } from "./pthObjects.ts";
import { PthStorage } from "./pthTensor.ts";
import { checkedValue, type PthValue } from "./pthValue.ts";
import { DTYPE_BYTES } from "../tensorData.ts";
import { describe, isTuple, Unpickler } from "./unpickler.ts";

/** Above all pickles of any model; what follows them are storages. */
const MAX_PICKLES = 2 ** 27;
const PROTOCOL = 1001;
const COUNT_BYTES = 8;

/**
 * Reads the format before PyTorch 1.6: pickles of a magic number, the protocol's version, facts about the system, the
 * value and the storages' keys; then each storage, its number of elements first, always little-endian.
 * @throws PthError
 */
export function readLegacy(
  source: ByteSource,
  fail: Fail,
  budget: Budget,
  globals: AllowedGlobals,
  whole: boolean,
): { value: PthValue; storages: Iterable<PthStorage> } {
  const head = source.read(0, Math.min(MAX_PICKLES, source.fileBytes));
  let at = 0;
  const next = (persistent: (id: unknown) => unknown): unknown => {
    const world = { global: globals.get.bind(globals), persistent };
    const unpickler = new Unpickler(head, at, world, fail, budget);
    const value = unpickler.load();
    at = unpickler.end;
    return value;
  };
  const none = (): never => fail("pickle", "a storage is referred to where none can be");
  next(none);
  const protocol = next(none);
  if (protocol !== PROTOCOL) fail("format", `the file has the unknown protocol ${describe(protocol)}`);
  next(none);

  const storages = new Map<string, LegacyStorage>();
  const value = next((id) => {
    const { type, key, bytes, rest } = storageId(id, fail);
    const elementBytes = type.dtype === undefined ? 1 : DTYPE_BYTES[type.dtype];
    let known = storages.get(key);
    if (known === undefined) {
      storages.set(key, (known = new LegacyStorage(key, type.dtype, bytes, elementBytes)));
      budget.addStorage(bytes);
    }
    if (known.storage.dtype !== type.dtype || known.storage.byteLength !== bytes)
      fail("pickle", `storage ${quote(key)} is described in two ways`);
    return viewOf(known, rest[0], elementBytes, fail);
  });
  const pickled = at;
  const keys = next(none);
  if (!Array.isArray(keys) || keys.length !== storages.size)
    return fail("pickle", `the file lists ${describe(keys)} of storages, expected ${storages.size}`);
  for (const key of keys as unknown[]) {
    const known = typeof key === "string" ? storages.get(key) : undefined;
    if (known === undefined || known.begin !== undefined)
      return fail("pickle", `the file lists the storage ${describe(key)}, which no tensor asks for`);
    at = known.locate(source, at, fail, whole);
  }
  if (at !== source.fileBytes) fail("format", "the last storage is followed by other bytes");
  return {
    value: checkedValue(value, fail, pickled),
    storages: [...storages.values()].map(({ storage }) => storage),
  };
}

/** A storage whose place is known only after the pickles were read. */
class LegacyStorage {
  readonly storage: PthStorage;
  readonly #elementBytes: number;
  begin: number | undefined;
  #read: (from: number, to: number) => Uint8Array = () => new Uint8Array();

  constructor(
    key: string,
    dtype: ConstructorParameters<typeof PthStorage>[1],
    bytes: number,
    elementBytes: number,
  ) {
    this.#elementBytes = elementBytes;
    this.storage = new PthStorage(key, dtype, bytes, { read: (from, to) => this.#read(from, to) });
  }

  /** Says where the storage is, from its number of elements on; answers where it ends. */
  locate(source: ByteSource, at: number, fail: Fail, whole: boolean): number {
    const { byteLength, key } = this.storage;
    const count = source.read(at, COUNT_BYTES);
    const begin = at + COUNT_BYTES;
    if (count.length < COUNT_BYTES || begin + byteLength > source.fileBytes)
      fail("archive", `storage ${quote(key)} goes beyond the end of the file; the file is cut off`);
    const elements = new DataView(count.buffer, count.byteOffset).getBigInt64(0, true);
    if (elements !== BigInt(byteLength / this.#elementBytes))
      fail(
        "archive",
        `storage ${quote(key)} has ${elements} elements, its tensors ask for ${byteLength} bytes`,
      );
    this.begin = begin;
    const part = (from: number, to: number): Uint8Array => {
      const bytes = source.read(begin + from, to - from);
      if (bytes.length !== to - from) fail("archive", "the file was cut off while it was read");
      return bytes;
    };
    let all: Uint8Array | undefined;
    this.#read = whole ? (from, to) => (all ??= part(0, byteLength)).subarray(from, to) : part;
    return begin + byteLength;
  }
}

/** The storage itself, or a part of it that has a key, a first element and a length of its own. */
function viewOf({ storage }: LegacyStorage, view: unknown, elementBytes: number, fail: Fail): PthStorage {
  if (view === undefined || view === null) return storage;
  const [key, offset, count] = isTuple(view) ? view : [];
  const inBytes = (elements: unknown): number =>
    Number.isSafeInteger(elements) ? (elements as number) * elementBytes : Number.NaN;
  const [begin, length] = [inBytes(offset), inBytes(count)];
  if (
    typeof key !== "string" ||
    !Number.isSafeInteger(begin) ||
    !Number.isSafeInteger(length) ||
    begin < 0 ||
    length < 0 ||
    begin + length > storage.byteLength
  )
    return fail("pickle", `storage ${quote(storage.key)} has a part that is not inside it`);
  return new PthStorage(key, storage.dtype, length, {
    read: (from, to) => storage.read(begin + from, begin + to),
  });
}
