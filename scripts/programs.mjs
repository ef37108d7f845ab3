// @ts-check
/**
 * `npm run programs -- [NAME …] [--record] [--speed] [--engine native|kernels|wasm] [--jobs N]`: runs the programs of test/programs
 * on each engine and compares their losses, checks and text with PyTorch's records. See CONTRIBUTING.md.
 */
import fs from "node:fs";
import os from "node:os";
import { parseArgs } from "node:util";
import { inRoot, main, ScriptError } from "./project.mjs";
import { setup } from "./setup.mjs";
import { torchPython } from "./torch.mjs";
import { compare, inspectRecord } from "./programs/compare.mjs";
import { runPython, runTypeScript } from "./programs/processes.mjs";

/** @typedef {import("./programs/compare.mjs").Program} Program */

const FOLDER = inRoot("test", "programs");
const ENGINES = ["native", "wasm"];
/** Those that can be asked for. */
const KNOWN = ["native", "kernels", "wasm"];
/** Interleaved runs of `--speed`; the median counts. */
const ROUNDS = 3;

const recordOf = (/** @type {string} */ name) => `${FOLDER}/${name}/record.json`;

/** A description of the measured noise, which is part of each record. */
const NOISE =
  "Largest difference of PyTorch from itself up to each step: one thread against two, and one ulp in one weight";

await main(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      record: { type: "boolean", default: false },
      speed: { type: "boolean", default: false },
      engine: { type: "string", multiple: true, default: ENGINES },
      jobs: { type: "string", default: String(Math.min(2, os.availableParallelism())) },
    },
  });
  const names = programs(positionals);
  const unknown = values.engine.filter((engine) => !KNOWN.includes(engine));
  if (unknown.length > 0)
    throw new ScriptError(`No engine ${unknown.join(", ")}; there are ${KNOWN.join(", ")}.`);
  await setup();
  if (values.record) await record(names);
  if (values.speed) return speed(names, values.engine);
  return check(names, values.engine, Number(values.jobs));
});

/**
 * The named programs; all programs if none is named.
 * @param {string[]} named
 */
function programs(named) {
  const all = fs
    .readdirSync(FOLDER, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith("_"))
    .map((entry) => entry.name)
    .sort();
  const unknown = named.filter((name) => !all.includes(name));
  if (unknown.length > 0)
    throw new ScriptError(`No program ${unknown.join(", ")} in test/programs; there are ${all.join(", ")}.`);
  return named.length > 0 ? named : all;
}

/**
 * Runs the programs with PyTorch several times and writes their records.
 * @param {string[]} names
 */
async function record(names) {
  const python = await torchPython();
  for (const name of names) {
    const { torch, losses, checks, text, warnings, noise, weight } = await runPython(python, name, {
      noise: true,
    });
    const words = weight === null ? NOISE.replace(/,[^,]*$/, "") : `${NOISE} (${weight})`;
    /** @type {import("./programs/compare.mjs").Recorded} */
    const result = {
      torch,
      noise: { words, ...noise },
      losses,
      checks,
      text,
      ...(warnings.length > 0 ? { warnings } : {}),
    };
    const problem = inspectRecord(result);
    if (problem !== undefined) throw new ScriptError(`${name}.py can't be recorded: ${problem}`);
    fs.writeFileSync(recordOf(name), `${format(result)}\n`);
    const largest = Math.max(0, ...noise.losses);
    console.log(`${name}: ${losses.length} losses, noise ${largest.toExponential(1)}`);
  }
}

/**
 * Formats a record as JSON with one line for each property and check.
 * @param {import("./programs/compare.mjs").Recorded} result
 */
function format({ torch, noise, losses, checks, text, warnings = [] }) {
  const lines = (/** @type {object} */ value, /** @type {string} */ indent) =>
    Object.entries(value).map(([key, item]) => `${indent}${JSON.stringify(key)}: ${JSON.stringify(item)}`);
  const block = (/** @type {object} */ value) => {
    const inner = lines(value, "    ");
    return inner.length === 0 ? "{}" : `{\n${inner.join(",\n")}\n  }`;
  };
  const list = (/** @type {string[]} */ texts) =>
    texts.length === 0 ? "[]" : `[\n${texts.map((line) => `    ${JSON.stringify(line)}`).join(",\n")}\n  ]`;
  const parts = [
    `"torch": ${JSON.stringify(torch)}`,
    `"noise": ${block({ words: noise.words, losses: noise.losses, ...(noise.checks && { checks: noise.checks }) })}`,
    `"losses": ${JSON.stringify(losses)}`,
    `"checks": ${block(checks)}`,
    `"text": ${list(text)}`,
    ...(warnings.length === 0 ? [] : [`"warnings": ${list(warnings)}`]),
  ];
  return `{\n${parts.map((part) => `  ${part}`).join(",\n")}\n}`;
}

/**
 * Runs each program on each engine, prints a table and then the counts.
 * @param {string[]} names
 * @param {string[]} engines
 * @param {number} jobs Processes at a time.
 */
async function check(names, engines, jobs) {
  const width = Math.max(7, ...names.map((name) => name.length));
  const row = (/** @type {string[]} */ [name = "", ...cells]) =>
    console.log([name.padEnd(width), ...cells.map((cell) => cell.padStart(10))].join("  "));
  row(["program", "engine", "steps", "difference", "tolerance", "seconds", "ok"]);
  /** @type {string[]} */
  const failures = [];
  let passed = 0;
  const queue = names.flatMap((name) => engines.map((engine) => ({ name, engine })));
  // One thread of TensorFlow in each of several processes is enough for small tensors.
  const env = jobs > 1 ? { TF_NUM_INTRAOP_THREADS: "1", TF_NUM_INTEROP_THREADS: "1" } : {};
  const worker = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { name, engine } = next;
      const result = await attempt(name, engine, env);
      const { steps, difference, tolerance, seconds, problems } = result;
      const ok = problems.length === 0;
      const small = (/** @type {number} */ x) => (Number.isNaN(x) ? "-" : x.toExponential(1));
      row([
        name,
        engine,
        String(steps),
        small(difference),
        small(tolerance),
        seconds.toFixed(1),
        ok ? "yes" : "NO",
      ]);
      if (ok) passed++;
      else failures.push(`FAILED ${name} on ${engine}\n${problems.map((line) => `    ${line}`).join("\n")}`);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, jobs) }, worker));
  if (failures.length > 0) console.log(`\n${failures.join("\n")}`);
  console.log(`${passed} passed, ${failures.length} failed`);
  return failures.length === 0 ? 0 : 1;
}

/**
 * Runs a program and compares it with its record. Failures are returned as problems, never thrown.
 * @param {string} name
 * @param {string} engine
 * @param {NodeJS.ProcessEnv} env
 */
async function attempt(name, engine, env) {
  const started = performance.now();
  const nothing = { steps: 0, difference: Number.NaN, tolerance: Number.NaN };
  /** @type {import("./programs/compare.mjs").Comparison} */
  let result;
  try {
    const expected = readRecord(name);
    result = compare(await runTypeScript(name, engine, env), expected);
  } catch (error) {
    if (!(error instanceof ScriptError)) throw error;
    result = { ...nothing, problems: error.message.split("\n") };
  }
  return { ...result, seconds: (performance.now() - started) / 1000 };
}

/** @param {string} name @returns {import("./programs/compare.mjs").Recorded} */
function readRecord(name) {
  for (const file of [`${name}.nn.ts`, `${name}.py`, "record.json"])
    if (!fs.existsSync(`${FOLDER}/${name}/${file}`))
      throw new ScriptError(`test/programs/${name}/${file} is missing.`);
  return JSON.parse(fs.readFileSync(recordOf(name), "utf8"));
}

/**
 * Times the programs against PyTorch, without process start-up: interleaved runs, outputs checked.
 * @param {string[]} names
 * @param {string[]} engines
 */
async function speed(names, engines) {
  const python = await torchPython();
  const width = Math.max(7, ...names.map((name) => name.length));
  const row = (/** @type {string[]} */ [name = "", ...cells]) =>
    console.log([name.padEnd(width), ...cells.map((cell) => cell.padStart(16))].join("  "));
  row(["program", "PyTorch", ...engines, "outputs"]);
  let failed = 0;
  for (const name of names) {
    const expected = readRecord(name);
    /** @type {Map<string, number[]>} */
    const seconds = new Map(["PyTorch", ...engines].map((who) => [who, []]));
    /** @type {string[]} */
    const problems = [];
    for (let round = 0; round < ROUNDS; round++)
      for (const [who, times] of seconds) {
        /** @type {Program} */
        const result =
          who === "PyTorch"
            ? await runPython(python, name, { noise: false })
            : await runTypeScript(name, who, {});
        times.push(result.seconds);
        problems.push(...compare(result, expected).problems.map((problem) => `${who}: ${problem}`));
      }
    const median = (/** @type {string} */ who) =>
      seconds.get(who)?.sort((a, b) => a - b)[ROUNDS >> 1] ?? Number.NaN;
    const torch = median("PyTorch");
    const cells = engines.map(
      (engine) => `${median(engine).toFixed(2)} s (${(median(engine) / torch).toFixed(1)}x)`,
    );
    row([name, `${torch.toFixed(2)} s`, ...cells, problems.length === 0 ? "equal" : "DIFFER"]);
    for (const problem of problems) console.log(`    ${problem}`);
    if (problems.length > 0) failed++;
  }
  return failed === 0 ? 0 : 1;
}
