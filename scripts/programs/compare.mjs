// @ts-check
/** Compares a program's results with PyTorch's. */

/**
 * The results of one run of a program.
 * @typedef {object} Program
 * @property {number[]} losses
 * @property {Record<string, number[]>} checks
 * @property {string[]} text Lines of standard output.
 * @property {string[]} warnings
 * @property {number} seconds Duration of the program, without process start-up.
 */

/**
 * PyTorch's results.
 * @typedef {object} Recorded
 * @property {string} torch PyTorch's version.
 * @property {{ words: string, losses: number[], checks?: { [name: string]: number } }} noise
 *   How far PyTorch's own results differ between runs: up to each loss, and in each check.
 * @property {number[]} losses
 * @property {{ [name: string]: number[] }} checks
 * @property {string[]} text
 * @property {string[]} [warnings] Its warnings; the port may print these and no others.
 */

/**
 * @typedef {object} Comparison
 * @property {number} steps
 * @property {number} difference The largest difference of losses, relative to its tolerance.
 * @property {number} tolerance The tolerance of that loss.
 * @property {string[]} problems
 */

/** Tolerance relative to a loss, or to 1 if it is smaller. Absolute and relative for checks. */
const TOLERANCE = 1e-5;
/** Tolerance as a multiple of PyTorch's own noise. */
const NOISE_FACTOR = 4;
/** Noise above this share of a value means that a program has no reproducible result. */
const MAX_NOISE = 0.01;

/** @param {string} what "loss 3", "losses" or a check @param {number} expected @param {number} noise */
function allowed(what, expected, noise) {
  const size = Math.abs(expected);
  return Math.max(
    TOLERANCE * (what.startsWith("checks") ? 1 + size : Math.max(1, size)),
    NOISE_FACTOR * noise,
  );
}

/**
 * @param {Program} actual
 * @param {Recorded} expected
 * @returns {Comparison}
 */
export function compare(actual, expected) {
  /** @type {string[]} */
  const problems = [];
  let [difference, tolerance, share] = [0, 0, -1];
  /** @param {string} what @param {unknown} values @param {number[]} wanted @param {(i: number) => number} noise */
  const numbers = (what, values, wanted, noise) => {
    if (!Array.isArray(values))
      return void problems.push(`${what}: there are none; PyTorch has ${wanted.length}`);
    if (values.length !== wanted.length)
      problems.push(`${what}: ${values.length} numbers, ${wanted.length} in PyTorch`);
    let first = true;
    for (let i = 0; i < Math.min(values.length, wanted.length); i++) {
      const [value, target] = [values[i], wanted[i] ?? Number.NaN];
      const limit = allowed(what, target, noise(i));
      const distance = typeof value === "number" ? Math.abs(value - target) : Number.NaN;
      if (what === "losses" && !(distance / limit <= share))
        [difference, tolerance, share] = [distance, limit, distance / limit];
      if (distance <= limit || !first) continue;
      first = false;
      problems.push(
        `${what}: number ${i} is ${value}, ${target} in PyTorch (tolerance ${limit.toExponential(1)})`,
      );
    }
  };
  numbers("losses", actual.losses, expected.losses, (i) => expected.noise.losses[i] ?? 0);
  const names = new Set([...Object.keys(expected.checks), ...Object.keys(actual.checks)]);
  for (const name of names)
    numbers(
      `checks.${name}`,
      actual.checks[name],
      expected.checks[name] ?? [],
      () => expected.noise.checks?.[name] ?? 0,
    );
  if (actual.text.length !== expected.text.length)
    problems.push(`text: ${actual.text.length} lines, ${expected.text.length} in PyTorch`);
  const lines = Math.max(actual.text.length, expected.text.length);
  for (let i = 0; i < lines; i++) {
    if (actual.text[i] === expected.text[i]) continue;
    problems.push(`text: line ${i + 1} is ${JSON.stringify(actual.text[i]) ?? "missing"}`);
    problems.push(`    in PyTorch ${JSON.stringify(expected.text[i]) ?? "missing"}`);
    break;
  }
  for (const warning of actual.warnings)
    if (!(expected.warnings ?? []).includes(warning)) problems.push(`PyTorch doesn't warn: ${warning}`);
  return { steps: expected.losses.length, difference, tolerance, problems };
}

/**
 * Returns why a record can't be used for comparisons; undefined if it can.
 * @param {Recorded} record
 * @returns {string | undefined}
 */
export function inspectRecord({ noise, losses, checks, text }) {
  if (losses.length === 0) return "it has no losses";
  /** @type {[string, number, number][]} */
  const values = losses.map((value, i) => [`loss ${i}`, value, noise.losses[i] ?? 0]);
  for (const [name, numbers] of Object.entries(checks))
    values.push(
      ...numbers.map(
        (value, i) =>
          /** @type {[string, number, number]} */ ([
            `checks.${name}[${i}]`,
            value,
            noise.checks?.[name] ?? 0,
          ]),
      ),
    );
  for (const [what, value, own] of values) {
    if (!Number.isFinite(value)) return `${what} is ${value}`;
    if (own > MAX_NOISE * (1 + Math.abs(value))) return `${what} differs by ${own} from run to run`;
  }
  for (const [i, line] of text.entries())
    for (const [token = "", digits = ""] of line.matchAll(/(?<![=\d.])-?\d+\.(\d+)(?!\d|e)/g)) {
      const half = 0.5 * 10 ** -digits.length;
      const off = (/** @type {number} */ value) => Math.abs(value - Number(token));
      const shown = values.filter(([what, value, own]) => off(value) <= half + allowed(what, value, own));
      const nearBoundary = shown.every(
        ([what, value, own]) => off(value) >= half - allowed(what, value, own),
      );
      if (shown.length > 0 && nearBoundary)
        return `line ${i + 1} prints ${token}, which is near a rounding boundary: ${shown[0]?.[1]}`;
    }
  return undefined;
}
