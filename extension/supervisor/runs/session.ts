import { basename } from "node:path";
import type { EvaluationResult, Progress } from "../../protocol/engine.ts";
import type { MetricRow, RunRecord } from "../../protocol/run.ts";
import type { TrainingSnapshot } from "../../protocol/views.ts";
import { Curves } from "./metrics.ts";
import type { RunEvents } from "./run.ts";
import type { StoredRun } from "./runDirectory.ts";

export type SessionChange =
  | { kind: "record" }
  | { kind: "progress" }
  | { kind: "evaluated" }
  | { kind: "rows"; rows: MetricRow[] }
  /** The curves are others than before. */
  | { kind: "restarted" };

/** What can be done with a run that goes on. */
export interface RunControl {
  stop(): Promise<unknown>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  step(): Promise<void>;
  addEpochs(count: number): Promise<unknown>;
  setLearningRate(lr: number, optimizer?: string): Promise<void>;
  checkpoint(): Promise<string>;
}

/** All that views show of one run, whether it is this window's, another process's, or long over. */
export class RunSession {
  /** Absolute path of the run directory. */
  readonly directory: string;
  #curves = new Curves();
  readonly #listeners = new Set<(change: SessionChange) => void>();
  #record: RunRecord;
  #live: boolean;
  #progress: Progress | undefined;
  #evaluation: EvaluationResult | undefined;
  #waitsFor: readonly string[] = [];
  /** How its owner is, of a run that was read from the disk and isn't over. */
  life: StoredRun["life"];
  /** There while the run goes on. */
  control: RunControl | undefined;

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

  get evaluation(): EvaluationResult | undefined {
    return this.#evaluation;
  }

  /** Ids of the runs whose end its turn depends on; empty unless it waits for its turn. */
  get waitsFor(): readonly string[] {
    return this.#waitsFor;
  }

  /** Calls `listener` at each change until the answered function is called. */
  subscribe(listener: (change: SessionChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  setRecord(record: RunRecord, live: boolean): void {
    this.#record = record;
    this.#live = live;
    if (!live) {
      this.control = undefined;
      this.#waitsFor = [];
    }
    this.#tell({ kind: "record" });
  }

  /** Of a run that is live. */
  setWaitsFor(ids: readonly string[]): void {
    if (ids.join() === this.#waitsFor.join()) return;
    this.#waitsFor = ids;
    this.#tell({ kind: "record" });
  }

  addRows(rows: MetricRow[]): void {
    if (rows.length === 0) return;
    this.#curves.push(rows);
    this.#tell({ kind: "rows", rows });
  }

  /** Replaces the curves: of a run that goes on from an earlier point. */
  restart(curves: Curves): void {
    this.#curves = curves;
    this.#tell({ kind: "restarted" });
  }

  setProgress(progress: Progress): void {
    this.#progress = progress;
    this.#tell({ kind: "progress" });
  }

  setEvaluation(evaluation: EvaluationResult): void {
    this.#evaluation = evaluation;
    this.#tell({ kind: "evaluated" });
  }

  snapshot(): TrainingSnapshot {
    return {
      run: this.#record,
      rows: this.#curves.rows,
      ...(this.#progress === undefined ? {} : { progress: this.#progress }),
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
