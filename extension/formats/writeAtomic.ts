import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { temporaryName } from "../protocol/temporaryFiles.ts";

/**
 * Writes a file so that a reader, a crash or a full disk sees either the old content or the whole new one: into a
 * temporary file beside it, flushed to the disk, then renamed over it.
 *
 * @param path Where the file goes; its folder must exist.
 * @param chunks The content, piece by piece.
 * @throws The error of the file system; the temporary file is gone then and the old content untouched.
 */
export function writeAtomic(path: string, chunks: Iterable<Uint8Array>): void {
  const folder = dirname(path);
  const temporary = join(folder, temporaryName(basename(path), randomBytes(6).toString("hex")));
  try {
    const file = openSync(temporary, "wx");
    try {
      for (const chunk of chunks) writeAll(file, chunk);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  flushFolder(folder);
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
}

/** Makes the new name itself survive a power cut, where the system can do that. */
function flushFolder(folder: string): void {
  try {
    const handle = openSync(folder, "r");
    try {
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  } catch {
    // Windows cannot open folders, and some file systems cannot flush them: the content is safe all the same.
  }
}
