import { clipped } from "../../protocol/text/clip.ts";
import type { FileFacts } from "../byteSource.ts";

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

/** How often a storage's bytes may be in tensors: tied weights twice, a checkpoint's model under two names. */
const VIEWS = 4;
/** Columns of a matrix, saved one by one, each span all of it. */
const SPANS = 64;
const MIN_SPANNED = 2 ** 32;

function number(value: number): string {
  return value.toLocaleString("en-US");
}

/** Refuses the file that is being read. */
export type Fail = (defect: PthDefect, detail: string) => never;

/** A text from the file as a message shows it: whole up to a length, and on one line. */
export function quote(text: string): string {
  return JSON.stringify(clipped(text, 100));
}

/** Name of a whole pickle in messages of the {@link Budget}. */
export const PICKLE = "the pickle";

/** Memory that reading a file may take beyond the bytes that are in it. */
export class Budget {
  readonly #limit: number;
  readonly #fail: Fail;
  #used = 0;
  /** Bytes of storages, of the elements of their tensors, and between the first and last element of each. */
  #stored = 0;
  #viewed = 0;
  #spanned = 0;

  constructor(limit: number, fail: Fail) {
    this.#limit = limit;
    this.#fail = fail;
  }

  /** @throws PthError "limit" when the total taken exceeds the budget */
  take(bytes: number, what: string): void {
    this.#used += bytes;
    if (this.#used <= this.#limit) return;
    this.#fail(
      "limit",
      `${what} would take more memory than the ${number(this.#limit)} bytes allowed for a file of this size (maxBytes allows more)`,
    );
  }

  /** Notes a storage. */
  addStorage(bytes: number): void {
    this.#stored += bytes;
  }

  /** Notes a tensor: the bytes of its elements, and of the part of the storage that they lie in. */
  addTensor(bytes: number, span: number): void {
    this.#viewed += bytes;
    this.#spanned += span;
  }

  /**
   * Compares tensors with storages: a thousand views of one large storage would each be read and converted.
   * @throws PthError "limit"
   */
  checkViews(): void {
    const most = this.#limit / 4 + VIEWS * this.#stored;
    if (this.#viewed > most)
      this.#fail(
        "limit",
        `the tensors have ${number(this.#viewed)} bytes, many times those of their ${number(this.#stored)} bytes of storages; the limit is ${number(most)}`,
      );
    const longest = MIN_SPANNED + SPANS * this.#stored;
    if (this.#spanned > longest)
      this.#fail(
        "limit",
        `the tensors are spread over ${number(this.#spanned)} bytes of their ${number(this.#stored)} bytes of storages; the limit is ${number(longest)}`,
      );
  }
}
