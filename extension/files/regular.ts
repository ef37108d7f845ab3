// Opens regular files only. A folder from a stranger may have devices, pipes and links where files are expected:
// opening a pipe blocks, opening a device may do anything, reading /dev/zero never ends.
import fs from "node:fs";
import { lstat, open, stat, type FileHandle } from "node:fs/promises";
import { FileError } from "./fileError.ts";

/** How a file is opened. */
export interface OpenOptions {
  /** Whether a link may stand for the file, as in Hugging Face's cache. Default false. */
  follow?: boolean;
}

/** How a file is read as a whole. */
export interface ReadOptions extends OpenOptions {
  /** Most bytes. */
  limit: number;
  /** Milliseconds after which a read is given up: the file may be on a network that is gone. Default 10,000. */
  timeout?: number;
}

const TIMEOUT = 10_000;
const { O_RDONLY } = fs.constants;
/** Windows has neither; its links need rights to be made, and its pipes are no paths of a folder. */
const NO_FOLLOW = fs.constants.O_NOFOLLOW ?? 0;
const NO_WAIT = fs.constants.O_NONBLOCK ?? 0;

function flags({ follow = false }: OpenOptions): number {
  return O_RDONLY | NO_WAIT | (follow ? 0 : NO_FOLLOW);
}

/** Names the kind of something that is not a regular file. */
function kindOf(stats: fs.Stats): string {
  if (stats.isDirectory()) return "a folder";
  if (stats.isSymbolicLink()) return "a symbolic link";
  if (stats.isFIFO()) return "a named pipe";
  if (stats.isSocket()) return "a socket";
  return "a device";
}

/** @throws FileError "not-regular" or "link" */
function demandRegular(path: string, stats: fs.Stats): void {
  if (stats.isFile()) return;
  const code = stats.isSymbolicLink() ? "link" : "not-regular";
  throw new FileError(path, code, `expected a regular file, found ${kindOf(stats)}`);
}

/** @throws FileError "not-regular": another file took the path's place between two checks */
function demandSame(path: string, before: fs.Stats, now: fs.Stats): void {
  demandRegular(path, now);
  if (now.dev !== before.dev || now.ino !== before.ino)
    throw new FileError(path, "not-regular", "the file was replaced while it was opened");
}

/** @throws FileError "too-large" */
export function demandSize(path: string, size: number, limit: number): void {
  if (size > limit)
    throw new FileError(
      path,
      "too-large",
      `the file has ${size.toLocaleString("en-US")} bytes; the limit is ${limit.toLocaleString("en-US")}`,
    );
}

/**
 * Opens a regular file for reading.
 * @returns an open file; the caller closes it
 * @throws FileError for anything else than a regular file; the file system's error
 */
export async function openRegular(path: string, options: OpenOptions = {}): Promise<FileHandle> {
  return (await openWithStats(path, options)).handle;
}

async function openWithStats(
  path: string,
  options: OpenOptions,
): Promise<{ handle: FileHandle; stats: fs.Stats }> {
  const before = mayOpenAtOnce(options)
    ? undefined
    : await (options.follow === true ? stat(path) : lstat(path));
  if (before !== undefined) demandRegular(path, before);
  const handle = await open(path, flags(options)).catch((error: unknown) => {
    throw refusal(path, error);
  });
  try {
    const stats = await handle.stat();
    demandSame(path, before ?? stats, stats);
    return { handle, stats };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * Whether a file can be opened before its kind is known: the system follows no link and waits for no pipe. (Only the
 * system's administrator can put a device into a folder.) It saves a check for each of a thousand runs.
 */
function mayOpenAtOnce({ follow = false }: OpenOptions): boolean {
  return !follow && NO_FOLLOW !== 0 && NO_WAIT !== 0;
}

/** The system's error for a link or a socket that was to be opened, as a {@link FileError}. */
function refusal(path: string, error: unknown): unknown {
  const code: unknown = error instanceof Error ? Reflect.get(error, "code") : undefined;
  if (code === "ELOOP" || code === "EMLINK")
    return new FileError(path, "link", "expected a regular file, found a symbolic link");
  if (code === "ENXIO") return new FileError(path, "not-regular", "expected a regular file, found a socket");
  return error;
}

/** Like {@link openRegular}, for code that may block. @returns a descriptor; the caller closes it */
export function openRegularSync(path: string, options: OpenOptions = {}): number {
  const before = options.follow === true ? fs.statSync(path) : fs.lstatSync(path);
  demandRegular(path, before);
  const descriptor = fs.openSync(path, flags(options));
  try {
    demandSame(path, before, fs.fstatSync(descriptor));
    return descriptor;
  } catch (error) {
    fs.closeSync(descriptor);
    throw error;
  }
}

/**
 * Reads a whole regular file of at most `limit` bytes.
 * @throws FileError for another kind of file, one that is too large or too slow; the file system's error
 */
export function readRegular(path: string, options: ReadOptions): Promise<Buffer> {
  return withTimeout(path, options.timeout ?? TIMEOUT, async () => {
    const { handle, stats } = await openWithStats(path, options);
    try {
      const { size } = stats;
      demandSize(path, size, options.limit);
      const bytes = Buffer.allocUnsafe(size);
      let done = 0;
      // No further than the size that was checked: the file may grow meanwhile.
      while (done < size) {
        const { bytesRead } = await handle.read(bytes, done, size - done, done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return bytes.subarray(0, done);
    } finally {
      await handle.close();
    }
  });
}

/** Like {@link readRegular}, for code that may block. */
export function readRegularSync(path: string, options: Omit<ReadOptions, "timeout">): Buffer {
  const descriptor = openRegularSync(path, options);
  try {
    const { size } = fs.fstatSync(descriptor);
    demandSize(path, size, options.limit);
    const bytes = Buffer.allocUnsafe(size);
    let done = 0;
    while (done < size) {
      const count = fs.readSync(descriptor, bytes, done, size - done, done);
      if (count === 0) break;
      done += count;
    }
    return bytes.subarray(0, done);
  } finally {
    fs.closeSync(descriptor);
  }
}

/** Slices that a time limit is counted in. */
const SLICES = 10;

/** Gives up work on a file after a time. A call that hangs in the system can't be ended, only the wait for it. */
export async function withTimeout<T>(path: string, milliseconds: number, work: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    // In slices: while this thread is busy, as when a window starts, the file system's answers wait as well, and one
    // slice passes at most.
    const slice = milliseconds / SLICES;
    const wait = (left: number): void => {
      if (left === 0)
        reject(new FileError(path, "timeout", `the file system gave no answer within ${milliseconds} ms`));
      else timer = setTimeout(() => wait(left - 1), slice);
    };
    wait(SLICES);
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}
