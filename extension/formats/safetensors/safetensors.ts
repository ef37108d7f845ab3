import { type ByteSource, openSource } from "../byteSource.ts";
import { SafetensorsError } from "./safetensorsError.ts";
import {
  encodeHeader,
  type Header,
  headerLength,
  LENGTH_BYTES,
  parseHeader,
  type TensorInfo,
} from "./safetensorsHeader.ts";
import type { TensorEntry } from "../tensorData.ts";
import { writeAtomic } from "../../files/writeAtomic.ts";

export { SafetensorsError, type SafetensorsDefect } from "./safetensorsError.ts";
export type { TensorInfo } from "./safetensorsHeader.ts";

/**
 * An open safetensors file. The header has been read and checked as a whole; the bytes of tensors are read on
 * demand.
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
    return { name, dtype, shape, data: this.readRange(name, begin, end) };
  }

  /**
   * A part of the data, such as one of a tensor that is too large for the memory; positions count from the header's end.
   *
   * @param name What messages call it.
   * @throws SafetensorsError when the file has been cut off since it was opened.
   */
  readRange(name: string, begin: number, end: number): Uint8Array {
    const data = this.#source.read(this.#dataStart + begin, end - begin);
    if (data.length !== end - begin) throw this.#error({ code: "file-changed", tensor: name });
    return data;
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
  const bytes = openSource(source, name);
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
