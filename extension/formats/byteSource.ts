import { closeSync, fstatSync, readSync } from "node:fs";
import { openRegularSync, type OpenOptions } from "../files/regular.ts";

/** A file that is being read: its name for messages and its length. */
export interface FileFacts {
  readonly file: string;
  readonly fileBytes: number;
}

/** Bytes that can be read by position: an open file or memory. */
export interface ByteSource extends FileFacts {
  /** `length` bytes from `position` on, fewer when the source has shrunk. */
  read(position: number, length: number): Uint8Array;
  close(): void;
}

/** Opens a regular file, by default also behind a link, or bytes in memory. @throws FileError for a device or pipe; the file system's error */
export function openSource(
  source: string | Uint8Array,
  name: string,
  // Hugging Face's cache keeps its files behind links.
  options: OpenOptions = { follow: true },
): ByteSource {
  return typeof source === "string" ? openFile(source, options) : inMemory(source, name);
}

function openFile(path: string, options: OpenOptions): ByteSource {
  const handle = openRegularSync(path, options);
  try {
    return {
      file: path,
      fileBytes: fstatSync(handle).size,
      read: (position, length) => readRange(handle, path, position, length),
      close: () => closeSync(handle),
    };
  } catch (error) {
    closeSync(handle);
    throw error;
  }
}

/** Longest single read: the system takes no more than 2^31 - 1 bytes at a time. */
const MAX_READ = 2 ** 30;

function readRange(handle: number, path: string, position: number, length: number): Uint8Array {
  const bytes = allocate(path, length);
  let done = 0;
  while (done < length) {
    const count = readSync(handle, bytes, done, Math.min(MAX_READ, length - done), position + done);
    if (count === 0) return bytes.subarray(0, done);
    done += count;
  }
  return bytes;
}

/** @throws RangeError naming the file, where the memory has no room */
function allocate(path: string, length: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch (error) {
    const count = length.toLocaleString("en-US");
    throw new RangeError(`${path}: ${count} bytes of it do not fit into the memory`, { cause: error });
  }
}

function inMemory(source: Uint8Array, file: string): ByteSource {
  // Not a Buffer, which its parts would be then too.
  const bytes = new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  return {
    file,
    fileBytes: bytes.length,
    read: (position, length) => bytes.subarray(position, position + length),
    close: () => {},
  };
}
