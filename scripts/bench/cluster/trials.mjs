// @ts-check
/** How busy a sweep of small trials keeps two cores, and how soon a trial trains after the one before. */
import fs from "node:fs";
import process from "node:process";
import { outputOf } from "../../programs/processes.mjs";
import { inRoot, ScriptError } from "../../project.mjs";
import { busy, median, othersShare, QUIET } from "../processes.mjs";

const TRIALS = 40;
const PARALLEL = 2;
/** Seconds that the sweep may take. */
const LIMIT = 600;
/** The lines that docs/sweeps.md promises: share of the time, and seconds. */
const BUSY = 0.9;
const GAP = 0.3;

/** The MLP of docs/sweeps.md on the bundled digits. Each trial notes when it trains. */
const PROGRAM = `import { appendFileSync } from "node:fs";
import { data, experiment, nn, optim, sweep } from "layerwise";
const note = (what: string) => () => appendFileSync("trials.jsonl", JSON.stringify({ what, at: Date.now() }) + "\\n");
export default experiment({
  seed: 0,
  sweep: { lr: sweep.logUniform(1e-4, 1e-1), width: sweep.choice(32, 64, 128) },
  model: ({ width }) => new nn.Sequential(new nn.Flatten(), new nn.Linear(64, width), new nn.ReLU(), new nn.Linear(width, 10)),
  data: () => data.digits(),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters, { lr }) => new optim.Adam(parameters, { lr }),
  validation: 0.2,
  batchSize: 64,
  epochs: 30,
  callbacks: { onTrainStart: note("start"), onTrainEnd: note("end") },
});
`;

/**
 * @typedef {object} Trials
 * @property {number} trials
 * @property {number} trained share of the time in which the processes of the sweep trained, from the first step to the last
 * @property {number} processor share of the cores' time that the whole command used
 * @property {number} median seconds from the end of a training to the beginning of the next in its place
 * @property {number} longest
 * @property {boolean} quiet whether nothing else used the machine
 */

/** @param {string} folder for the sweep @param {readonly string[]} more options of the sweep @returns {Promise<Trials>} */
export async function measureTrials(folder, more = ["--search", "random"]) {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(`${folder}/digits.nn.ts`, PROGRAM);
  const sizes = ["--trials", String(TRIALS), "--parallel", String(PARALLEL)];
  const words = ["sweep", "digits.nn.ts", ...sizes, "--device", "native", "--no-progress", ...more];
  const [before, used] = [busy([]), childrenSeconds()];
  const began = performance.now();
  await outputOf(process.execPath, [inRoot("dist", "cli.js"), ...words], folder, {}, LIMIT);
  const seconds = (performance.now() - began) / 1000;
  const processor = (childrenSeconds() - used) / (PARALLEL * seconds);
  const quiet = othersShare(before, busy([])) < QUIET;
  const notes = fs
    .readFileSync(`${folder}/trials.jsonl`, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => /** @type {{ what: "start" | "end", at: number }} */ (JSON.parse(line)));
  if (notes.length !== 2 * TRIALS)
    throw new ScriptError(`Only ${notes.length / 2} of ${TRIALS} trials have trained.`);
  const times = (/** @type {"start" | "end"} */ kind) =>
    notes
      .filter(({ what }) => what === kind)
      .map(({ at }) => at / 1000)
      .sort((x, y) => x - y);
  const [starts, ends] = [times("start"), times("end")];
  const sum = (/** @type {number[]} */ values) => values.reduce((total, value) => total + value, 0);
  const whole = Math.max(...ends) - Math.min(...starts);
  const trained = (sum(ends) - sum(starts)) / (PARALLEL * whole);
  // At this limit, each further trial begins when one more has ended: in its process, or in one that replaces it.
  const gaps = starts.slice(PARALLEL).map((start, i) => start - (ends[i] ?? start));
  return { trials: TRIALS, trained, processor, median: median(gaps), longest: Math.max(...gaps), quiet };
}

/** Returns the promises that a measurement breaks. @param {Trials} measured @returns {string[]} */
export function problemsOf({ trained, longest, quiet }) {
  if (!quiet) {
    console.log("The machine was not quiet: the lines of docs/sweeps.md are not checked.");
    return [];
  }
  const problems = [];
  if (trained < BUSY)
    problems.push(`Trials trained ${percent(trained)} of the time, less than ${percent(BUSY)}.`);
  if (longest > GAP)
    problems.push(`A trial began ${longest.toFixed(2)} s after the one before, more than ${GAP} s.`);
  return problems;
}

/** @param {number} share */
export const percent = (share) => `${(100 * share).toFixed(0)} %`;

/** Processor time of this process's ended children and of theirs. */
function childrenSeconds() {
  const fields = fs.readFileSync("/proc/self/stat", "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[13]) + Number(fields[14])) / 100;
}
