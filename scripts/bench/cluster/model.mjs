// @ts-check
/**
 * Cost of a data-parallel training on a number of workers, by formulas. Times are seconds, sizes bytes.
 *
 * - The exchange is a ring all-reduce: Patarasuk and Yuan, Bandwidth Optimal All-reduce Algorithms for Clusters of
 *   Workstations (2009). Each of the 2 (N - 1) rounds passes 1/N of the bytes to the next worker.
 * - The interval of saved states is Young's: A First Order Approximation to the Optimum Checkpoint Interval (1974).
 */

/**
 * A connection between workers.
 * @typedef {object} Line
 * @property {number} latency Seconds that each round takes, whatever its size.
 * @property {number} secondsPerByte Seconds for each byte that a worker passes on.
 */

/**
 * A training.
 * @typedef {object} Training
 * @property {number} compute Seconds that one worker needs for a step with the whole batch.
 * @property {number} fixed Seconds of a step that more workers don't shorten: recording, data, random numbers.
 * @property {number} bytes Bytes of the gradient: 4 for each parameter.
 * @property {number} exchanges Exchanges that a step waits for one after the other: 1, and 2 for each batch norm.
 * @property {number} jitter Standard deviation of a worker's compute, as a share of it: all wait for the slowest.
 */

/**
 * Failures of workers, and their costs.
 * @typedef {object} Failures
 * @property {number} perWorkerHour Workers that die in an hour, of one.
 * @property {number} restart Seconds until all workers train again.
 * @property {number} save Seconds that saving the training's state takes.
 */

/** Seconds of an exchange. @param {number} workers @param {number} bytes @param {Line} line */
export function exchange(workers, bytes, { latency, secondsPerByte }) {
  if (workers === 1) return 0;
  const rounds = 2 * (workers - 1);
  return rounds * (latency + (bytes / workers) * secondsPerByte);
}

/**
 * Expected largest of a number of draws from a standard normal distribution, within 5 %: Blom, Statistical Estimates and
 * Transformed Beta-Variables (1958).
 * @param {number} count
 */
export function expectedMaximum(count) {
  return count === 1 ? 0 : normalQuantile((count - 0.375) / (count + 0.25));
}

/** Seconds of a step. @param {number} workers @param {Training} training @param {Line} line */
export function step(workers, { compute, fixed, bytes, exchanges, jitter }, line) {
  const share = compute / workers;
  const slowest = share * (1 + jitter * expectedMaximum(workers));
  // Only one of the exchanges has the gradient; the others have a few numbers.
  const small = exchange(workers, 0, line);
  return fixed + slowest + exchange(workers, bytes, line) + (exchanges - 1) * small;
}

/** Seconds between two saved states. @param {number} workers @param {Failures} failures */
export function saveInterval(workers, { perWorkerHour, save }) {
  return perWorkerHour === 0 ? Infinity : Math.sqrt((2 * save * 3600) / (perWorkerHour * workers));
}

/** The share of time that is training: the rest saves, restarts, and repeats what was lost. @param {number} workers @param {Failures} failures */
export function useful(workers, failures) {
  const interval = saveInterval(workers, failures);
  if (interval === Infinity) return 1;
  const rate = (failures.perWorkerHour * workers) / 3600;
  // A failure loses half of an interval on average.
  const perInterval = failures.save + rate * (interval + failures.save) * (failures.restart + interval / 2);
  return interval / (interval + perInterval);
}

/**
 * How much faster so many workers train than one, with their failures.
 * @param {number} workers @param {Training} training @param {Line} line @param {Failures} failures
 */
export function speedUp(workers, training, line, failures) {
  const one = step(1, training, line) / useful(1, failures);
  return one / (step(workers, training, line) / useful(workers, failures));
}

/**
 * The line that explains measured exchanges best, by the relative error.
 * @param {readonly { workers: number, bytes: number, seconds: number }[]} measured
 * @returns {Line}
 */
export function fittedLine(measured) {
  // Each row divided by its time, so that short exchanges count as much as long ones.
  let [aa, ab, bb, a, b] = [0, 0, 0, 0, 0];
  for (const { workers, bytes, seconds } of measured) {
    const rounds = 2 * (workers - 1);
    const [x, y] = [rounds / seconds, (rounds * bytes) / workers / seconds];
    [aa, ab, bb, a, b] = [aa + x * x, ab + x * y, bb + y * y, a + x, b + y];
  }
  const determinant = aa * bb - ab * ab;
  return { latency: (a * bb - b * ab) / determinant, secondsPerByte: (aa * b - ab * a) / determinant };
}

/** Acklam's approximation, within 1.2e-9. @param {number} p @returns {number} */
function normalQuantile(p) {
  const a = [
    -39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716,
    2.506628277459239,
  ];
  const b = [
    -54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572,
  ];
  const c = [
    -0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968,
    2.938163982698783,
  ];
  const d = [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416];
  const poly = (/** @type {number[]} */ terms, /** @type {number} */ x) =>
    terms.reduce((sum, term) => sum * x + term, 0);
  if (p > 1 - 0.02425) return -normalQuantile(1 - p);
  if (p < 0.02425) {
    const q = Math.sqrt(-2 * Math.log(p));
    return poly(c, q) / (poly(d, q) * q + 1);
  }
  const q = p - 0.5;
  const r = q * q;
  return (poly(a, r) * q) / (poly(b, r) * r + 1);
}
