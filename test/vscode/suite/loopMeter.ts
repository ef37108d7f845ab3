import fs from "node:fs";

const INTERVAL = 4;

export interface Blocking {
  /** Longest time in milliseconds that the main thread computed without turning the loop. */
  longest: number;
  /** Longest time between two turns: with what other programs on this machine took. */
  longestFelt: number;
  turns: number;
}

/**
 * Watches this process's event loop until the returned function is called. Where the system tells (Linux), what counts
 * is the processor time of the main thread between two turns: that a busy machine gave it to others is no fault of the
 * extension.
 */
export function watchEventLoop(): () => Blocking {
  let longest = 0;
  let longestFelt = 0;
  let turns = 0;
  let last = performance.now();
  let computed = processorTime();
  const timer = setInterval(() => {
    const now = performance.now();
    const felt = now - last - INTERVAL;
    const computedNow = processorTime();
    longestFelt = Math.max(longestFelt, felt);
    longest = Math.max(longest, Math.min(felt, computedNow - computed));
    turns += 1;
    last = now;
    computed = computedNow;
  }, INTERVAL);
  return () => {
    clearInterval(timer);
    return { longest, longestFelt, turns };
  };
}

/** Milliseconds of processor time of this process's main thread; the wall clock where that is unknown. */
export function processorTime(): number {
  try {
    const text = fs.readFileSync(`/proc/self/task/${process.pid}/schedstat`, "utf8");
    return Number(text.split(" ")[0]) / 1e6;
  } catch {
    return performance.now();
  }
}
