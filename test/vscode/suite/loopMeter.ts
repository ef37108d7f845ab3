import fs from "node:fs";

const INTERVAL = 4;

export interface Blocking {
  /** Longest time in milliseconds in which the loop did not turn though the machine had a processor for it. */
  longest: number;
  /** The same without that correction: what a user felt on this machine at this moment. */
  longestFelt: number;
  turns: number;
}

/**
 * Watches this process's event loop until the returned function is called. On Linux the time in which the main thread
 * was ready but another process had the processor is taken off: other work on the machine is no fault of the extension.
 */
export function watchEventLoop(): () => Blocking {
  let longest = 0;
  let longestFelt = 0;
  let turns = 0;
  let last = performance.now();
  let waited = waitedForProcessor();
  const timer = setInterval(() => {
    const now = performance.now();
    const waitedNow = waitedForProcessor();
    const felt = now - last - INTERVAL;
    longestFelt = Math.max(longestFelt, felt);
    longest = Math.max(longest, felt - (waitedNow - waited));
    turns += 1;
    last = now;
    waited = waitedNow;
  }, INTERVAL);
  return () => {
    clearInterval(timer);
    return { longest, longestFelt, turns };
  };
}

/** Milliseconds for which this process's main thread has waited for a processor so far. */
function waitedForProcessor(): number {
  try {
    const text = fs.readFileSync(`/proc/self/task/${process.pid}/schedstat`, "utf8");
    return Number(text.split(" ")[1]) / 1e6;
  } catch {
    return 0;
  }
}
