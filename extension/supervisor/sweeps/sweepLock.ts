// One process runs a sweep at a time. Its lock says which; nothing is signalled by it, so it needs no proof, unlike a run's.
import * as v from "valibot";
import { readFound, removeWhole, takeExclusive, type Found } from "../../files/exclusive.ts";
import { runPath } from "../../files/runFiles.ts";
import { factsOf, isSameStart, startOfThisProcess } from "../../processes/identity.ts";
import { relation, thisPlace } from "../../processes/place.ts";
import { EngineError } from "../../protocol/errors.ts";
import { RunLock } from "../../protocol/run.ts";
import { SWEEP_LOCK_FILE } from "../../protocol/sweeps/sweep.ts";
import { demandTrust } from "../trust.ts";

const { proof: _, ...entries } = RunLock.entries;
const SweepLock = v.object(entries);
type SweepLock = v.InferOutput<typeof SweepLock>;

/** Most bytes of a lock; ours have some 300. */
const LIMIT = 4096;

/**
 * Makes this process the owner of a sweep.
 * @param force also if the owner can't be seen from here: on another host, in a container
 * @returns a function that gives the sweep up
 * @throws EngineError "busy" or "locked" if another process owns it
 */
export async function takeSweep(directory: string, force = false): Promise<() => void> {
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
  const taken = await takeExclusive(file, {
    textOf: () => text,
    read: () => readFound(file, LIMIT),
    judge: async (found) => {
      const owner = lockIn(found);
      if (owner === undefined) return "unreadable";
      await demandEnded(owner, directory, force);
      return "free";
    },
  });
  if (taken !== undefined) return () => removeWhole(file, text);
  throw new EngineError({ code: "busy", message: `${file} can't be taken: it changes all the time.` });
}

/** Whether a process of this machine runs a sweep, or may do so elsewhere. */
export async function isSweepOwned(directory: string): Promise<boolean> {
  const found = await runPath(directory, SWEEP_LOCK_FILE)
    .then((file) => readFound(file, LIMIT))
    .catch(() => undefined);
  const lock = found && lockIn(found);
  if (lock === undefined) return false;
  return demandEnded(lock, directory, false).then(
    () => false,
    () => true,
  );
}

function lockIn({ text }: Found): SweepLock | undefined {
  try {
    const lock = v.safeParse(SweepLock, JSON.parse(text ?? ""));
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
