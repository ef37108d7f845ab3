// @ts-check
/**
 * `npm run bench -- --cluster`: what exchanges and trials cost on this machine, and what the cost model makes of it for other
 * numbers of workers. With --page, writes the tables of docs/scaling.md. With --trials, only the trials.
 */
import fs from "node:fs";
import os from "node:os";
import process from "node:process";
import { inRoot, mustRun, ScriptError } from "../../project.mjs";
import { launch, torchrun } from "./launch.mjs";
import { exchange, fittedLine, speedUp, step } from "./model.mjs";
import { simulate } from "./simulation.mjs";
import { measureTrials, percent, problemsOf } from "./trials.mjs";

const PAGE = inRoot("docs", "scaling.md");
const PROCESSES = [2, 4];

/** Two networks for the table: 4 bytes a parameter. @type {readonly (import("./model.mjs").Training & { name: string })[]} */
const TRAININGS = [
  { name: "ResNet-18, 2 s a step", compute: 2, fixed: 0.005, bytes: 45e6, exchanges: 41, jitter: 0.05 },
  { name: "GPT-2, 20 s a step", compute: 20, fixed: 0.02, bytes: 498e6, exchanges: 1, jitter: 0.05 },
];
/** Lines: seconds a round, bytes a second. @type {readonly (import("./model.mjs").Line & { name: string })[]} */
const LINES = [
  { name: "1 Gbit/s", latency: 300e-6, secondsPerByte: 1 / 110e6 },
  { name: "10 Gbit/s", latency: 100e-6, secondsPerByte: 1 / 1.1e9 },
  { name: "100 Gbit/s", latency: 50e-6, secondsPerByte: 1 / 11e9 },
];
const WORKERS = [2, 4, 16, 64, 256, 1024];
/** One death of a worker in 1,000 hours; a minute until all train again; 10 s to save the state. */
const FAILURES = { perWorkerHour: 0.001, restart: 60, save: 10 };

/** @param {{ page: boolean, trials: boolean }} options @returns {Promise<string[]>} what breaks a promise of the docs */
export async function cluster({ page, trials: only }) {
  const folder = inRoot("out", "bench", "cluster");
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  const trials = await measureTrials(`${folder}/sweep`);
  if (only) console.log(sweepText(trials));
  else {
    const text = tables(await measureExchanges(folder), trials);
    console.log(text);
    if (page) await writePage(text);
  }
  return problemsOf(trials);
}

/** @param {string} folder @returns {Promise<{ workers: number, bytes: number, seconds: number }[]>} */
async function measureExchanges(folder) {
  const program = inRoot("scripts", "bench", "cluster", "exchange.nn.ts");
  const command = [
    process.execPath,
    inRoot("dist", "cli.js"),
    "run",
    program,
    "--device",
    "native",
    "--no-check",
  ];
  const rows = [];
  for (const workers of PROCESSES) {
    const [first = ""] = await launch(torchrun(workers), folder, command);
    const measured = /^measured (.*)$/m.exec(first)?.[1];
    if (measured === undefined) throw new ScriptError(`The processes failed.\n${first}`);
    rows.push(...JSON.parse(measured).map((/** @type {object} */ row) => ({ workers, ...row })));
  }
  return rows;
}

/**
 * @param {readonly { workers: number, bytes: number, seconds: number }[]} exchanges
 * @param {import("./trials.mjs").Trials} trials
 */
function tables(exchanges, trials) {
  const line = fittedLine(exchanges);
  const size = (/** @type {number} */ bytes) =>
    bytes < 1e6 ? `${bytes / 1024} KB` : `${bytes / 2 ** 20} MB`;
  const measured = exchanges.map(
    ({ workers, bytes, seconds }) =>
      `| ${size(bytes)} | ${workers} | ${ms(seconds)} | ${ms(exchange(workers, bytes, line))} |`,
  );
  const factor = (/** @type {number} */ times) => times.toFixed(times < 10 ? 1 : 0);
  const scaled = TRAININGS.flatMap(({ name, ...training }) =>
    LINES.map(({ name: by, ...one }) => {
      const cells = WORKERS.map((workers) => factor(speedUp(workers, training, one, FAILURES)));
      return `| ${name} | ${by} | ${cells.join(" | ")} |`;
    }),
  );
  const checked = TRAININGS.flatMap(({ name, ...training }) =>
    [4, 64].map((workers) => {
      const [steps, one] = [workers > 32 ? 20 : 200, LINES[1]];
      if (one === undefined) throw new Error("there is no such line");
      const never = { ...FAILURES, perWorkerHour: 0 };
      const { seconds } = simulate(workers, training, one, never, { steps, seed: 1 });
      return `| ${name} | ${workers} | ${ms(step(workers, training, one))} | ${ms(seconds / steps)} |`;
    }),
  );
  return `Measured on ${os.cpus()[0]?.model ?? "a processor"} with ${os.availableParallelism()} cores, Node ${process.version}:

| bytes | processes | an exchange | by the model |
| ----- | --------- | ----------- | ------------ |
${measured.join("\n")}

That is ${ms(line.latency)} a round and ${ms(line.secondsPerByte * 1e6)} for each MB that a process passes on.

${sweepText(trials)}

How many times as fast as one worker, by the model:

| training | line | ${WORKERS.map((workers) => `${workers} workers`).join(" | ")} |
| --- | --- | ${WORKERS.map(() => "---").join(" | ")} |
${scaled.join("\n")}

A step without failures, at 10 Gbit/s, by the formulas and by the simulation:

| training | workers | formulas | simulation |
| --- | --- | --- | --- |
${checked.join("\n")}`;
}

/** @param {number} value */
const digits = (value) => String(Number(value.toPrecision(2)));

/** @param {number} seconds */
const ms = (seconds) => (seconds < 1 ? `${digits(1000 * seconds)} ms` : `${digits(seconds)} s`);

/** @param {import("./trials.mjs").Trials} measured */
const sweepText = ({ trials, trained, processor, median, longest }) =>
  `A sweep of ${trials} trials of a small MLP on the bundled digits, two at a time: trials trained ${percent(trained)} of the time, and the
command used ${percent(processor)} of two cores. The first step of a trial began ${ms(median)} after the last step of the one before (median; at most
${ms(longest)}).`;

/** @param {string} text */
async function writePage(text) {
  const page = fs.readFileSync(PAGE, "utf8");
  const between = /(<!-- cluster -->\n)[^]*(\n<!-- end of cluster -->)/;
  if (!between.test(page)) throw new ScriptError("docs/scaling.md has no place for the tables.");
  fs.writeFileSync(
    PAGE,
    page.replace(between, (_, start, end) => `${start}\n${text}\n${end}`),
  );
  await mustRun(process.execPath, [inRoot("node_modules", "oxfmt/bin/oxfmt"), PAGE]);
}
