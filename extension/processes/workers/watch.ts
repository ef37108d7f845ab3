// Decides how the workers of one training have ended. When one dies, all have to end: an exchange that has lost a worker can't
// be continued.
import { setTimeout as delay } from "node:timers/promises";
import type { UserError } from "../../protocol/errors.ts";
import { LOST_WORKER } from "../../protocol/exit.ts";
import type { SignsOfLife } from "./signsOfLife.ts";

/** Milliseconds between two checks of the heartbeats. */
const WATCH = 500;
/** Milliseconds to wait for the error of the worker that failed first, after others have reported its loss. */
const CAUSE = 2000;
/** Milliseconds that workers get to end after the first one has. */
const FAREWELL = 5000;

/** How one worker has ended; without an error if it has finished or was stopped. */
export interface WorkerEnd {
  readonly error: UserError | undefined;
}

/** How a training by several workers has ended. */
export type GroupEnd =
  | { readonly kind: "done" }
  | { readonly kind: "failed"; readonly rank: number; readonly error: UserError }
  | { readonly kind: "died"; readonly rank: number; readonly error: UserError };

/** The workers of a training. */
export interface Watched {
  /** The ends of the workers, by rank. */
  readonly ends: readonly Promise<WorkerEnd>[];
  /** Reads their marks, by rank: texts that change with each heartbeat. */
  readonly marks: () => Promise<(string | undefined)[]>;
  readonly signs: SignsOfLife;
  /** Names a worker for messages. */
  readonly name: (rank: number) => string;
}

/** Waits until the training has ended, or a worker has died or is frozen. */
export async function watchWorkers(workers: Watched): Promise<GroupEnd> {
  const ends: (WorkerEnd | undefined)[] = workers.ends.map(() => undefined);
  const endings = workers.ends.map(async (end, rank) => {
    ends[rank] = await end;
    return rank;
  });
  const stop = new AbortController();
  const frozen = firstFrozen(workers, ends, stop.signal);
  try {
    for (;;) {
      const left = endings.filter((_, rank) => ends[rank] === undefined);
      const which = await Promise.race([...left, frozen]);
      if (typeof which === "object") return which;
      const end = await endOf(ends, endings, workers.name);
      if (end !== undefined) return end;
    }
  } finally {
    stop.abort();
  }
}

/** The message of a restart. */
export const restartText = (name: string, { message }: UserError, restart: number, most: number): string =>
  `${name} has ended: ${message} All workers start again from the last saved state (${restart} of ${most}).`;

/** The error of a training whose workers have died too often. */
export const tooOften = (name: string, error: UserError, restarts: number): UserError => ({
  ...error,
  message: `${name} has ended, and the workers were started again ${restarts} times already. ${error.message}`,
});

/** Derives the end of the training from the workers that have ended; undefined while it continues. */
async function endOf(
  ends: readonly (WorkerEnd | undefined)[],
  endings: readonly Promise<number>[],
  name: (rank: number) => string,
): Promise<GroupEnd | undefined> {
  const failed = (): number =>
    ends.findIndex((end) => end?.error !== undefined && end.error.code !== LOST_WORKER);
  const [first] = ends;
  if (first !== undefined && first.error === undefined) {
    await Promise.race([Promise.all(endings), delay(FAREWELL)]);
    return { kind: "done" };
  }
  if (ends.every((end) => end === undefined || end.error === undefined)) return undefined;
  // Another worker may still report the cause. An error that all have is reported from the first worker.
  await Promise.race([Promise.all(endings), delay(CAUSE)]);
  const rank = Math.max(failed(), 0);
  const error = ends[rank]?.error ?? ends.find((end) => end?.error !== undefined)!.error!;
  if (error.code === "killed" || error.code === LOST_WORKER) return { kind: "died", rank, error };
  const message = rank === 0 ? error.message : `${name(rank)}: ${error.message}`;
  return { kind: "failed", rank, error: { ...error, message } };
}

/** Resolves when a worker gives no heartbeat. */
async function firstFrozen(
  { marks, signs }: Watched,
  ends: readonly unknown[],
  signal: AbortSignal,
): Promise<GroupEnd> {
  for (;;) {
    await delay(WATCH);
    if (signal.aborted) return new Promise(() => undefined);
    const frozen = signs.look(await marks()).find(({ rank }) => ends[rank] === undefined);
    if (frozen === undefined) continue;
    const message = `it gave no sign of life for ${frozen.limit / 1000} s.`;
    return { kind: "died", rank: frozen.rank, error: { code: "killed", message } };
  }
}
