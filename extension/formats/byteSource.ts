import { closeSync, fstatSync, openSync, readSync } from "node:fs";

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

/** Opens a file, or bytes in memory. @throws the file system's error */
export function openSource(source: string | Uint8Array, name: string): ByteSource {
  return typeof source === "string" ? openFile(source) : inMemory(source, name);
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
