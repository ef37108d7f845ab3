// Detects frozen workers by this process's clock alone: clocks of workers, and of the disks with their locks, may differ.

/** Milliseconds without a heartbeat after which a worker is frozen. A thread of its own gives one every two seconds. */
const FROZEN = 12_000;
/** Time limit in milliseconds of the first heartbeat. */
const START = 60_000;
/** Milliseconds between two checks that show that the machine, or this process, was asleep. Shorter than the limits. */
const ASLEEP = 5000;

/** A worker without heartbeats. */
export interface Frozen {
  readonly rank: number;
  /** Milliseconds for which it has given none. */
  readonly limit: number;
}

interface Signs {
  /** The last heartbeat. */
  mark: string | undefined;
  /** Whether there was a heartbeat since the start. */
  alive: boolean;
  /** When the mark last changed, or the count began. */
  since: number;
}

/** The workers' heartbeats, as changes of their locks. */
export class SignsOfLife {
  readonly #workers: Signs[];
  #looked: number;

  /** @param marks Those before the start, of locks that earlier processes have left */
  constructor(marks: readonly (string | undefined)[], now = performance.now()) {
    this.#workers = marks.map((mark) => ({ mark, alive: false, since: now }));
    this.#looked = now;
  }

  /**
   * Takes the workers' marks.
   * @param marks By rank, changed by each heartbeat; undefined without a lock
   * @returns the workers whose last heartbeat is too old
   */
  look(marks: readonly (string | undefined)[], now = performance.now()): Frozen[] {
    const asleep = now - this.#looked > ASLEEP;
    this.#looked = now;
    return this.#workers.flatMap((worker, rank) => {
      const mark = marks[rank];
      const changed = mark !== undefined && mark !== worker.mark;
      if (changed) Object.assign(worker, { mark, alive: true });
      // A worker that has ended, or is about to, has released its lock. Or the disk doesn't answer.
      const unknown = worker.alive && mark === undefined;
      if (changed || asleep || unknown) worker.since = now;
      const limit = worker.alive ? FROZEN : START;
      return now - worker.since >= limit ? [{ rank, limit }] : [];
    });
  }
}
