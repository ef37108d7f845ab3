// The file that says who owns a run. It may come from a stranger's repository, so its content is checked.
import { createHash } from "node:crypto";
import { lstat } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { FileError, isMissing } from "../files/fileError.ts";
import { demandSize, openRegular, withTimeout } from "../files/regular.ts";
import { runPath } from "../files/runFiles.ts";
import { LOCK_FILE, RunLock } from "../protocol/run.ts";
import { proofOf } from "./token.ts";

/** Most bytes of a lock; ours have some 400. */
const LIMIT = 4096;
const TIME_LIMIT = 5000;

/** A lock on the disk. */
export interface FoundLock {
  readonly lock: RunLock;
  /** Milliseconds since 1970: the owner's last sign of life, by the clock of its file system. */
  readonly beat: number;
  readonly inode: string;
  /** Unique among all locks, also earlier ones. */
  readonly id: string;
}

/** Something that stands where a lock should be. */
export interface InvalidLock {
  /** Describes it, as the end of a sentence. */
  readonly invalid: string;
  readonly id: string;
}

/**
 * Reads who owns a run; undefined when its directory has no lock.
 * @throws FileError when the directory itself is reached through a link, or the disk doesn't answer in time; the file
 * system's error
 */
export async function readLock(directory: string): Promise<FoundLock | InvalidLock | undefined> {
  const file = join(await runPath(directory), LOCK_FILE);
  try {
    return await withTimeout(file, TIME_LIMIT, () => read(file));
  } catch (error) {
    if (isMissing(error)) return undefined;
    // That says nothing about the lock.
    if (!(error instanceof FileError) || error.code === "timeout") throw error;
    return { invalid: error.message.slice(file.length + 2), id: await strangerId(file) };
  }
}

async function read(file: string): Promise<FoundLock | InvalidLock> {
  const handle = await openRegular(file);
  try {
    const { ino, size, mtimeMs } = await handle.stat({ bigint: true });
    demandSize(file, Number(size), LIMIT);
    const bytes = Buffer.alloc(Number(size));
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
    const text = bytes.toString("utf8", 0, bytesRead);
    const lock = parse(text);
    const inode = String(ino);
    if (lock === undefined) return { invalid: "not a lock of this version", id: digest(`${inode} ${text}`) };
    return { lock, beat: Number(mtimeMs), inode, id: digest(text) };
  } finally {
    await handle.close();
  }
}

function parse(text: string): RunLock | undefined {
  try {
    const lock = v.safeParse(RunLock, JSON.parse(text));
    return lock.success ? lock.output : undefined;
  } catch {
    return undefined;
  }
}

/** An id for something that is no regular file, or is too large. */
async function strangerId(file: string): Promise<string> {
  const { ino, size, ctimeMs } = await lstat(file);
  return digest(`${ino} ${size} ${ctimeMs}`);
}

const digest = (text: string): string => createHash("sha256").update(text).digest("hex");

/** The proof of a lock. It covers the file's inode, so a copy of the file proves nothing. */
export function prove(token: string, inode: string, lock: Omit<RunLock, "proof">): string {
  const { version, host, machine, boot, namespace, pid, start, since } = lock;
  return proofOf(token, [version, host, machine, boot, namespace, pid, start, since, inode]);
}

/** Whether a lock is the one of the process with a token. */
export function isLockOf(token: string, found: FoundLock | InvalidLock | undefined): boolean {
  return found !== undefined && "lock" in found && isWrittenWith(token, found);
}

/** Whether the process with a token wrote that lock. */
export function isWrittenWith(token: string, { lock, inode }: FoundLock): boolean {
  return prove(token, inode, lock) === lock.proof;
}
