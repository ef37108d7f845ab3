// Building blocks of locks: a file that only one process can create, and only one can remove.
import { createHash, randomBytes } from "node:crypto";
import { constants, rmSync } from "node:fs";
import { link, lstat, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { temporaryName } from "../protocol/temporaryFiles.ts";
import { FileError, isMissing } from "./fileError.ts";
import { readRegular, readRegularSync } from "./regular.ts";

/** Milliseconds after which a claim is stale: its process was killed while it removed the file. */
const CLAIM_LIMIT = 10_000;

const { O_WRONLY, O_CREAT, O_EXCL } = constants;
const FLAGS = O_WRONLY | O_CREAT | O_EXCL | (constants.O_NOFOLLOW ?? 0);

/** File systems without hard links (FAT, some network mounts) say one of these. */
const NO_LINKS: ReadonlySet<string | undefined> = new Set([
  "EPERM",
  "ENOTSUP",
  "EOPNOTSUPP",
  "ENOSYS",
  "EINVAL",
  "EXDEV",
]);

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

/** A file that {@link createExclusive} has created. */
export interface Created {
  readonly inode: string;
  readonly text: string;
}

/**
 * Creates a file unless its name is taken. Other processes find it with its whole text or not at all: one that found
 * half the text could think that the file has no owner. Where the file system has no hard links, the text follows the
 * name, so readers have to give a file without its text time.
 *
 * @param textOf the content, for the inode of the file
 * @returns undefined if the name is taken
 */
export async function createExclusive(
  file: string,
  textOf: (inode: string) => string,
): Promise<Created | undefined> {
  const whole = beside(file, randomBytes(6).toString("hex"));
  const created = await write(whole, textOf);
  try {
    await link(whole, file);
    return created;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return undefined;
    if (!NO_LINKS.has(codeOf(error))) throw error;
  } finally {
    await rm(whole, { force: true });
  }
  return createInPlace(file, textOf);
}

async function createInPlace(file: string, textOf: (inode: string) => string): Promise<Created | undefined> {
  try {
    const created = await write(file, textOf);
    // A process that waited too long for the text may have removed the file.
    return isWhole(file, created.text) ? created : undefined;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return undefined;
    throw error;
  }
}

async function write(file: string, textOf: (inode: string) => string): Promise<Created> {
  const handle = await open(file, FLAGS, 0o644);
  try {
    const inode = String((await handle.stat({ bigint: true })).ino);
    const text = textOf(inode);
    await handle.writeFile(text);
    await handle.sync();
    return { inode, text };
  } catch (error) {
    await rm(file, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

const beside = (file: string, unique: string): string =>
  join(dirname(file), temporaryName(basename(file), unique));

/** Whether a file has exactly this text. */
export function isWhole(file: string, text: string): boolean {
  try {
    return readRegularSync(file, { limit: Buffer.byteLength(text) }).toString() === text;
  } catch {
    // It was deleted, or is another one.
    return false;
  }
}

/** Removes a file if it has exactly this text. */
export function removeWhole(file: string, text: string): void {
  if (isWhole(file, text)) rmSync(file, { force: true });
}

/** A file, or something else, found at a path. */
export interface Found {
  /** Undefined for a file that is not regular, or too large. */
  readonly text: string | undefined;
  /** Differs for each file that was ever at the path. */
  readonly id: string;
}

/** Reads a possible lock. @param limit most bytes @returns undefined when there is nothing */
export async function readFound(file: string, limit: number): Promise<Found | undefined> {
  try {
    const text = await readRegular(file, { limit }).then(
      (bytes) => bytes.toString("utf8"),
      (error: unknown) => {
        if (error instanceof FileError) return undefined;
        throw error;
      },
    );
    const { ino, size, ctimeMs } = await lstat(file);
    return { text, id: text === undefined ? `${ino} ${size} ${ctimeMs}` : `${ino} ${text}` };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/**
 * Removes a file that several processes may have found: the first to create a claim on it removes it, after reading it
 * again, since by then another process may have put its file there.
 *
 * @param id of the file that was found
 * @param read returns the id of the current file; undefined when there is none
 * @returns false when another process was removing it, or has replaced it
 */
export async function takeAway(
  file: string,
  id: string,
  read: () => Promise<string | undefined>,
): Promise<boolean> {
  const claim = beside(file, createHash("sha256").update(id).digest("hex").slice(0, 12));
  try {
    await (await open(claim, FLAGS, 0o644)).close();
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    const since = await lstat(claim).then(
      ({ mtimeMs }) => mtimeMs,
      () => Date.now(),
    );
    if (Math.abs(Date.now() - since) > CLAIM_LIMIT) await rm(claim, { recursive: true, force: true });
    return false;
  }
  try {
    if ((await read()) !== id) return false;
    const aside = beside(file, randomBytes(6).toString("hex"));
    await rename(file, aside);
    await rm(aside, { recursive: true, force: true });
    return true;
  } finally {
    await rm(claim, { force: true });
  }
}

/** Default number of attempts of {@link takeExclusive}, and milliseconds between two. */
const ATTEMPTS = 50;
const PAUSE = 50;
/** Attempts after which an unreadable file that hasn't changed isn't being written any more. */
const WRITING = 20;

/** How {@link takeExclusive} deals with a file that is there already. */
export interface Taking<Known extends { readonly id: string }> {
  /** The content, for the inode of the file. */
  readonly textOf: (inode: string) => string;
  /** Reads the file; undefined when there is none. The id differs for each file that was ever there. */
  readonly read: () => Promise<Known | undefined>;
  /**
   * Judges a file: "free" may be removed, "unreadable" only if it stays unchanged for a second. Throws if waiting for
   * its owner makes no sense.
   */
  readonly judge: (found: Known) => Verdict | Promise<Verdict>;
  readonly onRemoved?: (found: Known) => void;
  /** Called once, before the first pause. */
  readonly onWait?: (() => void) | undefined;
  readonly attempts?: number;
  /** Milliseconds between two attempts. */
  readonly pause?: number;
  readonly signal?: AbortSignal | undefined;
}

export type Verdict = "free" | "held" | "unreadable";

/**
 * Creates a file as {@link createExclusive} does, and first removes one whose owner has ended.
 * @returns undefined if the file kept changing, or was held, in all attempts
 * @throws what `judge` throws; the signal's reason; the file system's error
 */
export async function takeExclusive<Known extends { readonly id: string }>(
  file: string,
  { textOf, read, judge, onRemoved, onWait, attempts = ATTEMPTS, pause = PAUSE, signal }: Taking<Known>,
): Promise<Created | undefined> {
  const unchanged = new Standing();
  const isFree = async (found: Known): Promise<boolean> => {
    const verdict = await judge(found);
    return verdict === "free" || (verdict === "unreadable" && unchanged.found(found.id) > WRITING);
  };
  for (let attempt = 1, waited = false; attempt <= attempts; attempt++) {
    signal?.throwIfAborted();
    const found = await read();
    if (found === undefined) {
      const created = await createExclusive(file, textOf);
      if (created !== undefined) return created;
    } else if ((await isFree(found)) && (await takeAway(file, found.id, async () => (await read())?.id))) {
      onRemoved?.(found);
      continue;
    }
    if (!waited) onWait?.();
    waited = true;
    await delay(pause, undefined, signal === undefined ? {} : { signal });
  }
  return undefined;
}

/** Counts how often a file was found unchanged: one without its text may be in the middle of being written. */
export class Standing {
  #id: string | undefined;
  #count = 0;

  /** @returns how often this id was found, one after the other */
  found(id: string): number {
    this.#count = id === this.#id ? this.#count + 1 : 1;
    this.#id = id;
    return this.#count;
  }
}
