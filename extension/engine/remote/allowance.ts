/** The longest message that there is, and some more: one record has at most 16 MiB. */
const AT_ONCE = 32 * 2 ** 20;
/** A record is sent at most ten times a second, and has some kilobytes. */
const PER_SECOND = 2 ** 20;

/** Limits the bytes of messages that are passed on and kept nowhere: so many at once, and so many a second. */
export class Allowance {
  #left = AT_ONCE;
  #since = performance.now();

  /** Takes a message's bytes off. @returns false when there are not as many left: then none is taken off */
  take(bytes: number): boolean {
    const now = performance.now();
    this.#left = Math.min(AT_ONCE, this.#left + ((now - this.#since) / 1000) * PER_SECOND);
    this.#since = now;
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }
}
