import { spawnRun, type RunEvents, type RunHandle, type RunOutcome } from "../supervisor/runs/run.ts";
import { dropRunDirectory } from "../supervisor/runs/newRun.ts";
import type { EvaluationResult, RunRequest } from "../protocol/engine.ts";
import { engineOptions } from "./command.ts";
import type { Display } from "./display.ts";
import { interruptSignal } from "./exit.ts";
import { forwardOutput } from "./output.ts";

/**
 * Starts a run and displays it until it ends. The first Ctrl-C stops it after the current step and keeps the model; a second
 * one ends it at once.
 * @param spawn Starts the run; by default in one process
 */
export async function followRun(
  request: RunRequest,
  display: Display,
  spawn = (events: RunEvents): RunHandle => spawnRun(request, events, engineOptions()),
): Promise<RunOutcome & { evaluation?: EvaluationResult }> {
  let evaluation: EvaluationResult | undefined;
  const handle = spawn({
    record: (record) => display.record(record),
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
  const stop = (): void => {
    display.log("warning", "Stopping after this step; the model is kept. Ctrl-C again ends it at once.");
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
