import { basename } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { Device } from "../../protocol/device.ts";
import type { RunRequest } from "../../protocol/engine.ts";
import { isLive, type MetricRow, type RunRecord } from "../../protocol/run.ts";
import type { RunOn } from "../../protocol/target.ts";
import { readLock } from "../../processes/lockFile.ts";
import { EngineError } from "../../protocol/errors.ts";
import { readSampled } from "./metrics.ts";
import { lifeOf, obstacle } from "./liveness.ts";
import { readRecord } from "./runDirectory.ts";
import { isOnDisk } from "./runHistory.ts";
import { SampledRows } from "./sampledRows.ts";
import type { RunSession } from "./session.ts";
import { sourceOfRun, weightsOfRecord, type SourceOptions } from "./sourceFile.ts";

/** Whether a training was interrupted and can be resumed. */
export function isResumable({ kind, state, imported }: RunRecord): boolean {
  return (
    kind === "train" &&
    imported === undefined &&
    (state === "stopped" || state === "failed" || state === "killed")
  );
}

export interface ResumeOptions extends SourceOptions {
  /** By default what the run ran on: only there the digits are the same to the last. */
  device?: Device;
  /** Epochs in all. By default as many as the run was to have. */
  epochs?: number;
  outlive?: boolean;
  tensorboard?: boolean;
  /** Keep the process for another run. */
  reuse?: boolean;
  /** Of a run on another machine: which that is, or that it is only to be followed. */
  on?: RunOn;
  /** With the version of its file that the run has kept: the user allows it. */
  kept?: boolean;
  /** In place of the run's file, which was moved: the user has chosen it. */
  file?: string;
  /** With smaller learning rates, and rolling back again when values are not finite. */
  rollback?: boolean;
  /** Also from an owner on another machine or in a container, whether that gives signs of life or not. */
  forceUnlock?: boolean;
  /**
   * Called once where the run's process here is still there, which is then given some seconds to end: one whose window
   * or terminal was killed notices that a moment later.
   */
  onWait?: () => void;
}

/**
 * Makes the request to resume a training from its last saved state, or to follow a run on another machine again.
 * @throws EngineError when there is no such run, it is no training, it still runs, or its file is elsewhere
 */
export async function resumeRequest(directory: string, options: ResumeOptions = {}): Promise<RunRequest> {
  const record = await readRecord(directory);
  const refuse = (code: string, problem: string, hint?: string): never => {
    throw new EngineError({ code, message: `Run ${record.id} ${problem}`, ...(hint && { hint }) });
  };
  // An evaluation on another machine can be followed again.
  if (record.kind !== "train" && options.on?.attach !== true) refuse("run-record", "is no training.");
  const { forceUnlock = false } = options;
  await demandFree(directory, record, forceUnlock, options.onWait);
  const { exportName, seed } = record;
  const weights = weightsOfRecord(directory, record);
  const { kept = false } = options;
  const file = options.file ?? (await sourceOfRun(directory, record, options));
  // Code that only the run's folder has isn't run without a look at it.
  if (!kept && record.keptVersion === true && !(await isOnDisk(directory, file)))
    refuse(
      "version",
      `began with a version of ${basename(file)}, or of what it imports, that is no longer there. Restore that version, then resume.`,
      keptHint(record.id),
    );
  if (kept && record.on !== undefined)
    refuse("remote", "is on another machine, which is sent the sources on the disk, not the kept version.");
  const { device = deviceOf(record), epochs, outlive = false, tensorboard, rollback, reuse, on } = options;
  if (on !== undefined && record.on === undefined) refuse("remote", "was not on another machine.");
  return {
    kind: record.kind,
    file,
    exportName,
    directory,
    device,
    outlive,
    resume: true,
    ...(kept ? { version: directory } : {}),
    ...(forceUnlock ? { forceUnlock } : {}),
    ...(epochs === undefined ? {} : { epochs }),
    ...(tensorboard === undefined ? {} : { tensorboard }),
    ...(rollback === undefined ? {} : { rollback }),
    ...(reuse === undefined ? {} : { reuse }),
    ...(record.on === undefined ? {} : { on: on ?? {} }),
    ...(seed === undefined ? {} : { seed }),
    // Where nothing was saved yet, it begins again, with the weights that it began with.
    ...(weights === undefined ? {} : { checkpoint: weights }),
  };
}

/**
 * Refuses a run that has an owner. The engine, which takes the lock, decides.
 * @throws EngineError "busy" saying who that is; "locked" when the user may know better
 */
async function demandFree(
  directory: string,
  record: RunRecord,
  force: boolean,
  onWait: ResumeOptions["onWait"],
): Promise<void> {
  // Another process may have resumed the run a moment ago, before its record says so.
  if (!isLive(record) && (await readLock(directory)) === undefined) return;
  let life = await lifeOf(directory, record);
  if (life.kind === "here" && onWait !== undefined) {
    onWait();
    for (const end = Date.now() + PATIENCE; life.kind === "here" && Date.now() < end;) {
      await setTimeout(LOOK_EVERY);
      life = await lifeOf(directory, record);
    }
  }
  const problem = obstacle(life);
  const known = life.kind === "here";
  if (problem === undefined || (force && !known)) return;
  throw new EngineError({
    code: known ? "busy" : "locked",
    message: `Run ${record.id} ${problem}`,
    ...(known ? {} : { hint: FORCE_HINT }),
  });
}

/** Milliseconds in which an engine whose parent was killed ends, and between looks at it. */
const PATIENCE = 8000;
const LOOK_EVERY = 250;

/** For one that can't be seen from here. */
export const FORCE_HINT =
  "If you know that it has ended there, take the run over: --force-unlock. Two processes at work at once damage a run.";

/** How the command line runs the version that a run has kept. */
export const keptHint = (id: string): string =>
  `Or resume with the version that the run has kept: layerwise train --resume ${id} --kept-version`;

function deviceOf({ executor }: RunRecord): Device {
  if (executor === undefined) return "auto";
  if (executor.gpu === true) return "gpu";
  return executor.backend === "tensorflow" ? "native" : executor.backend;
}

/**
 * The events by which a resumed run feeds its session. Its engine first cuts the rows after the saved state. Once its
 * record names that step, the curves are read again; new rows wait for them.
 */
export function resumedEvents(session: RunSession): RunSession["events"] {
  const { events } = session;
  let waiting: MetricRow[] | undefined = [];
  let reading = false;
  const read = async ({ step, epoch }: RunRecord): Promise<void> => {
    // Later rows arrive as events.
    const before = (row: MetricRow): boolean =>
      row.kind === "epoch" ? row.epoch <= epoch : row.step <= step;
    session.restart(await readSampled(session.directory, new SampledRows(), before));
    events.metrics(waiting ?? []);
    waiting = undefined;
  };
  return {
    ...events,
    record: (record) => {
      events.record(record);
      if (record.state === "starting" || reading) return;
      reading = true;
      void read(record);
    },
    metrics: (rows) => {
      if (waiting === undefined) events.metrics(rows);
      else waiting.push(...rows);
    },
  };
}
