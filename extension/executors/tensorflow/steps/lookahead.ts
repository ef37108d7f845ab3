// Predicted inputs of the next steps, and the number of steps that are computed before they are recorded.
import type { Plan } from "../../../tensor/planning/barrier.ts";
import type { Lookahead } from "../../../tensor/recording/policy.ts";
import { numel, sameShape } from "../../../tensor/core/shape.ts";
import {
  MAX_CALL_STEPS,
  MAX_SNAPSHOT_ELEMENTS,
  MAX_SPECULATION_PAUSE,
  MIN_SPECULATION_PAUSE,
} from "../../tuning.ts";
import type { Feed } from "../graph/blueprint.ts";
import type { Input } from "../feeding.ts";

/** Whether steps of a plan can be rolled back: what it writes is small, and it reads nothing that others write. */
export function canRollBack({ assigns }: Plan, feeds: readonly Feed[]): boolean {
  const written = assigns.reduce((sum, { storage }) => sum + numel(storage.shape), 0);
  return written <= MAX_SNAPSHOT_ELEMENTS && feeds.every(({ kind }) => kind !== "state");
}

/**
 * Returns which tensor of the batch each input is; -1 for an input that doesn't change, or a number.
 * @returns undefined where an input is drawn or made for each step
 */
export function batchPositions(
  plan: Plan,
  feeds: readonly Feed[],
  { current, since }: Lookahead,
): number[] | undefined {
  const positions: number[] = [];
  for (const { leaf } of feeds) {
    const value = plan.leaves[leaf]!;
    const position = current.findIndex((v) => v === value || (v.data !== undefined && v.data === value.data));
    if (position < 0 && value.producer.kind !== "scalar" && value.made > since) return undefined;
    positions.push(position);
  }
  return positions;
}

/** Returns the inputs of a step and of the steps after it: `most` steps at most. */
export function predictedInputs(
  plan: Plan,
  feeds: readonly Feed[],
  inputs: readonly Input[],
  positions: readonly number[],
  lookahead: Lookahead,
  most: number,
): (readonly Input[])[] {
  const steps = [inputs];
  for (const batch of lookahead.next(most - 1)) {
    const fed = inputs.map((input, i) => {
      const value = plan.leaves[feeds[i]!.leaf]!;
      if (value.producer.kind === "scalar") {
        const later = value.producer.later?.(steps.length) ?? value.producer.value;
        return value.dtype === "float32" ? Math.fround(later) : later;
      }
      const position = positions[i]!;
      if (position < 0) return input;
      const next = batch[position];
      return next !== undefined && sameShape(next.shape, value.shape) ? next.data : undefined;
    });
    if (fed.includes(undefined)) break;
    steps.push(fed as Input[]);
  }
  return steps;
}

/** Chooses the number of steps of a speculative call by how many steps of the last one were committed. */
export class SpeculationWindow {
  #size = MAX_CALL_STEPS;
  /** Steps left to compute one by one after a vain speculation; `#nextPause` is their number after the next one. */
  #pause = 0;
  #nextPause = MIN_SPECULATION_PAUSE;

  /** Maximum number of steps of the next call. */
  next(): number {
    return this.#pause > 0 && this.#pause-- > 0 ? 1 : this.#size;
  }

  /** Notes that all steps of a call were committed: the next call has twice as many. */
  used(steps: number): void {
    this.#size = Math.min(2 * steps, MAX_CALL_STEPS);
    this.#nextPause = MIN_SPECULATION_PAUSE;
  }

  /** Notes that only some steps of a call were committed. */
  cut(committed: number): void {
    this.#size = Math.max(committed, 2);
    if (committed < 2) this.inVain();
  }

  inVain(): void {
    this.#pause = this.#nextPause;
    this.#nextPause = Math.min(2 * this.#nextPause, MAX_SPECULATION_PAUSE);
  }
}
