import { openSource } from "../byteSource.ts";
import { maskedCrc32c } from "../tensorboard.ts";

/** Bytes that are read at a time. */
const CHUNK = 1 << 20;
/** Bytes of a record: pictures are the largest. */
const LONGEST_RECORD = 64 * 2 ** 20;
/** Length and its checksum; checksum of the data. */
const HEAD = 12;
const FOOT = 4;

/** How far a file was read. */
export interface RecordsRead {
  /** The byte after the last whole record: where to continue when the file has grown. */
  end: number;
  /** The problem at that byte; undefined if the file was read to its end. */
  problem: string | undefined;
}

/**
 * Calls back with each record of a file of TFRecords from a byte on. Memory is bounded by one record.
 * @throws FileError if it is no regular file; the file system's error
 */
export function readRecords(file: string, from: number, onRecord: (data: Uint8Array) => void): RecordsRead {
  const source = openSource(file, file, {});
  try {
    let at = from;
    let chunk = new Uint8Array();
    let start = 0;
    const bytes = (position: number, length: number): Uint8Array => {
      if (position < start || position + length > start + chunk.length) {
        start = position;
        chunk = new Uint8Array(
          source.read(position, Math.min(Math.max(CHUNK, length), source.fileBytes - position)),
        );
      }
      return chunk.subarray(position - start, position - start + length);
    };
    const whole = (problem: string): RecordsRead => ({
      end: at,
      problem: `${file}: ${problem} at byte ${at.toLocaleString("en-US")}; later records are left out.`,
    });
    while (at < source.fileBytes) {
      if (source.fileBytes - at < HEAD + FOOT) return whole("the file ends within a record");
      const head = bytes(at, HEAD);
      const view = new DataView(head.buffer, head.byteOffset, head.length);
      if (view.getUint32(8, true) !== maskedCrc32c(head.subarray(0, 8)))
        return whole("no record, or a damaged one,");
      const length = view.getBigUint64(0, true);
      if (length > LONGEST_RECORD) return whole("a record of more than 64 MiB");
      const size = Number(length);
      if (source.fileBytes - at < HEAD + size + FOOT) return whole("the file ends within a record");
      const data = bytes(at + HEAD, size + FOOT);
      const checksum = new DataView(data.buffer, data.byteOffset + size, FOOT).getUint32(0, true);
      if (checksum !== maskedCrc32c(data.subarray(0, size))) return whole("a damaged record");
      onRecord(data.subarray(0, size));
      at += HEAD + size + FOOT;
    }
    return { end: at, problem: undefined };
  } finally {
    source.close();
  }
}
