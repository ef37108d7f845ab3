// Parquet files, read a row group at a time: https://parquet.apache.org/docs/file-format/
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import {
  parquetMetadata,
  parquetRead,
  parquetSchema,
  type ColumnMetaData,
  type FileMetaData,
  type SchemaTree,
} from "hyparquet";
import { parquetHeader } from "hyparquet/src/column.js";
import { compressors } from "hyparquet-compressors";
import type { ParquetCells, ParquetColumn, ParquetFacts, ParquetKind } from "../nn/data/access.ts";
import { openSource, type ByteSource } from "./byteSource.ts";

/** A column to read, and whether its cells become numbers or texts. */
export interface ParquetChoice {
  readonly name: string;
  readonly as: "number" | "text";
}

/** Limits of metadata, rows, columns, and the bytes that the chosen columns of one row group expand to. */
const MAX_METADATA = 2 ** 27;
const MAX_ROWS = 2 ** 31 - 1;
const MAX_COLUMNS = 100_000;
const MAX_GROUP_ROWS = 2 ** 26;
const MAX_GROUP_BYTES = 2 ** 30;
const FOOTER = 8;
const DAY = 86_400_000;

const text = new TextDecoder();
const milliseconds = (units: bigint, each: number): number => Number(units) / each;

/** Cells as numbers and texts, in place of the library's dates and objects. */
const PARSERS = {
  timestampFromMilliseconds: (units: bigint) => milliseconds(units, 1),
  timestampFromMicroseconds: (units: bigint) => milliseconds(units, 1e3),
  timestampFromNanoseconds: (units: bigint) => milliseconds(units, 1e6),
  dateFromDays: (days: number | undefined) => days && days * DAY,
  stringFromBytes: (bytes: Uint8Array | undefined) => bytes && text.decode(bytes),
  jsonFromBytes: (bytes: Uint8Array | undefined) => bytes && text.decode(bytes),
};

/** Node's own decompressors are faster, and stop at the page's declared length. */
const DECOMPRESSORS = Object.fromEntries(
  Object.entries({
    ...compressors,
    GZIP: (bytes: Uint8Array, length: number) => gunzipSync(bytes, { maxOutputLength: length }),
    BROTLI: (bytes: Uint8Array, length: number) => brotliDecompressSync(bytes, { maxOutputLength: length }),
  }).map(([name, decompress]) => [
    name,
    (bytes: Uint8Array, length: number): Uint8Array => {
      if (!(length >= 0 && length <= MAX_GROUP_BYTES))
        throw new Error(`a page of ${count(length)} bytes; the limit is ${count(MAX_GROUP_BYTES)}`);
      return decompress(bytes, length);
    },
  ]),
);

/** An open Parquet file. */
export class ParquetReader {
  readonly facts: ParquetFacts;
  readonly #source: ByteSource;
  readonly #metadata: FileMetaData;

  /**
   * Reads the metadata of a file.
   * @throws Error saying what is wrong with the file
   */
  constructor(file: string) {
    this.#source = openSource(file, file);
    try {
      this.#metadata = readMetadata(this.#source);
      this.facts = factsOf(this.#metadata);
    } catch (error) {
      this.#source.close();
      throw error;
    }
  }

  close(): void {
    this.#source.close();
  }

  /**
   * The cells of a row group, by column in the order given.
   * @param limit Rows to read at most
   * @param alive Called after each page
   * @throws Error for damaged pages, or too many bytes
   */
  async read(
    group: number,
    columns: readonly ParquetChoice[],
    limit: number,
    alive: () => void,
  ): Promise<ParquetCells[]> {
    const rowGroup = this.#metadata.row_groups[group];
    if (rowGroup === undefined) throw new Error(`there is no row group ${group}`);
    const rows = Math.min(limit, this.facts.groups[group]!.rows);
    const names = new Set(columns.map(({ name }) => name));
    const chunks = rowGroup.columns.flatMap(({ meta_data: data }) =>
      data !== undefined && names.has(data.path_in_schema[0] ?? "") ? [data] : [],
    );
    const bytes = chunks.reduce((sum, data) => sum + Number(data.total_uncompressed_size), 0);
    if (!(bytes <= MAX_GROUP_BYTES))
      throw new Error(
        `row group ${group} has ${count(bytes)} bytes; the limit is ${count(MAX_GROUP_BYTES)}: write the file with smaller row groups, or read fewer columns`,
      );
    const collectors = new Map(
      columns.map(({ name, as }) => [name, as === "number" ? new Numbers(rows) : new Texts(rows)] as const),
    );
    const loaded = new Map(chunks.map((data) => this.#chunk(data, this.facts.groups[group]!.rows)));
    await parquetRead({
      file: {
        byteLength: this.#source.fileBytes,
        slice: (start, end = this.#source.fileBytes) => {
          const known = loaded.get(start);
          return known?.byteLength === end - start ? known : this.#slice(start, end);
        },
      },
      // The library looks for rows in all groups that it is given.
      metadata: { ...this.#metadata, row_groups: [rowGroup], num_rows: rowGroup.num_rows },
      columns: [...names],
      rowEnd: rows,
      compressors: DECOMPRESSORS,
      parsers: PARSERS,
      onPage: alive,
      onChunk: ({ columnName, columnData, rowStart }) =>
        collectors.get(columnName)?.add(columnData, rowStart),
    });
    return columns.map(({ name }) => {
      const collected = collectors.get(name)!;
      if (collected.rows !== rows)
        throw new Error(
          `column "${name}" has ${collected.rows} values in row group ${group} of ${rows} rows`,
        );
      return collected.cells;
    });
  }

  /**
   * The bytes of a column in a row group, and where they begin. Checks pages: the decoder allocates what they claim.
   * @throws Error for pages of more values than there are rows
   */
  #chunk(data: ColumnMetaData, rows: number): [start: number, bytes: ArrayBuffer] {
    const { dictionary_page_offset: dictionary, data_page_offset: first } = data;
    const start = Number(
      dictionary === undefined || dictionary === 0n || first < dictionary ? first : dictionary,
    );
    const bytes = this.#slice(start, start + Number(data.total_compressed_size));
    const reader = { view: new DataView(bytes), offset: 0 };
    for (let values = 0; values < rows && reader.offset < bytes.byteLength - 1;) {
      const header = parquetHeader(reader);
      const count = header.data_page_header?.num_values ?? header.data_page_header_v2?.num_values;
      const claimed = count ?? header.dictionary_page_header?.num_values ?? 0;
      if (!(claimed >= 0 && claimed <= rows) || !(header.compressed_page_size >= 0))
        throw new Error(
          `column "${data.path_in_schema[0]}" has a page of ${claimed} values among ${rows} rows`,
        );
      values += count ?? 0;
      reader.offset += header.compressed_page_size;
    }
    return [start, bytes];
  }

  #slice(start: number, end: number): ArrayBuffer {
    const length = end - start;
    if (!(start >= 0 && length >= 0 && end <= this.#source.fileBytes))
      throw new Error("a column lies beyond the end of the file");
    const bytes = this.#source.read(start, length);
    if (bytes.length !== length) throw new Error("the file has become shorter");
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
  }
}

function readMetadata(source: ByteSource): FileMetaData {
  const { fileBytes } = source;
  const end = source.read(Math.max(0, fileBytes - FOOTER), FOOTER);
  if (end.length < FOOTER || text.decode(end.subarray(4)) !== "PAR1")
    throw new Error(
      text.decode(end.subarray(4)) === "PARE"
        ? "its metadata is encrypted, which is not supported"
        : 'no Parquet file: it doesn\'t end with "PAR1", so it may be cut off',
    );
  const length = new DataView(end.buffer, end.byteOffset, FOOTER).getUint32(0, true) + FOOTER;
  if (length > Math.min(fileBytes, MAX_METADATA))
    throw new Error(`its metadata has ${count(length)} bytes; the file has ${count(fileBytes)}`);
  const bytes = source.read(fileBytes - length, length);
  try {
    return parquetMetadata(bytes, { parsers: PARSERS, geoparquet: false });
  } catch (error) {
    throw new Error(`its metadata is damaged: ${messageOf(error)}`, { cause: error });
  }
}

function factsOf(metadata: FileMetaData): ParquetFacts {
  const { children } = parquetSchema(metadata);
  if (children.length > MAX_COLUMNS)
    throw new Error(`${count(children.length)} columns; the limit is ${count(MAX_COLUMNS)}`);
  const columns = children.map(columnOf);
  const places = new Map(columns.map(({ name }, i) => [name, i]));
  const groups = metadata.row_groups.map((group, i) => {
    const rows = Number(group.num_rows);
    if (!(rows >= 0 && rows <= MAX_GROUP_ROWS))
      throw new Error(`row group ${i} has ${count(rows)} rows; the limit is ${count(MAX_GROUP_ROWS)}`);
    const nulls: (number | undefined)[] = columns.map(() => undefined);
    for (const { meta_data: data } of group.columns) {
      const place = data?.path_in_schema.length === 1 ? places.get(data.path_in_schema[0]!) : undefined;
      const known = data?.statistics?.null_count;
      if (place !== undefined && known !== undefined) nulls[place] = Number(known);
    }
    return { rows, nulls };
  });
  const rows = groups.reduce((sum, group) => sum + group.rows, 0);
  if (rows > MAX_ROWS) throw new Error(`${count(rows)} rows; the limit is ${count(MAX_ROWS)}`);
  return { rows, columns, groups };
}

function columnOf({ element, children }: SchemaTree): ParquetColumn {
  const { name, repetition_type: repetition } = element;
  const nested = children.length > 0 || repetition === "REPEATED";
  return { name, kind: nested ? "nested" : kindOf(element) };
}

const TEXTS = new Set(["UTF8", "ENUM", "JSON", "STRING", "UUID"]);
const TIMES = /^(?:DATE|TIME.*)$/;
const NUMBERS = new Set(["INT32", "INT64", "FLOAT", "DOUBLE"]);

function kindOf({
  type,
  converted_type: converted,
  logical_type: logical,
}: SchemaTree["element"]): ParquetKind {
  const meaning = converted ?? logical?.type ?? "";
  if (type === "BOOLEAN") return "boolean";
  if (TEXTS.has(meaning) || TEXTS.has(logical?.type ?? "")) return "text";
  if (TIMES.test(meaning) || type === "INT96") return "time";
  return meaning === "DECIMAL" || meaning === "FLOAT16" || NUMBERS.has(type ?? "") ? "number" : "binary";
}

/** Collects the cells of a column in one row group. */
interface Collector {
  rows: number;
  readonly cells: ParquetCells;
  add(values: ArrayLike<unknown>, start: number): void;
}

class Numbers implements Collector {
  rows = 0;
  readonly #numbers: Float64Array;

  constructor(rows: number) {
    this.#numbers = new Float64Array(rows);
  }

  get cells(): ParquetCells {
    return { numbers: this.#numbers };
  }

  add(values: ArrayLike<unknown>, start: number): void {
    const out = this.#numbers;
    // Pages may go beyond the rows that were asked for.
    const length = Math.min(values.length, out.length - start);
    this.rows += length;
    for (let i = 0; i < length; i++) {
      const value = values[i];
      out[start + i] = value === undefined || value === null ? Number.NaN : Number(value);
    }
  }
}

/** Texts of few kinds are sent to another thread once each. */
class Texts implements Collector {
  rows = 0;
  readonly #indices: Int32Array;
  readonly #numbers = new Map<unknown, number>();
  readonly #texts: string[] = [];

  constructor(rows: number) {
    this.#indices = new Int32Array(rows);
  }

  get cells(): ParquetCells {
    return { texts: this.#texts, indices: this.#indices };
  }

  add(values: ArrayLike<unknown>, start: number): void {
    const length = Math.min(values.length, this.#indices.length - start);
    this.rows += length;
    for (let i = 0; i < length; i++) {
      const value = values[i];
      if (value === undefined || value === null) {
        this.#indices[start + i] = -1;
        continue;
      }
      let number = this.#numbers.get(value);
      if (number === undefined) {
        number = this.#texts.push(`${value as string | number | bigint | boolean}`) - 1;
        this.#numbers.set(value, number);
      }
      this.#indices[start + i] = number;
    }
  }
}

const count = (n: number): string => n.toLocaleString("en-US");

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
