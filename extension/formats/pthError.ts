import type { FileFacts } from "./byteSource.ts";

/** In which part of a `.pth` file something is wrong. */
export type PthDefect =
  /** No `.pth` file at all, or a kind of it that is not read. */
  | "format"
  /** The archive: its directory, a record's name, size, checksum. */
  | "archive"
  /** The pickle: an operation, a string, the structure of what it describes. */
  | "pickle"
  /** A class or function that is not on the list of allowed ones. */
  | "global"
  /** A tensor's shape, strides, place in its storage. */
  | "tensor"
  /** More memory than the file's size explains. */
  | "limit";

/** A `.pth` file that is refused: which file, how long it is, and what is wrong. */
export class PthError extends Error {
  override readonly name = "PthError";
  readonly defect: PthDefect;
  readonly file: string;
  readonly fileBytes: number;

  constructor(defect: PthDefect, detail: string, { file, fileBytes }: FileFacts) {
    super(`${file} (${fileBytes.toLocaleString("en-US")} bytes): ${detail}`);
    this.defect = defect;
    this.file = file;
    this.fileBytes = fileBytes;
  }
}

/** Refuses the file that is being read. */
export type Fail = (defect: PthDefect, detail: string) => never;

/** A text from the file as a message shows it: whole up to a length, and on one line. */
export function quote(text: string): string {
  return JSON.stringify(text.length <= 100 ? text : `${text.slice(0, 100)}…`);
}

/** Memory that reading a file may take beyond the bytes that are in it. */
export class Budget {
  readonly #limit: number;
  readonly #fail: Fail;
  #used = 0;

  constructor(limit: number, fail: Fail) {
    this.#limit = limit;
    this.#fail = fail;
  }

  /** @throws PthError "limit" when all that was taken is more than there is */
  take(bytes: number, what: string): void {
    this.#used += bytes;
    if (this.#used <= this.#limit) return;
    this.#fail(
      "limit",
      `${what} would take more memory than the ${this.#limit.toLocaleString("en-US")} bytes allowed for a file of this size (maxBytes allows more)`,
    );
  }
}
