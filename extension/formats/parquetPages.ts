// The pages of a column of a Parquet file. The library decodes each one after a check of what it expands to.
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import type { DecodedArray, Encoding, PageHeader } from "hyparquet";
import { assembleLists } from "hyparquet/src/assemble.js";
import { parquetHeader } from "hyparquet/src/column.js";
import { convert, convertWithDictionary } from "hyparquet/src/convert.js";
import { decompressPage, readDataPage, readDataPageV2 } from "hyparquet/src/datapage.js";
import { readPlain } from "hyparquet/src/plain.js";
import { getMaxDefinitionLevel } from "hyparquet/src/schema.js";
import { readVarInt } from "hyparquet/src/thrift.js";
import { compressors, decompressZstd } from "hyparquet-compressors";
import { demandThrift } from "./parquetThrift.ts";

export type ColumnDecoder = Parameters<typeof readDataPage>[2];
type DataPage = ReturnType<typeof readDataPage>;

/** Bytes that what is read of a row group may expand to. */
export const MAX_GROUP_BYTES = 2 ** 30;
/** Bytes of a decimal: 76 digits, which is the most that other programs write, take 32. */
export const MAX_DECIMAL = 32;
/** Values of a page's header: it has some twenty. */
const MAX_HEADER = 1000;

/** Decompressors that stop at the page's declared length. Node's own are faster. */
const DECOMPRESSORS = {
  ...compressors,
  GZIP: (bytes: Uint8Array, length: number) => gunzipSync(bytes, { maxOutputLength: length }),
  BROTLI: (bytes: Uint8Array, length: number) => brotliDecompressSync(bytes, { maxOutputLength: length }),
  ZSTD: (bytes: Uint8Array, length: number) => decompressZstd(bytes, new Uint8Array(length)),
};

/** Counts what a row group expands to, whatever the file says about itself. */
export class Budget {
  readonly #subject: string;
  #used = 0;

  /** @param subject Named in errors: "row group 3" */
  constructor(subject: string) {
    this.#subject = subject;
  }

  /** @throws Error when it is used up */
  spend(bytes: number): void {
    this.#used += bytes;
    if (!(bytes >= 0 && this.#used <= MAX_GROUP_BYTES))
      throw new Error(
        `${this.#subject} expands to more than ${count(MAX_GROUP_BYTES)} bytes, the limit: write the file with smaller row groups, or read fewer columns`,
      );
  }
}

/** A column of a row group. */
export interface Chunk {
  /** Its pages. */
  readonly bytes: ArrayBuffer;
  /** Rows of the row group. */
  readonly rows: number;
  /** Rows to read. */
  readonly wanted: number;
  /** Bytes of a value that is read. They are in the budget already. */
  readonly cell: number;
  readonly decoder: ColumnDecoder;
  readonly budget: Budget;
}

/**
 * The values of a flat column, page by page, nulls included.
 * @throws Error for damaged pages, or too many bytes
 */
export function* pagesOf(chunk: Chunk): Generator<DecodedArray> {
  const { bytes, wanted, cell, decoder, budget } = chunk;
  const { element, schemaPath } = decoder;
  const reader = { view: new DataView(bytes), offset: 0 };
  let dictionary: DecodedArray | undefined;
  for (let values = 0; values < wanted && reader.offset < bytes.byteLength - 1;) {
    demandThrift(reader.view, reader.offset, MAX_HEADER);
    const header = parquetHeader(reader);
    const { data, claimed } = demandHeader(header, bytes.byteLength - reader.offset, chunk);
    const compressed = new Uint8Array(bytes, reader.offset, header.compressed_page_size);
    reader.offset += header.compressed_page_size;

    // Before anything of that size is made.
    const cells = data === undefined ? 0 : claimed * cell;
    const expanded = Math.max(header.uncompressed_page_size, claimed * (element.type_length ?? 0));
    budget.spend(Math.max(0, expanded - cells));
    const page = decompressed(compressed, header, decoder);
    if (data === undefined) {
      const plain = readPlain({ view: viewOf(page), offset: 0 }, decoder.type, claimed, element.type_length);
      demandShort(plain, decoder);
      dictionary = convert(plain, decoder);
      continue;
    }
    demandRuns(page, header, decoder);
    if (data.encoding === "DELTA_BYTE_ARRAY") budget.spend(repeatedBytes(page, header, decoder));
    const { definitionLevels, repetitionLevels, dataPage } = decoded(page, header, data.encoding, decoder);
    demandShort(dataPage, decoder);
    const converted = convertWithDictionary(dataPage, dictionary, data.encoding, decoder);
    const found = assembleLists([], definitionLevels, repetitionLevels, converted, schemaPath);
    values += found.length;
    yield found;
  }
}

/** The part of a header that data pages have, and how many values it says that the page has. */
function demandHeader(header: PageHeader, left: number, { rows, decoder }: Chunk) {
  const { type, data_page_header: first, data_page_header_v2: second, compressed_page_size: size } = header;
  const data = type === "DATA_PAGE" ? first : type === "DATA_PAGE_V2" ? second : undefined;
  const claimed = (type === "DICTIONARY_PAGE" ? header.dictionary_page_header : data)?.num_values ?? -1;
  const nulls = data === second ? (second?.num_nulls ?? 0) : 0;
  const name = decoder.pathInSchema[0];
  if (!(claimed >= 0 && claimed <= rows && nulls >= 0 && nulls <= claimed))
    throw new Error(`column "${name}" has a page of ${count(claimed)} values among ${count(rows)} rows`);
  if (!(size >= 0 && size <= left))
    throw new Error(`column "${name}" has a page of ${count(size)} bytes in ${count(left)} bytes`);
  return { data, claimed };
}

/** A page with its levels, which its second version doesn't compress. */
function decompressed(compressed: Uint8Array, header: PageHeader, { codec }: ColumnDecoder): Uint8Array {
  const { uncompressed_page_size: size, data_page_header_v2: second } = header;
  if (header.type !== "DATA_PAGE_V2" || second === undefined)
    return decompressPage(compressed, size, codec, DECOMPRESSORS);
  const levels = second.definition_levels_byte_length + second.repetition_levels_byte_length;
  const length = size - levels;
  if (!(levels >= 0 && levels <= compressed.length && length >= 0))
    throw new Error(`a page of ${count(compressed.length)} bytes has ${count(levels)} bytes of levels`);
  // A page without values may have no bytes at all, which are no valid stream.
  if (second.is_compressed === false || length === 0) return compressed;
  const page = new Uint8Array(size);
  page.set(compressed.subarray(0, levels));
  page.set(decompressPage(compressed.subarray(levels), length, codec, DECOMPRESSORS), levels);
  return page;
}

/** The levels and the values of a page that is decompressed. */
function decoded(page: Uint8Array, header: PageHeader, encoding: Encoding, decoder: ColumnDecoder): DataPage {
  const plain = { ...decoder, codec: "UNCOMPRESSED" } as const;
  if (header.type === "DATA_PAGE")
    return readDataPage(page, { ...header.data_page_header!, encoding }, plain);
  const second = { ...header.data_page_header_v2!, encoding };
  return readDataPageV2(
    page,
    { ...header, uncompressed_page_size: page.length, data_page_header_v2: second },
    plain,
  );
}

/** @throws Error for runs of more levels or indices than the page has values: the decoder believes them */
function demandRuns(page: Uint8Array, header: PageHeader, { type, schemaPath }: ColumnDecoder): void {
  const first = header.type === "DATA_PAGE" ? header.data_page_header! : undefined;
  const second = header.data_page_header_v2!;
  const { encoding, num_values: values } = first ?? second;
  const reader = { view: viewOf(page), offset: 0 };
  const length = (): number => (reader.offset += 4) && reader.view.getUint32(reader.offset - 4, true);
  const demand = (bits: number): void => {
    for (let seen = 0; seen < values && reader.offset < page.length;) {
      const run = readVarInt(reader);
      const packed = (run & 1) === 1;
      seen += packed ? 8 * (run >>> 1) : run >>> 1;
      // Packed values come in groups of eight.
      if (seen > values + 7) throw new Error(`a page of ${count(values)} values has a run of ${count(seen)}`);
      reader.offset += packed ? (run >>> 1) * bits : (bits + 7) >> 3;
    }
  };

  if (first === undefined) reader.offset = second.repetition_levels_byte_length;
  if (getMaxDefinitionLevel(schemaPath) > 0) {
    const levels = first === undefined ? second.definition_levels_byte_length : length();
    const end = reader.offset + levels;
    demand(1);
    reader.offset = end;
  }
  if (encoding !== "RLE" && !encoding.endsWith("_DICTIONARY")) return;
  const booleans = first === undefined ? encoding === "RLE" : type === "BOOLEAN";
  if (booleans) length();
  const bits = booleans ? 1 : reader.view.getUint8(reader.offset++);
  // The first version has no runs where all indices are zero.
  if (bits > 0 || first === undefined) demand(bits);
}

/** Bytes that texts share with the beginnings of the ones before them: a page stores these once. */
function repeatedBytes(page: Uint8Array, header: PageHeader, decoder: ColumnDecoder): number {
  const { dataPage } = decoded(page, header, "DELTA_BINARY_PACKED", { ...decoder, type: "INT32" });
  const lengths = dataPage as Int32Array;
  if ((lengths[0] ?? 0) !== 0 || lengths.some((length) => length < 0))
    throw new Error(`column "${decoder.pathInSchema[0]}" has a damaged page of texts`);
  return lengths.reduce((sum, length) => sum + length, 0);
}

/** @throws Error for values that the library would compute with digit by digit */
function demandShort(values: DecodedArray, { element, pathInSchema }: ColumnDecoder): void {
  const decimal = element.converted_type === "DECIMAL";
  if (!decimal && element.logical_type?.type !== "UUID") return;
  for (const value of values)
    if (value instanceof Uint8Array && value.length > MAX_DECIMAL)
      throw new Error(
        `column "${pathInSchema[0]}" has a ${decimal ? "decimal" : "UUID"} of ${count(value.length)} bytes; the limit is ${MAX_DECIMAL}, which decimals of 76 digits take`,
      );
}

const viewOf = (page: Uint8Array): DataView => new DataView(page.buffer, page.byteOffset, page.length);

const count = (n: number): string => n.toLocaleString("en-US");
