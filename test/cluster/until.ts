import { setTimeout as delay } from "node:timers/promises";

/** Milliseconds after which a condition is taken for one that never holds: far longer than it takes on a slow, busy machine. */
const LIMIT = 100_000;

export async function until(condition: () => boolean, what: string): Promise<void> {
  const start = performance.now();
  while (!condition()) {
    if (performance.now() - start > LIMIT) throw new Error(`not within ${LIMIT / 1000} s: ${what}`);
    await delay(100);
  }
}
