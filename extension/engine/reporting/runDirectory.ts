import fs from "node:fs";
import path from "node:path";
import { makeFolderSync } from "../../files/folders.ts";
import type { EvaluationResult } from "../../protocol/engine.ts";
import type { EvaluationReport } from "../../protocol/evaluation.ts";
import { FINDINGS_FILE, type Finding } from "../../protocol/findings.ts";
import { PICTURES_FILE, type PictureRow } from "../../protocol/layers/pictures.ts";
import {
  CHECKPOINTS_FOLDER,
  EVALUATION_FILE,
  LAYERS_FILE,
  LOG_FILE,
  METRICS_FILE,
  REPORT_FILE,
  RUN_FILE,
  SOURCE_FILE,
  SOURCES_FILE,
  isLive,
  type CheckpointRecord,
  type LayerRow,
  type MetricRow,
  type RunRecord,
} from "../../protocol/run.ts";
import {
  isRefused,
  RECORD_LIMIT,
  rootOfRun,
  runPathSync,
  unwritable,
  writeRunFileSync,
} from "../../files/runFiles.ts";
import { isTemporary } from "../../protocol/temporaryFiles.ts";
import type { EventFile } from "./eventFile.ts";
import { PROVENANCE_FILE } from "../../protocol/history/provenance.ts";
import { keepProvenance, type Beginning } from "./provenance.ts";
import { keepImports } from "../host/versions.ts";
import { AppendFile } from "../../files/append.ts";
import { overwriteInPlace, writeAtomicAsync } from "../../files/writeAtomic.ts";
import { describeFileError, isFull } from "../../files/fileError.ts";

/** Milliseconds between two writes of a record whose state has not changed. */
const RECORD_INTERVAL = 1000;

/**
 * The writer of a run directory (see protocol/run.ts). Once it exists, a disk that is full or gone doesn't end the
 * run: the problem is reported once, and the failed write is repeated.
 */
export class RunDirectory {
  readonly path: string;
  readonly #metrics: AppendFile;
  readonly #layers: AppendFile;
  readonly #pictures: AppendFile;
  readonly #findings: AppendFile;
  readonly #log: AppendFile;
  #events: EventFile | undefined;
  readonly #onProblem: (text: string) => void;
  readonly #told = new Set<string>();
  #record: RunRecord;
  #dirty = true;
  #written = 0;
  #left = false;

  /**
   * Creates the directory with the run's first record.
   * @throws EngineError "run-directory" when that isn't possible: nothing of the run could be kept
   */
  constructor(directory: string, record: RunRecord, onProblem: (text: string) => void) {
    this.path = directory;
    this.#record = record;
    this.#onProblem = onProblem;
    this.#metrics = new AppendFile(path.join(directory, METRICS_FILE));
    this.#layers = new AppendFile(path.join(directory, LAYERS_FILE));
    this.#pictures = new AppendFile(path.join(directory, PICTURES_FILE));
    this.#findings = new AppendFile(path.join(directory, FINDINGS_FILE));
    this.#log = new AppendFile(path.join(directory, LOG_FILE));
    try {
      const checkpoints = runPathSync(directory, CHECKPOINTS_FOLDER);
      makeFolderSync(checkpoints);
      // Leftovers of a process that was killed while it saved.
      for (const name of fs.readdirSync(checkpoints))
        if (isTemporary(name)) fs.rmSync(path.join(checkpoints, name), { force: true });
      this.#writeRecord();
    } catch (error) {
      throw unwritable(directory, error);
    }
  }

  /** Stops writing: another process owns the run. */
  leave(): void {
    this.#left = true;
  }

  get record(): RunRecord {
    return this.#record;
  }

  /** Changes the record: written at once when the state changes, else with the next flush. */
  update(change: Partial<RunRecord>): RunRecord {
    const before = this.#record.state;
    this.#record = { ...this.#record, ...change };
    this.#dirty = true;
    if (this.#record.state !== before) this.#attempt(RUN_FILE, () => this.#writeRecord());
    return this.#record;
  }

  /** Takes another record in place of the present one. */
  replace(record: RunRecord): RunRecord {
    this.#record = record;
    this.#attempt(RUN_FILE, () => this.#writeRecord());
    return record;
  }

  /** Keeps the trained source and its imports; a resumed run keeps its first ones. */
  keepSource(file: string, sources: ReadonlyMap<string, string>): void {
    let kept = false;
    this.#attempt(SOURCE_FILE, () => (kept = fs.existsSync(this.file(SOURCE_FILE))));
    if (kept) return;
    this.#attempt(SOURCES_FILE, () => keepImports(this.path, file, sources, this.#workspace(file)));
    this.#attempt(SOURCE_FILE, () => writeRunFileSync(this.path, SOURCE_FILE, sources.get(file) ?? ""));
  }

  /** The folder whose runs these are; of a directory elsewhere, the file's own. */
  #workspace(file: string): string {
    const root = rootOfRun(this.path);
    return root === path.resolve(this.path) ? path.dirname(file) : root;
  }

  /** A path in the directory. @throws FileError for a name that leaves it, or a link that would be followed */
  file(relative: string): string {
    if (this.#left) throw new Error(`${this.path} is another process's run by now`);
    return runPathSync(this.path, relative);
  }

  /** Records a checkpoint and replaces the one of the same file. Of several best ones, the best comes first. */
  addCheckpoint(checkpoint: CheckpointRecord, first = false): void {
    const others = this.#record.checkpoints.filter((one) => one.file !== checkpoint.file);
    this.update({ checkpoints: first ? [checkpoint, ...others] : [...others, checkpoint] });
    this.#attempt(RUN_FILE, () => this.#writeRecord());
  }

  /** Deletes the checkpoints of a kind. */
  removeCheckpoint(kind: CheckpointRecord["kind"]): void {
    this.#remove((one) => one.kind === kind);
  }

  /** Deletes the checkpoint in a file of the directory. */
  removeFile(relative: string): void {
    this.#remove((one) => one.file === relative);
  }

  #remove(goes: (checkpoint: CheckpointRecord) => boolean): void {
    const gone = this.#record.checkpoints.filter(goes);
    if (gone.length === 0) return;
    this.update({ checkpoints: this.#record.checkpoints.filter((one) => !goes(one)) });
    this.#attempt(RUN_FILE, () => {
      this.#writeRecord();
      for (const { file } of gone) this.#delete(file);
    });
  }

  /** Deletes a file of the directory; a link that stands there stays. */
  #delete(relative: string): void {
    try {
      fs.rmSync(this.file(relative), { force: true });
    } catch (error) {
      if (!isRefused(error)) throw error;
      this.#onProblem(`${error.message}. It was not deleted.`);
    }
  }

  /** Writes how the run came about, once. */
  keepProvenance(beginning: Omit<Beginning, "record">): void {
    this.#attempt(PROVENANCE_FILE, () => {
      if (!fs.existsSync(this.file(PROVENANCE_FILE)))
        keepProvenance(this.path, { ...beginning, record: this.#record });
    });
  }

  /** Writes the result of an evaluation. */
  writeEvaluation(result: EvaluationResult): void {
    this.#attempt(EVALUATION_FILE, () => writeRunFileSync(this.path, EVALUATION_FILE, compactJson(result)));
  }

  /** From now on, curves are also written for TensorBoard. */
  writeEvents(file: EventFile): void {
    this.#events = file;
    file.describe(this.#record);
  }

  /** Writes what else views show of an evaluation. */
  writeReport(report: EvaluationReport): void {
    this.#attempt(REPORT_FILE, () => writeRunFileSync(this.path, REPORT_FILE, compactJson(report)));
  }

  appendMetrics(rows: readonly MetricRow[]): void {
    this.#events?.append(rows);
    for (const row of rows) this.#metrics.push(`${JSON.stringify(row)}\n`);
  }

  appendLayers(row: LayerRow): void {
    this.#layers.push(`${JSON.stringify(row)}\n`);
  }

  appendPictures(row: PictureRow): void {
    this.#pictures.push(`${JSON.stringify(row)}\n`);
  }

  appendFinding(finding: Finding): void {
    this.#findings.push(`${JSON.stringify(finding)}\n`);
  }

  appendLog(text: string | Uint8Array): void {
    this.#log.push(text);
  }

  /** Empties a file that grows: what the run's machine has in it is different. */
  clear(name: string): void {
    for (const file of [this.#metrics, this.#layers, this.#pictures, this.#findings, this.#log])
      if (path.basename(file.path) === name) file.close();
    writeRunFileSync(this.path, name, "");
  }

  /** Writes a file of weights as it comes from the run's machine. */
  async receive(relative: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    await writeAtomicAsync(this.file(relative), chunks);
  }

  /** Writes pending data to disk; the record at most once a second. */
  flush(): void {
    this.#attempt(METRICS_FILE, () => this.#metrics.flush());
    this.#attempt(LAYERS_FILE, () => this.#layers.flush());
    this.#attempt(PICTURES_FILE, () => this.#pictures.flush());
    this.#attempt(FINDINGS_FILE, () => this.#findings.flush());
    this.#attempt(LOG_FILE, () => this.#log.flush());
    this.#attempt("TensorBoard's event file", () => this.#events?.flush());
    if (this.#dirty && Date.now() - this.#written >= RECORD_INTERVAL)
      this.#attempt(RUN_FILE, () => this.#writeRecord());
  }

  /** The last flush. */
  close(): void {
    this.flush();
    if (this.#dirty) this.#attempt(RUN_FILE, () => this.#writeRecord());
    this.#metrics.close();
    this.#layers.close();
    this.#pictures.close();
    this.#findings.close();
    this.#log.close();
    this.#events?.close();
  }

  #writeRecord(): void {
    // Also after a failure: a full disk is not retried at every step.
    this.#written = Date.now();
    try {
      writeRunFileSync(this.path, RUN_FILE, readable(json(this.#record)));
    } catch (error) {
      // Without its last state, a run would be one that was killed.
      const last = !isLive(this.#record) && isFull(error);
      if (!last || !overwriteInPlace(this.file(RUN_FILE), compactJson(this.#record))) throw error;
    }
    this.#dirty = false;
  }

  #attempt(file: string, write: () => void): void {
    if (this.#left) return;
    try {
      write();
      this.#told.delete(file);
    } catch (error) {
      if (this.#told.has(file)) return;
      this.#told.add(file);
      this.#onProblem(
        `${path.join(this.path, file)} can't be written: ${describeFileError(error)}. The run continues; what is missing is written when that is possible again.`,
      );
    }
  }
}

/** @throws Error for a record that no reader would take: the one before it stays */
function readable(content: Uint8Array): Uint8Array {
  if (content.length <= RECORD_LIMIT) return content;
  throw new Error(
    `the record has ${content.length.toLocaleString("en-US")} bytes; the limit is ${RECORD_LIMIT.toLocaleString("en-US")}`,
  );
}

/** Without spaces, which are three quarters of a table of a million numbers. */
function compactJson(value: object): Uint8Array {
  return Buffer.from(`${JSON.stringify(value)}\n`);
}

function json(value: object): Uint8Array {
  return Buffer.from(`${JSON.stringify(value, null, 2)}\n`);
}
