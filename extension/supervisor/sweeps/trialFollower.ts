import type { RunRequest } from "../../protocol/engine.ts";
import type { UserError } from "../../protocol/errors.ts";
import type { MetricRow, RunRecord } from "../../protocol/run.ts";
import type { SweepRecord, TrialRow } from "../../protocol/sweeps/sweep.ts";
import { MetricsReader } from "../runs/metrics.ts";
import { TrialValues } from "./trialValues.ts";

export interface FollowerEvents {
  /** Takes a value of the metric. @returns whether the trial should end, and the rungs that it has reached */
  report(epoch: number, value: number): Promise<{ prune: boolean; reached: number[] }>;
  /** The trial should end. */
  prune(): void;
}

/** Conclusion from a trial's end. */
export interface Conclusion {
  trial: TrialRow;
  /** A mistake that every trial would repeat. */
  fatal?: UserError;
}

/** Most characters of a trial's error in the sweep's file; the run's record has it in full. */
const LONGEST = 500;

/** Follows the run of a trial: its metric, and whether it should be pruned. */
export class TrialFollower {
  readonly #trial: TrialRow;
  readonly #events: FollowerEvents;
  readonly #values: TrialValues;
  readonly #rungs: Record<string, number>;
  #pruned: { best: TrialValues["best"] } | undefined;
  /** Reports under way, in order. */
  #reports: Promise<void> = Promise.resolve();
  #problem: unknown;
  /** Rows that wait for the rows from before the run was resumed. */
  #waiting: MetricRow[] | undefined;
  /** Rows that have come before the metric's name, as they may over a connection. */
  readonly #early: MetricRow[] = [];
  #begun = false;

  constructor(trial: TrialRow, sweep: SweepRecord, events: FollowerEvents) {
    this.#trial = trial;
    // The search knows the rungs that the trial reached before its connection was lost.
    this.#rungs = { ...trial.rungs };
    this.#events = events;
    this.#values = new TrialValues(sweep.mode, sweep.metric);
  }

  /** Takes the run's record. */
  record(record: RunRecord, { resume = false, directory }: RunRequest): void {
    this.#name(record);
    if (this.#begun || record.state === "starting") return;
    this.#begun = true;
    // The engine has cut the rows after the state that it resumes from.
    if (resume) {
      this.#waiting = [];
      this.#enqueue(async () => {
        await this.#read(directory, record.epoch);
        for (const row of this.#waiting ?? []) this.#take(row);
        this.#waiting = undefined;
      });
    }
  }

  /** Takes new rows of the curves. */
  metrics(rows: readonly MetricRow[]): void {
    for (const row of rows) {
      if (this.#waiting === undefined) this.#take(row);
      else this.#waiting.push(row);
    }
  }

  /** Reads the rows of a run that has ended. */
  async readRows(directory: string, record: RunRecord): Promise<void> {
    this.#early.length = 0;
    this.#name(record);
    await this.#read(directory, record.epoch);
    await this.settled();
  }

  async #read(directory: string, epochs: number): Promise<void> {
    const reader = new MetricsReader(directory);
    for (let rows = await reader.read(); rows.length > 0; rows = await reader.read())
      for (const row of rows) if (row.epoch <= epochs) this.#take(row);
  }

  #name({ objective }: RunRecord): void {
    this.#values.metric ??= objective?.metric;
    if (this.#values.metric !== undefined) for (const row of this.#early.splice(0)) this.#take(row);
  }

  #take(row: MetricRow): void {
    if (this.#values.metric === undefined) this.#early.push(row);
    const value = this.#values.add(row);
    if (value === undefined || this.#pruned !== undefined) return;
    const { best } = this.#values;
    this.#enqueue(async () => {
      if (this.#pruned !== undefined) return;
      const { prune, reached } = await this.#events.report(row.epoch, value);
      for (const rung of reached) this.#rungs[rung] = value;
      if (!prune) return;
      this.#pruned = { best };
      this.#events.prune();
    });
  }

  #enqueue(task: () => Promise<void>): void {
    this.#reports = this.#reports.then(task).catch((error: unknown) => void (this.#problem ??= error));
  }

  /** Waits for the decisions about all values so far. @throws what a report threw */
  async settled(): Promise<void> {
    // A task may add others.
    for (let last: Promise<void> | undefined; last !== this.#reports;) {
      last = this.#reports;
      await last;
    }
    if (this.#problem !== undefined) throw this.#problem;
  }

  #known(): TrialRow {
    const { metric } = this.#values;
    return {
      ...this.#trial,
      ...(metric === undefined ? {} : { metric }),
      ...(Object.keys(this.#rungs).length === 0 ? {} : { rungs: this.#rungs }),
    };
  }

  /** The trial, to be continued. */
  interrupted(): TrialRow {
    return { ...this.#known(), state: "interrupted" };
  }

  /**
   * Concludes a trial's result from the run's end.
   * @param stopping whether the sweep is being stopped, so that the trial is interrupted
   */
  conclude(record: RunRecord | undefined, error: UserError | undefined, stopping: boolean): Conclusion {
    const best = this.#pruned === undefined ? this.#values.best : this.#pruned.best;
    const { metric } = this.#values;
    const trial: TrialRow = {
      ...this.#known(),
      ...(best === undefined ? {} : { value: best.value, epoch: best.epoch }),
      endedAt: new Date().toISOString(),
    };
    const failed = (text: string): Conclusion => ({
      trial: { ...trial, state: "failed", error: text.slice(0, LONGEST) },
    });
    if (this.#pruned !== undefined) return { trial: { ...trial, state: "pruned" } };
    if (stopping && record?.state !== "finished" && record?.state !== "failed")
      return { trial: this.interrupted() };
    if (error !== undefined) return failed(error.message);
    if (record?.state !== "finished") return failed("The run was stopped.");
    if (best !== undefined) return { trial: { ...trial, state: "complete" } };
    const known = [...this.#values.names];
    if (metric !== undefined && known.includes(metric))
      return failed(`Its ${metric} was never a finite number.`);
    const message = `The curves have no metric ${JSON.stringify(metric ?? "")}.`;
    const hint = `They have ${known.join(", ")}. Name one with --metric, or in the experiment's objective.`;
    return { ...failed(message), fatal: { code: "sweep", message, hint } };
  }
}
