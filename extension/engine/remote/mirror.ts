// The local run directory of a run on another machine. All that arrives is untrusted: checked, bounded, and written by the
// one class that writes run directories.
import { createHash } from "node:crypto";
import { statfs } from "node:fs/promises";
import path from "node:path";
import * as v from "valibot";
import { isMissing } from "../../files/fileError.ts";
import { checkedJson } from "../../files/json.ts";
import { readRunFile } from "../../files/runFiles.ts";
import { EngineError, type FailedLayer, type SourcePosition, type UserError } from "../../protocol/errors.ts";
import {
  LOG_LIMIT,
  ofFollowed,
  ROW_NAMES,
  type FollowedName,
  type FollowRequest,
  type Kept,
  type RowsName,
} from "../../remote/messages.ts";
import type { PictureRow } from "../../protocol/layers/pictures.ts";
import { EvaluationResult } from "../../protocol/engine.ts";
import { EvaluationReport } from "../../protocol/evaluation.ts";
import {
  EVALUATION_FILE,
  LOG_FILE,
  OUTCOMES_FILE,
  REPORT_FILE,
  RunRecord,
  type CheckpointRecord,
  type LayerRow,
  type MetricRow,
} from "../../protocol/run.ts";
import type { Finding } from "../../protocol/findings.ts";
import { canonical, Counted, Lines } from "../../remote/rows.ts";
import type { RunDirectory } from "../reporting/runDirectory.ts";

/** Most bytes of each file that grows, so that a machine can't fill the disk here. Real runs stay far below. */
const LIMITS: Record<FollowedName, number> = {
  metrics: 64 * 2 ** 20,
  layers: 256 * 2 ** 20,
  "layer-pictures": 64 * 2 ** 20,
  findings: 16 * 2 ** 20,
  log: LOG_LIMIT,
};

/**
 * Fields of the record that a run's machine may set. All others keep their local values: they name files, processes and other
 * runs of this machine, which later commands read, send or run.
 */
const Told = v.pick(RunRecord, [
  "state",
  "exportName",
  "model",
  "endedAt",
  "seed",
  "epochs",
  "epoch",
  "step",
  "stepsPerEpoch",
  "seconds",
  "executor",
  "parameters",
  "settings",
  "hyperparameters",
  "objective",
  "metrics",
  "best",
  "error",
  "orphaned",
]);

/** Maps paths there to paths here. */
export interface Places {
  /** Folders of the project there and here. */
  there: string;
  here: string;
}

export class Mirror {
  readonly directory: RunDirectory;
  readonly #places: Places;
  readonly #bytes = ofFollowed(() => 0);
  /** The run's record as its machine has it. */
  latest: RunRecord | undefined;

  constructor(directory: RunDirectory, places: Places) {
    this.directory = directory;
    this.#places = places;
  }

  /** How much of each file is here already, so that it is not sent again. */
  async have(): Promise<FollowRequest> {
    this.directory.flush();
    const log = new Counted();
    log.bytes(await this.#read("log", LOG_FILE));
    const have: FollowRequest = ofFollowed(() => log.have);
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
    for (const name of [...ROW_NAMES, "log"] as const)
      if (!kept[name]) {
        this.directory.clear(name === "log" ? LOG_FILE : `${name}.jsonl`);
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
      else if (name === "layer-pictures") this.directory.appendPictures(checked.row as PictureRow);
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

  /** Updates the local record. */
  record(sent: RunRecord): RunRecord {
    this.latest = sent;
    const told = v.parse(Told, sent);
    const { settings, hyperparameters } = this.directory.record;
    const { checkpoint } = settings;
    // Resuming sends the file of this name, so only the user may choose it, never the machine.
    const { checkpoint: _, ...others } = told.settings;
    return this.directory.update({
      ...told,
      settings: { ...others, ...(checkpoint === undefined ? {} : { checkpoint }) },
      ...(hyperparameters === undefined
        ? {}
        : { hyperparameters: { ...told.hyperparameters, ...hyperparameters } }),
      ...(told.error === undefined ? {} : { error: this.here(told.error) }),
    });
  }

  /** The path here of a file of the project there; undefined for others. */
  #path(there: string): string | undefined {
    const way = path.posix.relative(this.#places.there, there);
    if (way === "" || /[\\\0]/.test(way) || way === ".." || way.startsWith("../")) return undefined;
    return path.join(this.#places.here, ...way.split("/"));
  }

  #position(there: SourcePosition | undefined): SourcePosition[] {
    const file = there === undefined ? undefined : this.#path(there.file);
    return there === undefined || file === undefined ? [] : [{ ...there, file }];
  }

  /** Maps the positions of an error to the files here. Positions outside of the project are left out. */
  here({ position, stack, layer, ...rest }: UserError): UserError {
    const [at] = this.#position(position);
    return {
      ...rest,
      ...(at === undefined ? {} : { position: at }),
      ...(stack === undefined ? {} : { stack: stack.flatMap((one) => this.#position(one)) }),
      ...(layer === undefined ? {} : { layer: this.#layer(layer) }),
    };
  }

  #layer({ position, ...rest }: FailedLayer): FailedLayer {
    const [at] = this.#position(position);
    return { ...rest, ...(at === undefined ? {} : { position: at }) };
  }

  /** Checkpoints of the machine that are missing here, or older. */
  missing(): CheckpointRecord[] {
    const here = this.directory.record.checkpoints;
    const there = this.latest?.checkpoints ?? [];
    return there.filter(
      ({ file, savedAt }) => !here.some((one) => one.file === file && one.savedAt === savedAt),
    );
  }

  /** Stores a file of weights. @param chunks its content, whose hash is checked */
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

  /** Writes an evaluation's result. @param chunks as of {@link receive} */
  async evaluation(hash: string, chunks: AsyncIterable<Uint8Array>): Promise<EvaluationResult> {
    const result = await jsonOf(EVALUATION_FILE, EvaluationResult, checked(chunks, hash));
    this.directory.writeEvaluation(result);
    return result;
  }

  /** Writes what else views show of an evaluation. */
  async report(hash: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    this.directory.writeReport(await jsonOf(REPORT_FILE, EvaluationReport, checked(chunks, hash)));
  }

  /** Writes the outcomes of an evaluation's samples. Their reader checks them. */
  async outcomes(hash: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    await this.directory.receive(OUTCOMES_FILE, checked(chunks, hash));
  }

  async #read(name: FollowedName, file: string): Promise<Buffer> {
    try {
      const bytes = await readRunFile(this.directory.path, file, LIMITS[name]);
      this.#bytes[name] = bytes.length;
      return bytes;
    } catch (error) {
      if (isMissing(error)) return Buffer.alloc(0);
      throw error;
    }
  }

  #count(name: FollowedName, bytes: number): void {
    this.#bytes[name] += bytes;
    if (this.#bytes[name] > LIMITS[name]) throw violation(`${name} has more than ${LIMITS[name]} bytes`);
  }
}

/** Matches no file, so that the whole one is sent. */
const TORN = { count: Number.MAX_SAFE_INTEGER, hash: "0".repeat(64) };

export const violation = (problem: string): EngineError =>
  new EngineError({
    code: "remote-protocol",
    message: `What the run's machine sent was refused: ${problem}.`,
  });

/** Passes chunks on, and throws at the end if their hash differs, so that no file is made of them. */
async function* checked(chunks: AsyncIterable<Uint8Array>, hash: string): AsyncGenerator<Uint8Array> {
  const sum = createHash("sha256");
  for await (const chunk of chunks) {
    sum.update(chunk);
    yield chunk;
  }
  if (sum.digest("hex") !== hash) throw violation("a file arrived damaged");
}

/** A file of JSON. @throws EngineError if it is damaged or of another form */
async function jsonOf<T>(
  file: string,
  schema: v.GenericSchema<unknown, T>,
  chunks: AsyncIterable<Uint8Array>,
): Promise<T> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  try {
    return checkedJson(file, Buffer.concat(parts), schema);
  } catch {
    throw violation(`${file} has the wrong form`);
  }
}
