// @ts-check
/**
 * `npm test [-- tier …]`: runs the test tiers, all without names, and ends with the line "N passed, N failed" (and
 * ", N skipped"). Exit code 1 on a failure. Installs what the tests need.
 */
import fs from "node:fs";
import { ensureNativeEngine } from "./native-engine.mjs";
import { inRoot, main, run, ScriptError } from "./project.mjs";
import { setup } from "./setup.mjs";

/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */

/** Whether VS Code is tested while other tests compute. */
let beside = false;

/**
 * Runs Node; beside VS Code with a lower priority, since VS Code's tests have time limits.
 * @param {string[]} args
 * @param {Parameters<typeof run>[2]} [options]
 */
const compute = (args, options) =>
  beside && process.platform !== "win32"
    ? run("nice", ["-n", "10", process.execPath, ...args], options)
    : run(process.execPath, args, options);

/**
 * Runs a package's program.
 * @param {string} file Relative to node_modules.
 * @param {string[]} args
 */
const runPackage = (file, ...args) => compute([inRoot("node_modules", file), ...args]);

/** The engines that are here to be tested, as arguments. */
let engines = ["--engine", "wasm"];

/** What failed, with its messages: repeated at the end, where readers of a long log look. */
const failures = /** @type {string[]} */ ([]);

/** Folders of cases made with PyTorch. */
const PARITY_CASES = ["golden", "modules", "huggingface"].map((name) => `test/fixtures/${name}`);

/** Tests that measure how long a user waits: they have the machine for themselves. */
const TIMED = /\bBOUNDS\b/;

/** @param {string} name */
const isTest = (name) => name.endsWith(".test.ts");

/** @typedef {() => Promise<Counts>} Part */
/**
 * What a tier runs: `computes` and `waits` (for VS Code, mostly) beside each other, then `measures`, which times what a user
 * waits for, with nothing beside it.
 * @typedef {{ computes?: Part, waits?: Part, measures?: Part }} Tier
 */

/** The quick ones first. @type {Record<string, Tier>} */
const TIERS = {
  check: {
    computes: async () => {
      const steps = [
        () => runPackage("typescript/bin/tsc", "-b"),
        () => runPackage("oxlint/bin/oxlint", "--report-unused-disable-directives-severity", "error"),
        () => runPackage("oxfmt/bin/oxfmt", "--check"),
        () => compute([inRoot("scripts/rules.mjs")]),
      ];
      let failed = 0;
      for (const step of steps) if ((await step()) !== 0) failed++;
      return { passed: steps.length - failed, failed, skipped: 0 };
    },
  },
  unit: { computes: () => vitest("unit") },
  parity: { computes: () => program(["scripts/parity.mjs", ...PARITY_CASES, ...engines]) },
  engine: {
    // Beside each other, one thread of TensorFlow in each is enough for small tensors.
    computes: () =>
      vitest("engine", engineTests(false), { TF_NUM_INTRAOP_THREADS: "1", TF_NUM_INTEROP_THREADS: "1" }),
    measures: () => vitest("engine", engineTests(true)),
  },
  attacks: { computes: () => vitest("attacks") },
  programs: { computes: () => program(["scripts/programs.mjs", ...engines]) },
  vscode: {
    waits: () => inVscode(["test/vscode/run.mjs", "newest", "folders", "oldest"]),
    measures: () => inVscode(["test/vscode/run.mjs", "startup", "timed"]),
  },
  browser: {
    waits: () => inVscode(["test/browser/run.mjs"], { LAYERWISE_LANES: "beside" }),
    measures: () => inVscode(["test/browser/run.mjs"], { LAYERWISE_LANES: "alone" }),
  },
};

/**
 * Tests in VS Code. What runs beside others prints in one piece, at its end.
 * @param {string[]} args
 * @param {Record<string, string>} [env]
 */
const inVscode = (args, env = {}) =>
  program(args, { env, start: (all, options) => run(process.execPath, all, options), quiet: beside });

/** @param {boolean} timed */
function engineTests(timed) {
  const folder = inRoot("test", "engine");
  return fs
    .readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => isTest(name) && TIMED.test(fs.readFileSync(`${folder}/${name}`, "utf8")) === timed)
    .map((name) => `test/engine/${name}`);
}

/**
 * @param {string} project
 * @param {string[]} args
 * @param {Record<string, string>} env
 * @returns {Promise<Counts>}
 */
async function vitest(project, args = [], env = {}) {
  const report = inRoot("out", "test", `${project}.json`);
  fs.rmSync(report, { force: true });
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const command = [inRoot("node_modules", "vitest/vitest.mjs"), "run", "--project", project];
  const exit = await compute([...command, ...reporters, ...args], { env });
  if (!fs.existsSync(report)) return { passed: 0, failed: 1, skipped: 0 };
  const result = JSON.parse(fs.readFileSync(report, "utf8"));
  // A file that could not be loaded has failed, though none of its tests has.
  const broken = result.testResults.filter(
    (/** @type {{ status: string, assertionResults: unknown[] }} */ file) =>
      file.status === "failed" && file.assertionResults.length === 0,
  ).length;
  const failed = result.numFailedTests + broken;
  for (const { name, status, message, assertionResults } of result.testResults) {
    if (status !== "failed") continue;
    if (assertionResults.length === 0) failures.push(`FAILED ${name}\n${message}`);
    for (const { status, fullName, failureMessages } of assertionResults)
      if (status === "failed") failures.push(`FAILED ${fullName}\n${failureMessages.join("\n")}`);
  }
  return {
    passed: result.numPassedTests,
    failed: failed === 0 && exit !== 0 ? 1 : failed,
    skipped: result.numPendingTests + result.numTodoTests,
  };
}

/**
 * A test program of our own: its last line has the counts.
 * @param {string[]} args
 * @param {{ env?: Record<string, string>, start?: typeof compute, quiet?: boolean }} [options]
 * @returns {Promise<Counts>}
 */
async function program(args, { env = {}, start = compute, quiet = false } = {}) {
  let output = "";
  const exit = await start(args, { env, quiet, onOutput: (text) => (output += text) });
  // Of a failed one, `run` has printed it.
  if (quiet && exit === 0) process.stdout.write(output);
  failures.push(...(output.match(/^FAILED.*(?:\n {4}.*)*/gm) ?? []));
  const last = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/.exec(
    output.trimEnd().split("\n").at(-1) ?? "",
  );
  if (last === null) return { passed: 0, failed: 1, skipped: 0 };
  const [passed = 0, failed = 0, skipped = 0] = last.slice(1).map((count) => Number(count ?? 0));
  return { passed, failed: failed === 0 && exit !== 0 ? 1 : failed, skipped };
}

/** @param {Counts} total @param {Counts} counts */
function add(total, counts) {
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
}

/** @param {Counts} counts */
const describe = ({ passed, failed, skipped }) =>
  `${passed} passed, ${failed} failed${skipped === 0 ? "" : `, ${skipped} skipped`}`;

await main(async () => {
  const named = process.argv.slice(2);
  const unknown = named.filter((name) => !(name in TIERS));
  if (unknown.length > 0)
    throw new ScriptError(`No test tier ${unknown.join(", ")}; there are ${Object.keys(TIERS).join(", ")}.`);
  const tiers = Object.entries(TIERS).filter(([name]) => named.length === 0 || named.includes(name));
  await setup();
  if (tiers.some(([name]) => name !== "check") && (await ensureNativeEngine()))
    engines = ["--engine", "native", ...engines];
  /** @type {Map<string, Counts>} */
  const results = new Map(tiers.map(([name]) => [name, { passed: 0, failed: 0, skipped: 0 }]));
  /** @param {keyof Tier} part */
  const runAll = async (part) => {
    for (const [name, { [part]: body }] of tiers) {
      if (body === undefined) continue;
      process.stdout.write(`\n── ${name}${part === "measures" ? ", timed" : ""} ──\n`);
      add(/** @type {Counts} */ (results.get(name)), await body());
    }
  };
  // VS Code's tests leave most of two processors free.
  beside = tiers.some(([, { waits }]) => waits) && tiers.some(([, { computes }]) => computes);
  await Promise.all([runAll("waits"), runAll("computes")]);
  beside = false;
  await runAll("measures");
  const total = { passed: 0, failed: 0, skipped: 0 };
  if (failures.length > 0) process.stdout.write(`\n── what failed ──\n${failures.join("\n")}\n`);
  process.stdout.write("\n");
  for (const [name, counts] of results) {
    process.stdout.write(`${name.padEnd(8)} ${describe(counts)}\n`);
    add(total, counts);
  }
  process.stdout.write(`${describe(total)}\n`);
  return total.failed === 0 ? 0 : 1;
});
