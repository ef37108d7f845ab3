import { constants, crc32, inflateRawSync } from "node:zlib";
import type { ByteSource } from "../byteSource.ts";
import { quote, type Budget, type Fail } from "../pth/pthError.ts";

/** A file of an archive. */
export interface ZipRecord {
  readonly name: string;
  /** Length of the content. */
  readonly bytes: number;
  /** Length of what is stored: the same unless compressed. */
  readonly storedBytes: number;
  readonly compressed: boolean;
  readonly crc: number;
  /** Where its header begins, and where what is stored does. */
  readonly header: number;
  readonly begin: number;
}

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
const END_BYTES = 22;
const LOCATOR_BYTES = 20;
const CENTRAL_BYTES = 46;
const LOCAL_BYTES = 30;
const MAX_COMMENT = 0xffff;
/** Far above the directory of any model; one of this size has a million records. */
const MAX_DIRECTORY = 2 ** 26;
const ENCRYPTED = 0x0001 | 0x0040 | 0x2000;
const SIZES_FOLLOW = 0x0008;
/** Bytes read at once of a record that is only skimmed. */
const PART_BYTES = 2 ** 22;
const STORED = 0;
const DEFLATED = 8;

/**
 * The records of a zip archive, every header checked before any content is read: the directory ends where the file
 * does, names are relative and unique, central and local headers agree, and no two records share bytes. (yauzl, which
 * reads streams, has no synchronous reading and compares neither headers nor ranges.)
 */
export class ZipReader {
  readonly records: ReadonlyMap<string, ZipRecord>;
  readonly #source: ByteSource;
  readonly #fail: Fail;
  readonly #budget: Budget;
  /** Of records that are read in parts: how far, and the checksum up to there. */
  readonly #sums = new Map<ZipRecord, { done: number; crc: number }>();

  /** @throws PthError "archive" */
  constructor(source: ByteSource, fail: Fail, budget: Budget) {
    this.#source = source;
    this.#fail = fail;
    this.#budget = budget;
    const { offset, size, count } = this.#directory();
    if (size > MAX_DIRECTORY) fail("limit", `the archive's directory has ${size} bytes`);
    budget.take(size * 4, "the archive's directory");
    this.records = this.#readDirectory(this.#bytes(offset, size), count, offset);
  }

  /**
   * The content of a record, its checksum compared.
   * @throws PthError "archive" when it is damaged, "limit" when it expands too far
   */
  read(record: ZipRecord): Uint8Array {
    const { name, bytes, begin, storedBytes, compressed } = record;
    if (compressed) this.#budget.take(bytes, `record ${quote(name)}`);
    const stored = this.#bytes(begin, storedBytes);
    const content = compressed ? this.#inflate(record, stored) : stored;
    this.#compare(record, crc32(content));
    return content;
  }

  /**
   * A part of a record that is not compressed. With the last of parts that follow each other from the beginning on, its
   * checksum is compared.
   */
  readRange(record: ZipRecord, from: number, to: number): Uint8Array {
    const { name, begin, bytes, compressed } = record;
    if (compressed || from < 0 || to > bytes)
      this.#fail("archive", `record ${quote(name)} has no bytes ${from} to ${to}`);
    const part = this.#bytes(begin + from, to - from);
    const { done, crc } = this.#sums.get(record) ?? { done: 0, crc: 0 };
    if (from <= done && done < to) {
      const sum = crc32(part.subarray(done - from), crc);
      if (to === bytes) this.#compare(record, sum);
      this.#sums.set(record, { done: to, crc: sum });
    }
    return part;
  }

  /** Reads what {@link readRange} hasn't of a record, so that its checksum is compared: yields the bytes read since. */
  *finish(record: ZipRecord): Generator<number, void> {
    for (;;) {
      const done = this.#sums.get(record)?.done ?? 0;
      if (done >= record.bytes) return;
      const to = Math.min(record.bytes, done + PART_BYTES);
      this.readRange(record, done, to);
      yield to - done;
    }
  }

  #compare({ name, crc }: ZipRecord, sum: number): void {
    if (sum !== crc) this.#fail("archive", `record ${quote(name)} is damaged: its checksum differs`);
  }

  #inflate({ name, bytes }: ZipRecord, stored: Uint8Array): Uint8Array {
    let content: Uint8Array;
    try {
      content = inflateRawSync(stored, {
        maxOutputLength: Math.max(1, bytes),
        finishFlush: constants.Z_FINISH,
      });
    } catch {
      return this.#fail("archive", `record ${quote(name)} can't be decompressed to its ${bytes} bytes`);
    }
    if (content.length !== bytes)
      this.#fail(
        "archive",
        `record ${quote(name)} expands to ${content.length} bytes, declared are ${bytes}`,
      );
    return content;
  }

  #bytes(position: number, length: number): Uint8Array {
    const bytes = this.#source.read(position, length);
    if (bytes.length !== length) this.#fail("archive", "the file was cut off while it was read");
    return bytes;
  }

  #view(position: number, length: number): DataView {
    const bytes = this.#bytes(position, length);
    return new DataView(bytes.buffer, bytes.byteOffset, length);
  }

  /** Where the central directory is. It must end where the end record begins, and that where the file ends. */
  #directory(): { offset: number; size: number; count: number } {
    const { fileBytes } = this.#source;
    const end = this.#findEnd();
    const view = this.#view(end, END_BYTES);
    const short = {
      count: view.getUint16(10, true),
      size: view.getUint32(12, true),
      offset: view.getUint32(16, true),
    };
    if (
      view.getUint16(4, true) !== 0 ||
      view.getUint16(6, true) !== 0 ||
      view.getUint16(8, true) !== short.count
    )
      this.#fail("archive", "the archive is spread over several files");
    let { count, size, offset } = short;
    let limit = end;
    const locator = end - LOCATOR_BYTES;
    if (locator >= 0 && this.#view(locator, 4).getUint32(0, true) === LOCATOR64) {
      limit = safe(this.#view(locator + 8, 8).getBigUint64(0, true));
      if (!(limit + 56 <= locator) || this.#view(limit, 4).getUint32(0, true) !== END64)
        this.#fail("archive", "the end of the archive's directory is damaged");
      const long = this.#view(limit, 56);
      count = safe(long.getBigUint64(32, true));
      size = safe(long.getBigUint64(40, true));
      offset = safe(long.getBigUint64(48, true));
      const agree = (value: number, low: number, full: number): boolean => low === full || low === value;
      if (
        !agree(count, short.count, 0xffff) ||
        !agree(size, short.size, 0xffffffff) ||
        !agree(offset, short.offset, 0xffffffff)
      )
        this.#fail("archive", "the two ends of the archive's directory differ");
    }
    if (offset + size !== limit || limit > fileBytes)
      this.#fail("archive", "the archive's directory does not end where its end record begins");
    return { offset, size, count };
  }

  #findEnd(): number {
    const { fileBytes } = this.#source;
    const length = Math.min(fileBytes, END_BYTES + MAX_COMMENT);
    const start = fileBytes - length;
    const view = this.#view(start, length);
    for (let at = length - END_BYTES; at >= 0; at--) {
      if (view.getUint32(at, true) !== END) continue;
      if (at + END_BYTES + view.getUint16(at + 20, true) === length) return start + at;
    }
    return this.#fail("archive", "the end of the archive is missing; the file is cut off");
  }

  #readDirectory(bytes: Uint8Array, count: number, limit: number): Map<string, ZipRecord> {
    const records = new Map<string, ZipRecord>();
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = 0;
    for (let i = 0; i < count; i++) {
      if (at + CENTRAL_BYTES > bytes.length || view.getUint32(at, true) !== CENTRAL)
        this.#fail("archive", "the archive's directory is damaged");
      const lengths = [28, 30, 32].map((field) => view.getUint16(at + field, true));
      const [nameBytes = 0, extraBytes = 0, commentBytes = 0] = lengths;
      const next = at + CENTRAL_BYTES + nameBytes + extraBytes + commentBytes;
      if (next > bytes.length) this.#fail("archive", "the archive's directory is damaged");
      const nameAt = at + CENTRAL_BYTES;
      const name = this.#name(bytes.subarray(nameAt, nameAt + nameBytes));
      if (records.has(name)) this.#fail("archive", `record ${quote(name)} is in the archive twice`);
      const extra = new DataView(bytes.buffer, bytes.byteOffset + nameAt + nameBytes, extraBytes);
      const central = new DataView(bytes.buffer, bytes.byteOffset + at, CENTRAL_BYTES);
      records.set(
        name,
        this.#record(name, bytes.subarray(nameAt, nameAt + nameBytes), central, extra, limit),
      );
      at = next;
    }
    if (at !== bytes.length) this.#fail("archive", "the archive's directory has bytes that are no record");
    this.#checkRanges([...records.values()], limit);
    return records;
  }

  #name(bytes: Uint8Array): string {
    let name: string;
    try {
      name = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return this.#fail("archive", "a record's name is not valid UTF-8");
    }
    const parts = name.replace(/\/$/, "").split("/");
    const bad = parts.some((part) => part === "" || part === "." || part === "..");
    if (bad || name.includes("\\") || name.includes("\0") || /^[a-z]:/i.test(name))
      this.#fail("archive", `record ${quote(name)} is no name inside the archive`);
    return name;
  }

  #record(name: string, rawName: Uint8Array, central: DataView, extra: DataView, limit: number): ZipRecord {
    const flags = central.getUint16(8, true);
    const method = central.getUint16(10, true);
    if ((flags & ENCRYPTED) !== 0) this.#fail("archive", `record ${quote(name)} is encrypted`);
    if (method !== STORED && method !== DEFLATED)
      this.#fail("archive", `record ${quote(name)} is compressed by the unknown method ${method}`);
    const sizes = [central.getUint32(24, true), central.getUint32(20, true), central.getUint32(42, true)];
    const [bytes = 0, storedBytes = 0, header = 0] = this.#long(name, sizes, extra);
    const compressed = method === DEFLATED;
    if (!compressed && bytes !== storedBytes)
      this.#fail("archive", `record ${quote(name)} has ${storedBytes} bytes, declared are ${bytes}`);
    if (!(header + LOCAL_BYTES <= limit))
      this.#fail("archive", `record ${quote(name)} is beyond the end of the archive`);
    const local = this.#view(header, LOCAL_BYTES);
    const nameBytes = local.getUint16(26, true);
    const begin = header + LOCAL_BYTES + nameBytes + local.getUint16(28, true);
    if (!(begin + storedBytes <= limit))
      this.#fail("archive", `record ${quote(name)} is beyond the end of the archive`);
    const crc = central.getUint32(16, true);
    const later = (flags & SIZES_FOLLOW) !== 0;
    const agrees = (field: number, value: number): boolean => {
      const own = local.getUint32(field, true);
      return own === value || own === 0xffffffff || (later && own === 0);
    };
    if (
      local.getUint32(0, true) !== LOCAL ||
      local.getUint16(6, true) !== flags ||
      local.getUint16(8, true) !== method ||
      Buffer.compare(this.#bytes(header + LOCAL_BYTES, nameBytes), rawName) !== 0 ||
      !agrees(14, crc) ||
      !agrees(18, storedBytes) ||
      !agrees(22, bytes)
    )
      this.#fail("archive", `the two headers of record ${quote(name)} differ`);
    return { name, bytes, storedBytes, compressed, crc, header, begin };
  }

  /** The fields that are too large for 32 bits are in the extra field, in their order. */
  #long(name: string, fields: number[], extra: DataView): number[] {
    if (!fields.includes(0xffffffff)) return fields;
    let at = 0;
    while (at + 4 <= extra.byteLength) {
      const end = at + 4 + extra.getUint16(at + 2, true);
      if (extra.getUint16(at, true) === 1 && end <= extra.byteLength) {
        at += 4;
        const long = fields.map((field) => {
          if (field !== 0xffffffff) return field;
          at += 8;
          return at <= end ? safe(extra.getBigUint64(at - 8, true)) : Number.NaN;
        });
        if (long.every(Number.isSafeInteger)) return long;
      }
      at = Math.max(end, at + 4);
    }
    return this.#fail("archive", `record ${quote(name)} has no valid size`);
  }

  #checkRanges(records: ZipRecord[], limit: number): void {
    records.sort((a, b) => a.header - b.header);
    const first = records[0];
    if (first !== undefined && first.header !== 0)
      this.#fail("archive", "there are bytes before the archive's first record");
    records.forEach(({ name, begin, storedBytes }, i) => {
      if (begin + storedBytes > (records[i + 1]?.header ?? limit))
        this.#fail("archive", `record ${quote(name)} overlaps the one after it`);
    });
  }
}

/** Above 2^53 no file ends; Infinity fails every comparison with a length. */
function safe(value: bigint): number {
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : Infinity;
}
