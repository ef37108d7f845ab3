import { randomBytes } from "node:crypto";
import { lstat, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { makeFolder } from "../../files/folders.ts";
import { isMissing } from "../../files/fileError.ts";
import { inside } from "../../files/inside.ts";
import { rootOfRun, runPath } from "../../files/runFiles.ts";
import { readLock } from "../../processes/lockFile.ts";
import { isLive, RUNS_FOLDER, type CheckpointRecord, type RunRecord } from "../../protocol/run.ts";
import { EngineError } from "../../protocol/errors.ts";
import { isUnseen, lifeOf } from "./liveness.ts";
import { checkpointPath, readRecord, writeRecord } from "./runDirectory.ts";
import { demandTrust } from "../trust.ts";

/** A deletion that can be undone until it is purged. */
export interface Deleted {
  undo(): Promise<void>;
  /** Frees the disk. */
  purge(): Promise<void>;
}

const DAY = 24 * 60 * 60 * 1000;

/** Takes a checkpoint out of a run that is over. @throws FileError when a link leads out of the run */
export async function deleteCheckpoint(directory: string, checkpoint: CheckpointRecord): Promise<Deleted> {
  demandTrust();
  const record = await readRecord(directory);
  await demandOwnerless(directory, record);
  checkpointPath(directory, checkpoint);
  if (!record.checkpoints.some(({ file }) => file === checkpoint.file))
    throw new EngineError({
      code: "run-record",
      message: `Run ${record.id} has no checkpoint ${checkpoint.file}.`,
    });
  const path = await runPath(directory, checkpoint.file);
  const moved = await moveToTrash(directory, path);
  await writeRecord(directory, {
    ...record,
    checkpoints: record.checkpoints.filter(({ file }) => file !== checkpoint.file),
  });
  return {
    purge: () => moved.purge(),
    async undo() {
      const now = await readRecord(directory);
      await demandOwnerless(directory, now);
      await moved.undo();
      await writeRecord(directory, { ...now, checkpoints: [...now.checkpoints, checkpoint] });
    },
  };
}

/**
 * Deletes a run that is over, with its curves and checkpoints.
 * @throws FileError when a link leads elsewhere; EngineError "run-record" for a folder that is no run's
 */
export async function deleteRun(directory: string): Promise<Deleted> {
  demandTrust();
  const path = await runPath(directory);
  const record = await readRecord(directory).catch((error: unknown) => {
    // A damaged run can be deleted, but only where there is nothing but runs.
    if (rootOfRun(path) === resolve(path)) throw error;
    return undefined;
  });
  if (record !== undefined) await demandOwnerless(directory, record);
  return moveToTrash(directory, path);
}

/** @throws EngineError "busy" for a run that a process works at, here or elsewhere */
async function demandOwnerless(directory: string, record: RunRecord): Promise<void> {
  if (!isLive(record) && (await readLock(directory)) === undefined) return;
  const life = await lifeOf(directory, record);
  // A run without a sign of life may be deleted: that can be undone.
  if (life.kind === "killed" || (isUnseen(life) && life.kind !== "unread")) return;
  throw new EngineError({ code: "busy", message: `Run ${record.id} is running. Stop it first.` });
}

/** Trash folder beside the runs: moving within a file system takes no time, whatever the size. */
function trashOf(directory: string): Promise<string> {
  const root = rootOfRun(directory);
  if (root === directory) return inside(dirname(directory), ".layerwise-trash");
  return inside(root, ...RUNS_FOLDER.split("/").slice(0, -1), "trash");
}

/** The names that {@link moveToTrash} gives: only such are ever purged. */
const TRASHED = /^(\d{13})-.+$/;

async function moveToTrash(run: string, target: string): Promise<Deleted> {
  const directory = resolve(run);
  const path = resolve(target);
  const trash = await trashOf(directory);
  await makeFolder(trash);
  await purgeOld(trash);
  const moved = join(trash, trashName(directory, path));
  const there = await isThere(path);
  if (there) await rename(path, moved);
  // The user may take a while to decide, and the folder may be another one by then.
  const again = async (): Promise<string> => join(await trashOf(directory), basename(moved));
  return {
    purge: async () => rm(await again(), { recursive: true, force: true }),
    async undo() {
      if (!there) return;
      const from = await again();
      const to = await runPath(directory, ...relative(directory, path).split(sep).filter(Boolean));
      if (await isThere(to))
        throw new EngineError({
          code: "exists",
          message: `${to} is there again, so what was deleted stays in ${from}.`,
        });
      await makeFolder(dirname(to));
      await rename(from, to);
    },
  };
}

/** A name of its own, short enough for every file system. */
function trashName(directory: string, path: string): string {
  const short = (name: string): string => basename(name).slice(0, 30);
  return `${Date.now()}-${randomBytes(6).toString("hex")}-${short(directory)}-${short(path)}`;
}

/** Whether a path exists, also as a dangling link. */
async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error: unknown) => {
      if (isMissing(error)) return false;
      throw error;
    },
  );
}

/** Purges deletions of windows that were closed before the user decided, after a day. */
async function purgeOld(trash: string): Promise<void> {
  for (const name of await readdir(trash)) {
    const path = join(trash, name);
    const time = TRASHED.exec(name)?.[1];
    if (time === undefined || Date.now() - Number(time) <= DAY) continue;
    // Not stat, which would follow a link; removing doesn't either.
    const info = await lstat(path).catch(() => undefined);
    if (info !== undefined && Date.now() - info.ctimeMs > DAY)
      await rm(path, { recursive: true, force: true });
  }
}
