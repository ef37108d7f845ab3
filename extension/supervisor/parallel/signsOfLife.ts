// Tells frozen workers by this process's clock alone: clocks of workers, and of the disks that their locks lie on, may differ.

/** Milliseconds without a sign of life after which a worker is frozen. It gives one every two seconds, from a thread of its own. */
const FROZEN = 12_000;
/** Milliseconds that a worker has until its first sign of life. */
const START = 60_000;
/** Milliseconds between two looks after which the machine, or this process, was asleep. Shorter than the limits. */
const ASLEEP = 5000;

/** A worker that gives no signs of life. */
export interface Frozen {
  readonly rank: number;
  /** Milliseconds for which it has given none. */
  readonly limit: number;
}

interface Signs {
  /** The last one found. */
  mark: string | undefined;
  /** Whether any was given since the start. */
  alive: boolean;
  /** When the mark last changed, or the count began. */
  since: number;
}

/** The workers' signs of life, as changes of their locks. */
export class SignsOfLife {
  readonly #workers: Signs[];
  #looked: number;

  /** @param marks Found before the start: a lock that a process has left */
  constructor(marks: readonly (string | undefined)[], now = performance.now()) {
    this.#workers = marks.map((mark) => ({ mark, alive: false, since: now }));
    this.#looked = now;
  }

  /**
   * Notes what was found.
   * @param marks Another one for each sign of life, by rank; undefined where there is no lock
   * @returns the workers that have given none for too long
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
