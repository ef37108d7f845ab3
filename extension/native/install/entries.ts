// Writing one file of a wheel, which may be complete or still arriving.
import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import path from "node:path";
import { PassThrough, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createInflateRaw } from "node:zlib";
import { makeFolder } from "../../files/folders.ts";

/** Bytes that are read, inflated and written at once: zlib's default of 16 kB takes twice the time for a library of 800 MB. */
export const BLOCK = 1 << 20;

/** Bytes that are inflated, and bytes that wait to be written, while blocks are hashed. */
const AHEAD = 2 * BLOCK;

/** One file inside a wheel. */
export interface WheelEntry {
  name: string;
  /** Its length, as the archive says. */
  size: number;
  /** Its bytes in the archive. */
  source: Readable;
  deflated: boolean;
}

export interface WriteOptions {
  signal: AbortSignal | undefined;
  /** Receives the length of each block that is written. */
  onBytes?: (bytes: number) => void;
}

/**
 * Writes a file of a wheel to disk and returns its SHA-256. Throws if it is longer than the archive says; the caller compares
 * the hash.
 */
export async function writeEntry(
  { name, size, source, deflated }: WheelEntry,
  file: string,
  { signal, onBytes }: WriteOptions,
): Promise<Buffer> {
  await makeFolder(path.dirname(file));
  const hash = createHash("sha256");
  let written = 0;
  // A generator, not a Transform: it takes blocks from the buffer before it while the next one is being inflated on another thread.
  async function* check(blocks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const block of blocks) {
      written += block.length;
      if (written > size) throw new Error(`${name} is longer than the archive says`);
      hash.update(block);
      onBytes?.(block.length);
      yield block;
    }
  }
  await pipeline(
    source,
    deflated ? createInflateRaw({ chunkSize: BLOCK }) : new PassThrough(),
    new PassThrough({ highWaterMark: AHEAD }),
    check,
    createWriteStream(file, { mode: 0o755, highWaterMark: AHEAD }),
    signal === undefined ? {} : { signal },
  );
  return hash.digest();
}

/** The path of a file inside a folder; throws if an archive's name would leave it. */
export function placeIn(directory: string, target: string): string {
  const file = path.resolve(directory, target);
  if (path.isAbsolute(target) || !file.startsWith(path.resolve(directory) + path.sep))
    throw new Error(`${target} is outside the engine's folder`);
  return file;
}
