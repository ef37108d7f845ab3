import type { Team } from "../parallel/team.ts";

/** Milliseconds after which the loop handles its messages. */
const YIELD_INTERVAL = 50;

/** Why a run ends before its last epoch; "experiment": its own options or callbacks say so. */
export type StopReason = "request" | "channel" | "signal" | "experiment";

/** Requests to the training loop, handled between its steps. */
export class LoopControl {
  #stop: StopReason | undefined;
  #paused = false;
  /** Steps that are still to be done before the next pause. */
  #allowed = 0;
  #wake: (() => void) | undefined;
  #yielded = performance.now();
  readonly #tasks: (() => void)[] = [];
  /** Seconds of pauses that are over, and when the one under way began. */
  #pausedBefore = 0;
  #pausedSince: number | undefined;
  #shownPaused = false;
  /** The workers that train together: they stop and pause at the same step. */
  team: Team | undefined;
  /** A request to stop, until the team knows of it. */
  #wanted: StopReason | undefined;
  /** Whether tasks were run that the team doesn't know of. */
  #served = false;
  /** Called in all workers of a team after tasks were run in one: what they have changed can be told. */
  onServed: ((team: Team) => void) | undefined;
  /** Called when the run pauses and resumes. */
  onPause: ((paused: boolean) => void) | undefined;

  /** Seconds spent paused: no part of the run's speed. */
  get pausedSeconds(): number {
    const now = this.#pausedSince === undefined ? 0 : (performance.now() - this.#pausedSince) / 1000;
    return this.#pausedBefore + now;
  }

  get stopping(): StopReason | undefined {
    return this.#stop;
  }

  /** Ends the run after the current step. The first reason counts. */
  stop(reason: StopReason): void {
    if (this.team === undefined) this.#stop ??= reason;
    else this.#wanted ??= reason;
    this.#wake?.();
  }

  /** Trains with others from now on. */
  join(team: Team): void {
    this.team = team;
    this.#wanted = this.#stop;
    this.#stop = undefined;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#allowed = 0;
    this.#wake?.();
  }

  /** Does some optimizer steps, and pauses after them. */
  step(count = 1): void {
    this.#paused = true;
    this.#allowed = count;
    this.#wake?.();
  }

  /** Called after every optimizer step. */
  stepDone(): void {
    if (this.#allowed > 0) this.#allowed--;
  }

  /** Runs `task` between two steps, also while paused. */
  atNextStep<T>(task: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#tasks.push(() => {
        try {
          resolve(task());
        } catch (error) {
          reject(error);
        }
      });
      this.#wake?.();
    });
  }

  /** True when the event loop should turn, where requests wait. */
  get due(): boolean {
    if (this.team !== undefined) return this.team.due;
    return this.#holds || performance.now() - this.#yielded >= YIELD_INTERVAL;
  }

  /** Whether the run has to wait. */
  get #holds(): boolean {
    return this.#paused && this.#allowed === 0 && (this.#stop ?? this.#wanted) === undefined;
  }

  /**
   * Serves the event loop, and stays as long as the run is paused.
   * @param settle called before a request sees the run: waits for steps under way
   */
  async yield(settle: () => void = () => {}): Promise<void> {
    await turn();
    if (this.team !== undefined) return this.#yieldTogether(this.team, settle);
    if (this.#tasks.length > 0 || this.#holds) settle();
    this.#runTasks();
    if (this.#holds) await this.#wait();
    // Resumed during a single step: nothing waited since.
    if (!this.#paused) this.#show(false);
    this.#yielded = performance.now();
  }

  /** The first worker waits; the others wait for its next pulse. */
  async #yieldTogether(team: Team, settle: () => void): Promise<void> {
    for (;;) {
      const { stopping, paused, asked } = team.pulse({
        stopping: this.#wanted !== undefined,
        paused: this.#holds,
        // In a pause, tasks were run while the others waited for this.
        asked: this.#tasks.length > 0 || this.#served,
      });
      if (stopping) this.#stop ??= this.#wanted ?? "request";
      if (asked || paused) settle();
      this.#runTasks();
      this.#served = false;
      if (asked) this.onServed?.(team);
      if (stopping || !paused) break;
      if (this.#holds) await this.#wait();
    }
    if (!this.#paused) this.#show(false);
    this.#yielded = performance.now();
  }

  async #wait(): Promise<void> {
    this.#pausedSince = performance.now();
    this.#show(true);
    while (this.#holds) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
      this.#runTasks();
    }
    this.#pausedBefore = this.pausedSeconds;
    this.#pausedSince = undefined;
    // Between single steps it stays paused for views.
    if (this.#allowed !== 1 || this.#stop !== undefined) this.#show(false);
  }

  /** Each pause is shown, also between single steps, with what they did; its end once. */
  #show(paused: boolean): void {
    if (paused || this.#shownPaused) this.onPause?.(paused);
    this.#shownPaused = paused;
  }

  #runTasks(): void {
    for (const task of this.#tasks.splice(0)) {
      this.#served = true;
      task();
    }
  }
}

/** One turn of the event loop: incoming messages are handled. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
