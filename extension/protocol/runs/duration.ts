/** How long runs take. Pages use it too, so it imports types alone. */
import type { Progress } from "../engine.ts";
import type { RunRecord } from "../run.ts";

/** Seconds that a run has trained, or for which another kind of run lasted. */
export function secondsOf({ seconds, createdAt, endedAt = createdAt }: RunRecord): number {
  return seconds ?? (Date.parse(endedAt) - Date.parse(createdAt)) / 1000;
}

/** Seconds of training before which its pace says nothing: the first steps compile. */
const SETTLED = 1;

/**
 * Seconds left of a run by its pace so far; undefined where that says nothing yet.
 * @param since Seconds since the progress was measured: a step that takes longer than the others slows the pace
 */
export function secondsLeft({ seconds, eta }: Progress, since = 0): number | undefined {
  if (seconds === undefined) return eta;
  return eta === 0 || seconds + since < SETTLED ? undefined : (eta * (seconds + since)) / seconds;
}
