// @ts-check
/**
 * `npm test [-- tier …]`: runs the test tiers, and ends with the line "N passed, N failed" (and ", N skipped"). Without names
 * these are all but those of {@link BY_NAME}, each without its slow tests; `all` are all, with them. Exit code 1 on a failure.
 * Installs what the tests need.
 */
import fs from "node:fs";
import { DIFFERENCES } from "./testing/diffReporter.mjs";
import { ensureNativeEngine } from "./native-engine.mjs";
import { inRoot, main, run, ScriptError } from "./project.mjs";
import { setup } from "./setup.mjs";

/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */

/**
 * Runs a package's program.
 * @param {string} file Relative to node_modules.
 * @param {string[]} args
 */
const runPackage = (file, ...args) => run(process.execPath, [inRoot("node_modules", file), ...args]);

/** Stands for all tiers, slow tests and all. */
const ALL = "all";

/** Whether slow tests are left out: see the tag in vitest.config.ts. */
let quick = false;

/** The engines that are here to be tested, as arguments. */
let engines = ["--engine", "wasm"];

/** The native engine without TensorFlow, where golden cases are as quick as a start. */
const kernels = () => (engines.includes("native") ? ["--engine", "kernels"] : []);

/** What failed, with its messages: repeated at the end, where readers of a long log look. */
const failures = /** @type {string[]} */ ([]);

/** Folders of cases made with PyTorch. */
const PARITY_CASES = ["golden", "modules", "huggingface"].map((name) => `test/fixtures/${name}`);

/** Tests that measure how long a user waits: they have the machine for themselves. */
const TIMED = /\bBOUNDS\b/;

/** @param {string} name */
const isTest = (name) => name.endsWith(".test.ts");

/** In the order in which they run: the quick ones first. @type {Record<string, () => Promise<Counts>>} */
const TIERS = {
  check: async () => {
    const steps = [
      () => runPackage("typescript/bin/tsc", "-b"),
      () => runPackage("oxlint/bin/oxlint", "--report-unused-disable-directives-severity", "error"),
      () => runPackage("oxfmt/bin/oxfmt", "--check"),
      () => run(process.execPath, [inRoot("scripts/rules.mjs")]),
    ];
    let failed = 0;
    for (const step of steps) if ((await step()) !== 0) failed++;
    return { passed: steps.length - failed, failed, skipped: 0 };
  },
  unit: () => vitest("unit*"),
  parity: () => program("scripts/parity.mjs", ...PARITY_CASES, ...engines, ...kernels()),
  engine: async () => {
    const folder = inRoot("test", "engine");
    const files = fs.readdirSync(folder, { recursive: true, encoding: "utf8" }).filter(isTest);
    const timed = files.filter((name) => TIMED.test(fs.readFileSync(`${folder}/${name}`, "utf8")));
    const others = files.filter((name) => !timed.includes(name));
    const paths = (/** @type {string[]} */ names) => names.map((name) => `test/engine/${name}`);
    // Beside each other, one thread of TensorFlow in each is enough for small tensors.
    const threads = { TF_NUM_INTRAOP_THREADS: "1", TF_NUM_INTEROP_THREADS: "1" };
    const total = await vitest("engine", paths(others), threads);
    add(total, await vitest("engine", paths(timed)));
    return total;
  },
  attacks: () => vitest("attacks"),
  cluster: () => vitest("cluster"),
  install: () => vitest("install", ["test/install/npmPackage.test.ts", "test/install/resumable.test.ts"]),
  release: () => vitest("install", ["test/install/api.test.ts", "test/install/vsix.test.ts"]),
  programs: () => program("scripts/programs.mjs", ...engines),
  vscode: () => program("test/vscode/run.mjs"),
  browser: () => program("test/browser/run.mjs"),
  windows: () => vitest("windows"),
  arm64: () => vitest("arm64"),
  gpu: () => vitest("gpu"),
};

/** Tiers that need nothing but npm's packages and the native engine: what others need is downloaded beside them. */
const FIRST = ["check", "unit", "parity"];

/** Tiers that run only by name, or among all: they take minutes, or need programs that few machines have. */
const BY_NAME = ["release", "windows", "arm64", "gpu"];

/**
 * @param {string} project may end with a star
 * @param {string[]} args
 * @param {Record<string, string>} env
 * @returns {Promise<Counts>}
 */
async function vitest(project, args = [], env = {}) {
  const report = inRoot("out", "test", `${project.replace("*", "")}.json`);
  const differences = report.replace(/\.json$/, "-differences.json");
  for (const file of [report, differences]) fs.rmSync(file, { force: true });
  const reporters = [
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${report}`,
    `--reporter=${inRoot("scripts", "testing", "diffReporter.mjs")}`,
  ];
  const command = [inRoot("node_modules", "vitest/vitest.mjs"), "run", "--project", project];
  if (quick) command.push("--tags-filter=!slow");
  const exit = await run(process.execPath, [...command, ...reporters, ...args], {
    env: { ...env, [DIFFERENCES]: differences },
  });
  if (!fs.existsSync(report)) return { passed: 0, failed: 1, skipped: 0 };
  const result = JSON.parse(fs.readFileSync(report, "utf8"));
  const known = fs.existsSync(differences) ? JSON.parse(fs.readFileSync(differences, "utf8")) : {};
  const before = failures.length;
  for (const { name, status, message, assertionResults } of result.testResults) {
    if (status !== "failed") continue;
    const tests = assertionResults.filter(
      (/** @type {{ status: string }} */ test) => test.status === "failed",
    );
    for (const { fullName, failureMessages } of tests)
      failures.push([`FAILED ${fullName}`, ...failureMessages, known[fullName] ?? ""].join("\n"));
    // A file that could not be loaded, or whose hook failed, has failed though none of its tests has.
    if (tests.length === 0) failures.push(`FAILED ${name}\n${message || "A hook failed: see above."}`);
  }
  const failed = failures.length - before;
  return {
    passed: result.numPassedTests,
    failed: failed === 0 && exit !== 0 ? 1 : failed,
    skipped: result.numPendingTests + result.numTodoTests - (quick ? slowOf(result) : 0),
  };
}

/**
 * How many tests of a report are slow. What is left out counts as nothing: only what could not run is skipped.
 * @param {{ testResults: { assertionResults: { tags: string[] }[] }[] }} report
 */
const slowOf = ({ testResults }) =>
  testResults.flatMap(({ assertionResults }) => assertionResults).filter(({ tags }) => tags.includes("slow"))
    .length;

/**
 * A test program of our own: its last line has the counts.
 * @param {string[]} args
 * @returns {Promise<Counts>}
 */
async function program(...args) {
  let output = "";
  const env = quick ? { LAYERWISE_TEST_QUICK: "1" } : {};
  const exit = await run(process.execPath, args, { env, onOutput: (text) => (output += text) });
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
  const unknown = named.filter((name) => name !== ALL && !(name in TIERS));
  if (unknown.length > 0)
    throw new ScriptError(
      `No test tier ${unknown.join(", ")}; there are ${Object.keys(TIERS).join(", ")}, and ${ALL} for them all.`,
    );
  quick = named.length === 0;
  const tiers = Object.entries(TIERS).filter(([name]) =>
    quick ? !BY_NAME.includes(name) : named.includes(ALL) || named.includes(name),
  );
  await setup();
  if (tiers.some(([name]) => name !== "check") && (await ensureNativeEngine()))
    engines = ["--engine", "native", ...engines];
  const later = tiers.flatMap(([name]) => (FIRST.includes(name) ? [] : [name]));
  const prefetched =
    later.length > 0 &&
    later.length < tiers.length &&
    run(process.execPath, [inRoot("test/prefetch.mjs"), ...later], { quiet: true });
  /** @type {[name: string, counts: Counts, seconds: number][]} */
  const results = [];
  for (const [name, tier] of tiers) {
    // Two concurrent installs of the same package would conflict.
    if (!FIRST.includes(name)) await prefetched;
    process.stdout.write(`\n── ${name} ──\n`);
    const start = performance.now();
    const before = failures.length;
    const counts = await tier();
    if (counts.failed > 0 && failures.length === before)
      failures.push(`FAILED ${name}, though no test of it did: see its output above`);
    results.push([name, counts, (performance.now() - start) / 1000]);
  }
  const total = { passed: 0, failed: 0, skipped: 0 };
  if (failures.length > 0) process.stdout.write(`\n── what failed ──\n${failures.join("\n")}\n`);
  process.stdout.write("\n");
  // Once more by name alone: of a long log, readers may have no more than its end.
  if (failures.length > 1)
    for (const failure of failures) process.stdout.write(`${failure.split("\n", 1)[0]}\n`);
  for (const [name, counts, seconds] of results) {
    process.stdout.write(`${name.padEnd(8)} ${seconds.toFixed(0).padStart(5)} s  ${describe(counts)}\n`);
    add(total, counts);
  }
  process.stdout.write(`${describe(total)}\n`);
  return total.failed === 0 ? 0 : 1;
});
