// State of a run's owner. Each reader derives it and writes nothing: the folder may be another machine's, or a
// stranger's.
import { FileError } from "../../files/fileError.ts";
import { EngineError, type UserError } from "../../protocol/errors.ts";
import type { RunLock, RunRecord } from "../../protocol/run.ts";
import { outlivesFollower } from "../../protocol/target.ts";
import { factsOf } from "../../processes/identity.ts";
import { readLock } from "../../processes/lockFile.ts";
import { describeOwner, ownerOf } from "../../processes/owner.ts";
import type { ProvenProcess } from "../../processes/signals.ts";

/** State of the owner of a run that is unfinished by its record. */
export type Life =
  /** It runs on this machine; a run of an earlier version that has just begun has no proof of that. */
  | { readonly kind: "here"; readonly lock?: RunLock; readonly process?: ProvenProcess }
  /** It runs on another machine or in a container. */
  | { readonly kind: "elsewhere"; readonly lock: RunLock }
  /** It ran on another machine or in a container, and may do so still. */
  | { readonly kind: "silent"; readonly lock: RunLock; readonly since: number }
  /** The disk has not said in time who it is. */
  | { readonly kind: "unread" }
  /** It is on the machine of that name, and no process here follows it. */
  | { readonly kind: "remote"; readonly name: string }
  /** It has ended; `since` is its last sign of life, or when the run began: ISO 8601. */
  | { readonly kind: "killed"; readonly since: string; readonly error: UserError };

/** Milliseconds that a run without a lock may have begun ago, by an earlier version. */
const START_LIMIT = 60_000;

const ENDED = "The run's process ended unexpectedly: it, the window or the machine was shut down.";

/** Finds out the state of a run's owner. The run's record says that it isn't over. */
export async function lifeOf(
  directory: string,
  record: Pick<RunRecord, "createdAt" | "pid" | "on">,
  now = Date.now(),
): Promise<Life> {
  const life = await lifeHere(directory, record, now);
  // Only the process that follows the run has ended.
  const { on } = record;
  return life.kind === "killed" && on !== undefined && outlivesFollower(on)
    ? { kind: "remote", name: on.name }
    : life;
}

async function lifeHere(
  directory: string,
  { createdAt, pid }: Pick<RunRecord, "createdAt" | "pid">,
  now: number,
): Promise<Life> {
  const found = await readLock(directory).catch((error: unknown) => {
    if (error instanceof FileError && error.code === "timeout") return "late" as const;
    throw error;
  });
  if (found === "late") return { kind: "unread" };
  if (found === undefined) {
    const young = Math.abs(now - Date.parse(createdAt)) <= START_LIMIT;
    return young && (await mayBeEngine(pid)) ? { kind: "here" } : killed(ENDED, createdAt);
  }
  if ("invalid" in found) return killed(`${ENDED} Its lock.json is no lock: ${found.invalid}.`, createdAt);
  const owner = await ownerOf(found, now);
  return owner.kind === "ended" ? killed(ENDED, timeOf(owner.since) ?? createdAt) : owner;
}

/** Whether a run of an earlier version, which has no lock, may be that process: to be shown, never to be signalled. */
async function mayBeEngine(pid: number | undefined): Promise<boolean> {
  if (pid === undefined) return true;
  const facts = await factsOf(pid);
  return typeof facts === "object"
    ? facts.arguments.some((one) => one.includes("runEngine"))
    : facts === "hidden";
}

function killed(message: string, since: string): Life {
  return { kind: "killed", error: { code: "killed", message }, since };
}

/** Why a run can't be taken over, as the end of a sentence; undefined if it can be. */
export function obstacle(life: Life): string | undefined {
  switch (life.kind) {
    case "here":
      return life.lock === undefined
        ? "is still running: it has just been started."
        : `is still running here: ${describeOwner(life.lock)}.`;
    case "elsewhere":
      return `is running elsewhere: ${describeOwner(life.lock)}.`;
    case "silent":
      return (
        `may be running elsewhere: ${describeOwner(life.lock)}. ` +
        `There was no sign of life since ${timeOf(life.since) ?? "an unknown time"}.`
      );
    case "unread":
      return "may still be running: the disk doesn't answer. Try again in a moment.";
    case "remote":
    case "killed":
      return undefined;
  }
}

/** Whether nothing here shows that a run continues: no sign of life, or no process that follows it on its machine. */
export function isUnseen(life: Life | undefined): boolean {
  return isUncertain(life) || life?.kind === "remote";
}

/** Whether a run may give a sign of life any moment. */
export function isUncertain(life: Life | undefined): boolean {
  return life?.kind === "silent" || life?.kind === "unread";
}

/** For lists: the place of a run whose process is invisible from here. */
export function lifeText(life: Life | undefined): string | undefined {
  if (life?.kind === "elsewhere") return `running elsewhere (host ${life.lock.host})`;
  if (life?.kind === "remote") return `on ${life.name}, not followed`;
  if (life?.kind === "unread") return "not answering yet";
  if (life?.kind === "silent") return `no sign of life since ${timeOf(life.since) ?? "an unknown time"}`;
  return undefined;
}

/** The time of a file may be any number. */
function timeOf(milliseconds: number): string | undefined {
  return Math.abs(milliseconds) <= 8.64e15 ? new Date(milliseconds).toISOString() : undefined;
}

/**
 * The process of a run, proven just now, which may be signalled.
 * @throws EngineError saying why there is none
 */
export async function processOf(directory: string, id: string): Promise<ProvenProcess> {
  const refuse = (problem: string): never => {
    throw new EngineError({ code: "detached", message: `Run ${id} ${problem}` });
  };
  const found = await readLock(directory);
  if (found === undefined || "invalid" in found)
    return refuse("has no valid lock, so its process is not known and can't be stopped from here.");
  const owner = await ownerOf(found);
  if (owner.kind === "here") return owner.process;
  if (owner.kind === "ended") return refuse("has no process any more.");
  return refuse(`runs on host ${owner.lock.host}, so it can't be stopped from here.`);
}
