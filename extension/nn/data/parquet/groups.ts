import type { ParquetCells, ParquetFile, Pending } from "../access.ts";

/** A column, and the type as which its cells are read. */
export interface ColumnChoice {
  readonly name: string;
  readonly as: "number" | "text";
}

/** Row groups that are read ahead of their use. */
const AHEAD = 2;

/**
 * Reads columns of all row groups, one group after the other, while a thread reads the next one.
 * @param visit Called with the first row of each group and the cells of each column
 */
export function scan(
  file: ParquetFile,
  columns: readonly ColumnChoice[],
  visit: (start: number, cells: readonly ParquetCells[]) => void,
): void {
  const { groups } = file;
  const pending: Pending<ParquetCells[]>[] = [];
  let start = 0;
  for (const [i, { rows }] of groups.entries()) {
    while (pending.length < AHEAD && i + pending.length < groups.length)
      pending.push(file.read(i + pending.length, columns));
    visit(start, pending.shift()!.take());
    start += rows;
  }
}

/** Cache of values made from row groups on demand. Keeps the most recently used, up to a number of bytes. */
export class GroupCache<T extends { readonly bytes: number }> {
  readonly #file: ParquetFile;
  readonly #columns: readonly ColumnChoice[];
  readonly #limit: number;
  readonly #make: (group: number, cells: readonly ParquetCells[]) => T;
  readonly #kept = new Map<number, T>();
  readonly #pending = new Map<number, Pending<ParquetCells[]>>();
  #bytes = 0;
  /** Groups that are needed next. */
  readonly #next: number[] = [];
  #last = -1;

  constructor(
    file: ParquetFile,
    columns: readonly ColumnChoice[],
    limit: number,
    make: (group: number, cells: readonly ParquetCells[]) => T,
  ) {
    this.#file = file;
    this.#columns = columns;
    this.#limit = limit;
    this.#make = make;
  }

  /** Bytes of the kept values. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Groups that are needed soon, in this order: threads read the first of them.
   * @param first Whether they replace those announced before
   */
  announce(groups: readonly number[], first: boolean): void {
    if (first) {
      for (const read of this.#pending.values()) read.drop();
      this.#pending.clear();
      this.#next.length = 0;
    }
    for (const group of groups) this.#next.push(group);
    this.#readAhead();
  }

  get(group: number): T {
    const known = this.#kept.get(group);
    if (known !== undefined) {
      this.#kept.delete(group);
      this.#kept.set(group, known);
      this.#last = group;
      return known;
    }
    const place = this.#next.indexOf(group);
    if (place >= 0) this.#next.splice(place, 1);
    // Without an announcement, groups are likely to be read one after the other.
    const following = group === this.#last + 1 && group + 1 < this.#file.groups.length;
    if (this.#next.length === 0 && following) this.#next.push(group + 1);
    this.#last = group;
    const read = this.#pending.get(group) ?? this.#file.read(group, this.#columns);
    this.#pending.delete(group);
    this.#readAhead();
    const made = this.#make(group, read.take());
    this.#keep(group, made);
    return made;
  }

  /** Takes a group that has been read meanwhile, if there is room for another one. */
  advance(bytes: (group: number) => number): void {
    for (const [group, read] of this.#pending) {
      if (!read.ready || this.#bytes + bytes(group) > this.#limit) continue;
      this.#pending.delete(group);
      try {
        this.#keep(group, this.#make(group, read.take()));
      } catch {
        // A damaged group is an error only when it is needed: `get` reads it again.
      }
      this.#readAhead();
      return;
    }
  }

  #keep(group: number, made: T): void {
    this.#kept.set(group, made);
    this.#bytes += made.bytes;
    for (const [oldest, { bytes }] of this.#kept) {
      if (this.#bytes <= this.#limit || this.#kept.size === 1) break;
      this.#kept.delete(oldest);
      this.#bytes -= bytes;
    }
  }

  #readAhead(): void {
    while (this.#pending.size < AHEAD && this.#next.length > 0) {
      const group = this.#next.shift()!;
      if (!this.#kept.has(group) && !this.#pending.has(group))
        this.#pending.set(group, this.#file.read(group, this.#columns));
    }
  }
}

/** Cells of a column. */
export const lengthOf = (cells: ParquetCells): number =>
  "numbers" in cells ? cells.numbers.length : cells.indices.length;

export const isMissing = (cells: ParquetCells, row: number): boolean =>
  "numbers" in cells ? Number.isNaN(cells.numbers[row]!) : cells.indices[row]! < 0;

/** First rows of the row groups, and where the last one ends. */
export function startsOf({ groups }: ParquetFile): Float64Array {
  const starts = new Float64Array(groups.length + 1);
  groups.forEach(({ rows }, i) => (starts[i + 1] = starts[i]! + rows));
  return starts;
}

/** Whether rows are among those given. @param count Rows of the file */
export function membership(rows: ArrayLike<number>, count: number): (row: number) => boolean {
  const bits = new Uint8Array(count);
  for (let i = 0; i < rows.length; i++) bits[rows[i]!] = 1;
  return (row) => bits[row] === 1;
}

/** Above this many numbers, the language's own copy is faster than a loop. */
const LONG_ROW = 64;

/** Copies a row of one table into another of the same width. */
export function copyRow(
  from: Float32Array | Int32Array,
  row: number,
  to: Float32Array | Int32Array,
  place: number,
  width: number,
): void {
  if (width > LONG_ROW) return to.set(from.subarray(row * width, (row + 1) * width), place * width);
  const [source, target] = [row * width, place * width];
  for (let i = 0; i < width; i++) to[target + i] = from[source + i]!;
}
