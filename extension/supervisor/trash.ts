import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { CheckpointRecord } from "../protocol/run.ts";
import { EngineError } from "./errors.ts";
import { checkpointPath, exists, isLive, readRecord, writeRecord } from "./runDirectory.ts";

/** Something that was deleted and can be had back until it is purged. */
export interface Deleted {
  undo(): Promise<void>;
  /** Frees the disk. */
  purge(): Promise<void>;
}

const DAY = 24 * 60 * 60 * 1000;

/** Takes a checkpoint out of a run that is over. */
export async function deleteCheckpoint(directory: string, checkpoint: CheckpointRecord): Promise<Deleted> {
  const record = await readRecord(directory);
  if (isLive(record)) throw busy(record.id);
  const path = checkpointPath(directory, checkpoint);
  const moved = await moveToTrash(directory, path);
  await writeRecord(directory, {
    ...record,
    checkpoints: record.checkpoints.filter(({ file }) => file !== checkpoint.file),
  });
  return {
    purge: () => moved.purge(),
    async undo() {
      await moved.undo();
      const now = await readRecord(directory);
      await writeRecord(directory, { ...now, checkpoints: [...now.checkpoints, checkpoint] });
    },
  };
}

/** Deletes a run that is over, with its curves and checkpoints. */
export async function deleteRun(directory: string): Promise<Deleted> {
  const record = await readRecord(directory).catch(() => undefined);
  if (record !== undefined && isLive(record)) throw busy(record.id);
  return moveToTrash(directory, directory);
}

function busy(id: string): EngineError {
  return new EngineError({ code: "busy", message: `Run ${id} is going on. Stop it first.` });
}

/** `.layerwise/trash`, beside the runs: moving within a file system takes no time, whatever the size. */
async function moveToTrash(directory: string, path: string): Promise<Deleted> {
  const trash = join(dirname(dirname(directory)), "trash");
  await mkdir(trash, { recursive: true });
  await purgeOld(trash);
  const moved = join(trash, `${Date.now()}-${basename(directory)}-${basename(path)}`);
  const there = await exists(path);
  if (there) await rename(path, moved);
  return {
    purge: () => rm(moved, { recursive: true, force: true }),
    async undo() {
      if (!there) return;
      await mkdir(dirname(path), { recursive: true });
      await rename(moved, path);
    },
  };
}

/** What a window left behind that was closed before anyone decided. */
async function purgeOld(trash: string): Promise<void> {
  for (const name of await readdir(trash)) {
    const path = join(trash, name);
    const info = await stat(path).catch(() => undefined);
    if (info !== undefined && Date.now() - info.ctimeMs > DAY)
      await rm(path, { recursive: true, force: true });
  }
}
