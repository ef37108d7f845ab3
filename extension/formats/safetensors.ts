import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { SafetensorsError } from "./safetensorsError.ts";
import {
  encodeHeader,
  type FileFacts,
  type Header,
  headerLength,
  LENGTH_BYTES,
  parseHeader,
  type TensorInfo,
} from "./safetensorsHeader.ts";
import type { TensorEntry } from "./tensorData.ts";
import { writeAtomic } from "./writeAtomic.ts";

export { SafetensorsError, type SafetensorsDefect } from "./safetensorsError.ts";
export type { TensorInfo } from "./safetensorsHeader.ts";

/** Bytes that can be read by position: an open file or memory. */
interface ByteSource extends FileFacts {
  /** `length` bytes from `position` on, fewer when the source has shrunk. */
  read(position: number, length: number): Uint8Array;
  close(): void;
}

/**
 * An open safetensors file. The header has been read and checked as a whole; a tensor's bytes are read when it is
 * asked for.
 */
export class SafetensorsFile {
  /** Path, or the name given to bytes in memory. */
  readonly file: string;
  /** Length of the whole file. */
  readonly fileBytes: number;
  readonly metadata: ReadonlyMap<string, string>;
  /** Type, shape and place of every tensor, in the order of their data. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #source: ByteSource;
  readonly #dataStart: number;

  constructor(source: ByteSource) {
    const start = source.read(0, Math.min(LENGTH_BYTES, source.fileBytes));
    const headerBytes = headerLength(start, source);
    const header: Header = parseHeader(source.read(LENGTH_BYTES, headerBytes), source);
    this.file = source.file;
    this.fileBytes = source.fileBytes;
    this.metadata = header.metadata;
    this.tensors = header.tensors;
    this.#source = source;
    this.#dataStart = LENGTH_BYTES + headerBytes;
  }

  /**
   * One tensor. From a file its bytes are a copy; from memory they are a part of that memory.
   *
   * @throws SafetensorsError when there is no such tensor, or the file has been cut off since it was opened.
   */
  read(name: string): TensorEntry {
    const info = this.tensors.get(name);
    if (info === undefined) {
      throw this.#error({ code: "no-such-tensor", tensor: name, known: this.tensors.size });
    }
    const { dtype, shape, begin, end } = info;
    const data = this.#source.read(this.#dataStart + begin, end - begin);
    if (data.length !== end - begin) throw this.#error({ code: "file-changed", tensor: name });
    return { name, dtype, shape, data };
  }

  /** All tensors in the order of their data, each read when its turn comes. */
  *entries(): IterableIterator<TensorEntry> {
    for (const name of this.tensors.keys()) yield this.read(name);
  }

  close(): void {
    this.#source.close();
  }

  #error(defect: SafetensorsError["defect"]): SafetensorsError {
    return new SafetensorsError(defect, this.file, this.fileBytes);
  }
}

/**
 * Opens a safetensors file, or bytes in memory, and checks its header. The caller closes it.
 *
 * @param name What messages call bytes in memory.
 * @throws SafetensorsError for whatever is wrong with the content, and the file system's own errors.
 */
export function readSafetensors(source: string | Uint8Array, name = "safetensors data"): SafetensorsFile {
  const bytes = typeof source === "string" ? openFile(source) : inMemory(source, name);
  try {
    return new SafetensorsFile(bytes);
  } catch (error) {
    bytes.close();
    throw error;
  }
}

/** Everything in a safetensors file at once; the file is closed again. */
export function loadSafetensors(
  source: string | Uint8Array,
  name?: string,
): { metadata: ReadonlyMap<string, string>; entries: TensorEntry[] } {
  const file = readSafetensors(source, name);
  try {
    return { metadata: file.metadata, entries: [...file.entries()] };
  } finally {
    file.close();
  }
}

/**
 * Writes tensors to a file in the reference writer's order, byte for byte as it would, through a temporary file: the
 * old content stays until the new one is complete.
 *
 * @param metadata Texts to keep with the tensors, such as `format: "pt"`, which Hugging Face's loaders ask for.
 * @throws SafetensorsError when a name occurs twice or is reserved, or data does not fit its type and shape; the file
 *   system's own errors.
 */
export function writeSafetensors(
  path: string,
  entries: readonly TensorEntry[],
  metadata: ReadonlyMap<string, string> = new Map(),
): void {
  const { start, ordered } = encodeHeader(path, entries, metadata);
  writeAtomic(path, [start, ...ordered.map((entry) => entry.data)]);
}

/** The bytes that {@link writeSafetensors} writes. */
export function encodeSafetensors(
  entries: readonly TensorEntry[],
  metadata: ReadonlyMap<string, string> = new Map(),
): Uint8Array {
  const { start, ordered } = encodeHeader("safetensors data", entries, metadata);
  return Buffer.concat([start, ...ordered.map((entry) => entry.data)]);
}

function openFile(path: string): ByteSource {
  const handle = openSync(path, "r");
  try {
    return {
      file: path,
      fileBytes: fstatSync(handle).size,
      read: (position, length) => readRange(handle, position, length),
      close: () => closeSync(handle),
    };
  } catch (error) {
    closeSync(handle);
    throw error;
  }
}

/** Longest single read: the system takes no more than 2^31 - 1 bytes at a time. */
const MAX_READ = 2 ** 30;

function readRange(handle: number, position: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const count = readSync(handle, bytes, done, Math.min(MAX_READ, length - done), position + done);
    if (count === 0) return bytes.subarray(0, done);
    done += count;
  }
  return bytes;
}

function inMemory(bytes: Uint8Array, file: string): ByteSource {
  return {
    file,
    fileBytes: bytes.length,
    read: (position, length) => bytes.subarray(position, position + length),
    close: () => {},
  };
}
