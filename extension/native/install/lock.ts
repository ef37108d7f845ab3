import { randomUUID } from "node:crypto";
import fs from "node:fs/promises";
import { hostname } from "node:os";
import path from "node:path";
import * as v from "valibot";
import { makeFolder } from "../../files/folders.ts";
import { readFound, removeWhole, takeExclusive, type Found } from "../../files/exclusive.ts";
import { isRunning } from "../../processes/signals.ts";

const HEARTBEAT = 2_000;
/** Age in milliseconds of a stale lock: far above the heartbeat, for network file systems and sleeping machines. */
const SILENCE = 30_000;
const POLL = 300;
/** Most bytes of a lock; ours have some 150. */
const LIMIT = 4096;

const Owner = v.object({ token: v.string(), pid: v.pipe(v.number(), v.integer()), host: v.string() });

export interface LockOptions {
  signal?: AbortSignal | undefined;
  /** Called once if another process holds the lock. */
  onWait?: () => void;
}

/**
 * Runs `body` while this process holds the lock file. Waits for another holder, and takes over from a dead one (its process has
 * ended, or its heartbeat stopped). The lock only avoids double work; atomic renames of finished folders keep files intact.
 */
export async function withLock<T>(file: string, options: LockOptions, body: () => Promise<T>): Promise<T> {
  const owner = { token: randomUUID(), pid: process.pid, host: hostname() };
  await acquire(file, JSON.stringify(owner), options);
  const heartbeat = setInterval(() => {
    const now = new Date();
    fs.utimes(file, now, now).catch(() => undefined);
  }, HEARTBEAT);
  heartbeat.unref();
  try {
    return await body();
  } finally {
    clearInterval(heartbeat);
    removeWhole(file, JSON.stringify(owner));
  }
}

async function acquire(file: string, content: string, { signal, onWait }: LockOptions): Promise<void> {
  await makeFolder(path.dirname(file));
  await takeExclusive(file, {
    textOf: () => content,
    read: () => readFound(file, LIMIT),
    judge: async (found) => ((await isStale(file, found)) ? "free" : "held"),
    attempts: Infinity,
    pause: POLL,
    signal,
    onWait,
  });
}

async function isStale(file: string, { text }: Found): Promise<boolean> {
  const stat = await fs.stat(file).catch(() => undefined);
  if (stat === undefined) return false;
  if (Date.now() - stat.mtimeMs > SILENCE) return true;
  try {
    const owner = v.parse(Owner, JSON.parse(text ?? ""));
    return owner.host === hostname() && !isRunning(owner.pid);
  } catch {
    // Being written, or truncated: its age decides.
    return false;
  }
}
