import { createHash } from "node:crypto";
import { close, closeSync, createReadStream, fstatSync, read } from "node:fs";
import fs from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { text } from "node:stream/consumers";
import { parse } from "csv-parse/sync";
import * as v from "valibot";
import { fromRandomAccessReaderPromise, RandomAccessReader, type Entry, type ZipFile } from "yauzl";
import { makeFolder } from "../../files/folders.ts";
import { openRegularSync } from "../../files/regular.ts";
import { NativeError, systemErrorCode } from "../errors.ts";
import { BLOCK, placeIn, writeEntry, type WriteOptions } from "./entries.ts";
import type { StreamedFile } from "./streaming.ts";

/** Limits above the contents of TensorFlow's wheels: 15,700 files, 1.3 GB, a RECORD of 1.7 MB. */
const MOST_FILES = 100_000;
const MOST_BYTES = 4e9;
const MOST_RECORD_BYTES = 32e6;

export interface ExtractOptions {
  /** Receives the wheel's SHA-256 in hex before anything in it is read, and throws if it may not be unpacked. */
  admit: (sha256: string) => void;
  /** Returns the target of a file of the wheel, relative to `directory`; undefined for files that aren't unpacked. */
  place: (name: string) => string | undefined;
  directory: string;
  /**
   * Files that were unpacked while the wheel arrived, by their name in it: moved to `directory` if they are what RECORD says.
   * Awaited when RECORD has been read.
   */
  streamed?: ReadonlyMap<string, StreamedFile> | Promise<ReadonlyMap<string, StreamedFile>>;
  signal?: AbortSignal | undefined;
  /** Receives the share of the selected bytes that is written. */
  onProgress?: (fraction: number) => void;
}

interface RecordRow {
  /** base64url, without padding. */
  sha256: string;
  size: number;
}

/**
 * Unpacks selected files of an allowed Python wheel, and checks each against its size and SHA-256 in the wheel's RECORD.
 * Returns the hex hashes by target. Throws a NativeError "corrupt-download" if the archive is invalid.
 */
export async function extractWheel(
  wheel: string,
  { admit, place, directory, streamed, signal, onProgress }: ExtractOptions,
): Promise<Record<string, string>> {
  let descriptor: number | undefined;
  let zip: ZipFile | undefined;
  try {
    // One descriptor for both, so that the unpacked bytes are those that were hashed.
    descriptor = openRegularSync(wheel);
    admit(await hashOf(descriptor, signal));
    zip = await fromRandomAccessReaderPromise(new BlockReader(descriptor), fstatSync(descriptor).size, {
      autoClose: false,
      lazyEntries: true,
    });
    const entries: Entry[] = [];
    for await (const entry of zip.eachEntry())
      if (entries.push(entry) > MOST_FILES) throw new Error(`it holds more than ${MOST_FILES} files`);
    const record = await readRecord(zip, entries);
    const selected = entries.flatMap((entry) => {
      const target = entry.fileName.endsWith("/") ? undefined : place(entry.fileName);
      return target === undefined ? [] : [{ entry, target }];
    });
    const total = selected.reduce((sum, { entry }) => sum + entry.uncompressedSize, 0);
    if (total > MOST_BYTES) throw new Error(`its libraries have more than ${MOST_BYTES / 1e9} GB`);
    const before = await streamed;
    let done = 0;
    const hashes: Record<string, string> = {};
    for (const { entry, target } of selected) {
      const expected = record.get(entry.fileName);
      if (expected === undefined) throw new Error(`${entry.fileName} is not in RECORD`);
      if (hashes[target] !== undefined) throw new Error(`it holds ${entry.fileName} twice`);
      const file = placeIn(directory, target);
      const fits = ({ size, sha256 }: Omit<StreamedFile, "file">): boolean =>
        size === expected.size && sha256.toString("base64url") === expected.sha256;
      const there = before?.get(entry.fileName);
      let digest: Buffer;
      if (there !== undefined && fits(there)) {
        await makeFolder(path.dirname(file));
        await fs.rename(there.file, file);
        digest = there.sha256;
        onProgress?.((done += there.size) / total);
      } else {
        const onBytes = (bytes: number): void => onProgress?.((done += bytes) / total);
        digest = await unpackEntry(zip, entry, file, { signal, onBytes });
        if (!fits({ size: entry.uncompressedSize, sha256: digest }))
          throw new Error(`${entry.fileName} differs from its hash in RECORD`);
      }
      hashes[target] = digest.toString("hex");
    }
    return hashes;
  } catch (error) {
    if (signal?.aborted || error instanceof NativeError || systemErrorCode(error) !== undefined) throw error;
    throw corrupt(wheel, error);
  } finally {
    if (zip !== undefined) zip.close();
    else if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Reads blocks ahead: by itself, yauzl asks the system twice for each of the 15,700 entries, which takes two seconds. */
class BlockReader extends RandomAccessReader {
  readonly #descriptor: number;
  #block = Buffer.alloc(0);
  #start = 0;

  constructor(descriptor: number) {
    super();
    this.#descriptor = descriptor;
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    const copy = (): number =>
      this.#block.copy(buffer, offset, position - this.#start, position - this.#start + length);
    if (position >= this.#start && position + length <= this.#start + this.#block.length) {
      copy();
      return process.nextTick(callback, null);
    }
    const block = Buffer.allocUnsafe(Math.max(length, BLOCK));
    read(this.#descriptor, block, 0, block.length, position, (error, bytes) => {
      if (error !== null) return callback(error);
      this.#block = block.subarray(0, bytes);
      this.#start = position;
      callback(copy() === length ? null : new Error("it ends too early"));
    });
  }

  // A stream of node:fs would close the descriptor when it is destroyed.
  override _readStreamForRange(start: number, end: number): Readable {
    const descriptor = this.#descriptor;
    let at = start;
    return new Readable({
      highWaterMark: BLOCK,
      read(): void {
        const block = Buffer.allocUnsafe(Math.min(BLOCK, end - at));
        if (block.length === 0) return void this.push(null);
        read(descriptor, block, 0, block.length, at, (error, bytes) => {
          if (error !== null) return void this.destroy(error);
          at += bytes;
          this.push(bytes === 0 ? null : block.subarray(0, bytes));
        });
      },
    });
  }

  override close(callback: (error: Error | null) => void): void {
    close(this.#descriptor, callback);
  }
}

async function hashOf(descriptor: number, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash("sha256");
  const source = createReadStream("", { fd: descriptor, autoClose: false, start: 0, highWaterMark: BLOCK });
  await pipeline([source, hash], signal === undefined ? {} : { signal });
  return hash.digest("hex");
}

const corrupt = (wheel: string, error: unknown): NativeError => {
  const detail = error instanceof Error ? error.message : String(error);
  return new NativeError("corrupt-download", `${path.basename(wheel)} is damaged: ${detail}.`, {
    detail,
    cause: error,
  });
};

const Row = v.tuple([
  v.string(),
  v.pipe(v.string(), v.startsWith("sha256=")),
  v.pipe(v.string(), v.digits(), v.transform(Number)),
]);

/** RECORD lists every file of the wheel as `path,sha256=…,size`; its own row has neither. */
async function readRecord(zip: ZipFile, entries: readonly Entry[]): Promise<Map<string, RecordRow>> {
  const entry = entries.find(({ fileName }) => /^[^/]+\.dist-info\/RECORD$/.test(fileName));
  if (entry === undefined) throw new Error("it has no RECORD");
  if (entry.uncompressedSize > MOST_RECORD_BYTES)
    throw new Error(`its RECORD has more than ${MOST_RECORD_BYTES / 1e6} MB`);
  const rows: unknown[] = parse(await text(await zip.openReadStreamPromise(entry)), {
    relax_column_count: true,
  });
  return new Map(
    rows.flatMap((row): [string, RecordRow][] => {
      const { success, output } = v.safeParse(Row, row);
      return success ? [[output[0], { sha256: output[1].slice("sha256=".length), size: output[2] }]] : [];
    }),
  );
}

async function unpackEntry(zip: ZipFile, entry: Entry, file: string, options: WriteOptions): Promise<Buffer> {
  const deflated = entry.canDecodeFileData() && entry.compressionMethod !== 0;
  const source = await zip.openReadStreamPromise(entry, deflated ? { decodeFileData: false } : {});
  return writeEntry({ name: entry.fileName, size: entry.uncompressedSize, source, deflated }, file, options);
}
