import { randomUUID } from "node:crypto";
import fs from "node:fs/promises";
import { hostname } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import * as v from "valibot";
import { isRunning } from "../../processes/signals.ts";
import { systemErrorCode } from "../errors.ts";

const HEARTBEAT = 2_000;
/** Age in milliseconds of a stale lock: far above the heartbeat, for network file systems and sleeping machines. */
const SILENCE = 30_000;
const POLL = 300;

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
    if ((await readText(file)) === JSON.stringify(owner)) await fs.rm(file, { force: true });
  }
}

async function acquire(file: string, content: string, { signal, onWait }: LockOptions): Promise<void> {
  await fs.mkdir(path.dirname(file), { recursive: true });
  for (let waited = false; ;) {
    signal?.throwIfAborted();
    try {
      await fs.writeFile(file, content, { flag: "wx" });
      return;
    } catch (error) {
      if (systemErrorCode(error) !== "EEXIST") throw error;
    }
    const stale = await staleContent(file);
    if (stale !== undefined) {
      await takeAway(file, stale);
      continue;
    }
    if (!waited) onWait?.();
    waited = true;
    await delay(POLL, undefined, signal === undefined ? {} : { signal });
  }
}

/** The content of a stale lock; undefined if it is held or already released. */
async function staleContent(file: string): Promise<string | undefined> {
  const content = await readText(file);
  const stat = await fs.stat(file).catch(() => undefined);
  if (content === undefined || stat === undefined) return undefined;
  if (Date.now() - stat.mtimeMs > SILENCE) return content;
  let owner: v.InferOutput<typeof Owner>;
  try {
    owner = v.parse(Owner, JSON.parse(content));
  } catch {
    // Being written, or truncated: its age decides.
    return undefined;
  }
  return owner.host === hostname() && !isRunning(owner.pid) ? content : undefined;
}

/** Removes a stale lock. Two processes may find it stale; the slower one must not remove the faster one's new lock. */
async function takeAway(file: string, stale: string): Promise<void> {
  const aside = `${file}.${randomUUID()}`;
  try {
    await fs.rename(file, aside);
  } catch {
    return;
  }
  if ((await readText(aside)) !== stale) await fs.link(aside, file).catch(() => undefined);
  await fs.rm(aside, { force: true });
}

const readText = (file: string): Promise<string | undefined> =>
  fs.readFile(file, "utf8").catch(() => undefined);
