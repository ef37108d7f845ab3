import fs from "node:fs";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { parseCsv } from "../formats/csv.ts";
import { readPng } from "../formats/png.ts";
import type { CsvFormat, CsvRow, DataFiles } from "../nn/data/access.ts";
import { TensorError } from "../tensor/errors.ts";
import { describeFileError } from "../files/fileError.ts";

/** The folder of the user's file that runs: where the names of its data files begin. */
export const userFolder: { path: string | undefined } = { path: undefined };

/** Files of data sets, from the disk. */
export const diskFiles: DataFiles = {
  resolve,
  csv: table,
  text: (file) => decode(read(file)),
  bytes: read,
  image: (file) => readPng(file, read(file)),
  folder: (name) => {
    const folder = resolve(name);
    if (!fs.existsSync(folder)) return undefined;
    // A link to a folder is a folder.
    return fs.readdirSync(folder).map((one) => ({
      name: one,
      folder: fs.statSync(path.join(folder, one), { throwIfNoEntry: false })?.isDirectory() ?? false,
    }));
  },
};

/** Tables read last, with what says that a file is still the same: a preview reads its data at every key. */
const tables = new Map<string, { stamp: string; rows: readonly CsvRow[] }>();
const MAX_TABLES = 4;

function table(name: string, format: CsvFormat): CsvRow[] {
  const file = resolve(name);
  const stats = fs.statSync(file, { throwIfNoEntry: false });
  const stamp = JSON.stringify([stats?.mtimeMs, stats?.size, format]);
  const known = tables.get(file);
  const rows = known?.stamp === stamp ? known.rows : parseCsv(file, decode(read(name)), format);
  tables.delete(file);
  tables.set(file, { stamp, rows });
  for (const [oldest] of tables) if (tables.size > MAX_TABLES) tables.delete(oldest);
  return [...rows];
}

function resolve(name: string): string {
  const beside = userFolder.path === undefined ? undefined : path.resolve(userFolder.path, name);
  return beside !== undefined && fs.existsSync(beside) ? beside : path.resolve(name);
}

function read(name: string): Uint8Array {
  const file = resolve(name);
  try {
    const bytes = fs.readFileSync(file);
    return file.endsWith(".gz") ? gunzipSync(bytes) : bytes;
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    const places = [userFolder.path, process.cwd()].filter((one) => one !== undefined);
    throw new TensorError(
      "file",
      missing ? `There is no file ${name}.` : `${file} can't be read: ${describeFileError(error)}.`,
      missing && !path.isAbsolute(name) ? `looked in ${[...new Set(places)].join(" and ")}` : undefined,
    );
  }
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
