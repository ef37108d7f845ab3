import type { NativeBinding, TensorData } from "../../native/binding.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { MAX_QUEUED_MS, MAX_QUEUED_STEPS } from "../tuning.ts";

interface Queued {
  readonly number: number;
  readonly milliseconds: number;
  /** What the run reads and writes: the binding holds no array. */
  readonly arrays: readonly unknown[];
}

/** Plans that another thread computes, while the program records the next ones. */
export class QueuedRuns {
  readonly #binding: NativeBinding;
  /** Those that may not have ended, in the order of their numbers. */
  readonly #waiting: Queued[] = [];
  /** Of those. */
  #milliseconds = 0;
  #finished = 0;

  constructor(binding: NativeBinding) {
    this.#binding = binding;
  }

  /** How many have not ended yet. */
  get pending(): number {
    if (this.#waiting.length > 0) this.#ended(this.#binding.finishedPlans());
    return this.#waiting.length;
  }

  /**
   * Queues a plan that takes about so many milliseconds. Waits where too much is queued: the program could get no answer for long, and
   * each run holds its inputs.
   * @returns the run's number; 0 for a plan that has to run at once, since a kernel might refuse an input
   */
  add(
    plan: number,
    milliseconds: number,
    leaves: readonly (number | TensorData)[],
    fetched: readonly TensorData[],
    made: Int32Array,
  ): number {
    const number = this.#binding.queuePlan(plan, leaves, fetched, made);
    if (number === 0) return 0;
    const arrays = [...leaves.filter((leaf) => typeof leaf !== "number"), ...fetched];
    this.#waiting.push({ number, milliseconds, arrays });
    this.#milliseconds += milliseconds;
    this.#limit();
    return number;
  }

  /** @throws TensorError if memory was short */
  finish(number: number): void {
    if (number <= this.#finished) return;
    if (this.#binding.finishPlan(number)) this.#ended(number);
    else throw new TensorError("value", "not enough memory for the values of a step");
  }

  get #isFull(): boolean {
    const { length } = this.#waiting;
    // Of two runs one is computed while the other one waits.
    return length > 2 && (this.#milliseconds > MAX_QUEUED_MS || length > MAX_QUEUED_STEPS);
  }

  #limit(): void {
    if (!this.#isFull) return;
    this.#ended(this.#binding.finishedPlans());
    // Down to the half, so that not each step waits.
    if (this.#isFull) this.finish(this.#waiting[this.#waiting.length >> 1]!.number);
  }

  #ended(number: number): void {
    this.#finished = Math.max(this.#finished, number);
    const first = this.#waiting[0]?.number ?? Infinity;
    for (const { milliseconds } of this.#waiting.splice(0, Math.max(0, number - first + 1)))
      this.#milliseconds -= milliseconds;
  }
}
