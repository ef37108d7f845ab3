import { CALL_MS, MAX_CALL_STEPS, TIMED_STEPS } from "../../tuning.ts";

/** How many steps a call has, from the time that steps of the plan took. */
export class CallLength {
  /** Whether the next call is the first of a program, which prepares it: its time doesn't count. */
  fresh = true;
  /**
   * Of steps that several processes share: what all of them take for the time of a step, since their calls must have the same
   * steps.
   */
  agree: ((milliseconds: number) => number) | undefined;
  #agreed = Infinity;
  #agreedAt = 0;
  /** Milliseconds of a step: a moving average. */
  #cost = Infinity;
  #timed = 0;

  /** Milliseconds of a step; undefined while too few were timed. */
  get stepTime(): number | undefined {
    return this.#timed < TIMED_STEPS || this.#known === Infinity ? undefined : this.#known;
  }

  /** Steps of a call. */
  get steps(): number {
    return Math.min(MAX_CALL_STEPS, Math.floor(CALL_MS / this.#known));
  }

  get #known(): number {
    return this.agree === undefined ? this.#cost : this.#agreed;
  }

  /** Whether it is known that calls of several steps fit. */
  get several(): boolean {
    return this.#timed >= TIMED_STEPS && this.steps >= 2;
  }

  /** Runs and times a call. */
  time<T>(steps: number, call: () => T): T {
    const start = performance.now();
    const result = call();
    this.took(steps, performance.now() - start);
    return result;
  }

  took(steps: number, milliseconds: number): void {
    const cost = milliseconds / steps;
    if (this.fresh) this.fresh = false;
    else this.#cost = this.#cost === Infinity ? cost : 0.7 * this.#cost + 0.3 * cost;
    this.#timed += steps;
    if (this.agree === undefined || this.#cost === Infinity || this.#timed < this.#agreedAt) return;
    this.#agreed = this.agree(this.#cost);
    this.#agreedAt = Math.max(2 * this.#timed, TIMED_STEPS);
  }
}
