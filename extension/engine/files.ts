import fs from "node:fs";

/** A file that grows. What can't be written is kept and tried again with the next flush. */
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
   * @throws the file system's error; nothing is lost by it
   */
  flush(): void {
    if (this.#pending.length === 0) return;
    this.#descriptor ??= fs.openSync(this.path, "a");
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

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EFBIG: "the file is larger than is allowed",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "the file system is read-only",
  ENOENT: "the folder is gone",
  ENOTDIR: "a part of the path is a file, not a folder",
  EMFILE: "too many open files",
};

/** A file system error for people: what is wrong, and the system's name for it. */
export function describeFileError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  const reason = code === undefined ? undefined : REASONS[code];
  return reason === undefined ? error.message : `${reason} (${code})`;
}
