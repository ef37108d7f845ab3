// Starts one worker of a training on this machine.
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { readLock } from "../../processes/lockFile.ts";
import type { RunRequest, WorkerPlace } from "../../protocol/engine.ts";
import type { EngineOptions } from "../engines/process.ts";
import { spawnRun, type RunEvents, type RunHandle } from "../runs/run.ts";

export interface WorkerOptions {
  readonly worker: WorkerPlace;
  /** How many workers share this machine. */
  readonly here: number;
  /** Folder for what all workers but the first write. */
  readonly scratch: string;
}

/** @param events of the first worker: the others print and write the same */
export function startWorker(
  request: RunRequest,
  { worker, here, scratch }: WorkerOptions,
  events: RunEvents,
  engine: EngineOptions,
): RunHandle {
  const cores = Math.max(1, Math.floor(availableParallelism() / here));
  const options = {
    ...engine,
    env: {
      ...engine.env,
      LAYERWISE_CORES: String(cores),
      TF_NUM_INTRAOP_THREADS: String(Math.max(1, cores >> 1)),
      // An exchange occupies a thread while it waits.
      TF_NUM_INTEROP_THREADS: String(Math.max(2, cores)),
    },
  };
  if (worker.rank === 0) return spawnRun({ ...request, worker, outlive: false }, events, options);
  const { resume: _, forceUnlock: __, ...rest } = request;
  const directory = join(scratch, String(worker.rank));
  return spawnRun({ ...rest, directory, worker, outlive: false, tensorboard: false }, {}, options);
}

/** A text that changes with each heartbeat of a run; undefined without a lock. */
export async function mark(directory: string): Promise<string | undefined> {
  const found = await readLock(directory).catch(() => undefined);
  return found !== undefined && "beat" in found ? `${found.id} ${found.beat}` : undefined;
}
