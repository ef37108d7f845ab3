/** Bytes at once: more than the longest message, since a record has at most 16 MiB. */
const AT_ONCE = 32 * 2 ** 20;
/** Bytes per second: a record has some kilobytes, and is sent at most ten times a second. */
const PER_SECOND = 2 ** 20;

/** Limits the rate of messages that are forwarded without being stored: a token bucket of bytes. */
export class TokenBucket {
  #left = AT_ONCE;
  #since = performance.now();

  /** Takes the bytes of a message. @returns false, taking none, if fewer are left */
  take(bytes: number): boolean {
    const now = performance.now();
    this.#left = Math.min(AT_ONCE, this.#left + ((now - this.#since) / 1000) * PER_SECOND);
    this.#since = now;
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }
}
