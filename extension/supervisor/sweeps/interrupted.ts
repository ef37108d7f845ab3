import { setTimeout as delay } from "node:timers/promises";
import type { RunRequest } from "../../protocol/engine.ts";
import { isOfMachine } from "../../remote/machine.ts";
import type { RunOn, RunPlace } from "../../protocol/target.ts";
import { EngineError } from "../../protocol/errors.ts";
import type { RunRecord } from "../../protocol/run.ts";
import type { SweepRecord, TrialRow } from "../../protocol/sweeps/sweep.ts";
import { toUserError } from "../errors.ts";
import { resumeRequest } from "../runs/resume.ts";
import { readRun, type StoredRun } from "../runs/runDirectory.ts";

/** How to continue the run of an interrupted trial. */
export type Continuation =
  /** It ended after the sweep did. */
  | {
      readonly kind: "ended";
      readonly directory: string;
      readonly record: RunRecord;
      readonly request?: undefined;
    }
  | { readonly kind: "resumed"; readonly request: RunRequest };

/** Milliseconds that the engine of a sweep that was killed needs to save and end, and between two checks. */
const GRACE = 15_000;
const PAUSE = 200;

/**
 * Finds out how to continue an interrupted trial's run. Undefined for a trial that begins again in a new run: its run
 * wrote no record, was deleted, or is another trial's.
 * @param on the machine of the sweep, for a run that is there
 * @throws EngineError "busy" if its process still runs
 */
export async function continuation(
  directory: string,
  { id }: SweepRecord,
  { number }: TrialRow,
  on?: RunOn,
): Promise<Continuation | undefined> {
  for (const end = Date.now() + GRACE; ; await delay(PAUSE)) {
    const run = await readRun(directory).catch(() => undefined);
    if (run === undefined || !isTrial(run, id, number)) return undefined;
    const { record, life } = run;
    if (life?.kind === "here" && Date.now() < end) continue;
    if (record.state === "finished" || (record.state === "failed" && !isLost(record)))
      return { kind: "ended", directory, record };
    const place = record.on === undefined ? {} : { on: placeOf(record.on, on) };
    try {
      return { kind: "resumed", request: await resumeRequest(directory, { reuse: true, ...place }) };
    } catch (error) {
      if (toUserError(error).code === "busy" && Date.now() < end) continue;
      throw new EngineError(toUserError(error));
    }
  }
}

/** Whether the machine of a run has failed, and not the run. */
const isLost = ({ on, error }: RunRecord): boolean =>
  on !== undefined && error !== undefined && isOfMachine(error.code);

/** A run stays on its machine, also if the sweep continues on another one. */
function placeOf({ name }: RunPlace, on: RunOn = {}): RunOn {
  const { target, ...rest } = on;
  return target === undefined || target.name !== name ? rest : on;
}

function isTrial({ record: { trial } }: StoredRun, sweep: string, number: number): boolean {
  return trial?.sweep === sweep && trial.number === number;
}
