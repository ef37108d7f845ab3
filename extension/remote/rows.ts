// Rows of a run's files, as both machines count them: valid whole lines, each in its canonical form.
import { createHash, type Hash } from "node:crypto";
import * as v from "valibot";
import { ROWS, type Have, type RowsName } from "./messages.ts";

/** Most characters of a line: as many as the views of layers read. */
const LINE_LIMIT = 2 ** 20;
/** A character has at most three bytes of UTF-8. */
const MOST_BYTES = 3 * LINE_LIMIT;

/** A row in its canonical form, as both sides write it; undefined for an invalid one. */
export function canonical(name: RowsName, value: unknown): { row: unknown; line: string } | undefined {
  const parsed = v.safeParse(ROWS[name], value, { abortEarly: true });
  if (!parsed.success) return undefined;
  const line = JSON.stringify(parsed.output);
  return line.length > LINE_LIMIT ? undefined : { row: parsed.output, line };
}

/** Splits a growing file into lines of JSON. */
export class Lines {
  #rest = Buffer.alloc(0);
  /** Whether a line that is too long is being skipped. */
  #junk = false;

  /** Returns the values of the lines that end in these bytes. Invalid JSON is left out. */
  push(bytes: Uint8Array): unknown[] {
    const all = this.#rest.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#rest, bytes]);
    const end = all.lastIndexOf(0x0a) + 1;
    this.#rest = all.subarray(end);
    const lines = all.toString("utf8", 0, end).split("\n");
    if (end > 0 && this.#junk) {
      lines.shift();
      this.#junk = false;
    }
    if (this.#rest.length > MOST_BYTES) {
      this.#rest = Buffer.alloc(0);
      this.#junk = true;
    }
    return lines.flatMap((line) => {
      if (line === "" || line.length > LINE_LIMIT) return [];
      try {
        return [JSON.parse(line) as unknown];
      } catch {
        return [];
      }
    });
  }

  /** Whether the last line is incomplete. */
  get torn(): boolean {
    return this.#rest.length > 0 || this.#junk;
  }
}

/** Counts rows, or bytes, and hashes them. */
export class Counted {
  readonly #hash: Hash = createHash("sha256");
  #count = 0;

  get count(): number {
    return this.#count;
  }

  line(line: string): void {
    this.#hash.update(`${line}\n`);
    this.#count++;
  }

  bytes(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#count += bytes.length;
  }

  get have(): Have {
    return { count: this.#count, hash: this.#hash.copy().digest("hex") };
  }
}
