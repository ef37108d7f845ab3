import { type ByteSource, openSource } from "../byteSource.ts";
import { Budget, PthError, quote, type Fail } from "./pthError.ts";
import { readLegacy } from "./pthLegacy.ts";
import { AllowedGlobals, storageId } from "./pthObjects.ts";
import { PthStorage, swapBytes, type StorageBytes } from "./pthTensor.ts";
import { checkedValue, type PthValue } from "./pthValue.ts";
import type { StoredDtype } from "../tensorData.ts";
import { Unpickler } from "./unpickler.ts";
import { ZipReader, type ZipRecord } from "../zip/zipReader.ts";

export { PthError, type PthDefect } from "./pthError.ts";
export { PthDtype } from "./pthObjects.ts";
export { PthStorage, PthTensor } from "./pthTensor.ts";
export type { PthKey, PthValue } from "./pthValue.ts";
export { encodePth, memoryStorage, wholeTensor, writePth } from "./pthWriter.ts";
export { UnwritableError } from "./pickler.ts";
export { isTuple, OrderedDict } from "./unpickler.ts";

export interface PthOptions {
  /**
   * Memory that reading may take beyond the bytes that are in the file: for objects, records that are compressed, and
   * views that are spread over their storage. Default: 64 MiB and four times the file's length.
   */
  maxBytes?: number;
}

/** A `.pth` file whose structure was read and checked; the bytes of tensors are read on demand. */
export interface PthFile {
  /** Path, or the name given to bytes in memory. */
  readonly file: string;
  readonly fileBytes: number;
  readonly value: PthValue;
  /** Closes the file: tensors that were not read yet can't be any more. */
  close(): void;
}

/**
 * Reads a file of `torch.save`: a zip archive, or the format before PyTorch 1.6. Its content is data and never run:
 * classes and functions that it names are refused unless they are on a list.
 * @param source Path, or bytes.
 * @returns the saved value, with {@link PthTensor}s in it whose bytes are in memory; shared storages stay shared
 * @throws PthError saying what is wrong with the file; the file system's error
 * @example
 * const state = readPth("model.pth") as ReadonlyMap<string, PthTensor>;
 * for (const [name, tensor] of state) console.log(name, tensor.shape, toFloat32(tensor.entry(name)));
 */
export function readPth(source: string | Uint8Array, options: PthOptions = {}, name?: string): PthValue {
  const bytes = openSource(source, name ?? "pth data");
  try {
    const { value, storages } = read(bytes, options, true);
    // Reads and checks them: later the file is closed.
    for (const storage of storages) storage.read();
    return value;
  } finally {
    bytes.close();
  }
}

/**
 * Opens a file of `torch.save` without reading the tensors' bytes, which may be more than the memory holds. Parts of
 * uncompressed records are read on demand; the checksum is compared after the last part, or by
 * {@link PthStorage.finish}.
 * @throws PthError; the file system's error
 */
export function openPth(source: string | Uint8Array, options: PthOptions = {}, name?: string): PthFile {
  const bytes = openSource(source, name ?? "pth data");
  try {
    const { value } = read(bytes, options, false);
    return { file: bytes.file, fileBytes: bytes.fileBytes, value, close: () => bytes.close() };
  } catch (error) {
    bytes.close();
    throw error;
  }
}

/** Whether bytes begin as a file of `torch.save` does: as an archive, or with the pickle of a magic number. */
export function isPth(start: Uint8Array): boolean {
  return startsWith(start, ZIP_START) || startsWith(start, LEGACY_START);
}

const ZIP_START = [0x50, 0x4b, 0x03, 0x04];
const LEGACY_START = [
  0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e,
];

function startsWith(bytes: Uint8Array, start: readonly number[]): boolean {
  return start.every((byte, i) => bytes[i] === byte);
}

/** Gives errors of the language, such as that a Map is full, the file's name. */
function named<T>(fail: Fail, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError) return fail("limit", `the file can't be read: ${error.message}`);
    throw error;
  }
}

interface Content {
  value: PthValue;
  storages: Iterable<PthStorage>;
}

function read(source: ByteSource, { maxBytes }: PthOptions, whole: boolean): Content {
  const fail: Fail = (defect, detail) => {
    throw new PthError(defect, detail, source);
  };
  const budget = new Budget(maxBytes ?? 2 ** 26 + 4 * source.fileBytes, fail);
  const globals = new AllowedGlobals(fail, budget);
  const start = source.read(0, 512);
  const reader = startsWith(start, ZIP_START)
    ? readArchive
    : startsWith(start, LEGACY_START)
      ? readLegacy
      : undefined;
  if (reader !== undefined) {
    const content = named(fail, () => reader(source, fail, budget, globals, whole));
    budget.checkViews();
    return content;
  }
  if (Buffer.from(start.subarray(257, 262)).toString("latin1") === "ustar")
    return fail(
      "format",
      "the tar format of PyTorch before 0.2 is not read; save the file again with torch.save",
    );
  return fail("format", "this is no file of torch.save");
}

function readArchive(
  source: ByteSource,
  fail: Fail,
  budget: Budget,
  globals: AllowedGlobals,
  whole: boolean,
): Content {
  const zip = new ZipReader(source, fail, budget);
  const root = rootOf(zip.records, fail);
  const record = (name: string): ZipRecord | undefined => zip.records.get(`${root}/${name}`);
  if (record("constants.pkl") !== undefined)
    fail("format", "this is a TorchScript program; save its state_dict() instead");
  const required = (name: string): Uint8Array =>
    zip.read(record(name) ?? fail("archive", `record ${quote(`${root}/${name}`)} is missing`));
  checkVersion(required("version"), fail);
  const order = record("byteorder");
  const bigEndian = order !== undefined && isBigEndian(zip.read(order), fail);
  const pickle = required("data.pkl");

  const storages = new Map<string, PthStorage>();
  /** By key: storages of several types have the same bytes. */
  const contents = new Map<string, StorageBytes>();
  const persistent = (persistentId: unknown): PthStorage => {
    const { type, key, bytes } = storageId(persistentId, fail);
    // PyTorch keeps an empty storage that has tensors of several types once.
    const id = `${key} ${type.path}`;
    const known = storages.get(id);
    const stored = record(`data/${key}`) ?? fail("archive", `the record of storage ${quote(key)} is missing`);
    if (stored.bytes !== bytes)
      fail("archive", `storage ${quote(key)} has ${stored.bytes} bytes, its tensors ask for ${bytes}`);
    if (known !== undefined) return known;
    // Plain bytes are in no order: PyTorch leaves them as they are.
    const swapped = bigEndian ? (type.dtype ?? "U8") : "U8";
    let content = contents.get(`${key} ${swapped}`);
    if (content === undefined) {
      if (swapped !== "U8") budget.take(bytes, `storage ${quote(key)}`);
      contents.set(`${key} ${swapped}`, (content = storageBytes(zip, stored, swapped, whole)));
    }
    const storage = new PthStorage(key, type.dtype, bytes, content);
    budget.addStorage(bytes);
    storages.set(id, storage);
    return storage;
  };
  const world = { global: globals.get.bind(globals), persistent };
  const unpickler = new Unpickler(pickle, 0, world, fail, budget);
  const value = checkedValue(unpickler.load(), fail, pickle.length);
  if (unpickler.end !== pickle.length) fail("pickle", "the pickle is followed by other bytes");
  return { value, storages: storages.values() };
}

/** Bytes of a record: read at once and kept or, where they may not fit into the memory, read on demand. */
function storageBytes(zip: ZipReader, record: ZipRecord, swapped: StoredDtype, whole: boolean): StorageBytes {
  // Bytes in memory are the caller's, so they are copied before swapping.
  const turned = (bytes: Uint8Array): Uint8Array =>
    swapped === "U8" ? bytes : swapBytes(bytes.slice(), swapped);
  if (!whole && !record.compressed)
    return {
      read: (from, to) => turned(zip.readRange(record, from, to)),
      finish: () => zip.finish(record),
    };
  let all: Uint8Array | undefined;
  return { read: (from, to) => (all ??= turned(zip.read(record))).subarray(from, to) };
}

/** The one folder that all records are in. */
function rootOf(records: ReadonlyMap<string, ZipRecord>, fail: Fail): string {
  const roots = new Set([...records.keys()].map((name) => name.slice(0, Math.max(0, name.indexOf("/")))));
  const [root] = roots;
  if (root === undefined || root === "" || roots.size !== 1)
    return fail(
      "archive",
      "the records of the archive are not all in one folder; this is no file of torch.save",
    );
  return root;
}

/** Versions that PyTorch has written, and the next ones that it would read. */
const MAX_VERSION = 10;

function checkVersion(bytes: Uint8Array, fail: Fail): void {
  const text = Buffer.from(bytes.subarray(0, 16)).toString("latin1");
  const version = /^\d+\n?$/.test(text) ? Number(text) : 0;
  if (version < 1 || version > MAX_VERSION) fail("format", `the file has the unknown version ${quote(text)}`);
}

function isBigEndian(bytes: Uint8Array, fail: Fail): boolean {
  const text = Buffer.from(bytes.subarray(0, 16)).toString("latin1");
  if (text !== "little" && text !== "big")
    fail("format", `the file has the unknown byte order ${quote(text)}`);
  return text === "big";
}
