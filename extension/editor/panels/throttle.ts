/** Milliseconds between two messages to a view. */
export const MESSAGE_INTERVAL = 100;

/**
 * Sends at most one of the pending kinds of message per interval, in the order in which they were marked. A message
 * reads its content when it leaves, so a kind that is marked again meanwhile is sent once, with the newest content.
 */
export class Throttle<Kind> {
  readonly #interval: number;
  readonly #send: (kind: Kind) => void;
  readonly #pending = new Set<Kind>();
  #timer: NodeJS.Timeout | undefined;
  #last = Number.NEGATIVE_INFINITY;

  constructor(interval: number, send: (kind: Kind) => void) {
    this.#interval = interval;
    this.#send = send;
  }

  mark(kind: Kind): void {
    this.#pending.add(kind);
    this.#timer ??= setTimeout(() => this.#next(), Math.max(0, this.#last + this.#interval - Date.now()));
  }

  /** Drops pending calls. */
  clear(): void {
    this.#pending.clear();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #next(): void {
    this.#timer = undefined;
    const next = this.#pending.values().next();
    if (next.done === true) return;
    this.#pending.delete(next.value);
    this.#last = Date.now();
    this.#send(next.value);
    if (this.#pending.size > 0) this.#timer = setTimeout(() => this.#next(), this.#interval);
  }
}
