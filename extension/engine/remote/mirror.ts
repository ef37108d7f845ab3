// The run directory here of a run elsewhere. All that arrives is a stranger's data: checked, bounded, and written by the
// one class that writes run directories.
import { createHash } from "node:crypto";
import { statfs } from "node:fs/promises";
import path from "node:path";
import { isMissing } from "../../files/fileError.ts";
import { readRunFile } from "../../files/runFiles.ts";
import { EngineError, type UserError } from "../../protocol/errors.ts";
import { LOG_LIMIT, ROW_NAMES, type FollowRequest, type Kept, type RowsName } from "../../remote/messages.ts";
import {
  LOG_FILE,
  type CheckpointRecord,
  type LayerRow,
  type MetricRow,
  type RunRecord,
} from "../../protocol/run.ts";
import type { Finding } from "../../protocol/findings.ts";
import { canonical, Counted, Lines } from "../../remote/rows.ts";
import type { RunDirectory } from "../reporting/runDirectory.ts";

/** Most bytes of each file that grows: real runs stay far below, and a machine can't fill the disk here. */
const LIMITS: Record<RowsName | "log", number> = {
  metrics: 64 * 2 ** 20,
  layers: 256 * 2 ** 20,
  findings: 16 * 2 ** 20,
  log: LOG_LIMIT,
};

/** What a path there is called here. */
export interface Places {
  /** Folders of the project there and here. */
  there: string;
  here: string;
}

export class Mirror {
  readonly directory: RunDirectory;
  readonly #places: Places;
  readonly #own: Pick<RunRecord, "id" | "file" | "createdAt" | "outlive" | "on">;
  readonly #bytes = { metrics: 0, layers: 0, findings: 0, log: 0 };
  /** The run's record as its machine has it. */
  latest: RunRecord | undefined;

  constructor(directory: RunDirectory, places: Places) {
    const { id, file, createdAt, outlive, on } = directory.record;
    this.directory = directory;
    this.#places = places;
    this.#own = { id, file, createdAt, outlive, ...(on === undefined ? {} : { on }) };
  }

  /** What is here already, so that it is not sent again. */
  async have(): Promise<FollowRequest> {
    this.directory.flush();
    const log = new Counted();
    log.bytes(await this.#read("log", LOG_FILE));
    const have: FollowRequest = { metrics: log.have, layers: log.have, findings: log.have, log: log.have };
    for (const name of ROW_NAMES) {
      const bytes = await this.#read(name, `${name}.jsonl`);
      const lines = new Lines();
      const counted = new Counted();
      for (const value of lines.push(bytes)) {
        const row = canonical(name, value);
        if (row !== undefined) counted.line(row.line);
      }
      // A torn line would be continued by the next row.
      have[name] = lines.torn ? TORN : counted.have;
    }
    return have;
  }

  /** Empties the files whose beginning is different there. */
  keep(kept: Kept): void {
    for (const name of ["metrics", "layers", "findings", "log"] as const)
      if (!kept[name]) {
        this.directory.clear(name);
        this.#bytes[name] = 0;
      }
  }

  /** Adds rows. @returns those of the curves */
  rows(name: RowsName, values: readonly unknown[]): MetricRow[] {
    const rows: MetricRow[] = [];
    for (const value of values) {
      const checked = canonical(name, value);
      if (checked === undefined) throw violation(`a row of ${name}.jsonl is none`);
      this.#count(name, checked.line.length + 1);
      if (name === "layers") this.directory.appendLayers(checked.row as LayerRow);
      else if (name === "findings") this.directory.appendFinding(checked.row as Finding);
      else rows.push(checked.row as MetricRow);
    }
    if (rows.length > 0) this.directory.appendMetrics(rows);
    this.directory.flush();
    return rows;
  }

  log(bytes: Buffer): void {
    this.#count("log", bytes.length);
    this.directory.appendLog(bytes);
    this.directory.flush();
  }

  /** Takes over what the machine says of the run. Where it is here, and which checkpoints are here, it doesn't say. */
  record(sent: RunRecord): RunRecord {
    this.latest = sent;
    const { checkpoints } = this.directory.record;
    const { checkpoint } = this.directory.record.settings;
    const settings = { ...sent.settings };
    if (typeof settings["checkpoint"] === "string")
      settings["checkpoint"] = checkpoint ?? this.path(settings["checkpoint"]);
    const { error, endedAt } = sent;
    return this.directory.update({
      ...sent,
      ...this.#own,
      settings,
      checkpoints,
      pid: process.pid,
      ...(endedAt === undefined ? {} : { endedAt }),
      ...(error === undefined ? {} : { error: this.#here(error) }),
    });
  }

  /** The path here of a file of the project there; others stay as they are. */
  path(there: string): string {
    const way = path.posix.relative(this.#places.there, there);
    if (way === "" || way.startsWith("..") || path.posix.isAbsolute(way)) return there;
    return path.join(this.#places.here, ...way.split("/"));
  }

  /** An error with the places of the user's code as they are here. */
  #here(error: UserError): UserError {
    const { position, stack } = error;
    return {
      ...error,
      ...(position === undefined ? {} : { position: { ...position, file: this.path(position.file) } }),
      ...(stack === undefined ? {} : { stack: stack.map((one) => ({ ...one, file: this.path(one.file) })) }),
    };
  }

  /** Checkpoints that the machine has and that are not here as they are there. */
  missing(): CheckpointRecord[] {
    const here = this.directory.record.checkpoints;
    const there = this.latest?.checkpoints ?? [];
    return there.filter(
      ({ file, savedAt }) => !here.some((one) => one.file === file && one.savedAt === savedAt),
    );
  }

  /** Keeps a file of weights. @param chunks its content, which has to have that hash */
  async receive(
    checkpoint: CheckpointRecord,
    hash: string,
    chunks: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const { bavail, bsize } = await statfs(this.directory.path);
    if (checkpoint.bytes > bavail * bsize)
      throw new EngineError({
        code: "disk",
        message: `${checkpoint.file} has ${checkpoint.bytes.toLocaleString("en")} bytes, more than the disk here has left.`,
      });
    await this.directory.receive(checkpoint.file, checked(chunks, hash));
    this.directory.addCheckpoint(checkpoint, checkpoint.kind === "best");
  }

  async #read(name: RowsName | "log", file: string): Promise<Buffer> {
    try {
      const bytes = await readRunFile(this.directory.path, file, LIMITS[name]);
      this.#bytes[name] = bytes.length;
      return bytes;
    } catch (error) {
      if (isMissing(error)) return Buffer.alloc(0);
      throw error;
    }
  }

  #count(name: RowsName | "log", bytes: number): void {
    this.#bytes[name] += bytes;
    if (this.#bytes[name] > LIMITS[name]) throw violation(`${name} has more than ${LIMITS[name]} bytes`);
  }
}

/** Matches no file, so that the whole one is sent. */
const TORN = { count: Number.MAX_SAFE_INTEGER, hash: "0".repeat(64) };

const violation = (problem: string): EngineError =>
  new EngineError({
    code: "remote-protocol",
    message: `What the run's machine sent was refused: ${problem}.`,
  });

/** Passes a content on, and fails at its end if it is another one: then no file is made of it. */
async function* checked(chunks: AsyncIterable<Uint8Array>, hash: string): AsyncGenerator<Uint8Array> {
  const sum = createHash("sha256");
  for await (const chunk of chunks) {
    sum.update(chunk);
    yield chunk;
  }
  if (sum.digest("hex") !== hash) throw violation("a checkpoint arrived damaged");
}
