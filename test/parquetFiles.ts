// Parquet files, written by hand: https://parquet.apache.org/docs/file-format/
import { brotliCompressSync, constants } from "node:zlib";

/** Types of Thrift's compact protocol. */
const I32 = 5;
const I64 = 6;
const BINARY = 8;
const LIST = 9;
const STRUCT = 12;

type Field = readonly [id: number, type: number, value: number | string | Buffer];

export function varint(value: number | bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt(value);
  do {
    const low = Number(rest & 127n);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 128 : low);
  } while (rest > 0n);
  return Buffer.from(bytes);
}

const zigzag = (value: number): Buffer =>
  varint(value < 0 ? (BigInt(-value) << 1n) - 1n : BigInt(value) << 1n);

const text = (value: string): Buffer => Buffer.concat([varint(Buffer.byteLength(value)), Buffer.from(value)]);

function struct(...fields: readonly Field[]): Buffer {
  let last = 0;
  const parts = fields.flatMap(([id, type, value]) => {
    const head = Buffer.from([((id - last) << 4) | type]);
    last = id;
    if (typeof value === "number") return [head, zigzag(value)];
    return [head, typeof value === "string" ? text(value) : value];
  });
  return Buffer.concat([...parts, Buffer.from([0])]);
}

/** A list of up to 14 elements, which are written already. */
const list = (type: number, ...items: readonly Buffer[]): Buffer =>
  Buffer.concat([Buffer.from([(items.length << 4) | type]), ...items]);

/** Numbers of the format. */
export const PLAIN = 0;
export const RLE_DICTIONARY = 8;
export const DELTA_BYTE_ARRAY = 7;
export const INT32 = 1;
export const BYTE_ARRAY = 6;
export const FIXED = 7;
const DECIMAL = 5;
export const CODECS = { none: 0, brotli: 4, zstd: 6 } as const;

/** A page of a column, compressed or not. */
export interface Page {
  values: number;
  encoding: number;
  /** Bytes as in the file. */
  bytes: Buffer;
  /** Bytes that it says to have when it is decompressed. */
  size: number;
}

/** A page that is compressed by brotli. */
export const squeezed = (bytes: Buffer, values: number, encoding: number): Page => ({
  values,
  encoding,
  bytes: brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
  size: bytes.length,
});

function pageBytes({ values, encoding, bytes, size }: Page): Buffer {
  const data = struct([1, I32, values], [2, I32, encoding], [3, I32, 3], [4, I32, 3]);
  return Buffer.concat([
    struct([1, I32, 0], [2, I32, size], [3, I32, bytes.length], [5, STRUCT, data]),
    bytes,
  ]);
}

/** A column, "x". */
export interface Column {
  pages: readonly Page[];
  rows: number;
  type?: number;
  /** Bytes of each value of a fixed length. */
  width?: number;
  codec?: number;
  decimal?: boolean;
  /** With levels. */
  optional?: boolean;
  /** The least value, in the statistics. */
  least?: Buffer;
}

const footer = (metadata: Buffer): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(metadata.length);
  return Buffer.concat([metadata, length, Buffer.from("PAR1")]);
};

/** A file of one column. Its own total of decompressed bytes is always 100. */
export function parquetFile({
  pages,
  rows,
  type = BYTE_ARRAY,
  width,
  codec = CODECS.brotli,
  decimal = false,
  optional = false,
  least,
}: Column): Buffer {
  const body = Buffer.concat(pages.map(pageBytes));
  const converted: Field[] = decimal
    ? [[6, I32, DECIMAL], [7, I32, 2], [8, I32, 10]]
    : type === BYTE_ARRAY
      ? [[6, I32, 0]]
      : []; // prettier-ignore
  const element = struct(
    [1, I32, type],
    ...(width === undefined ? [] : [[2, I32, width] as const]),
    [3, I32, optional ? 1 : 0],
    [4, BINARY, "x"],
    ...converted,
  );
  const statistics: Field[] =
    least === undefined
      ? []
      : [[12, STRUCT, struct([6, BINARY, Buffer.concat([varint(least.length), least])])]];
  const chunk = struct(
    [1, I32, type],
    [2, LIST, list(I32, zigzag(0))],
    [3, LIST, list(BINARY, text("x"))],
    [4, I32, codec],
    [5, I64, rows],
    [6, I64, 100],
    [7, I64, body.length],
    [9, I64, 4],
    ...statistics,
  );
  const columns = list(STRUCT, struct([2, I64, 4], [3, STRUCT, chunk]));
  const metadata = struct(
    [1, I32, 1],
    [2, LIST, list(STRUCT, struct([4, BINARY, "schema"], [5, I32, 1]), element)],
    [3, I64, rows],
    [4, LIST, list(STRUCT, struct([1, LIST, columns], [2, I64, 100], [3, I64, rows]))],
  );
  return Buffer.concat([Buffer.from("PAR1"), body, footer(metadata)]);
}

/** A file whose metadata is a list of values of this type, `each` after the other. */
export const parquetFooter = (type: number, each: Buffer, length: number): Buffer =>
  Buffer.concat([
    Buffer.from("PAR1"),
    footer(Buffer.concat([Buffer.from([0xc9, 0xf0 | type]), varint(length), Buffer.alloc(length * each.length, each), Buffer.from([0])])),
  ]); // prettier-ignore

/** Numbers that grow by the same step, in one block without bits: DELTA_BINARY_PACKED. */
export function deltas(length: number, first: number, step: number): Buffer {
  const each = Math.ceil(length / 4 / 32) * 32;
  return Buffer.concat([varint(each * 4), varint(4), varint(length), zigzag(first), zigzag(step), Buffer.alloc(4)]);
} // prettier-ignore

/** So many times the same level or index, in one run. */
export const run = (length: number, value: number): Buffer =>
  Buffer.concat([varint(BigInt(length) << 1n), Buffer.from([value])]);
