import fs from "node:fs";
import { lstat, open, type FileHandle } from "node:fs/promises";
import { FileError } from "./fileError.ts";
import { readRegular, readRegularSync } from "./regular.ts";
import { writeAtomic, writeAtomicAsync } from "./writeAtomic.ts";

/** Most bytes that are copied for a file that has a second name. */
const COPY_LIMIT = 512 * 2 ** 20;
const { O_WRONLY, O_APPEND, O_CREAT } = fs.constants;
const FLAGS = O_WRONLY | O_APPEND | O_CREAT | (fs.constants.O_NOFOLLOW ?? 0) | (fs.constants.O_NONBLOCK ?? 0);

/** A file that grows. Text that can't be written is kept for the next flush. */
export class AppendFile {
  readonly path: string;
  #descriptor: number | undefined;
  #pending: Buffer[] = [];
  #bytes = 0;
  /** Most bytes kept for a disk that is full; older text is dropped first. */
  readonly #limit: number;

  constructor(path: string, limit = 64 * 2 ** 20) {
    this.path = path;
    this.#limit = limit;
  }

  push(data: string | Uint8Array): void {
    const bytes = Buffer.from(data as string);
    this.#pending.push(bytes);
    this.#bytes += bytes.length;
    while (this.#bytes > this.#limit && this.#pending.length > 1)
      this.#bytes -= this.#pending.shift()!.length;
  }

  /**
   * Writes what is pending.
   * @throws FileError when something else than a file stands there; the file system's error; nothing is lost by it
   */
  flush(): void {
    if (this.#pending.length === 0) return;
    this.#descriptor ??= openAppendSync(this.path);
    while (this.#pending.length > 0) {
      const bytes = this.#pending[0]!;
      const written = fs.writeSync(this.#descriptor, bytes);
      this.#bytes -= written;
      // A full disk may take the beginning of a line, which must not be written twice.
      if (written < bytes.length) this.#pending[0] = bytes.subarray(written);
      else this.#pending.shift();
    }
  }

  close(): void {
    if (this.#descriptor !== undefined) fs.closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
}

/** @throws FileError for a link, a device or a pipe */
function demandFile(path: string, stats: fs.Stats | undefined): void {
  if (stats !== undefined && !stats.isFile())
    throw new FileError(path, stats.isSymbolicLink() ? "link" : "not-regular", "expected a regular file");
}

/** Opens a regular file at its end, or creates it. */
export function openAppendSync(path: string): number {
  const before = fs.lstatSync(path, { throwIfNoEntry: false });
  demandFile(path, before);
  // A second name of the same file may lie outside of the folder: this name gets a copy of its own.
  if (before !== undefined && before.nlink > 1)
    writeAtomic(path, [readRegularSync(path, { limit: COPY_LIMIT })]);
  return fs.openSync(path, FLAGS, 0o666);
}

/** Opens a regular file at its end, or creates it. @throws FileError for anything else; the file system's error */
export async function openAppend(path: string): Promise<FileHandle> {
  const before = await lstat(path).catch(() => undefined);
  demandFile(path, before);
  if (before !== undefined && before.nlink > 1)
    await writeAtomicAsync(path, [await readRegular(path, { limit: COPY_LIMIT })]);
  return open(path, FLAGS, 0o666);
}
