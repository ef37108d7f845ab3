import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { temporaryName } from "../protocol/temporaryFiles.ts";

/** A name that can't be guessed: what stands under it already would be refused, not written through. */
function temporaryFor(path: string): string {
  return join(dirname(path), temporaryName(basename(path), randomBytes(6).toString("hex")));
}

/**
 * Writes a file so that a reader, a crash or a full disk sees either the old content or the whole new one: into a
 * temporary file beside it, flushed to the disk, then renamed over it. A link at `path` is replaced, not followed.
 *
 * @param path Where the file goes; its folder must exist.
 * @param chunks The content, piece by piece.
 * @param options.flush False for what can be made again, and is checked when it is read: a power cut may damage it then. True by default.
 * @throws The error of the file system; the temporary file is gone then and the old content untouched.
 */
export function writeAtomic(path: string, chunks: Iterable<Uint8Array>, { flush = true } = {}): void {
  const temporary = temporaryFor(path);
  try {
    const file = openSync(temporary, "wx");
    try {
      for (const chunk of chunks) writeAll(file, chunk);
      if (flush) fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  if (flush) flushFolder(dirname(path));
}

/** Like {@link writeAtomic}, for code that must not block. */
export async function writeAtomicAsync(
  path: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const temporary = temporaryFor(path);
  try {
    const file = await open(temporary, "wx");
    try {
      for await (const chunk of chunks) await file.writeFile(chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Bytes of a block in a file's facts, whatever the file system's own blocks are. */
const BLOCK = 512;

/**
 * Replaces the content of a file within the blocks that the file has already, so it needs no room on a full disk. A crash
 * in between leaves a damaged file: for the last record of something that ends.
 * @returns false for content that doesn't fit; the old content is untouched then
 * @throws the error of the file system
 */
export function overwriteInPlace(path: string, content: Uint8Array): boolean {
  // Windows has no such flag, and no such links.
  const file = openSync(path, constants.O_RDWR | (constants.O_NOFOLLOW ?? 0));
  try {
    const { blocks, nlink } = fstatSync(file);
    if (content.length > blocks * BLOCK || nlink !== 1) return false;
    let done = 0;
    while (done < content.length) done += writeSync(file, content, done, content.length - done, done);
    ftruncateSync(file, content.length);
    fsyncSync(file);
    return true;
  } finally {
    closeSync(file);
  }
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
