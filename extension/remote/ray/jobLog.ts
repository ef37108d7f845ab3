// A run's messages in the log of a Ray job. The log is text, other programs write to it too, and nothing else comes back from a
// job. So the protocol's bytes are compressed and written as marked lines.
import { constants, createDeflateRaw, createInflateRaw } from "node:zlib";
import { frame, type Teller } from "../wire.ts";

/** Marks a line with messages. */
export const JOB_MARK = "layerwise-job-1 ";
/** Bytes of a line. Ray forwards a log in pieces of about 20,000 characters. */
const LINE = 9000;
/** Most characters of a line that is read. */
const LONGEST = 2 ** 16;
/** Most characters of other lines: output of pip and of the cluster before a job begins. */
const NOISE = 16 * 2 ** 20;
/** Kept characters of other lines. */
const TAIL = 4096;

/** Writes events to a log. */
export class JobLog implements Teller {
  readonly closed = false;
  readonly #deflate = createDeflateRaw({ level: constants.Z_BEST_SPEED });
  readonly #write: (text: string) => void;
  #pending: Buffer[] = [];
  #last: Promise<void> = Promise.resolve();

  /** @param write appends text to the log */
  constructor(write: (text: string) => void) {
    this.#write = write;
    this.#deflate.on("data", (bytes: Buffer) => this.#pending.push(bytes));
  }

  /** Resolves when the event is in the log. */
  tell(event: string, data: unknown, body: Buffer = Buffer.alloc(0)): Promise<void> {
    const bytes = Buffer.concat(frame({ event, data: data ?? null }, body));
    this.#last = this.#last.then(() => this.#append(bytes));
    return this.#last;
  }

  async #append(bytes: Buffer): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#deflate.write(bytes);
      this.#deflate.flush(constants.Z_SYNC_FLUSH, resolve);
    });
    const packed = Buffer.concat(this.#pending);
    this.#pending = [];
    let text = "";
    for (let at = 0; at < packed.length; at += LINE)
      text += `${JOB_MARK}${packed.toString("base64", at, at + LINE)}\n`;
    this.#write(text);
  }
}

/** Extracts the bytes of a run's messages from a log. */
export class JobLogReader {
  /** The protocol's bytes. */
  readonly bytes = createInflateRaw({ finishFlush: constants.Z_SYNC_FLUSH });
  #rest = "";
  #noise = 0;
  #tail = "";
  #begun = false;

  /** Whether a message has arrived. */
  get begun(): boolean {
    return this.#begun;
  }

  /** The last of the other lines. */
  get said(): string {
    return this.#tail;
  }

  /** Takes the next text of the log. @returns false if the caller should wait @throws Error if this is no log of a run */
  push(text: string): boolean {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > LONGEST) this.#rest = this.#other(this.#rest);
    let free = true;
    for (const line of lines) {
      const at = line.length > LONGEST ? -1 : line.indexOf(JOB_MARK);
      if (at < 0) this.#other(`${line}\n`);
      else {
        this.#begun = true;
        free = this.bytes.write(Buffer.from(line.slice(at + JOB_MARK.length), "base64"));
      }
    }
    return free;
  }

  #other(text: string): "" {
    this.#noise += text.length;
    if (this.#noise > NOISE) throw new Error("its log has too much other output");
    this.#tail = (this.#tail + text).slice(-TAIL);
    return "";
  }
}
