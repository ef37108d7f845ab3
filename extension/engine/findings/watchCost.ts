/**
 * Share of a training's time that checks may take by their measured cost. Some of it can't be measured, such as the garbage that
 * they leave: together it stays below 5 %, see docs/performance.md.
 */
const SHARE = 0.015;
/** Checks that are made whatever they cost: of fewer, rules can't tell what lasts. */
const LEAST = 2;
/** Steps after a check that count as its: weights and optimizer state return to the graph of usual steps. */
const AFTER = 2;

/** Milliseconds that all cores have worked for this process: others on the machine lengthen steps more than checks. */
function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/**
 * Spaces checks by what they cost, so that they take no more than {@link SHARE} of a training's time. A check's cost is its
 * time, and that of the steps that follow, beyond that of as many usual steps.
 */
export class WatchCost {
  readonly #now: () => number;
  readonly #always: number;
  readonly #begun: number;
  #spent = 0;
  #checks = 0;
  /** The check whose cost isn't known yet. */
  #open: { step: number; start: number; pace: number } | undefined;
  /** Since when usual steps have been made, and after which one. */
  #since: number;
  #from = 0;
  #last = 0;

  /** @param always Checks that are made in any case; @param now A clock in milliseconds */
  constructor(always = LEAST, now: () => number = processorTime) {
    this.#always = always;
    this.#now = now;
    this.#begun = this.#since = now();
  }

  /** Runs something that belongs to watching. */
  once<T>(body: () => T): T {
    const start = this.#now();
    try {
      return body();
    } finally {
      this.#since = this.#now();
      this.#spent += this.#since - start;
    }
  }

  /** A step is about to be made. */
  step(step: number): void {
    const open = this.#open;
    if (open === undefined || step <= open.step + AFTER) return;
    this.#open = undefined;
    this.#since = this.#now();
    this.#from = step - 1;
    this.#last = Math.max(0, this.#since - open.start - (step - open.step) * open.pace);
    this.#spent += this.#last;
  }

  /** Whether a check keeps within the share. */
  get affordable(): boolean {
    if (this.#checks < this.#always) return true;
    return this.#open === undefined && this.#spent + this.#last <= SHARE * (this.#now() - this.#begun);
  }

  /** A check of this step starts. */
  check(step: number): void {
    // Of checks that follow each other, the last one's end is that of all.
    this.step(step + AFTER);
    const start = this.#now();
    const steps = step - 1 - this.#from;
    this.#checks++;
    this.#open ??= { step, start, pace: steps > 0 ? (start - this.#since) / steps : 0 };
  }
}
