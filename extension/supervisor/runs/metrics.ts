import type { FileHandle } from "node:fs/promises";
import { firstIssue } from "../../files/json.ts";
import { openRegular } from "../../files/regular.ts";
import { runPath } from "../../files/runFiles.ts";
import { METRICS_FILE, METRICS_LIMIT, MetricRow } from "../../protocol/run.ts";
import { SampledRows } from "./sampledRows.ts";

/** Bytes of one read: few enough rows that reading a long run blocks nothing else in the process. */
const CHUNK = 1 << 15;
/** Most bytes of a row. */
const LINE_LIMIT = 1 << 16;
/** Bytes without a line end after which reading gives up. */
const JUNK_LIMIT = 1 << 26;

/** Reads a run's metrics while its engine appends them: each call returns the rows since the last one. */
export class MetricsReader {
  readonly #directory: string;
  readonly #limit: number;
  /** Where the file is, once no link was found on the way. */
  #path: string | undefined;
  #offset = 0;
  /** A line whose end isn't written yet. */
  #rest = Buffer.alloc(0);
  /** Bytes of a line that is too long, up to here. */
  #junk = 0;
  /** Lines that are no rows: a torn write, or another version's. */
  invalid = 0;

  /** @param limit bytes after which reading ends: a stranger's file may have lines that are no rows, without end */
  constructor(directory: string, limit = METRICS_LIMIT) {
    this.#directory = directory;
    this.#limit = limit;
  }

  /** New rows, some hundred at a time: an empty answer means there are no more now. */
  async read(): Promise<MetricRow[]> {
    // A chunk without a whole row is not the end.
    for (;;) {
      const bytes = await this.#next();
      if (bytes.length === 0) return [];
      const rows = this.#rows(bytes);
      if (rows.length > 0) return rows;
    }
  }

  #rows(bytes: Buffer): MetricRow[] {
    const end = bytes.lastIndexOf(0x0a) + 1;
    const whole = end === 0 ? "" : Buffer.concat([this.#rest, bytes.subarray(0, end)]).toString("utf8");
    const begun = end === 0 ? [this.#rest, bytes] : [bytes.subarray(end)];
    const lines = whole.split("\n");
    if (end > 0 && this.#junk > 0) {
      // The end of the line that was too long.
      lines.shift();
      this.#junk = 0;
    }
    const length = begun.reduce((sum, part) => sum + part.length, 0);
    if (this.#junk > 0 || length > LINE_LIMIT) {
      if (this.#junk === 0) this.invalid++;
      this.#junk += length;
      this.#rest = Buffer.alloc(0);
    } else this.#rest = Buffer.concat(begun);
    const rows: MetricRow[] = [];
    for (const line of lines) {
      if (line.trim() === "") continue;
      const row = parseRow(line);
      if (row === undefined) this.invalid++;
      else rows.push(row);
    }
    return rows;
  }

  /** The file; undefined while there is none that can be read. */
  async #open(): Promise<FileHandle | undefined> {
    try {
      this.#path ??= await runPath(this.#directory, METRICS_FILE);
      return await openRegular(this.#path);
    } catch {
      return undefined;
    }
  }

  async #next(): Promise<Buffer> {
    if (this.#junk > JUNK_LIMIT || this.#offset >= this.#limit) return Buffer.alloc(0);
    const handle = await this.#open();
    if (handle === undefined) return Buffer.alloc(0);
    try {
      const { size } = await handle.stat();
      // Rewritten: a run that began again in the same directory.
      if (size < this.#offset) {
        this.#offset = 0;
        this.#junk = 0;
        this.#rest = Buffer.alloc(0);
      }
      const buffer = Buffer.alloc(Math.min(CHUNK, size - this.#offset));
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, this.#offset);
      this.#offset += bytesRead;
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  }
}

/** How far a run came: the last whole row of a step or an epoch that its engine wrote. */
export async function readLastRow(directory: string): Promise<MetricRow | undefined> {
  const handle = await runPath(directory, METRICS_FILE)
    .then((path) => openRegular(path))
    .catch(() => undefined);
  if (handle === undefined) return undefined;
  try {
    const { size } = await handle.stat();
    const tail = Buffer.alloc(Math.min(CHUNK, size));
    await handle.read(tail, 0, tail.length, size - tail.length);
    // A line that begins before the tail, or was torn, is no row.
    for (const line of tail.toString("utf8").split("\n").toReversed()) {
      const row = parseRow(line);
      if (row !== undefined && row.kind !== "event") return row;
    }
    return undefined;
  } finally {
    await handle.close();
  }
}

/** Samples a run's rows from disk: those that `keep` accepts. */
export async function readSampled(
  directory: string,
  rows = new SampledRows(),
  keep: (row: MetricRow) => boolean = () => true,
): Promise<SampledRows> {
  const reader = new MetricsReader(directory);
  for (let read = await reader.read(); read.length > 0; read = await reader.read())
    rows.push(read.filter(keep));
  return rows;
}

/** Reads a run's curves from disk: at most about `limit` steps and as many epochs. */
export async function readRows(directory: string, limit: number): Promise<MetricRow[]> {
  return (await readSampled(directory, new SampledRows(Math.ceil(limit / 2)))).rows;
}

function parseRow(line: string): MetricRow | undefined {
  if (line.length > LINE_LIMIT) return undefined;
  try {
    const row = firstIssue(MetricRow, JSON.parse(line));
    return row.success ? row.output : undefined;
  } catch {
    return undefined;
  }
}
