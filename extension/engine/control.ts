/** Longest that a run keeps its messages waiting, in milliseconds. */
const YIELD_INTERVAL = 50;

/** Why a run ends before its last epoch; "experiment": its own options or callbacks say so. */
export type StopReason = "request" | "channel" | "signal" | "experiment";

/** What others want of a run, looked at between its steps. */
export class RunControl {
  #stop: StopReason | undefined;
  #paused = false;
  #wake: (() => void) | undefined;
  #yielded = performance.now();
  readonly #tasks: (() => void)[] = [];
  /** Seconds spent paused: no part of the run's speed. */
  pausedSeconds = 0;
  /** Told when the run really pauses and goes on. */
  onPause: ((paused: boolean) => void) | undefined;

  get stopping(): StopReason | undefined {
    return this.#stop;
  }

  /** Ends the run after the current step. The first reason counts. */
  stop(reason: StopReason): void {
    this.#stop ??= reason;
    this.#wake?.();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#wake?.();
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

  /** True when the event loop should turn: what is asked of the run waits there. */
  get due(): boolean {
    return performance.now() - this.#yielded >= YIELD_INTERVAL;
  }

  /** Serves the event loop, and stays as long as the run is paused. */
  async yield(): Promise<void> {
    await turn();
    this.#runTasks();
    if (this.#paused && this.#stop === undefined) await this.#wait();
    this.#yielded = performance.now();
  }

  async #wait(): Promise<void> {
    const since = performance.now();
    this.onPause?.(true);
    while (this.#paused && this.#stop === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
      this.#runTasks();
    }
    this.pausedSeconds += (performance.now() - since) / 1000;
    this.onPause?.(false);
  }

  #runTasks(): void {
    for (const task of this.#tasks.splice(0)) task();
  }
}

/** One turn of the event loop: incoming messages are handled. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
