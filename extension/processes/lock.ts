// A run has one owner: the process that created its lock file, which only one can. Others may take the file away when
// its owner has provably ended.
import { join } from "node:path";
import fs from "node:fs";
import { removeWhole, takeExclusive } from "../files/exclusive.ts";
import { runPath } from "../files/runFiles.ts";
import { LOCK_FILE, type RunLock } from "../protocol/run.ts";
import { startOfThisProcess } from "./identity.ts";
import { isLockOf, prove, readLock } from "./lockFile.ts";
import { ownerOf, type Owner } from "./owner.ts";
import { thisPlace } from "./place.ts";

/** A lock that this process holds. */
export interface HeldLock {
  readonly file: string;
  readonly inode: string;
  /** Gives up the run. A lock that another process has taken stays. */
  release(): void;
}

/** Another process owns the run, or may do so. */
export class LockedError extends Error {
  override readonly name = "LockedError";
  readonly owner: Owner;

  constructor(owner: Owner) {
    super(`The run is locked by process ${owner.lock.pid} on host ${owner.lock.host}.`);
    this.owner = owner;
  }
}

export interface TakeOptions {
  /** Take it also from an owner that can't be seen from here, whether it gives signs of life or not. */
  force?: boolean;
  /** Called when something else stood in the lock's place, and was removed. */
  onInvalid?: (problem: string) => void;
}

/**
 * Makes this process the owner of a run directory, which exists.
 * @param token the one in this process's command line
 * @throws LockedError when another process owns it; FileError; the file system's error
 */
export async function takeLock(
  directory: string,
  token: string,
  { force = false, onInvalid }: TakeOptions = {},
): Promise<HeldLock> {
  const file = join(await runPath(directory), LOCK_FILE);
  const taken = await takeExclusive(file, {
    textOf: (inode) => `${JSON.stringify(lockOf(token, inode))}\n`,
    read: () => readLock(directory),
    judge: async (found) => {
      if ("invalid" in found) return "unreadable";
      const owner = await ownerOf(found);
      if (owner.kind === "ended" || (force && owner.kind !== "here")) return "free";
      throw new LockedError(owner);
    },
    onRemoved: (found) => {
      if ("invalid" in found) onInvalid?.(found.invalid);
    },
  });
  if (taken === undefined) throw new Error(`${file} can't be taken: it changes all the time`);
  return { file, inode: taken.inode, release: () => removeWhole(file, taken.text) };
}

function lockOf(token: string, inode: string): RunLock {
  const lock = {
    version: 1 as const,
    ...thisPlace(),
    pid: process.pid,
    start: startOfThisProcess(),
    since: new Date().toISOString(),
  };
  return { ...lock, proof: prove(token, inode, lock) };
}

/**
 * Removes the lock of a process that was started from here and has ended.
 * @returns whether it owned the run until then
 */
export async function dropLockOf(token: string, directory: string): Promise<boolean> {
  if (!isLockOf(token, await readLock(directory))) return false;
  fs.rmSync(join(directory, LOCK_FILE), { force: true });
  return true;
}
