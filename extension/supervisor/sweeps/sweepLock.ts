// One process runs a sweep at a time. Its lock says which; nothing is signalled by it, so it needs no proof, unlike a run's.
import { randomBytes } from "node:crypto";
import { open, readFile, rename, rm } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import * as v from "valibot";
import { readRegular } from "../../files/regular.ts";
import { runPath } from "../../files/runFiles.ts";
import { factsOf, isSameStart, startOfThisProcess } from "../../processes/identity.ts";
import { relation, thisPlace } from "../../processes/place.ts";
import { EngineError } from "../../protocol/errors.ts";
import { RunLock } from "../../protocol/run.ts";
import { SWEEP_LOCK_FILE } from "../../protocol/sweep.ts";
import { temporaryName } from "../../protocol/temporaryFiles.ts";
import { demandTrust } from "../trust.ts";

const { proof: _, ...entries } = RunLock.entries;
const SweepLock = v.object(entries);
type SweepLock = v.InferOutput<typeof SweepLock>;

/** Most bytes of a lock; ours have some 300. */
const LIMIT = 4096;
/** Attempts, those of them that wait for a lock that is being written, and milliseconds between these. */
const ATTEMPTS = 30;
const WRITING = 20;
const PAUSE = 50;

/**
 * Makes this process the owner of a sweep.
 * @param force also if the owner can't be seen from here: on another host, in a container
 * @returns a function that gives the sweep up
 * @throws EngineError "busy" or "locked" if another process owns it
 */
export async function takeSweep(directory: string, force = false): Promise<() => Promise<void>> {
  demandTrust();
  const file = await runPath(directory, SWEEP_LOCK_FILE);
  const lock: SweepLock = {
    version: 1,
    ...thisPlace(),
    pid: process.pid,
    start: startOfThisProcess(),
    since: new Date().toISOString(),
  };
  const text = `${JSON.stringify(lock)}\n`;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (await create(file, text)) return () => release(file, text);
    const found = await readText(file);
    const owner = found === undefined ? undefined : lockIn(found);
    if (owner !== undefined) await demandEnded(owner, directory, force);
    else if (attempt < WRITING) {
      // Another process may have created it just now.
      await delay(PAUSE);
      continue;
    }
    await takeAway(file, found);
  }
  throw new EngineError({ code: "busy", message: `${file} can't be taken: it changes all the time.` });
}

/** Whether a process of this machine runs a sweep, or may do so elsewhere. */
export async function isSweepOwned(directory: string): Promise<boolean> {
  const text = await runPath(directory, SWEEP_LOCK_FILE).then(readText, () => undefined);
  const lock = text === undefined ? undefined : lockIn(text);
  if (lock === undefined) return false;
  return demandEnded(lock, directory, false).then(
    () => false,
    () => true,
  );
}

async function create(file: string, text: string): Promise<boolean> {
  try {
    const handle = await open(file, "wx");
    try {
      await handle.writeFile(text);
    } finally {
      await handle.close();
    }
    return (await readText(file)) === text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Undefined for what is no regular file, or too large. */
const readText = (file: string): Promise<string | undefined> =>
  readRegular(file, { limit: LIMIT }).then(
    (bytes) => bytes.toString("utf8"),
    () => undefined,
  );

function lockIn(text: string): SweepLock | undefined {
  try {
    const lock = v.safeParse(SweepLock, JSON.parse(text));
    return lock.success ? lock.output : undefined;
  } catch {
    return undefined;
  }
}

async function demandEnded(lock: SweepLock, directory: string, force: boolean): Promise<void> {
  const { host, pid, start, since } = lock;
  const refuse = (code: string, how: string, hint?: string): never => {
    throw new EngineError({
      code,
      message: `The sweep ${directory} ${how}: process ${pid} on host ${host} since ${since}.`,
      ...(hint === undefined ? {} : { hint }),
    });
  };
  const where = relation(lock);
  if (where === "before") return;
  if (where === "here") {
    const facts = await factsOf(pid);
    if (facts === "gone" || (typeof facts === "object" && !isSameStart(facts.start, start))) return;
    refuse("busy", "is running here");
  }
  if (!force)
    refuse("locked", "may be running elsewhere", "If you know that it has ended there, add --force-unlock.");
}

/** Removes a lock without an owner, unless another process has replaced it meanwhile. */
async function takeAway(file: string, found: string | undefined): Promise<void> {
  const aside = `${file.slice(0, -SWEEP_LOCK_FILE.length)}${temporaryName(SWEEP_LOCK_FILE, randomBytes(6).toString("hex"))}`;
  try {
    await rename(file, aside);
  } catch {
    return;
  }
  // Another process's new lock goes back to its place.
  if ((await readText(aside)) !== found) await rename(aside, file);
  else await rm(aside, { recursive: true, force: true });
}

async function release(file: string, text: string): Promise<void> {
  const found = await readFile(file, "utf8").catch(() => undefined);
  if (found === text) await rm(file, { force: true });
}
