// A job's log tells of a run from its beginning, whoever reads it and when. What is here already is left out.
import type { Have, Kept, FollowRequest, RowsName } from "../messages.ts";
import { canonical, Counted } from "../rows.ts";

const NAMES = ["metrics", "layers", "findings", "log"] as const;
type Name = (typeof NAMES)[number];

/** What a file has to begin with, and how much of that has passed. */
interface Due {
  have: Have;
  passed: Counted;
}

export class Replay {
  readonly #due = new Map<Name, Due>();
  /** What there is no need to send again. */
  readonly kept: Kept = { metrics: true, layers: true, findings: true, log: true };

  /** @param have what is here; undefined to leave nothing out */
  constructor(have: FollowRequest | undefined) {
    for (const name of NAMES) {
      if (have === undefined || !Number.isSafeInteger(have[name].count + 1)) this.kept[name] = false;
      else if (have[name].count > 0) this.#due.set(name, { have: have[name], passed: new Counted() });
    }
  }

  /** Whether all that is here has passed. */
  get done(): boolean {
    return this.#due.size === 0;
  }

  /** The rows that are not here. @throws ReplayError if the log has others in place of what is here */
  rows(name: RowsName, rows: readonly unknown[]): readonly unknown[] {
    for (const [i, row] of rows.entries()) {
      const due = this.#due.get(name);
      if (due === undefined) return rows.slice(i);
      due.passed.line(canonical(name, row)?.line ?? "");
      this.#passed(name, due);
    }
    return [];
  }

  /** The bytes of the log that are not here. @throws ReplayError */
  log(bytes: Buffer): Buffer {
    const due = this.#due.get("log");
    if (due === undefined) return bytes;
    const part = bytes.subarray(0, due.have.count - due.passed.count);
    due.passed.bytes(part);
    this.#passed("log", due);
    return bytes.subarray(part.length);
  }

  #passed(name: Name, { have, passed }: Due): void {
    if (passed.count < have.count) return;
    if (passed.have.hash !== have.hash) throw new ReplayError();
    this.#due.delete(name);
  }
}

/** What is here is not the beginning of what the log has. */
export class ReplayError extends Error {}
