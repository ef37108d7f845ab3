import { crc32 } from "node:zlib";

/** A file of an archive that is being written. */
export interface ZipContent {
  readonly name: string;
  readonly content: Uint8Array;
  /** The content, compressed. By default it is stored uncompressed. */
  readonly deflated?: Uint8Array;
}

const LOCAL = 0x04034b50;
const DESCRIPTOR = 0x08074b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
/** Names are UTF-8; sizes and checksum follow the content. */
const FLAGS = 0x0808;
const DEFLATE = 8;
const MAX32 = 0xffffffff;
const MAX16 = 0xffff;
const LONG_VERSION = 45;

interface Written {
  readonly name: Buffer;
  readonly bytes: number;
  /** Bytes in the archive. */
  readonly packed: number;
  readonly method: number;
  readonly crc: number;
  readonly header: number;
}

/**
 * The bytes of a zip archive, every content at a multiple of `alignment`. With nothing compressed, it is the very
 * layout of `torch.save`, so that files can be mapped into memory and offsets can be computed as PyTorch does.
 */
export function* zipArchive(records: Iterable<ZipContent>, alignment: number): Generator<Uint8Array> {
  const written: Written[] = [];
  let at = 0;
  for (const { name: text, content, deflated } of records) {
    const name = Buffer.from(text, "utf8");
    const header = at;
    const method = deflated === undefined ? 0 : DEFLATE;
    const packed = deflated ?? content;
    const start = localHeader(name, header, alignment, method);
    const record = {
      name,
      bytes: content.length,
      packed: packed.length,
      method,
      crc: crc32(content),
      header,
    };
    written.push(record);
    const end = packed.length === 0 ? Buffer.alloc(0) : descriptor(record);
    at += start.length + packed.length + end.length;
    yield start;
    yield packed;
    yield end;
  }
  const directory = Buffer.concat(written.map(centralHeader));
  yield directory;
  yield endRecords(written.length, directory.length, at);
}

/** A header whose padding makes the content begin at a multiple of the alignment. */
function localHeader(name: Buffer, at: number, alignment: number, method: number): Buffer {
  const FIXED = 30;
  const EXTRA_HEADER = 4;
  const unpadded = at + FIXED + name.length + EXTRA_HEADER;
  const padding = (alignment - (unpadded % alignment)) % alignment;
  const header = Buffer.alloc(FIXED + name.length + EXTRA_HEADER + padding);
  header.writeUInt32LE(LOCAL, 0);
  header.writeUInt16LE(FLAGS, 6);
  header.writeUInt16LE(method, 8);
  header.writeUInt16LE(name.length, 26);
  header.writeUInt16LE(EXTRA_HEADER + padding, 28);
  header.set(name, FIXED);
  const extra = FIXED + name.length;
  header.write("FB", extra, "latin1");
  header.writeUInt16LE(padding, extra + 2);
  header.fill("Z", extra + EXTRA_HEADER);
  return header;
}

function descriptor({ bytes, packed, crc, header }: Written): Buffer {
  const long = header >= MAX32 || bytes >= MAX32 || packed >= MAX32;
  const out = Buffer.alloc(long ? 24 : 16);
  out.writeUInt32LE(DESCRIPTOR, 0);
  out.writeUInt32LE(crc, 4);
  if (long) {
    out.writeBigUInt64LE(BigInt(packed), 8);
    out.writeBigUInt64LE(BigInt(bytes), 16);
  } else {
    out.writeUInt32LE(packed, 8);
    out.writeUInt32LE(bytes, 12);
  }
  return out;
}

function centralHeader({ name, bytes, packed, method, crc, header }: Written): Buffer {
  // Numbers that don't fit into 32 bits are in an extra field: size, stored size, place.
  const long = [bytes, packed, header].filter((value) => value >= MAX32);
  const extra = Buffer.alloc(long.length === 0 ? 0 : 4 + 8 * long.length);
  if (long.length > 0) {
    extra.writeUInt16LE(1, 0);
    extra.writeUInt16LE(8 * long.length, 2);
    long.forEach((value, i) => extra.writeBigUInt64LE(BigInt(value), 4 + 8 * i));
  }
  const out = Buffer.alloc(46);
  out.writeUInt32LE(CENTRAL, 0);
  out.writeUInt16LE(long.length === 0 ? 0 : LONG_VERSION, 6);
  out.writeUInt16LE(FLAGS, 8);
  out.writeUInt16LE(method, 10);
  out.writeUInt32LE(crc, 16);
  out.writeUInt32LE(Math.min(packed, MAX32), 20);
  out.writeUInt32LE(Math.min(bytes, MAX32), 24);
  out.writeUInt16LE(name.length, 28);
  out.writeUInt16LE(extra.length, 30);
  out.writeUInt32LE(Math.min(header, MAX32), 42);
  return Buffer.concat([out, name, extra]);
}

function endRecords(count: number, size: number, offset: number): Buffer {
  const long = count >= MAX16 || size >= MAX32 || offset >= MAX32;
  const end = Buffer.alloc(22);
  end.writeUInt32LE(END, 0);
  end.writeUInt16LE(Math.min(count, MAX16), 8);
  end.writeUInt16LE(Math.min(count, MAX16), 10);
  end.writeUInt32LE(Math.min(size, MAX32), 12);
  end.writeUInt32LE(Math.min(offset, MAX32), 16);
  if (!long) return end;
  const end64 = Buffer.alloc(56);
  end64.writeUInt32LE(END64, 0);
  end64.writeBigUInt64LE(44n, 4);
  end64.writeUInt16LE(LONG_VERSION, 12);
  end64.writeUInt16LE(LONG_VERSION, 14);
  end64.writeBigUInt64LE(BigInt(count), 24);
  end64.writeBigUInt64LE(BigInt(count), 32);
  end64.writeBigUInt64LE(BigInt(size), 40);
  end64.writeBigUInt64LE(BigInt(offset), 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(LOCATOR64, 0);
  locator.writeBigUInt64LE(BigInt(offset + size), 8);
  locator.writeUInt32LE(1, 16);
  return Buffer.concat([end64, locator, end]);
}
