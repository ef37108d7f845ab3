import { constants } from "node:buffer";
import fs from "node:fs";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { parseCsv } from "../../formats/csv.ts";
import { readImage } from "../../formats/images/image.ts";
import type { CsvFormat, CsvTable, DataFiles } from "../../nn/data/access.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { describeFileError, FileError } from "../../files/fileError.ts";
import { readRegularSync } from "../../files/regular.ts";
import { openParquet } from "../reading/parquetFiles.ts";
import { decode, expandBraces, openShard } from "../reading/shards.ts";
import { reading, wantThreads } from "../reading/threads.ts";

/** The folder of the user's file that runs: names of its data files are relative to it. */
export const userFolder: { path: string | undefined } = { path: undefined };

/** Files of data sets, from the disk. */
export const diskFiles: DataFiles = {
  resolve,
  csv,
  text: (file) => textOf(file, read(file)),
  bytes: read,
  planes: (name, channels) => reading("image", { file: resolve(name), channels }, {}),
  threads: wantThreads,
  image: (file) => readImage(resolve(file), read(file)),
  parquet: (name) => found(name, openParquet),
  expand: expandBraces,
  shard: (name) =>
    found(name, (file) => {
      fs.statSync(file);
      return openShard(file);
    }),
  decode,
  folder: (name) => {
    const folder = resolve(name);
    if (!fs.existsSync(folder)) return undefined;
    // A link to a folder is a folder.
    return fs.readdirSync(folder).map((one) => ({
      name: one,
      folder: fs.statSync(path.join(folder, one), { throwIfNoEntry: false })?.isDirectory() ?? false,
    }));
  },
  real: (name) => fs.realpathSync.native(resolve(name)),
};

/** Most bytes of a file, which is read as a whole. */
const MAX_BYTES = 2 ** 32;
/** Limits of decompression: real data sets seldom expand to ten times their length, zeros to a thousand. */
const FREE_EXPANDED = 2 ** 28;
const EXPANSION = 32;

/** Tables read last, each with a stamp of its file: a preview reads its data at every keystroke. */
const tables = new Map<string, { stamp: string; table: CsvTable }>();
const MAX_TABLES = 4;

function csv(name: string, format: CsvFormat): CsvTable {
  const file = resolve(name);
  const stats = fs.statSync(file, { throwIfNoEntry: false });
  const stamp = JSON.stringify([stats?.mtimeMs, stats?.size, format]);
  const known = tables.get(file);
  const table =
    known?.stamp === stamp
      ? known.table
      : parseCsv(file, tableText(file, read(name), format.charset), format);
  tables.delete(file);
  tables.set(file, { stamp, table });
  for (const [oldest] of tables) if (tables.size > MAX_TABLES) tables.delete(oldest);
  return table;
}

function resolve(name: string): string {
  const beside = userFolder.path === undefined ? undefined : path.resolve(userFolder.path, name);
  return beside !== undefined && fs.existsSync(beside) ? beside : path.resolve(name);
}

function read(name: string): Uint8Array {
  return found(name, (file) => {
    const bytes = readRegularSync(file, { limit: MAX_BYTES, follow: true });
    return file.endsWith(".gz") ? expand(file, bytes) : bytes;
  });
}

/** Opens the file that a name stands for. @throws TensorError where there is none, or it can't be read */
function found<T>(name: string, open: (file: string) => T): T {
  const file = resolve(name);
  try {
    return open(file);
  } catch (error) {
    if (error instanceof FileError || error instanceof TensorError) throw error;
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    const places = [userFolder.path, process.cwd()].filter((one) => one !== undefined);
    throw new TensorError(
      "file",
      missing ? `There is no file ${name}.` : `${file} can't be read: ${describeFileError(error)}.`,
      missing && !path.isAbsolute(name) ? `looked in ${[...new Set(places)].join(" and ")}` : undefined,
    );
  }
}

/** @throws TensorError for a file that expands far more than data does */
function expand(file: string, bytes: Uint8Array): Uint8Array {
  const maxOutputLength = FREE_EXPANDED + EXPANSION * bytes.length;
  try {
    return gunzipSync(bytes, { maxOutputLength });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const [length, limit] = [bytes.length, maxOutputLength].map((one) => one.toLocaleString("en-US"));
    throw new TensorError(
      "file",
      `${file}: its ${length} bytes expand to more than ${limit}, the limit for a file of this size`,
    );
  }
}

/** Longest string in JavaScript. */
const MAX_TEXT = constants.MAX_STRING_LENGTH;

function textOf(file: string, bytes: Uint8Array): string {
  checkLength(file, bytes);
  return new TextDecoder().decode(bytes);
}

/** @throws TensorError for bytes that are no text in that encoding */
function tableText(file: string, bytes: Uint8Array, charset = charsetOf(bytes)): string {
  checkLength(file, bytes);
  let decoder;
  try {
    decoder = new TextDecoder(charset, { fatal: true });
  } catch {
    throw new TensorError(
      "value",
      `data.csv(): the charset "${charset}" is unknown`,
      'try "latin1" or "utf-16le"',
    );
  }
  try {
    return decoder.decode(bytes);
  } catch {
    throw new TensorError(
      "file",
      `${file}${lineOfBadByte(bytes)}: the text is not in ${charset.toUpperCase()}`,
      'charset: "latin1" reads files of older programs for Windows',
    );
  }
}

/** Encoding by the mark that a text begins with. */
export function charsetOf([first, second]: Uint8Array): string {
  if (first === 0xff && second === 0xfe) return "utf-16le";
  return first === 0xfe && second === 0xff ? "utf-16be" : "utf-8";
}

/** `:line:column` of the first byte that is no UTF-8; "" for none. */
function lineOfBadByte(bytes: Uint8Array): string {
  const lines = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8").split("\n");
  const line = lines.findIndex((one) => one.includes("\uFFFD"));
  return line < 0 ? "" : `:${line + 1}:${lines[line]!.indexOf("\uFFFD") + 1}`;
}

function checkLength(file: string, bytes: Uint8Array): void {
  if (bytes.length > MAX_TEXT)
    throw new TensorError(
      "file",
      `${file}: a text of ${bytes.length.toLocaleString("en-US")} bytes; the limit is ${MAX_TEXT.toLocaleString("en-US")}`,
    );
}
