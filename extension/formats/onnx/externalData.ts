/** Files beside an ONNX model that hold its weights. A model from a stranger may name any path, so few are opened. */
import { lstatSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { insideSync, isPlainName } from "../../files/inside.ts";
import { type ByteSource, openSource } from "../byteSource.ts";
import { count, type Fail, quote } from "./onnxError.ts";

/** Files that stay open: some exporters write one for each tensor. */
const MAX_OPEN = 16;

/** Part of a file beside the model. */
export interface ExternalRange {
  readonly source: ByteSource;
  readonly begin: number;
}

export class ExternalFiles {
  readonly #model: string;
  readonly #open = new Map<string, ByteSource>();

  /** @param model Path of the ONNX file */
  constructor(model: string) {
    this.#model = model;
  }

  /**
   * Opens the file that a tensor's entries name.
   * @param length Bytes of the tensor
   * @param fail Names the tensor
   * @throws FileError for a path outside of the model's folder, a link or no regular file; the file system's error
   */
  find(entries: ReadonlyMap<string, string>, length: number, fail: Fail): ExternalRange {
    const location = entries.get("location") ?? "";
    if (location === "") fail("it names no file of its elements");
    const begin = wholeNumber(entries.get("offset") ?? "0");
    const given = entries.get("length");
    if (begin === undefined) return fail("the place of its elements is no number of bytes");
    if (given !== undefined && wholeNumber(given) !== length)
      fail(`its elements take ${count(length)} bytes, but ${quote(given)} are given`);
    const source = this.#source(location.replace(/^(?:\.\/+)+/, ""));
    if (begin + length > source.fileBytes)
      fail(
        `its elements end at byte ${count(begin + length)} of ${quote(location)}, which has ${count(source.fileBytes)} bytes`,
      );
    return { source, begin: begin };
  }

  close(): void {
    for (const source of this.#open.values()) source.close();
    this.#open.clear();
  }

  #source(location: string): ByteSource {
    const known = this.#open.get(location);
    if (known !== undefined) return known;
    const path = this.#linked(location) ?? insideSync(dirname(this.#model), location);
    const opened = openSource(path, path, { follow: false });
    const [oldest] = this.#open.keys();
    if (this.#open.size === MAX_OPEN && oldest !== undefined) {
      this.#open.get(oldest)?.close();
      this.#open.delete(oldest);
    }
    this.#open.set(location, opened);
    return opened;
  }

  /** Hugging Face's cache has links to one folder in place of both files: the target beside the model's own target. */
  #linked(location: string): string | undefined {
    const link = join(dirname(this.#model), location);
    if (!isPlainName(location) || !isLink(this.#model) || !isLink(link)) return undefined;
    const target = realpathSync.native(link);
    return dirname(target) === dirname(realpathSync.native(this.#model)) ? target : undefined;
  }
}

const isLink = (path: string): boolean =>
  lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;

function wholeNumber(text: string): number | undefined {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}
