import type { FileHandle } from "node:fs/promises";
import { openRegular } from "../../files/regular.ts";
import { runPath } from "../../files/runFiles.ts";

/** Lines that are read of a file, however long it is: as many as a screen can show. */
const LINES = 200;
/** Bytes of one read. */
const WINDOW = 1 << 18;
/** Most bytes of a line. */
export const LINE_LIMIT = 1 << 20;
const NEWLINE = 0x0a;

interface Line {
  start: number;
  /** Behind its newline. */
  end: number;
  text: string;
}

/** Reads lines of a run's file, evenly spaced in bytes, while its engine appends them. */
export class LineSample {
  readonly #directory: string;
  readonly #name: string;
  /** Where to look for the next line. */
  #next = 0;
  /** Whether a line begins at {@link #next}. */
  #begins = true;
  #size = 0;
  /** End of the last line that was given, so that none is given twice. */
  #end = 0;

  constructor(directory: string, name: string) {
    this.#directory = directory;
    this.#name = name;
  }

  /**
   * Gives new lines of the sample, then the file's last whole line, which may not belong to it.
   * @param replaced Called first if the file is shorter than it was: earlier lines don't count any more
   */
  async read(take: (line: string, sampled: boolean) => void, replaced: () => void): Promise<void> {
    const handle = await runPath(this.#directory, this.#name)
      .then((path) => openRegular(path))
      .catch(() => undefined);
    if (handle === undefined) return;
    try {
      const { size } = await handle.stat();
      if (size < this.#size) {
        this.#next = this.#end = 0;
        this.#begins = true;
        replaced();
      }
      if (size === this.#size) return;
      this.#size = size;
      await this.#sample(new Window(handle, size), take);
    } finally {
      await handle.close();
    }
  }

  async #sample(window: Window, take: (line: string, sampled: boolean) => void): Promise<void> {
    const { size } = window;
    const stride = Math.floor(size / LINES);
    while (this.#next < size) {
      const line = await window.lineFrom(this.#next, this.#begins);
      if (line === undefined) break;
      if (line === "too long") {
        this.#next += Math.max(stride, LINE_LIMIT);
        this.#begins = false;
        continue;
      }
      take(line.text, true);
      this.#end = line.end;
      this.#next = Math.max(line.end, line.start + stride);
      this.#begins = this.#next === line.end;
    }
    const last = await window.lastLine();
    if (last !== undefined && last.start >= this.#end) take(last.text, false);
  }
}

/** A part of a file that has been read. */
class Window {
  readonly size: number;
  readonly #handle: FileHandle;
  #bytes = Buffer.alloc(0);
  #at = 0;

  constructor(handle: FileHandle, size: number) {
    this.#handle = handle;
    this.size = size;
  }

  /** The first whole line from a position on; undefined if none ends before the file does. */
  async lineFrom(position: number, begins: boolean): Promise<Line | "too long" | undefined> {
    let start = position;
    if (!begins) {
      const before = await this.#newline(position - 1);
      if (typeof before !== "number") return before;
      start = before + 1;
    }
    const end = await this.#newline(start);
    if (typeof end !== "number") return end;
    return { start, end: end + 1, text: this.#text(start, end) };
  }

  /** The last line with an end; undefined if it is too long. */
  async lastLine(): Promise<Line | undefined> {
    const from = Math.max(0, this.size - LINE_LIMIT);
    await this.#load(from, this.size - from);
    const bytes = this.#bytes.subarray(from - this.#at, this.size - this.#at);
    const end = bytes.lastIndexOf(NEWLINE);
    if (end <= 0) return undefined;
    const before = bytes.lastIndexOf(NEWLINE, end - 1);
    if (before < 0 && from > 0) return undefined;
    const start = from + before + 1;
    return { start, end: from + end + 1, text: this.#text(start, from + end) };
  }

  /** Where the first newline from a position on is. */
  async #newline(position: number): Promise<number | "too long" | undefined> {
    // First in what is there.
    for (const length of [0, WINDOW, LINE_LIMIT]) {
      const there = Math.min(length, this.size - position);
      if (there > 0) await this.#load(position, there);
      const from = position - this.#at;
      const found = from < 0 ? -1 : this.#bytes.indexOf(NEWLINE, from);
      if (found >= 0) return this.#at + found;
      if (position + length >= this.size) return undefined;
    }
    return "too long";
  }

  async #load(position: number, length: number): Promise<void> {
    if (position >= this.#at && position + length <= this.#at + this.#bytes.length) return;
    const buffer = Buffer.allocUnsafe(length);
    let done = 0;
    while (done < length) {
      const { bytesRead } = await this.#handle.read(buffer, done, length - done, position + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    this.#bytes = buffer.subarray(0, done);
    this.#at = position;
  }

  #text(start: number, end: number): string {
    return this.#bytes.toString("utf8", start - this.#at, end - this.#at);
  }
}
