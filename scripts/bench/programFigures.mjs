// @ts-check
/** The figures of a program's runs: speed, pauses, memory, and whether its losses equal PyTorch's. */
import { ScriptError } from "../project.mjs";
import { geomean, median } from "./processes.mjs";

/**
 * Output of a program's run. Times are in ms since the program's start.
 * @typedef {object} Run
 * @property {number[]} losses
 * @property {number[]} times When each loss was added.
 * @property {number} total
 * @property {number} peakMb
 */

/**
 * Figures of a program with PyTorch or Layerwise.
 * @typedef {object} Figures
 * @property {number} steps
 * @property {number} stepsPerSecond Of the second half of the steps.
 * @property {number} firstStepMs
 * @property {number} pauseMs How much the longest step after the second exceeds the median.
 * @property {number} totalMs
 * @property {number} afterwardsMs After the last loss.
 * @property {number} peakMb
 */

/** @typedef {{ name: string, equal: boolean, torch: Figures, ours: Figures }} Row */

/** The first losses have this relative tolerance; afterwards it doubles every {@link DOUBLING} losses, as rounding errors grow. */
const TOLERANCE = 1e-4;
const [TIGHT, DOUBLING] = [5, 3];
/** Trainings drift apart: a loss is compared only until the tolerance reaches this value, and the mean of the rest with it. */
const LARGEST_TOLERANCE = 0.1;
/** Least ms that PyTorch needs after the last loss for that part of the program to have a column. */
const SAMPLING = 200;

/** Fewest steps in the second half from which a speed is measured. */
const FEWEST_STEPS = 4;

/**
 * Medians of the runs' figures.
 * @param {Run[]} runs
 * @param {number} lossesPerStep
 * @returns {Figures}
 */
export function figuresOf(runs, lossesPerStep) {
  const all = runs.map((run) => figuresOfRun(run, lossesPerStep));
  const of = (/** @type {keyof Figures} */ key) => median(all.map((figures) => figures[key]));
  return {
    steps: of("steps"),
    stepsPerSecond: of("stepsPerSecond"),
    firstStepMs: of("firstStepMs"),
    pauseMs: of("pauseMs"),
    totalMs: of("totalMs"),
    afterwardsMs: of("afterwardsMs"),
    peakMb: of("peakMb"),
  };
}

/** @param {Run} run @param {number} lossesPerStep @returns {Figures} */
function figuresOfRun({ times, total, peakMb }, lossesPerStep) {
  const steps = times.filter((_, i) => (i + 1) % lossesPerStep === 0);
  const [first] = steps;
  if (first === undefined || steps.length < FEWEST_STEPS)
    throw new ScriptError(`${steps.length} steps are too few; set more in test/bench/programs.json.`);
  let before = first;
  const lengths = steps.slice(1).map((at) => {
    const length = at - before;
    before = at;
    return length;
  });
  const later = lengths.slice(1);
  const half = lengths.slice(lengths.length >> 1);
  return {
    steps: steps.length,
    stepsPerSecond: (1000 * half.length) / half.reduce((sum, length) => sum + length, 0),
    firstStepMs: first,
    pauseMs: Math.max(...later) - median(later),
    totalMs: total,
    afterwardsMs: total - Math.max(...times),
    peakMb,
  };
}

/**
 * Returns how a run's losses differ from PyTorch's; nothing if they are equal.
 * @param {number[]} losses
 * @param {number[]} expected
 * @param {number} [checked] The number of losses that are compared, for trainings that aren't reproducible any longer.
 * @returns {string[]}
 */
export function compareLosses(losses, expected, checked) {
  const count = checked ?? expected.length;
  if (losses.length < count || (checked === undefined && losses.length > count))
    return [`DIFFER: ${losses.length} losses, ${expected.length} in PyTorch`];
  const off = (/** @type {number} */ value, /** @type {number} */ target) =>
    Math.abs(value - target) / Math.max(1, Math.abs(target));
  const nan = Number.NaN;
  let at = 0;
  for (; at < count; at++) {
    const tolerance = TOLERANCE * 2 ** (Math.max(0, at + 1 - TIGHT) / DOUBLING);
    if (tolerance > LARGEST_TOLERANCE) break;
    if (off(losses[at] ?? nan, expected[at] ?? nan) <= tolerance) continue;
    return [
      `DIFFER: loss ${at + 1} is ${losses[at]}, ${expected[at]} in PyTorch (tolerance ${tolerance.toExponential(1)})`,
    ];
  }
  if (checked !== undefined || at === count) return [];
  const mean = (/** @type {number[]} */ values) =>
    values.slice(at).reduce((sum, value) => sum + value, 0) / (values.length - at);
  if (off(mean(losses), mean(expected)) <= LARGEST_TOLERANCE) return [];
  return [
    `DIFFER: the mean of the losses after the first ${at} is ${mean(losses)}, ${mean(expected)} in PyTorch`,
  ];
}

/** PyTorch's time divided by Layerwise's: of a step, the program, and the part after the last step. @param {Row} row */
export const ratiosOf = ({ torch, ours }) => ({
  step: ours.stepsPerSecond / torch.stepsPerSecond,
  whole: torch.totalMs / ours.totalMs,
  afterwards: torch.afterwardsMs > SAMPLING ? torch.afterwardsMs / ours.afterwardsMs : undefined,
});

export const HEADER = [
  "program",
  "PyTorch/s",
  "Layerwise/s",
  "step",
  "whole run",
  "sampling",
  "first step ms",
  "pause ms",
  "peak MB",
  "outputs",
];

/**
 * The cells of a program's line; ratios below 1 have an exclamation mark.
 * @param {Row} row
 */
export function rowOf(row) {
  const { name, equal, torch, ours } = row;
  const { step, whole, afterwards } = ratiosOf(row);
  const pair = (/** @type {"firstStepMs" | "pauseMs" | "peakMb"} */ key) =>
    `${ours[key].toFixed(0)}/${torch[key].toFixed(0)}`;
  return [
    name,
    digits(torch.stepsPerSecond),
    digits(ours.stepsPerSecond),
    marked(step),
    marked(whole),
    afterwards === undefined ? "–" : marked(afterwards),
    pair("firstStepMs"),
    pair("pauseMs"),
    pair("peakMb"),
    equal ? "equal" : "DIFFER",
  ];
}

const digits = (/** @type {number} */ value) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
const marked = (/** @type {number} */ ratio) => `${ratio < 1 ? "! " : ""}${ratio.toFixed(2)}`;

/** @param {Row[]} rows */
export function summary(rows) {
  const ratios = rows.map(ratiosOf);
  const line = (/** @type {string} */ what, /** @type {(number | undefined)[]} */ values) => {
    const known = values.filter((value) => value !== undefined);
    if (known.length === 0) return [];
    const below = known.filter((value) => value < 1).length;
    return [
      `${what}: geometric mean ${geomean(known).toFixed(2)}, minimum ${Math.min(...known).toFixed(2)}, ${below} of ${known.length} below 1`,
    ];
  };
  return [
    ...line(
      "a step",
      ratios.map(({ step }) => step),
    ),
    ...line(
      "whole run",
      ratios.map(({ whole }) => whole),
    ),
    ...line(
      "sampling",
      ratios.map(({ afterwards }) => afterwards),
    ),
    ...line(
      "peak memory",
      rows.map(({ torch, ours }) => torch.peakMb / ours.peakMb),
    ),
  ].join("\n");
}

/** The table in Markdown, ratios below 1 in bold. @param {Row[]} rows */
export function markdown(rows) {
  const line = (/** @type {string[]} */ cells) => `| ${cells.join(" | ")} |`;
  const bold = (/** @type {string} */ cell) => (cell.startsWith("! ") ? `**${cell.slice(2)}**` : cell);
  return [
    line(HEADER),
    line(HEADER.map((_, i) => (i === 0 ? "---" : "---:"))),
    ...rows.map((row) => line(rowOf(row).map(bold))),
    "",
    ...summary(rows)
      .split("\n")
      .map((text) => `- ${text}`),
  ].join("\n");
}
