import type { FileFacts } from "../byteSource.ts";
import { SafetensorsError, type SafetensorsDefect } from "./safetensorsError.ts";
import {
  JsonError,
  type JsonDefect,
  type JsonLimits,
  type JsonValue,
  LONE_SURROGATE,
  parseStrictJson,
} from "../strictJson.ts";
import { DTYPE_BYTES, isStoredDtype, type StoredDtype, type TensorEntry } from "../tensorData.ts";

/** Longest header that is read or written, as in the reference implementation. */
export const MAX_HEADER_BYTES = 100_000_000;

/** Bytes of the header length, which come first. */
export const LENGTH_BYTES = 8;

/** Levels that any real header stays far below: unknown fields of a tensor may hold a little structure. */
const MAX_DEPTH = 16;

/** Five times the tensors of the largest mixtures of experts in one file. */
export const MAX_TENSORS = 500_000;
/** The most that PyTorch allows, eight times what anything uses. */
export const MAX_RANK = 64;
/** Training tools write some hundreds of texts. */
const MAX_METADATA = 65_536;
/** A tensor has three fields. */
const MAX_FIELDS = 64;

const METADATA = "__metadata__";

const LIMITS: JsonLimits = {
  depth: MAX_DEPTH,
  items: MAX_RANK,
  members: ([name]) => {
    if (name === undefined) return MAX_TENSORS + 1;
    return name === METADATA ? MAX_METADATA : MAX_FIELDS;
  },
};

/** A tensor as the header describes it; `begin` and `end` count from the end of the header. */
export interface TensorInfo {
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

export interface Header {
  readonly metadata: ReadonlyMap<string, string>;
  /** In the order of their data. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

/**
 * The length of the header from the first eight bytes.
 *
 * @throws SafetensorsError when it is above the limit or beyond the end of the file.
 */
export function headerLength(start: Uint8Array, { file, fileBytes }: FileFacts): number {
  if (start.length < LENGTH_BYTES) throw new SafetensorsError({ code: "file-too-short" }, file, fileBytes);
  const length = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES) {
    const defect = { code: "header-too-large", headerBytes: length, limit: MAX_HEADER_BYTES } as const;
    throw new SafetensorsError(defect, file, fileBytes);
  }
  const headerBytes = Number(length);
  if (LENGTH_BYTES + headerBytes > fileBytes) {
    throw new SafetensorsError({ code: "header-truncated", headerBytes }, file, fileBytes);
  }
  return headerBytes;
}

/**
 * Reads and checks a header: every tensor's bytes follow from its type and shape, and the tensors cover the data
 * exactly, without holes, overlaps or a rest.
 *
 * @throws SafetensorsError
 */
export function parseHeader(header: Uint8Array, { file, fileBytes }: FileFacts): Header {
  const fail: Fail = (defect) => {
    throw new SafetensorsError(defect, file, fileBytes);
  };
  let metadata = new Map<string, string>();
  // Each tensor's description is checked and given up at once: half a million would fill the memory.
  const root = parseJson(header, fail, (name, value) => {
    if (name !== METADATA) return readInfo(name, value, fail);
    metadata = readMetadata(value, fail);
    return undefined;
  });
  root.delete(METADATA);
  if (root.size > MAX_TENSORS) fail({ code: "tensors", count: root.size, limit: MAX_TENSORS });
  const infos = [...root] as [name: string, info: TensorInfo][];
  infos.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let end = 0;
  for (const [tensor, info] of infos) {
    const { begin } = info;
    if (begin !== end) fail({ code: begin > end ? "hole" : "overlap", tensor, begin, previousEnd: end });
    end = info.end;
  }
  const actual = fileBytes - LENGTH_BYTES - header.length;
  if (end > actual) fail({ code: "data-truncated", declared: end, actual });
  if (end < actual) fail({ code: "trailing-data", declared: end, actual });
  return { metadata, tensors: new Map(infos) };
}

type Fail = (defect: SafetensorsDefect) => never;

function parseJson<T>(
  header: Uint8Array,
  fail: Fail,
  reduce: (name: string, value: JsonValue) => T,
): Map<string, T> {
  if (header[0] !== "{".charCodeAt(0)) return fail({ code: "header-start" });
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(header);
  } catch {
    return fail({ code: "header-utf8" });
  }
  try {
    return parseStrictJson(text, LIMITS, reduce) as Map<string, T>;
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    const { defect } = error;
    switch (defect.kind) {
      case "syntax":
        return fail({ code: "header-json", at: defect.at, expected: defect.expected });
      case "depth":
        return fail({ code: "header-depth", at: defect.at, limit: defect.limit });
      case "duplicate":
        return fail({ code: "duplicate-key", key: defect.key });
      case "count":
        return fail(tooMany(defect));
    }
  }
}

/** Which list or object of the header has too many members. */
function tooMany({ path, count, limit }: JsonDefect & { kind: "count" }): SafetensorsDefect {
  const [tensor, field] = path;
  if (tensor === undefined) return { code: "tensors", count, limit: MAX_TENSORS };
  if (tensor === METADATA) return { code: "metadata-count", count, limit };
  return field === "shape"
    ? { code: "rank", tensor, count, limit }
    : { code: "field-count", tensor, field: field ?? "", count, limit };
}

function readMetadata(value: JsonValue, fail: Fail): Map<string, string> {
  const metadata = new Map<string, string>();
  if (!(value instanceof Map)) return fail({ code: "metadata" });
  for (const [key, text] of value) {
    if (typeof text !== "string") return fail({ code: "metadata", key });
    metadata.set(key, text);
  }
  return metadata;
}

function readInfo(tensor: string, value: JsonValue, fail: Fail): TensorInfo {
  if (!(value instanceof Map)) return fail({ code: "tensor-info", tensor });
  for (const field of ["dtype", "shape", "data_offsets"]) {
    if (!value.has(field)) fail({ code: "missing-field", tensor, field });
  }
  const dtype = value.get("dtype");
  if (typeof dtype !== "string" || !isStoredDtype(dtype) || dtype === "C128") {
    return fail({ code: "unknown-dtype", tensor, dtype: typeof dtype === "string" ? dtype : typeof dtype });
  }
  const shape = naturalNumbers(value.get("shape")) ?? fail({ code: "shape", tensor });
  const offsets = naturalNumbers(value.get("data_offsets"));
  const [begin, end] = offsets ?? [];
  if (offsets?.length !== 2 || begin === undefined || end === undefined || begin > end) {
    return fail({ code: "offsets", tensor });
  }
  const expected = byteLength(dtype, shape) ?? fail({ code: "overflow", tensor, shape });
  if (expected !== end - begin) {
    fail({ code: "size-mismatch", tensor, dtype, shape, expected, actual: end - begin });
  }
  return { dtype, shape, begin, end };
}

/** The numbers of a list of whole numbers from 0 to 2^53-1. */
function naturalNumbers(value: JsonValue | undefined): number[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const numbers: number[] = [];
  for (const item of value) {
    if (typeof item !== "bigint" || item < 0n || item > Number.MAX_SAFE_INTEGER) return undefined;
    numbers.push(Number(item));
  }
  return numbers;
}

/** Bytes of a tensor, or undefined where they are no whole number or beyond what a double counts exactly. */
function byteLength(dtype: StoredDtype, shape: readonly number[]): number | undefined {
  let count = 1;
  for (const extent of shape) {
    count *= extent;
    if (!Number.isSafeInteger(count)) return undefined;
  }
  const length = count * DTYPE_BYTES[dtype];
  return Number.isSafeInteger(length) ? length : undefined;
}

/**
 * The first bytes of a file, header length and header, and the tensors in the order in which their data must follow:
 * the reference writer's, larger elements first, then by name.
 *
 * @throws SafetensorsError when a name occurs twice or is reserved, or data does not fit its type and shape.
 */
export function encodeHeader(
  file: string,
  entries: readonly TensorEntry[],
  metadata: ReadonlyMap<string, string>,
): { start: Uint8Array; ordered: TensorEntry[] } {
  const fail: Fail = (defect) => {
    throw new SafetensorsError(defect, file);
  };
  const text = (value: string): string => {
    if (LONE_SURROGATE.test(value)) fail({ code: "not-unicode", text: value });
    return JSON.stringify(value);
  };
  const ordered = sortForWriting(entries);
  const members: string[] = [];
  if (metadata.size > 0) {
    const texts = [...metadata].map(([key, value]) => `${text(key)}:${text(value)}`);
    members.push(`"${METADATA}":{${texts.join(",")}}`);
  }
  const names = new Set<string>();
  let begin = 0;
  for (const { name, dtype, shape, data } of ordered) {
    if (name === METADATA) fail({ code: "reserved-name" });
    if (names.has(name)) fail({ code: "duplicate-name", tensor: name });
    if (dtype === "C128") fail({ code: "unknown-dtype", tensor: name, dtype });
    names.add(name);
    if (!shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0)) {
      fail({ code: "shape", tensor: name });
    }
    const expected = byteLength(dtype, shape) ?? fail({ code: "overflow", tensor: name, shape });
    if (expected !== data.length) {
      fail({ code: "size-mismatch", tensor: name, dtype, shape, expected, actual: data.length });
    }
    const end = begin + expected;
    members.push(`${text(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, end] })}`);
    begin = end;
  }
  const json = new TextEncoder().encode(`{${members.join(",")}}`);
  const padded = Math.ceil(json.length / LENGTH_BYTES) * LENGTH_BYTES;
  if (padded > MAX_HEADER_BYTES) {
    fail({ code: "header-too-large", headerBytes: BigInt(padded), limit: MAX_HEADER_BYTES });
  }
  const start = new Uint8Array(LENGTH_BYTES + padded).fill(" ".charCodeAt(0));
  new DataView(start.buffer).setBigUint64(0, BigInt(padded), true);
  start.set(json, LENGTH_BYTES);
  return { start, ordered };
}

function sortForWriting(entries: readonly TensorEntry[]): TensorEntry[] {
  const rank = Object.keys(DTYPE_BYTES);
  const keyed = entries.map((entry) => ({
    entry,
    rank: rank.indexOf(entry.dtype),
    // Names are compared by their UTF-8 bytes, whose order differs from that of JavaScript's strings.
    name: Buffer.from(entry.name, "utf8"),
  }));
  keyed.sort((a, b) => b.rank - a.rank || Buffer.compare(a.name, b.name));
  return keyed.map(({ entry }) => entry);
}
