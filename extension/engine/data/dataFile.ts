import fs from "node:fs";
import { join } from "node:path";
import { constants, gunzipSync } from "node:zlib";
import { openSource } from "../../formats/byteSource.ts";
import { parseCsv } from "../../formats/csv.ts";
import { isJpeg, jpegSize } from "../../formats/images/jpegMarkers.ts";
import type { ParquetFile } from "../../nn/data/access.ts";
import { isNumber, isNumeric } from "../../nn/data/columns.ts";
import { IMAGE_NAME } from "../../nn/data/imageFolder.ts";
import { isFlat } from "../../nn/data/parquet/parquetColumns.ts";
import { isCategorical, MISSING_VALUES } from "../../nn/data/table.ts";
import { EngineError } from "../../protocol/errors.ts";
import { charsetOf } from "../files/dataFiles.ts";
import { openParquet } from "../reading/parquetFiles.ts";
import { LISTED_COLUMNS, type DataFile, type TableColumn } from "../../protocol/data/dataFile.ts";

/** Most bytes of a table, rows, and folder entries that are read. */
const MAX_BYTES = 2 ** 25;
const MAX_EXPANDED = 2 ** 28;
const MAX_ROWS = 100_000;
const MAX_CELLS = 2 ** 24;
const MAX_ENTRIES = 20_000;
/** Columns, and characters of their names: gene expression tables, the widest in use, have 60,000 columns. */
const MAX_COLUMNS = 100_000;
const MAX_NAMES = 2 ** 22;
/** Classes, examples and characters of an answer. */
const MAX_CLASSES = 1000;
const EXAMPLES = 4;
const MAX_TEXT = 60;
/** Bytes searched for an image's size: in a JPEG file, a thumbnail and a colour profile may come before it. */
const MAX_HEADER = 2 ** 20;
const DELIMITERS = [",", ";", "\t"];
const OTHER_IMAGES = /\.(?:gif|webp|bmp|tiff?)$/i;

/** Describes a table or a folder of images, without running user code. @throws EngineError for anything else */
export function describeDataFile(path: string): DataFile {
  const stats = fs.statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) throw failure(`There is no ${path}.`);
  if (stats.isDirectory()) return describeFolder(path);
  return /\.parquet$/i.test(path) ? describeParquet(path) : describeTable(path);
}

/** The first rows of a Parquet file. */
function describeParquet(path: string): DataFile {
  try {
    const file = openParquet(path);
    checkWidth(
      path,
      file.columns.map(({ name }) => name),
    );
    const { rows, cells } = firstCells(file);
    const columns = file.columns.map(({ name, kind }, i): TableColumn => {
      const described = columnOf(name, cells.get(name) ?? [], i < LISTED_COLUMNS ? EXAMPLES : 0);
      if (kind === "number") return { ...described, type: "number" };
      return kind === "text" || kind === "boolean" ? described : { ...described, type: "text" };
    });
    const more = rows < file.rows;
    return { kind: "table", path, format: "parquet", rows, more, delimiter: ",", header: true, columns };
  } catch (error) {
    throw error instanceof EngineError
      ? error
      : failure(error instanceof Error ? error.message : String(error));
  }
}

/** Texts of the first rows, by column. */
function firstCells(file: ParquetFile): { rows: number; cells: ReadonlyMap<string, readonly string[]> } {
  const flat = file.columns.flatMap(({ name, kind }) =>
    isFlat(kind) ? [{ name, as: "text" as const }] : [],
  );
  const limit = Math.min(MAX_ROWS, Math.floor(MAX_CELLS / Math.max(1, flat.length)));
  const cells = new Map(flat.map(({ name }) => [name, [] as string[]]));
  let rows = 0;
  for (const [i, group] of file.groups.entries()) {
    if (rows >= limit) break;
    const count = Math.min(limit - rows, group.rows);
    const read = file.read(i, flat, count).take();
    read.forEach((column, at) => {
      if (!("texts" in column)) return;
      const all = cells.get(flat[at]!.name)!;
      for (const index of column.indices) all.push(column.texts[index] ?? "");
    });
    rows += count;
  }
  return { rows, cells };
}

function describeTable(path: string): DataFile {
  const { text, cut } = textOf(path);
  const delimiter = delimiterOf(text);
  let rows: readonly (readonly string[])[];
  try {
    const table = parseCsv(path, text, { delimiter });
    if (table.error !== undefined) throw table.error;
    rows = table.rows;
  } catch (error) {
    throw failure(error instanceof Error ? error.message : String(error));
  }
  const [first] = rows;
  if (first === undefined) throw failure(`${path} has no rows.`);
  const header =
    first.every((cell) => cell !== "" && !isNumber(cell)) && new Set(first).size === first.length;
  const body = rows.slice(Number(header), MAX_ROWS + Number(header));
  const names = first.map((cell, i) => (header ? cell : `column${i + 1}`));
  checkWidth(path, names);
  const columns = names.map((name, i) =>
    columnOf(
      name,
      body.map((row) => row[i] ?? ""),
      i < LISTED_COLUMNS ? EXAMPLES : 0,
    ),
  );
  const more = cut || rows.length - Number(header) > MAX_ROWS;
  return { kind: "table", path, rows: body.length, more, delimiter, header, columns };
}

/** @throws EngineError where the columns are too many for an answer */
function checkWidth(path: string, names: readonly string[]): void {
  const limit = MAX_COLUMNS.toLocaleString("en-US");
  if (names.length > MAX_COLUMNS)
    throw failure(`${path} has ${names.length.toLocaleString("en-US")} columns, and the limit is ${limit}.`);
  if (names.reduce((sum, name) => sum + name.length, 0) > MAX_NAMES)
    throw failure(`${path}: the names of the columns have more than ${MAX_NAMES >> 20} million characters.`);
}

/** The beginning of a text, to its last whole line. */
function textOf(path: string): { text: string; cut: boolean } {
  const source = openSource(path, path);
  try {
    const bytes = source.read(0, MAX_BYTES);
    const all = path.endsWith(".gz") ? expanded(path, bytes) : bytes;
    const text = new TextDecoder(charsetOf(all)).decode(all);
    const cut = source.fileBytes > bytes.length;
    const end = text.lastIndexOf("\n");
    return { text: cut && end > 0 ? text.slice(0, end) : text, cut };
  } finally {
    source.close();
  }
}

function expanded(path: string, bytes: Uint8Array): Uint8Array {
  try {
    // Only the file's beginning was read, so the compressed data may be cut off.
    return gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: MAX_EXPANDED });
  } catch (error) {
    throw failure(`${path} can't be unpacked: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function delimiterOf(text: string): string {
  const line = text.slice(0, text.search(/\r|\n|$/)).replaceAll(/"[^"]*"/g, "");
  const counts = DELIMITERS.map((one) => line.split(one).length);
  return DELIMITERS[counts.indexOf(Math.max(...counts))]!;
}

function columnOf(name: string, cells: readonly string[], examples: number): TableColumn {
  const known = cells.filter((cell) => !MISSING_VALUES.includes(cell));
  const different = new Set(known);
  const numeric = known.length > 0 && isNumeric(known.filter(isNumber).length, known.length);
  const category = isCategorical(different.size, cells.length);
  return {
    name,
    type: numeric ? "number" : category ? "category" : "text",
    distinct: different.size,
    missing: cells.length - known.length,
    whole: numeric && known.every((cell) => Number.isInteger(Number(cell))),
    examples: [...different].slice(0, examples).map((one) => one.slice(0, MAX_TEXT)),
  };
}

function describeFolder(path: string): DataFile {
  const classes = new Map<string, string[]>();
  let [entries, others] = [0, 0];
  const visit = (folder: string, name: string): void => {
    for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
      if (++entries > MAX_ENTRIES) return;
      const inside = join(folder, entry.name);
      if (entry.isDirectory()) visit(inside, name);
      else if (IMAGE_NAME.test(entry.name)) classes.get(name)?.push(inside);
      else if (OTHER_IMAGES.test(entry.name)) others++;
    }
  };
  const folders = fs.readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const { name } of folders.slice(0, MAX_CLASSES)) {
    classes.set(name, []);
    visit(join(path, name), name);
  }
  const first = [...classes.values()].flat()[0];
  if (first === undefined)
    throw failure(
      others > 0
        ? `${path} has images, but no PNG or JPEG files in folders: data.ImageFolder reads root/class/image.png. Convert the images to PNG.`
        : `${path} has no folders with PNG or JPEG images: data.ImageFolder reads root/class/image.png.`,
    );
  return {
    kind: "images",
    path,
    classes: [...classes]
      .map(([name, images]) => ({ name, images: images.length }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    more: entries > MAX_ENTRIES,
    ...sizeOf(first),
    others,
  };
}

/** An image's size, read from its header. */
function sizeOf(file: string): { width: number; height: number } {
  const source = openSource(file, file);
  try {
    const bytes = source.read(0, Math.min(MAX_HEADER, source.fileBytes));
    if (isJpeg(bytes)) return jpegSize(bytes) ?? { width: 0, height: 0 };
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return bytes.length < 24
      ? { width: 0, height: 0 }
      : { width: view.getUint32(16), height: view.getUint32(20) };
  } finally {
    source.close();
  }
}

const failure = (message: string): EngineError => new EngineError({ code: "file", message });
