// A job's log is always read from the run's beginning. A replay drops the rows that are here already.
import {
  ofFollowed,
  type FollowedName,
  type FollowRequest,
  type Have,
  type Kept,
  type RowsName,
} from "../messages.ts";
import { canonical, Counted } from "../rows.ts";

/** The expected beginning of a file, and the part that has been read. */
interface Due {
  have: Have;
  passed: Counted;
}

export class Replay {
  readonly #due = new Map<FollowedName, Due>();
  /** The files whose beginning is here. */
  readonly kept: Kept;

  /** @param have what is here; undefined to drop nothing */
  constructor(have: FollowRequest | undefined) {
    this.kept = ofFollowed((name) => {
      if (have === undefined || !Number.isSafeInteger(have[name].count + 1)) return false;
      if (have[name].count > 0) this.#due.set(name, { have: have[name], passed: new Counted() });
      return true;
    });
  }

  /** Whether all rows that are here have been read. */
  get done(): boolean {
    return this.#due.size === 0;
  }

  /** Returns the rows that are not here. @throws ReplayError if the log's beginning differs from the rows here */
  rows(name: RowsName, rows: readonly unknown[]): readonly unknown[] {
    for (const [i, row] of rows.entries()) {
      const due = this.#due.get(name);
      if (due === undefined) return rows.slice(i);
      due.passed.line(canonical(name, row)?.line ?? "");
      this.#passed(name, due);
    }
    return [];
  }

  /** Returns the bytes of the log that are not here. @throws ReplayError */
  log(bytes: Buffer): Buffer {
    const due = this.#due.get("log");
    if (due === undefined) return bytes;
    const part = bytes.subarray(0, due.have.count - due.passed.count);
    due.passed.bytes(part);
    this.#passed("log", due);
    return bytes.subarray(part.length);
  }

  #passed(name: FollowedName, { have, passed }: Due): void {
    if (passed.count < have.count) return;
    if (passed.have.hash !== have.hash) throw new ReplayError();
    this.#due.delete(name);
  }
}

/** The rows here are not the beginning of the log. */
export class ReplayError extends Error {}
