// @ts-check
/**
 * `npm run bench -- --cluster`: what exchanges and trials cost on this machine, and what the cost model makes of it for other
 * numbers of workers. With --page, writes the tables of docs/scaling.md.
 */
import fs from "node:fs";
import os from "node:os";
import process from "node:process";
import { inRoot, mustRun, ScriptError } from "../../project.mjs";
import { outputOf } from "../../programs/processes.mjs";
import { median } from "../processes.mjs";
import { launch, torchrun } from "./launch.mjs";
import { exchange, fittedLine, speedUp, step } from "./model.mjs";
import { simulate } from "./simulation.mjs";

const PAGE = inRoot("docs", "scaling.md");
const PROCESSES = [2, 4];
const TRIALS = 12;
/** Seconds that a program may take. */
const LIMIT = 300;

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

/** @param {{ page: boolean }} options */
export async function cluster({ page }) {
  const folder = inRoot("out", "bench", "cluster");
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  const exchanges = await measureExchanges(folder);
  const trials = await measureTrials(folder);
  const text = tables(exchanges, trials);
  console.log(text);
  if (page) await writePage(text);
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

/** Seconds between the end of a trial and the first line of the next one. @param {string} folder */
async function measureTrials(folder) {
  fs.writeFileSync(
    `${folder}/trials.nn.ts`,
    `import { data, experiment, nn, optim, sweep, torch } from "layerwise";
export default experiment({
  seed: 0,
  sweep: { lr: sweep.logUniform(1e-4, 1e-1) },
  model: () => new nn.Linear(8, 1),
  data: () => new data.TensorDataset(torch.randn(64, 8), torch.randn(64, 1)),
  loss: new nn.MSELoss(),
  optimizer: (parameters, { lr }) => new optim.SGD(parameters, { lr }),
  batchSize: 16,
  epochs: 5,
});
`,
  );
  const args = [
    "sweep",
    "trials.nn.ts",
    "--trials",
    String(TRIALS),
    "--search",
    "random",
    "--device",
    "native",
  ];
  const cli = [inRoot("dist", "cli.js"), ...args];
  await outputOf(process.execPath, cli, folder, {}, LIMIT);
  const root = `${folder}/.layerwise/runs`;
  const records = fs
    .readdirSync(root)
    .map((name) => `${root}/${name}/run.json`)
    .filter((file) => fs.existsSync(file))
    .map((file) => JSON.parse(fs.readFileSync(file, "utf8")))
    .sort((a, b) => a.createdAt.localeCompare(b.createdAt));
  if (records.length < TRIALS) throw new ScriptError(`Only ${records.length} of ${TRIALS} trials have run.`);
  const times = records
    .slice(1)
    .map(({ createdAt }, i) => (Date.parse(createdAt) - Date.parse(records[i].endedAt)) / 1000);
  return { median: median(times), longest: Math.max(...times) };
}

/**
 * @param {readonly { workers: number, bytes: number, seconds: number }[]} exchanges
 * @param {{ median: number, longest: number }} trials
 */
function tables(exchanges, trials) {
  const line = fittedLine(exchanges);
  const digits = (/** @type {number} */ value) => String(Number(value.toPrecision(2)));
  const ms = (/** @type {number} */ seconds) =>
    seconds < 1 ? `${digits(1000 * seconds)} ms` : `${digits(seconds)} s`;
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

That is ${ms(line.latency)} a round and ${ms(line.secondsPerByte * 1e6)} for each MB that a process passes on. The next trial of a
sweep is created ${ms(trials.median)} after the one before has ended (median of ${TRIALS - 1}, ${ms(trials.longest)} at most).

How many times as fast as one worker, by the model:

| training | line | ${WORKERS.map((workers) => `${workers} workers`).join(" | ")} |
| --- | --- | ${WORKERS.map(() => "---").join(" | ")} |
${scaled.join("\n")}

A step without failures, at 10 Gbit/s, by the formulas and by the simulation:

| training | workers | formulas | simulation |
| --- | --- | --- | --- |
${checked.join("\n")}`;
}

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
