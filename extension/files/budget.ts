import { lstat } from "node:fs/promises";

/** Milliseconds of one request. A file system that is gone takes ten seconds for each file. */
const TIME_LIMIT = 60_000;

/**
 * Limits what one request reads of many files. Each file has a limit of its own, but a stranger's folder has any number of files, and
 * those of a network that is gone all take their time.
 */
export class ReadBudget {
  readonly #bytes: number;
  readonly #milliseconds: number;
  readonly #began = performance.now();
  #read = 0;

  /** @param bytes most bytes of all files */
  constructor(bytes: number, milliseconds = TIME_LIMIT) {
    this.#bytes = bytes;
    this.#milliseconds = milliseconds;
  }

  /**
   * Counts a file that is to be read: call it before each read.
   * @param limit bytes above which its reader refuses the file, without reading it
   * @returns whether it may be read, also if it is missing
   */
  async allows(path: string, limit: number): Promise<boolean> {
    if (this.exceeded !== undefined) return false;
    const size = await lstat(path).then(
      (stats) => stats.size,
      () => 0,
    );
    if (size <= limit) this.#read += size;
    return this.exceeded === undefined;
  }

  /** The limit that was reached, as the end of a sentence; undefined while there is none. */
  get exceeded(): string | undefined {
    if (this.#read > this.#bytes) return `files of more than ${this.#bytes / 2 ** 20} MB were to be read`;
    return performance.now() - this.#began > this.#milliseconds
      ? `reading took more than ${this.#milliseconds / 1000} s`
      : undefined;
  }
}
