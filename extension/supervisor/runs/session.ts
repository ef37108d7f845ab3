import { basename } from "node:path";
import type { RunControls } from "../../protocol/controls.ts";
import type { EvaluationResult, Progress } from "../../protocol/engine.ts";
import type { MetricRow, RunRecord } from "../../protocol/run.ts";
import type { TrainingSnapshot } from "../../protocol/views.ts";
import type { RunEvents } from "./run.ts";
import type { StoredRun } from "./runDirectory.ts";
import { SampledRows } from "./sampledRows.ts";

export type SessionChange =
  | { kind: "record" }
  | { kind: "progress" }
  | { kind: "evaluated" }
  | { kind: "rows"; rows: MetricRow[] }
  /** The curves were replaced. */
  | { kind: "restarted" };

/** The state of one run for views: of this window, of another process, or ended. */
export class RunSession {
  /** Absolute path of the run directory. */
  readonly directory: string;
  #rows = new SampledRows();
  readonly #listeners = new Set<(change: SessionChange) => void>();
  #record: RunRecord;
  #live: boolean;
  #progress: Progress | undefined;
  /** When the progress came, or the run was resumed after a pause. */
  #heard = 0;
  #evaluation: EvaluationResult | undefined;
  #waitsFor: readonly string[] = [];
  /** State of the owner of an unfinished run that was read from disk. */
  life: StoredRun["life"];
  /** Whether it is a new run that could not begin, as its file can't be read: nothing is left of it. */
  refused = false;
  /** Defined while the run is live. */
  control: RunControls | undefined;

  constructor(directory: string, record: RunRecord, live: boolean) {
    this.directory = directory;
    this.#record = record;
    this.#live = live;
  }

  get id(): string {
    return basename(this.directory);
  }

  get record(): RunRecord {
    return this.#record;
  }

  get live(): boolean {
    return this.#live;
  }

  get progress(): Progress | undefined {
    return this.#progress;
  }

  /** Seconds since the progress was measured, in which the run has trained on. */
  get progressAge(): number {
    return this.#live && this.#record.state === "running" ? (performance.now() - this.#heard) / 1000 : 0;
  }

  get evaluation(): EvaluationResult | undefined {
    return this.#evaluation;
  }

  /** Ids of the runs that must end before its turn; empty unless it waits in the queue. */
  get waitsFor(): readonly string[] {
    return this.#waitsFor;
  }

  /** Calls `listener` at each change until the answered function is called. */
  subscribe(listener: (change: SessionChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  setRecord(record: RunRecord, live: boolean): void {
    if (record.state !== this.#record.state) this.#heard = performance.now();
    this.#record = record;
    this.#live = live;
    if (!live) {
      this.control = undefined;
      this.#waitsFor = [];
    }
    this.#tell({ kind: "record" });
  }

  /** Sets {@link waitsFor} of a live run. */
  setWaitsFor(ids: readonly string[]): void {
    if (ids.join() === this.#waitsFor.join()) return;
    this.#waitsFor = ids;
    this.#tell({ kind: "record" });
  }

  addRows(rows: MetricRow[]): void {
    if (rows.length === 0) return;
    this.#rows.push(rows);
    this.#tell({ kind: "rows", rows });
  }

  /** Replaces the curves: the run resumes from an earlier point. */
  restart(rows: SampledRows): void {
    this.#rows = rows;
    this.#tell({ kind: "restarted" });
  }

  setProgress(progress: Progress): void {
    this.#progress = progress;
    this.#heard = performance.now();
    this.#tell({ kind: "progress" });
  }

  setEvaluation(evaluation: EvaluationResult): void {
    this.#evaluation = evaluation;
    this.#tell({ kind: "evaluated" });
  }

  snapshot(): TrainingSnapshot {
    return {
      run: this.#record,
      rows: this.#rows.rows,
      ...(this.#progress === undefined ? {} : { progress: this.#progress, progressAge: this.progressAge }),
      live: this.#live,
      waitsFor: [...this.#waitsFor],
    };
  }

  /** The events by which a run of this process feeds the session. */
  get events(): Required<Pick<RunEvents, "record" | "metrics" | "progress" | "evaluated">> {
    return {
      record: (record) => this.setRecord(record, true),
      metrics: (rows) => this.addRows(rows),
      progress: (progress) => this.setProgress(progress),
      evaluated: (result) => this.setEvaluation(result),
    };
  }

  #tell(change: SessionChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}
