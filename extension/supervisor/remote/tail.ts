// Follows the growing files of a run directory, from the part that another machine has already.
import type { FileHandle } from "node:fs/promises";
import { isMissing } from "../../files/fileError.ts";
import { openRegular } from "../../files/regular.ts";
import { runPath } from "../../files/runFiles.ts";
import { LOG_LIMIT, type Have, type RowsName } from "../../remote/messages.ts";
import { canonical, Counted, Lines } from "../../remote/rows.ts";

/** Bytes of one read. */
const READ = 2 ** 18;
/** Most rows of one message, and characters after which the next one starts: a row has at most a megabyte. */
const MOST_ROWS = 1000;
const BATCH = 2 ** 20;

interface Row {
  row: unknown;
  line: string;
}

/** Reads a file while it grows. */
class Growing {
  readonly #directory: string;
  readonly #name: string;
  #handle: FileHandle | undefined;
  #inode: number | undefined;
  #offset = 0;

  constructor(directory: string, name: string) {
    this.#directory = directory;
    this.#name = name;
  }

  /** The next bytes; empty when there are none yet. @throws ChangedError when the file was replaced */
  async next(): Promise<Buffer> {
    const handle = await this.#open();
    if (handle === undefined) return Buffer.alloc(0);
    const { size } = await handle.stat();
    if (size < this.#offset) throw new ChangedError();
    const buffer = Buffer.alloc(Math.min(READ, size - this.#offset));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, this.#offset);
    this.#offset += bytesRead;
    return buffer.subarray(0, bytesRead);
  }

  async #open(): Promise<FileHandle | undefined> {
    try {
      const now = await openRegular(await runPath(this.#directory, this.#name));
      const { ino } = await now.stat();
      if (this.#handle === undefined) {
        this.#handle = now;
        this.#inode = ino;
        return now;
      }
      await now.close();
      if (ino !== this.#inode) throw new ChangedError();
      return this.#handle;
    } catch (error) {
      if (isMissing(error) && this.#handle === undefined) return undefined;
      throw isMissing(error) ? new ChangedError() : error;
    }
  }

  async close(): Promise<void> {
    await this.#handle?.close();
    this.#handle = undefined;
  }
}

/** Thrown when a file was replaced or truncated: a training was resumed. */
export class ChangedError extends Error {}

/** Follows a file of rows. */
export class RowTail {
  readonly name: RowsName;
  readonly #file: Growing;
  readonly #lines = new Lines();
  /** Rows that were read ahead. */
  #read: Row[] = [];

  constructor(directory: string, name: RowsName) {
    this.name = name;
    this.#file = new Growing(directory, `${name}.jsonl`);
  }

  /** Skips the rows that are there already. @returns false, skipping none, if the file's beginning differs */
  async skip(have: Have): Promise<boolean> {
    const counted = new Counted();
    const rows: Row[] = [];
    while (counted.count < have.count) {
      const bytes = await this.#file.next();
      if (bytes.length === 0) break;
      for (const row of this.#rows(bytes)) {
        if (counted.count < have.count) counted.line(row.line);
        rows.push(row);
      }
    }
    const same = have.count === 0 || (counted.count === have.count && counted.have.hash === have.hash);
    this.#read = same ? rows.slice(have.count) : rows;
    return same;
  }

  /** The next rows; empty when there are none yet. */
  async next(): Promise<unknown[]> {
    while (this.#read.length === 0) {
      const bytes = await this.#file.next();
      if (bytes.length === 0) return [];
      this.#read = this.#rows(bytes);
    }
    let characters = 0;
    const end = this.#read.findIndex(({ line }) => (characters += line.length) >= BATCH);
    const batch = this.#read.splice(0, Math.min(end < 0 ? MOST_ROWS : end + 1, MOST_ROWS));
    return batch.map(({ row }) => row);
  }

  #rows(bytes: Buffer): Row[] {
    return this.#lines.push(bytes).flatMap((value) => canonical(this.name, value) ?? []);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** Follows a log. */
export class LogTail {
  readonly #file: Growing;
  #read = Buffer.alloc(0);
  /** Bytes that the other machine has. */
  #sent = 0;

  constructor(directory: string, name: string) {
    this.#file = new Growing(directory, name);
  }

  /** Skips the bytes that are there already. @returns false, skipping none, if the log's beginning differs */
  async skip(have: Have): Promise<boolean> {
    const counted = new Counted();
    const parts: Buffer[] = [];
    while (counted.count < have.count) {
      const bytes = await this.#file.next();
      if (bytes.length === 0) break;
      counted.bytes(bytes.subarray(0, have.count - counted.count));
      parts.push(bytes);
    }
    const all = Buffer.concat(parts);
    const same = counted.count === have.count && counted.have.hash === have.hash;
    this.#read = same ? all.subarray(have.count) : all;
    this.#sent = same ? have.count : 0;
    return same;
  }

  async next(): Promise<Buffer> {
    if (this.#sent >= LOG_LIMIT) return Buffer.alloc(0);
    const read = this.#read.length === 0 ? await this.#file.next() : this.#read.subarray(0, READ);
    this.#read = this.#read.subarray(READ);
    const bytes = read.subarray(0, LOG_LIMIT - this.#sent);
    this.#sent += bytes.length;
    return bytes;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
