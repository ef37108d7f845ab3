import { spawnRun, type RunEvents, type RunHandle, type RunOutcome } from "../supervisor/runs/run.ts";
import { dropRunDirectory } from "../supervisor/runs/newRun.ts";
import type { EvaluationResult, RunRequest } from "../protocol/engine.ts";
import { engineOptions } from "./command.ts";
import type { Display } from "./display.ts";
import { interruptSignal } from "./exit.ts";
import { forwardOutput } from "./output.ts";

export interface FollowOptions {
  /** Whether to leave a run on another machine to itself once it has begun. */
  detach?: boolean;
  /** Starts the run; by default in one process. */
  spawn?: (events: RunEvents) => RunHandle;
}

/** The outcome of a run that was followed; of an evaluation, with its result. */
export type Followed = RunOutcome & { evaluation?: EvaluationResult };

/**
 * Starts a run and displays it until it ends. The first Ctrl-C stops it after the current step and keeps the model; a second
 * one ends it at once.
 */
export async function followRun(
  request: RunRequest,
  display: Display,
  {
    detach = false,
    spawn = (events: RunEvents): RunHandle => spawnRun(request, events, engineOptions()),
  }: FollowOptions = {},
): Promise<Followed> {
  let evaluation: EvaluationResult | undefined;
  const handle = spawn({
    record: (record) => {
      display.record(record);
      if (detach && record.state !== "starting") handle.detach();
    },
    metrics: (rows) => display.rows(rows),
    progress: (progress) => display.progress(progress),
    log: (level, text) => display.log(level, text),
    evaluated: (result) => {
      evaluation = result;
      display.evaluated(result);
    },
    output: forwardOutput,
  });
  const release = endOnInterrupt(handle, display);
  try {
    const outcome = await handle.ended;
    if (outcome.record === undefined && request.resume !== true) await dropRunDirectory(request.directory);
    return { ...outcome, ...(evaluation === undefined ? {} : { evaluation }) };
  } finally {
    release();
    display.end();
  }
}

/** Stops the run at the first interruption, and kills it when the second one ends this process. */
function endOnInterrupt(handle: RunHandle, display: Display): () => void {
  const interrupted = interruptSignal();
  const { on } = handle.request;
  const stop = (): void => {
    const again = on === undefined ? "Ctrl-C again ends it at once." : "Ctrl-C again doesn't wait for it.";
    display.log("warning", `Stopping after this step; the model is kept. ${again}`);
    void handle.stop();
  };
  const kill = (): void => handle.killNow();
  if (interrupted.aborted) stop();
  interrupted.addEventListener("abort", stop, { once: true });
  process.once("exit", kill);
  return () => {
    interrupted.removeEventListener("abort", stop);
    process.removeListener("exit", kill);
  };
}
