// @ts-check
/**
 * A training on many workers, event by event: each worker's compute is drawn, each round of the ring waits for the neighbour,
 * workers die at random moments. It checks the formulas of model.mjs, which neglect how these meet.
 */
import { saveInterval } from "./model.mjs";

/**
 * Simulates a training up to a number of steps.
 * @param {number} workers
 * @param {import("./model.mjs").Training} training
 * @param {import("./model.mjs").Line} line
 * @param {import("./model.mjs").Failures} failures
 * @param {{ steps: number, seed: number }} options
 * @returns {{ seconds: number, failures: number }}
 */
export function simulate(workers, training, line, failures, { steps, seed }) {
  const random = mulberry32(seed);
  const interval = saveInterval(workers, failures);
  const rate = (failures.perWorkerHour * workers) / 3600;
  const untilFailure = () => (rate === 0 ? Infinity : -Math.log(1 - random()) / rate);
  let [now, done, saved, lastSave, deaths] = [0, 0, 0, 0, 0];
  let death = untilFailure();
  while (done < steps) {
    const end = now + stepSeconds(workers, training, line, random);
    const saves = end - lastSave >= interval ? failures.save : 0;
    if (end + saves > death) {
      deaths++;
      now = death + failures.restart;
      done = saved;
      lastSave = now;
      death = now + untilFailure();
      continue;
    }
    now = end + saves;
    done++;
    if (saves > 0) [saved, lastSave] = [done, now];
  }
  return { seconds: now, failures: deaths };
}

/**
 * One step: compute, then the rounds of each exchange, in which a worker passes a part on once it has its neighbour's.
 * @param {number} workers
 * @param {import("./model.mjs").Training} training
 * @param {import("./model.mjs").Line} line
 * @param {() => number} random
 */
function stepSeconds(workers, { compute, fixed, bytes, exchanges, jitter }, line, random) {
  let at = Float64Array.from(
    { length: workers },
    () => fixed + (compute / workers) * (1 + jitter * normal(random)),
  );
  if (workers === 1) return /** @type {number} */ (at[0]);
  let next = new Float64Array(workers);
  for (let one = 0; one < exchanges; one++) {
    const round = line.latency + (one === 0 ? (bytes / workers) * line.secondsPerByte : 0);
    for (let i = 0; i < 2 * (workers - 1); i++) {
      for (let rank = 0; rank < workers; rank++) {
        const before = /** @type {number} */ (at[(rank + workers - 1) % workers]);
        next[rank] = Math.max(/** @type {number} */ (at[rank]), before) + round;
      }
      [at, next] = [next, at];
    }
  }
  return Math.max(...at);
}

/** Box and Muller's. @param {() => number} random */
const normal = (random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

/** @param {number} seed */
function mulberry32(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
