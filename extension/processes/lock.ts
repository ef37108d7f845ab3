// A run has one owner: the process that created its lock file, which only one can. Others may take the file away when
// its owner has provably ended.
import { join } from "node:path";
import fs from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { createExclusive, removeWhole, Standing, takeAway } from "../files/exclusive.ts";
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

/** Attempts while the lock keeps changing, attempts while it may be half written, and milliseconds between two. */
const ATTEMPTS = 50;
const WRITING = 20;
const PAUSE = 50;

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
  const standing = new Standing();
  for (let attempt = 1; ; attempt++) {
    const found = await readLock(directory);
    if (found === undefined) {
      const held = await create(file, token);
      if (held !== undefined) return held;
    } else if ("invalid" in found) {
      if (standing.found(found.id) > WRITING && (await removed(found.id))) onInvalid?.(found.invalid);
    } else {
      const owner = await ownerOf(found);
      const free = owner.kind === "ended" || (force && owner.kind !== "here");
      if (!free || attempt > ATTEMPTS) throw new LockedError(owner);
      if (await removed(found.id)) continue;
    }
    if (attempt > ATTEMPTS) throw new Error(`${file} can't be taken: it changes all the time`);
    await delay(PAUSE);
  }

  function removed(id: string): Promise<boolean> {
    return takeAway(file, id, async () => (await readLock(directory))?.id);
  }
}

/** @returns undefined when there is one already */
async function create(file: string, token: string): Promise<HeldLock | undefined> {
  const created = await createExclusive(file, (inode) => `${JSON.stringify(lockOf(token, inode))}\n`);
  return created && { file, inode: created.inode, release: () => removeWhole(file, created.text) };
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
