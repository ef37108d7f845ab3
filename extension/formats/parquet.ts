// Parquet files, read a row group at a time: https://parquet.apache.org/docs/file-format/
import {
  parquetMetadata,
  parquetSchema,
  type ColumnMetaData,
  type FileMetaData,
  type ParquetParsers,
  type SchemaTree,
} from "hyparquet";
import { DEFAULT_PARSERS } from "hyparquet/src/convert.js";
import { getTreePath, isFlatColumn } from "hyparquet/src/schema.js";
import { deserializeTCompactProtocol } from "hyparquet/src/thrift.js";
import type { ParquetCells, ParquetColumn, ParquetFacts, ParquetKind } from "../nn/data/access.ts";
import { openSource, type ByteSource } from "./byteSource.ts";
import { Budget, MAX_DECIMAL, pagesOf } from "./parquetPages.ts";
import { demandThrift } from "./parquetThrift.ts";

/** A column to read, and whether its cells become numbers or texts. */
export interface ParquetChoice {
  readonly name: string;
  readonly as: "number" | "text";
}

/** Limits of metadata in bytes and values, which take some 3 s to read, rows and columns. */
const MAX_METADATA = 2 ** 27;
const MAX_ELEMENTS = 2 ** 22;
const MAX_ROWS = 2 ** 31 - 1;
const MAX_COLUMNS = 100_000;
const MAX_GROUP_ROWS = 2 ** 26;
const FOOTER = 8;
const DAY = 86_400_000;

const text = new TextDecoder();
const milliseconds = (units: bigint, each: number): number => Number(units) / each;

/** Cells as numbers and texts, in place of the library's dates and objects. */
const PARSERS: ParquetParsers = {
  ...DEFAULT_PARSERS,
  timestampFromMilliseconds: (units: bigint) => milliseconds(units, 1),
  timestampFromMicroseconds: (units: bigint) => milliseconds(units, 1e3),
  timestampFromNanoseconds: (units: bigint) => milliseconds(units, 1e6),
  dateFromDays: (days: number | undefined) => days && days * DAY,
  stringFromBytes: (bytes: Uint8Array | undefined) => bytes && text.decode(bytes),
  jsonFromBytes: (bytes: Uint8Array | undefined) => bytes && text.decode(bytes),
  geometryFromBytes: () => undefined,
  geographyFromBytes: () => undefined,
};

/** An open Parquet file. */
export class ParquetReader {
  readonly facts: ParquetFacts;
  readonly #source: ByteSource;
  readonly #metadata: FileMetaData;
  readonly #schema: SchemaTree;

  /**
   * Reads the metadata of a file.
   * @throws Error saying what is wrong with the file
   */
  constructor(file: string) {
    this.#source = openSource(file, file);
    try {
      this.#metadata = readMetadata(this.#source);
      this.#schema = parquetSchema(this.#metadata);
      this.facts = factsOf(this.#metadata, this.#schema);
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
  read(group: number, columns: readonly ParquetChoice[], limit: number, alive: () => void): ParquetCells[] {
    const rowGroup = this.#metadata.row_groups[group];
    if (rowGroup === undefined) throw new Error(`there is no row group ${group}`);
    const all = this.facts.groups[group]!.rows;
    const rows = Math.min(limit, all);
    const budget = new Budget(`row group ${group}`);
    const cells = columns.map(({ as }) => (as === "number" ? Numbers.CELL : Texts.CELL));
    for (const cell of cells) budget.spend(rows * cell);
    return columns.map(({ name, as }, i) => {
      const collected = as === "number" ? new Numbers(rows) : new Texts(rows);
      const data = rowGroup.columns.find(
        ({ meta_data: { path_in_schema: path } = {} }) => path?.[0] === name,
      );
      if (data?.meta_data !== undefined) {
        const decoder = this.#decoder(name, data.meta_data);
        const bytes = this.#chunk(data.meta_data);
        for (const page of pagesOf({ bytes, rows: all, wanted: rows, cell: cells[i]!, decoder, budget })) {
          collected.add(page, collected.rows);
          alive();
        }
      }
      if (collected.rows !== rows)
        throw new Error(
          `column "${name}" has ${collected.rows} values in row group ${group} of ${rows} rows`,
        );
      return collected.cells;
    });
  }

  /** What the library needs to decode a column. @throws Error for nested ones */
  #decoder(name: string, { codec, type, path_in_schema: pathInSchema }: ColumnMetaData) {
    const schemaPath = getTreePath(this.#schema, [name]);
    if (pathInSchema.length !== 1 || !isFlatColumn(schemaPath))
      throw new Error(`column "${name}" has lists, maps or structs`);
    return { pathInSchema, type, codec, schemaPath, element: schemaPath[1]!.element, parsers: PARSERS };
  }

  /** The pages of a column in a row group. */
  #chunk(data: ColumnMetaData): ArrayBuffer {
    const { dictionary_page_offset: dictionary, data_page_offset: first } = data;
    const start = Number(
      dictionary === undefined || dictionary === 0n || first < dictionary ? first : dictionary,
    );
    return this.#slice(start, start + Number(data.total_compressed_size));
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
    demandMetadata(bytes);
    return parquetMetadata(bytes, { parsers: PARSERS, geoparquet: false });
  } catch (error) {
    throw new Error(`its metadata is damaged: ${messageOf(error)}`, { cause: error });
  }
}

/** What is checked of the metadata, by the numbers of the format's fields. */
interface RawMetadata {
  /** The schema: physical, converted and logical type. */
  field_2?: { field_1?: number; field_6?: number; field_10?: { field_14?: unknown } }[];
  /** Row groups, their columns, the metadata of each, and its statistics. */
  field_4?: { field_1?: { field_3?: { field_12?: Record<string, unknown> } }[] }[];
}
const BYTE_ARRAY = 6;
const DECIMAL = 5;

/** @throws Error for metadata that takes far more memory or time than its bytes */
function demandMetadata(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length - FOOTER);
  demandThrift(view, 0, MAX_ELEMENTS);
  const { field_2: schema = [], field_4: groups = [] } = deserializeTCompactProtocol({
    view,
    offset: 0,
  }) as RawMetadata;
  const columns = schema.filter(({ field_1: type }) => type !== undefined);
  // The library computes with the statistics of these types digit by digit.
  const short = columns.map(
    ({ field_1: type, field_6: converted, field_10: logical }) =>
      type !== BYTE_ARRAY && (converted === DECIMAL || logical?.field_14 !== undefined),
  );
  if (!short.includes(true)) return;
  for (const { field_1: chunks = [] } of groups)
    chunks.forEach((chunk, i) => {
      for (const value of Object.values((short[i] && chunk.field_3?.field_12) || {}))
        if (value instanceof Uint8Array && value.length > MAX_DECIMAL)
          throw new Error(
            `the statistics of column ${i} have a decimal of ${count(value.length)} bytes; the limit is ${MAX_DECIMAL}`,
          );
    });
}

function factsOf(metadata: FileMetaData, { children }: SchemaTree): ParquetFacts {
  if (children.length > MAX_COLUMNS)
    throw new Error(`${count(children.length)} columns; the limit is ${count(MAX_COLUMNS)}`);
  const columns = children.map(columnOf);
  const places = new Map(columns.map(({ name }, i) => [name, i]));
  const groups = metadata.row_groups.map((group, i) => {
    if (group.columns.length < columns.length)
      throw new Error(
        `row group ${i} has ${count(group.columns.length)} of ${count(columns.length)} columns`,
      );
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
  static readonly CELL = 8;
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
  static readonly CELL = 4;
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
