// A run has one owner: the process that created its lock file, which only one can. Others may take the file away when
// its owner has provably ended.
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { readRegularSync } from "../files/regular.ts";
import { runPath } from "../files/runFiles.ts";
import { LOCK_FILE, type RunLock } from "../protocol/run.ts";
import { temporaryName } from "../protocol/temporaryFiles.ts";
import { startOfThisProcess } from "./identity.ts";
import { isLockOf, prove, readLock, type FoundLock, type InvalidLock } from "./lockFile.ts";
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
/** Milliseconds after which a process that was taking a lock away has been killed at it. */
const CLAIM_LIMIT = 10_000;

const { O_WRONLY, O_CREAT, O_EXCL } = fs.constants;
const FLAGS = O_WRONLY | O_CREAT | O_EXCL | (fs.constants.O_NOFOLLOW ?? 0);

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
  for (let attempt = 1; ; attempt++) {
    const held = create(file, token);
    if (held !== undefined) return held;
    const found = await readLock(directory);
    if (found === undefined) continue;
    if ("invalid" in found) {
      // Another process may have created it just now.
      if (attempt > WRITING && (await takeAway(directory, file, found))) onInvalid?.(found.invalid);
    } else {
      const owner = await ownerOf(found);
      const free = owner.kind === "ended" || (force && owner.kind !== "here");
      if (!free || attempt > ATTEMPTS) throw new LockedError(owner);
      if (await takeAway(directory, file, found)) continue;
    }
    if (attempt > ATTEMPTS) throw new Error(`${file} can't be taken: it changes all the time`);
    await delay(PAUSE);
  }
}

/** @returns undefined when there is one already */
function create(file: string, token: string): HeldLock | undefined {
  let descriptor: number;
  try {
    descriptor = fs.openSync(file, FLAGS, 0o644);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return undefined;
    throw error;
  }
  try {
    const inode = String(fs.fstatSync(descriptor, { bigint: true }).ino);
    const text = `${JSON.stringify(lockOf(token, inode))}\n`;
    fs.writeFileSync(descriptor, text);
    fs.fsyncSync(descriptor);
    // A process that waited too long for the text may have treated it as no lock.
    if (!holds(file, text)) return undefined;
    return { file, inode, release: () => release(file, text) };
  } catch (error) {
    fs.rmSync(file, { force: true });
    throw error;
  } finally {
    fs.closeSync(descriptor);
  }
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

function holds(file: string, text: string): boolean {
  try {
    return readRegularSync(file, { limit: text.length }).toString() === text;
  } catch {
    // The run was deleted, or another process took it.
    return false;
  }
}

function release(file: string, text: string): void {
  if (holds(file, text)) fs.rmSync(file, { force: true });
}

/**
 * Removes a lock without an owner. Several processes may find the same one: the first to create a file of its name
 * removes it, after reading it again, since by then the lock of another taker may stand there.
 * @returns false when another process was at it
 */
async function takeAway(directory: string, file: string, found: FoundLock | InvalidLock): Promise<boolean> {
  const claim = join(directory, temporaryName(LOCK_FILE, found.id.slice(0, 12)));
  try {
    fs.closeSync(fs.openSync(claim, FLAGS, 0o644));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    const since = fs.lstatSync(claim, { throwIfNoEntry: false })?.mtimeMs;
    if (since !== undefined && Math.abs(Date.now() - since) > CLAIM_LIMIT)
      fs.rmSync(claim, { recursive: true, force: true });
    return false;
  }
  try {
    if ((await readLock(directory))?.id !== found.id) return false;
    const aside = join(directory, temporaryName(LOCK_FILE, randomBytes(6).toString("hex")));
    fs.renameSync(file, aside);
    fs.rmSync(aside, { recursive: true, force: true });
    return true;
  } finally {
    fs.rmSync(claim, { force: true });
  }
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
