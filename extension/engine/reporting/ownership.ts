import fs from "node:fs";
import { makeFolderSync } from "../../files/folders.ts";
import { runPathSync, unwritable } from "../../files/runFiles.ts";
import { takeLock, LockedError, type HeldLock } from "../../processes/lock.ts";
import { describeOwner } from "../../processes/owner.ts";
import type { RunRequest } from "../../protocol/engine.ts";
import { EngineError, type UserError } from "../../protocol/errors.ts";
import { RUN_FILE } from "../../protocol/run.ts";

/** The error of a process whose run another process has taken over. */
export const LOST_RUN: UserError = {
  code: "lost",
  message: "Another process has taken this run over, so this one has ended without saving anything more.",
};

/**
 * Makes this process the owner of a run's directory, which a new run makes and a resumed one has.
 * @param token the one in this process's command line
 * @throws EngineError "busy" or "locked" when another process owns it; "run-directory" when it can't be written, or holds
 * another run already
 */
export async function own(request: RunRequest, token: string): Promise<HeldLock> {
  const { directory, resume = false, forceUnlock = false } = request;
  let lock: HeldLock;
  try {
    if (!resume) makeFolderSync(runPathSync(directory));
    lock = await takeLock(directory, token, { force: forceUnlock });
  } catch (error) {
    if (error instanceof LockedError) throw lockedBy(error, directory);
    throw unwritable(directory, error);
  }
  if (resume || !exists(directory)) return lock;
  lock.release();
  throw new EngineError({
    code: "run-directory",
    message: `${directory} holds a run already, so no new run can be written there.`,
    hint: `Continue that run with layerwise train --resume ${directory}, or name another directory.`,
  });
}

function exists(directory: string): boolean {
  return fs.lstatSync(runPathSync(directory, RUN_FILE), { throwIfNoEntry: false }) !== undefined;
}

function lockedBy({ owner }: LockedError, directory: string): EngineError {
  const who = describeOwner(owner.lock);
  if (owner.kind === "here" || owner.kind === "ended")
    return new EngineError({ code: "busy", message: `${directory} is another process's run: ${who}.` });
  return new EngineError({
    code: "locked",
    message: `${directory} is another process's run, which can't be seen from here: ${who}.`,
    hint: "If you know that it has ended there, take the run over: --force-unlock.",
  });
}
