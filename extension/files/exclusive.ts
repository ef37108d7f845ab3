// What locks are made of: a file that only one process can create, and only one can take away.
import { createHash, randomBytes } from "node:crypto";
import { constants, rmSync } from "node:fs";
import { link, lstat, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { temporaryName } from "../protocol/temporaryFiles.ts";
import { FileError, isMissing } from "./fileError.ts";
import { readRegular, readRegularSync } from "./regular.ts";

/** Milliseconds after which a process that was taking a file away has been killed at it. */
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
 * Creates a file unless there is something of its name. Other processes find it with its whole text or not at all: one
 * that found half of it could take the rest for a file without an owner. Where the file system has no hard links, the
 * text follows the name, so a file without its text has to be given time.
 *
 * @param textOf the content, for the inode of the file
 * @returns undefined if there is something of that name
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
    // A process that waited too long for the text may have taken it away.
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

/** What stands at a path. */
export interface Found {
  /** Undefined for what is no regular file, or too large. */
  readonly text: string | undefined;
  /** Another one for each file that ever was. */
  readonly id: string;
}

/** Reads what may be a lock. @param limit most bytes @returns undefined when there is nothing */
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
 * Takes away a file that several processes may have found: the first to create a claim of its name removes it, after
 * reading it again, since by then the file of another process may stand there.
 *
 * @param id of what was found
 * @param read the id of what is there now; undefined when there is nothing
 * @returns false when another process was at it, or has replaced it
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

/** Attempts of {@link takeExclusive} unless it is given others, and milliseconds between two. */
const ATTEMPTS = 50;
const PAUSE = 50;
/** Attempts after which an unreadable file that hasn't changed isn't being written any more. */
const WRITING = 20;

/** How {@link takeExclusive} deals with a file that is there already. */
export interface Taking<Known extends { readonly id: string }> {
  /** The content, for the inode of the file. */
  readonly textOf: (inode: string) => string;
  /** Reads the file; undefined when there is none. The id is another one for each file that ever was. */
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

/** Says how long something has been found unchanged: a file without its text may be written just now. */
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
