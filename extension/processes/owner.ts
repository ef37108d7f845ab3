// Whose a lock is: of a process that is proven to be at work here, of one elsewhere that gives signs of life, of one
// elsewhere that gives none, or of one that has ended.
import { RunLock } from "../protocol/run.ts";
import { factsOf, isSameStart, type ProcessFacts } from "./identity.ts";
import { isWrittenWith, type FoundLock } from "./lockFile.ts";
import { relation } from "./place.ts";
import { ProvenProcess } from "./signals.ts";
import { tokensIn } from "./token.ts";

/** Milliseconds without a sign of life after which one isn't counted on: far above the heartbeat, for network disks. */
export const SILENCE = 30_000;

export type Owner =
  /** It runs, and `process` may be signalled. */
  | { readonly kind: "here"; readonly lock: RunLock; readonly process: ProvenProcess }
  /** It can't be seen from here, and has just given a sign of life. */
  | { readonly kind: "elsewhere"; readonly lock: RunLock }
  /** It can't be seen from here. */
  | { readonly kind: "silent"; readonly lock: RunLock; readonly since: number }
  | { readonly kind: "ended"; readonly lock: RunLock; readonly since: number };

/** Finds the owner of a lock. Only "here" and "ended" are proven. */
export async function ownerOf(found: FoundLock, now = Date.now()): Promise<Owner> {
  const { lock, beat: since } = found;
  switch (relation(lock)) {
    case "before":
      return { kind: "ended", lock, since };
    case "here": {
      const facts = await factsOf(lock.pid);
      if (facts === "hidden") break;
      if (facts === "gone" || !isOwner(facts, found)) return { kind: "ended", lock, since };
      const stillIs = async (): Promise<boolean> => {
        const later = await factsOf(lock.pid);
        return typeof later === "object" && isOwner(later, found);
      };
      return { kind: "here", lock, process: new ProvenProcess(lock.pid, stillIs) };
    }
    case "unknown":
      break;
  }
  // A time in the future is no sign of life either: it would count for ever. A forged lock counts for this long: its proof needs the
  // owner's key, and shared folders show each host inodes and times of creation of their own, or none.
  if (Math.abs(now - since) <= SILENCE) return { kind: "elsewhere", lock };
  return { kind: "silent", lock, since };
}

function isOwner(facts: ProcessFacts, found: FoundLock): boolean {
  if (!isSameStart(facts.start, found.lock.start)) return false;
  return tokensIn(facts.arguments).some((token) => isWrittenWith(token, found));
}

/** Who that is, for people: "process 4711 on host box since 2026-01-31T14:25:01.000Z". */
export function describeOwner({ host, pid, since }: RunLock): string {
  return `process ${pid} on host ${host} since ${since}`;
}
