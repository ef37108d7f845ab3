// Writing one file of a wheel, which may be complete or still arriving.
import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import path from "node:path";
import { Transform, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createInflateRaw } from "node:zlib";
import { makeFolder } from "../../files/folders.ts";

/** Bytes that are read, inflated and written at once: zlib's default of 16 kB takes twice the time for a library of 800 MB. */
export const BLOCK = 1 << 20;

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
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      written += chunk.length;
      if (written > size) return next(new Error(`${name} is longer than the archive says`));
      hash.update(chunk);
      onBytes?.(chunk.length);
      next(null, chunk);
    },
  });
  await pipeline(
    [
      source,
      ...(deflated ? [createInflateRaw({ chunkSize: BLOCK })] : []),
      meter,
      // Flushed to disk before the folder is renamed, so that a power cut leaves no truncated file under its final name.
      createWriteStream(file, { flush: true, mode: 0o755 }),
    ],
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
