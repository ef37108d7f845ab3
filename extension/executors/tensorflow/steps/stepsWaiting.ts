import type { Plan } from "../../../tensor/planning/barrier.ts";
import { translated } from "../../errors.ts";
import type { Input } from "../feeding.ts";
import type { Ended, Program, Residences } from "../program.ts";
import type { Place, Results } from "./stepsAhead.ts";

/** Steps that one call is to compute: equal ones but for what they are fed, so one plan stands for all. */
interface Waiting {
  readonly plan: Plan;
  /** By step. */
  readonly inputs: (readonly Input[])[];
  readonly results: Results;
}

/** A call under way. */
interface Running {
  readonly results: Results;
  readonly steps: number;
  readonly wait: () => Ended;
}

/**
 * Steps of a plan whose values were not read yet: they are queued to be computed in one call, and while
 * that is under way the next ones are recorded and wait.
 */
export class StepsWaiting {
  private waiting: Waiting | undefined;
  private running: Running | undefined;
  /** Told how long a call took, in ms, and how many steps it had. */
  private readonly timed: (steps: number, milliseconds: number) => void;

  constructor(timed: (steps: number, milliseconds: number) => void) {
    this.timed = timed;
  }

  /** Steps that are not computed yet. */
  get count(): number {
    return this.unstarted + (this.running?.steps ?? 0);
  }

  /** Those of them that no call was started for. */
  get unstarted(): number {
    return this.waiting?.inputs.length ?? 0;
  }

  add(plan: Plan, inputs: readonly Input[]): Place {
    const { inputs: all, results } = (this.waiting ??= { plan, inputs: [], results: { fetched: undefined } });
    return { results, step: all.push(inputs) - 1 };
  }

  /**
   * Starts a call of those that wait, as soon as the one before has ended.
   * @throws TensorError what that one was refused with
   */
  start(loop: Program, residences: Residences): void {
    const next = this.waiting;
    if (next === undefined) return;
    this.waiting = undefined;
    const { running } = this;
    const { plan, inputs, results } = next;
    let done: Ended | undefined;
    try {
      const stack = loop.stack(plan, inputs, residences);
      try {
        done = this.wait();
        this.running = { results, steps: inputs.length, wait: loop.start(plan, stack) };
      } finally {
        loop.release(stack);
      }
    } catch (error) {
      throw (results.refused = translated(error) as Error);
    } finally {
      // The next call doesn't wait for this.
      if (running !== undefined) running.results.fetched = done?.take();
    }
  }

  /**
   * Waits for the call that is under way.
   * @throws TensorError what it was refused with
   */
  finish(): void {
    const { running } = this;
    if (running !== undefined) running.results.fetched = this.wait()?.take();
  }

  /** Whether these are the results of the call that is under way. */
  runs(results: Results): boolean {
    return this.running?.results === results;
  }

  private wait(): Ended | undefined {
    const { running } = this;
    this.running = undefined;
    if (running === undefined) return undefined;
    try {
      const done = running.wait();
      this.timed(running.steps, done.milliseconds);
      return done;
    } catch (error) {
      const refused = translated(error) as Error;
      running.results.refused = refused;
      // The next ones were recorded as if it had been computed.
      if (this.waiting !== undefined) this.waiting.results.refused = refused;
      this.waiting = undefined;
      throw refused;
    }
  }
}
