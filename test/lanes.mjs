// @ts-check
/** Test programs that wait more than they compute, such as those in a browser: several processes share one's tests. */
import { fork } from "node:child_process";

/** On two cores. */
const SIDE_BY_SIDE = 2;

/** @typedef {import("./harness.ts").Counts} Counts */
/** @typedef {"next" | { text: string } | { counts: Counts }} Message What a lane says: see lane.ts. */

/**
 * Runs a test program that ends in `runLane`: its rows of tests side by side, the next one by the process that is free
 * first; then, with nothing beside it, what measures time. What a test says is printed in one piece.
 * @param {string} program A bundle.
 * @param {Record<string, string>} [env]
 * @returns {Promise<Counts>}
 */
export async function runLanes(program, env = {}) {
  const turns = { next: 0 };
  const lanes = Array.from({ length: SIDE_BY_SIDE }, () => lane(program, "beside", turns, env));
  const all = await Promise.all(lanes);
  all.push(await lane(program, "alone", { next: 0 }, env));
  return sum(all);
}

/** @param {readonly Counts[]} all @returns {Counts} */
export function sum(all) {
  const of = (/** @type {keyof Counts} */ key) => all.reduce((total, counts) => total + counts[key], 0);
  return { passed: of("passed"), failed: of("failed"), skipped: of("skipped") };
}

/**
 * Prints the closing line of a tier, which scripts/test.mjs reads.
 * @param {Counts} counts
 * @returns its exit code: 1 on a failure, or if there was no test
 */
export function conclude({ passed, failed, skipped }) {
  console.log(`${passed} passed, ${failed} failed${skipped === 0 ? "" : `, ${skipped} skipped`}`);
  return failed > 0 || passed + skipped === 0 ? 1 : 0;
}

/**
 * @param {string} program
 * @param {"beside" | "alone"} kind
 * @param {{ next: number }} turns The row that is begun next, of all lanes that share them.
 * @param {Record<string, string>} env
 * @returns {Promise<Counts>}
 */
async function lane(program, kind, turns, env) {
  // Stacks name the lines of the tests, not of the bundle.
  const execArgv = ["--enable-source-maps"];
  const child = fork(program, [], { execArgv, env: { ...process.env, ...env, LAYERWISE_LANE: kind } });
  /** @type {Counts | undefined} */
  let counts;
  child.on("message", (/** @type {Message} */ message) => {
    if (message === "next") child.send(turns.next++);
    else if ("text" in message) console.log(message.text);
    else counts = message.counts;
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (counts !== undefined) return counts;
  console.log(`FAILED ${program}: a process ended with exit code ${code} before its tests`);
  return { passed: 0, failed: 1, skipped: 0 };
}
