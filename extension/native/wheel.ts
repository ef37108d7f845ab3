import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import fs from "node:fs/promises";
import path from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { text } from "node:stream/consumers";
import { createInflateRaw } from "node:zlib";
import { parse } from "csv-parse/sync";
import * as v from "valibot";
import { openPromise, type Entry, type ZipFile } from "yauzl";
import { NativeError, systemErrorCode } from "./errors.ts";

export interface ExtractOptions {
  /** Where a file of the wheel goes, relative to `directory`; undefined for files that stay behind. */
  place: (name: string) => string | undefined;
  directory: string;
  signal?: AbortSignal | undefined;
  /** Share of the selected bytes that is written. */
  onProgress?: (fraction: number) => void;
}

interface RecordRow {
  /** base64url, without padding. */
  sha256: string;
  size: number;
}

/**
 * Unpacks chosen files of a Python wheel, each checked against the size and SHA-256 in the wheel's own RECORD. Answers
 * the hex hashes by place. Anything wrong with the archive is a NativeError "corrupt-download".
 */
export async function extractWheel(
  wheel: string,
  { place, directory, signal, onProgress }: ExtractOptions,
): Promise<Record<string, string>> {
  let zip: ZipFile;
  try {
    zip = await openPromise(wheel, { autoClose: false, lazyEntries: true });
  } catch (error) {
    throw corrupt(wheel, error);
  }
  try {
    const entries: Entry[] = [];
    for await (const entry of zip.eachEntry()) entries.push(entry);
    const record = await readRecord(zip, entries);
    const selected = entries.flatMap((entry) => {
      const target = entry.fileName.endsWith("/") ? undefined : place(entry.fileName);
      return target === undefined ? [] : [{ entry, target }];
    });
    const total = selected.reduce((sum, { entry }) => sum + entry.uncompressedSize, 0);
    let done = 0;
    const hashes: Record<string, string> = {};
    for (const { entry, target } of selected) {
      const expected = record.get(entry.fileName);
      if (expected === undefined) throw new Error(`${entry.fileName} is not in RECORD`);
      const file = path.join(directory, target);
      await fs.mkdir(path.dirname(file), { recursive: true });
      const digest = await writeEntry(zip, entry, file, signal, (bytes) => {
        done += bytes;
        onProgress?.(done / total);
      });
      if (entry.uncompressedSize !== expected.size || digest.toString("base64url") !== expected.sha256)
        throw new Error(`${entry.fileName} differs from its hash in RECORD`);
      hashes[target] = digest.toString("hex");
    }
    return hashes;
  } catch (error) {
    if (signal?.aborted || systemErrorCode(error) !== undefined) throw error;
    throw corrupt(wheel, error);
  } finally {
    zip.close();
  }
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

async function writeEntry(
  zip: ZipFile,
  entry: Entry,
  file: string,
  signal: AbortSignal | undefined,
  onBytes: (bytes: number) => void,
): Promise<Buffer> {
  const hash = createHash("sha256");
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      hash.update(chunk);
      onBytes(chunk.length);
      next(null, chunk);
    },
  });
  // zlib's default of 16 kB pieces takes twice the time for a library of 800 MB.
  const deflated = entry.canDecodeFileData() && entry.compressionMethod !== 0;
  const source = await zip.openReadStreamPromise(entry, deflated ? { decodeFileData: false } : {});
  await pipeline(
    [
      source,
      ...(deflated ? [createInflateRaw({ chunkSize: 1 << 20 })] : []),
      meter,
      // Flushed to the disk before the folder is renamed: a power cut leaves no half file under its final name.
      createWriteStream(file, { flush: true, mode: 0o755 }),
    ],
    signal === undefined ? {} : { signal },
  );
  return hash.digest();
}
