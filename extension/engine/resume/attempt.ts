import fs from "node:fs";
import path from "node:path";
import type { RunRequest } from "../../protocol/engine.ts";
import type { UserError } from "../../protocol/errors.ts";
import { isLive, RUN_FILE, type RunRecord } from "../../protocol/run.ts";
import { storedRecord } from "./trainingFile.ts";

/**
 * An attempt to resume a run. If it fails before its first new step, the run is what it was: stopped after so many steps, with the
 * model of these steps.
 */
export class Attempt {
  readonly #before: RunRecord;
  /** Optimizer steps that the run had done where it resumes. */
  step = 0;

  private constructor(before: RunRecord) {
    this.#before = before;
  }

  /** Undefined for a run that others follow by its record alone: of another machine, of several workers, or of a sweep. */
  static of(request: RunRequest): Attempt | undefined {
    const { resume, directory, bundle, worker } = request;
    if (resume !== true || bundle !== undefined || worker !== undefined) return undefined;
    const record = storedRecord(request);
    return record.trial === undefined ? new Attempt(ended(record, directory)) : undefined;
  }

  /** Whether the run has done a step since. @param step Steps that it has done now, if it trains already */
  stepped(step = 0): boolean {
    return step > this.step;
  }

  /** The record that stays after an error; undefined if the error belongs to the run. A step with a NaN was made. */
  recordAfter({ code }: UserError, step: number | undefined): RunRecord | undefined {
    return this.stepped(step) || code === "non-finite" ? undefined : this.#before;
  }
}

/** A record that a killed process left says that the run is under way: no process is at work then to tell readers otherwise. */
function ended(record: RunRecord, directory: string): RunRecord {
  if (!isLive(record)) return record;
  const endedAt = fs.statSync(path.join(directory, RUN_FILE)).mtime.toISOString();
  const error = { code: "killed", message: "The run's process ended unexpectedly." };
  return { ...record, state: "killed", endedAt, error };
}
