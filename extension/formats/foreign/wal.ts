// SQLite's write-ahead log: https://www.sqlite.org/fileformat2.html#the_write_ahead_log

const MAGIC = 0x377f0682;
const HEAD = 32;
const FRAME_HEAD = 24;
/** Versions of reading and writing in a database's header: 1 is a database without a log. */
const VERSIONS = 18;

/**
 * A database with the committed transactions that are only in its log yet: those of a training that still runs. The log
 * ends where a frame's salt or checksum is wrong, as SQLite has it.
 */
export function withLog(database: Uint8Array, log: Uint8Array): Uint8Array {
  const merged = merge(database, log);
  if (merged.length < 100) return merged;
  merged[VERSIONS] = 1;
  merged[VERSIONS + 1] = 1;
  return merged;
}

function merge(database: Uint8Array, log: Uint8Array): Uint8Array {
  if (log.length < HEAD) return database.slice();
  const view = new DataView(log.buffer, log.byteOffset, log.length);
  const magic = view.getUint32(0);
  if ((magic & ~1) >>> 0 !== MAGIC) return database.slice();
  const littleEndian = (magic & 1) === 0;
  const pageSize = view.getUint32(8);
  if (pageSize < 512 || pageSize > 65536 || (pageSize & (pageSize - 1)) !== 0) return database.slice();
  let sums: Sums = checksum(view, 0, 24, [0, 0], littleEndian);
  if (sums[0] !== view.getUint32(24) || sums[1] !== view.getUint32(28)) return database.slice();
  const pages = new Map<number, number>();
  let pending: [page: number, at: number][] = [];
  let size = 0;
  for (let at = HEAD; at + FRAME_HEAD + pageSize <= log.length; at += FRAME_HEAD + pageSize) {
    if (view.getUint32(at + 8) !== view.getUint32(16) || view.getUint32(at + 12) !== view.getUint32(20))
      break;
    sums = checksum(view, at, 8, sums, littleEndian);
    sums = checksum(view, at + FRAME_HEAD, pageSize, sums, littleEndian);
    if (sums[0] !== view.getUint32(at + 16) || sums[1] !== view.getUint32(at + 20)) break;
    pending.push([view.getUint32(at), at + FRAME_HEAD]);
    const committed = view.getUint32(at + 4);
    if (committed === 0) continue;
    for (const [page, from] of pending) pages.set(page, from);
    pending = [];
    size = committed;
  }
  if (size === 0) return database.slice();
  // Pages that are in neither file would only be holes: a size beyond both is no database.
  const whole = Math.min(size, Math.ceil(database.length / pageSize) + pages.size) * pageSize;
  const merged = new Uint8Array(whole);
  merged.set(database.subarray(0, whole));
  for (const [page, from] of pages)
    if (page >= 1 && page * pageSize <= whole)
      merged.set(log.subarray(from, from + pageSize), (page - 1) * pageSize);
  return merged;
}

type Sums = readonly [number, number];

function checksum(view: DataView, at: number, length: number, [a, b]: Sums, littleEndian: boolean): Sums {
  let [first, second] = [a, b];
  for (let i = at; i < at + length; i += 8) {
    first = (first + view.getUint32(i, littleEndian) + second) >>> 0;
    second = (second + view.getUint32(i + 4, littleEndian) + first) >>> 0;
  }
  return [first, second];
}
